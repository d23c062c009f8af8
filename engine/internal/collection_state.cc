#include "instar/engine/internal/collection_state.h"

#include "instar/engine/internal/compaction/compactor.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/compaction/preimages.h"
#include "instar/engine/internal/row_writer.h"
#include "instar/engine/internal/upgraded_record.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

constexpr std::uint32_t kAllRows = UINT16_MAX + 1U;

template <class Number>
void raise(std::atomic<Number>& value, Number to) noexcept {
  Number seen = value.load(std::memory_order_relaxed);
  while (seen < to && !value.compare_exchange_weak(seen, to, std::memory_order_release)) {
  }
}

}  // namespace

CollectionState::CollectionState(std::shared_ptr<StoreState> store, Plans plans, storage::TreeId tree,
                                 const Catalog::CollectionRecord& record, TransactionState& transaction,
                                 std::shared_ptr<StagedVersion> staged)
    : store_(std::move(store)),
      name_(record.name),
      plans_(std::move(plans)),
      schema_(plans_.schema()),
      version_(schema_.version()),
      completeFrom_(schema_.completeFrom()),
      tree_(tree),
      nestsWithoutLimit_(schema_.isRecursive()),
      heat_(store_->heatOf(record.name)),
      staged_(std::move(staged)),
      checkedSnapshot_(transaction.snapshot()),
      checkedGeneration_(Catalog(transaction).generation()) {
  if (record.tiered) openColdTier(transaction);
  look(Catalog(transaction), record);
}

void CollectionState::look(const Catalog& catalog, const Catalog::CollectionRecord& record) {
  currentVersion_ = record.currentVersion;
  highestVersion_ = catalog.highestVersion(name_);
  readerFloor_ = record.readerFloor;
  writerFloor_ = record.writerFloor;
  if (staged_) {
    const bool wasDependedUpon = staged_->isDependedUpon();
    staged_->see(catalog.versionState(name_, version_).value_or(VersionState::staged),
                 catalog.staging(name_));
    completeFrom_.store(staged_->isDependedUpon() ? schema_.completeFrom() : kAllRows,
                        std::memory_order_relaxed);
    if (!wasDependedUpon && staged_->isDependedUpon()) letCompact();
  }
  isAborted_ = catalog.versionState(name_, wholeVersion()) == VersionState::aborted;
}

void CollectionState::letCompact() const {
  if (const auto compactor = store_->compactor()) compactor->collectionOpened(name_, wholePlans(), tree_);
}

CollectionState::CollectionState(const CollectionState& collection, const Preimages& preimages,
                                 TransactionState& transaction)
    : store_(collection.store_),
      name_(collection.name_),
      plans_(collection.wholePlans()),
      schema_(collection.schema_),
      version_(plans_.schema().version()),
      completeFrom_(plans_.schema().completeFrom()),
      tree_(preimages.rows()),
      nestsWithoutLimit_(collection.nestsWithoutLimit_),
      isLive_(false),
      coldTierOwner_(std::make_unique<ColdTier>(*store_, name_, preimages.blocks())),
      coldTier_(coldTierOwner_.get()),
      coldTierSeen_(transaction.snapshot()),
      checkedSnapshot_(collection.checkedSnapshot_.load()),
      checkedGeneration_(collection.checkedGeneration_.load()),
      currentVersion_(collection.currentVersion_.load()),
      highestVersion_(collection.highestVersion_.load()),
      readerFloor_(collection.readerFloor_.load()),
      writerFloor_(collection.writerFloor_.load()) {}

void CollectionState::openColdTier(TransactionState& transaction) {
  const std::lock_guard lock(coldTierMutex_);
  if (coldTierOwner_) return;
  coldTierOwner_ = std::make_unique<ColdTier>(*store_, name_, openColdTree(*store_, name_));
  coldTierSeen_.store(transaction.snapshot(), std::memory_order_relaxed);
  coldTier_.store(coldTierOwner_.get(), std::memory_order_release);
}

bool CollectionState::seesColdTier(TransactionState& transaction) {
  if (transaction.snapshot() >= coldTierSeen_.load(std::memory_order_relaxed)) return true;
  const auto record = Catalog(transaction).collection(name_);
  return record && record->tiered;
}

void CollectionState::refuseProgram(const char* message, std::uint16_t floor) const {
  throw Error(ErrorCode::upgradeProgram, message,
              {{"collection", name_},
               {"version of this program", std::to_string(wholeVersion())},
               {"lowest version allowed", std::to_string(floor)}});
}

void CollectionState::refuseAborted() const {
  throw Error(ErrorCode::upgradeProgram,
              "the version of this program was aborted: write with a release of another version",
              {{"collection", name_},
               {"version of this program", std::to_string(wholeVersion())},
               {"current version", std::to_string(currentVersion_.load(std::memory_order_relaxed))}});
}

void CollectionState::refuseOlderDraft(const Key& key) const {
  throw Error(ErrorCode::retry, "the version was promoted since the record was read: read it again",
              {{"collection", name_}, {"key", printKey(schema_.key(), key.bytes())}});
}

void CollectionState::requireWritableStore() const {
  if (!store_->environment().readOnly()) return;
  throw Error(ErrorCode::fixCall, "the store is open for reading only: open it for writing",
              {{"collection", name_}});
}

void CollectionState::admitReading(TransactionState& transaction) {
  if (&transaction.store().environment() != &store_->environment()) {
    throw Error(ErrorCode::fixCall, "the transaction belongs to another store than the collection",
                {{"collection", name_}});
  }
  refreshIfNewer(transaction);
  const std::uint16_t floor = readerFloor_.load(std::memory_order_relaxed);
  if (wholeVersion() < floor) {
    refuseProgram("this program is too old to read the collection: use a newer release", floor);
  }
}

void CollectionState::admitWriting(TransactionState& transaction) {
  admitReading(transaction);
  const std::uint16_t floor = writerFloor_.load(std::memory_order_relaxed);
  if (wholeVersion() < floor) {
    refuseProgram("this program is too old to write the collection: use a newer release", floor);
  }
  if (isAborted_.load(std::memory_order_relaxed)) refuseAborted();
}

bool CollectionState::mayWrite(TransactionState& transaction) {
  refreshIfNewer(transaction);
  return wholeVersion() >= readerFloor_.load(std::memory_order_relaxed) &&
         wholeVersion() >= writerFloor_.load(std::memory_order_relaxed) &&
         !isAborted_.load(std::memory_order_relaxed);
}

void CollectionState::refresh(TransactionState& transaction) {
  const Catalog catalog(transaction);
  const std::uint64_t generation = catalog.generation();
  if (generation > checkedGeneration_.load(std::memory_order_acquire)) {
    const auto record = catalog.collection(name_);
    if (!record) {
      throw Error(ErrorCode::restoreFromBackup,
                  "the collection is no longer in the catalog: restore the file", {{"collection", name_}});
    }
    if (record->tiered) openColdTier(transaction);
    const std::lock_guard lock(lookMutex_);
    if (generation > checkedGeneration_.load(std::memory_order_relaxed)) {
      look(catalog, *record);
      checkedGeneration_.store(generation, std::memory_order_release);
    }
  }
  raise(checkedSnapshot_, transaction.snapshot());
}

bool CollectionState::isKnown(TransactionState& transaction, std::uint16_t version) {
  std::atomic<std::uint64_t>& word = knownVersions_[version / 64];
  const std::uint64_t bit = std::uint64_t{1} << (version % 64);
  if ((word.load(std::memory_order_relaxed) & bit) != 0) return true;
  if (!Catalog(transaction).hasVersion(name_, version)) return false;
  word.fetch_or(bit, std::memory_order_relaxed);
  return true;
}

void CollectionState::refuseRow(Bytes key, const char* damage) const {
  throw Error(ErrorCode::restoreFromBackup, "a row is damaged: restore it from a backup",
              {{"collection", name_}, {"key", printKey(schema_.key(), key)}, {"damage", damage}});
}

void CollectionState::refuseVersion(Bytes key) const {
  refuseRow(key, "the catalog has no such schema version");
}

void CollectionState::loadCopy(TransactionState& transaction, Bytes key, Bytes value,
                               internal::RowBytes& row) {
  std::vector<std::byte> copy;
  const RowView view = decode(transaction, key, transaction.steady(value, copy));
  if (view.isTombstone()) return;
  if (isLookedAt(view) && loadUpgraded(key, view, row)) return;
  row.copy(key, view);
}

void CollectionState::findCold(TransactionState& transaction, ColdTier& cold, Bytes key,
                               internal::RowBytes& row) {
  if (auto place = cold.find(transaction, key)) loadCold(transaction, std::move(*place), row);
}

void CollectionState::loadCold(TransactionState& transaction, ColdPlace place, internal::RowBytes& row) {
  const RowView view = place.view();
  if (view.version != version_ && !isKnown(transaction, view.version)) refuseVersion(place.key());
  if (isLookedAt(view) && loadUpgraded(place.key(), view, row)) return;
  const Bytes key = place.key();
  row.share(std::move(place.section), key, view);
}

void CollectionState::findStored(TransactionState& transaction, Bytes key, internal::RowBytes& row) {
  if (const auto value = transaction.storage().get(tree_, key)) {
    std::vector<std::byte> copy;
    const RowView view = decode(transaction, key, transaction.steady(*value, copy));
    if (!view.isTombstone()) row.copy(key, view);
  } else if (ColdTier* const cold = coldTier(transaction)) {
    if (const auto place = cold->find(transaction, key)) row.copy(key, place->view());
  }
}

bool CollectionState::contains(TransactionState& transaction, Bytes key) {
  if (const auto value = transaction.storage().get(tree_, key)) {
    const bool isTombstone = has(rowFlags(*value), RowFlags::tombstone);
    transaction.storage().checkIntact();
    return !isTombstone;
  }
  ColdTier* const cold = coldTier(transaction);
  return cold != nullptr && cold->find(transaction, key).has_value();
}

std::uint64_t CollectionState::count(TransactionState& transaction) {
  const std::uint64_t hot = transaction.storage().statistics(tree_).entries;
  if (coldTier(transaction) == nullptr) return hot;
  const Tiers tiers = readTiers(transaction, name_);
  return hot + tiers.coldRows - tiers.coveredRows - tiers.tombstones;
}

CollectionState::PutAs CollectionState::putAs(const Key& key, const internal::DraftOrigin* origin) const {
  const bool isOlder = origin != nullptr && origin->servedAs < version_;  // than the version's records are
  if (staged_ == nullptr && !isOlder) return {&plans_, version_};
  // This handle, or programs of the version below, do no longer know what to do with it.
  if (staged_ == nullptr) refuseOlderDraft(key);
  const std::uint16_t below = staged_->versionBelow();
  const bool isServed = origin == nullptr ? staged_->serves(key.bytes()) : !isOlder;
  if (isServed) return {&plans_, staged_->isOver() ? below : version_};
  if (below < std::max(readerFloor_.load(), writerFloor_.load())) refuseOlderDraft(key);
  return {&staged_->plansBelow(), below};
}

void CollectionState::put(TransactionState& transaction, const Key& key, std::uint16_t version,
                          Bytes payload) {
  if (heat_) heat_->touch(key.bytes());
  if (currentVersion_.load(std::memory_order_relaxed) > version)
    Partitions(transaction, name_).noteOlderWrite(key, version);
  ColdTier* const cold = coldTier(transaction);
  if (cold == nullptr) return writeRow(transaction, tree_, key, version, payload);
  RowFlags flags = RowFlags::none;
  if (const auto stored = transaction.storage().get(tree_, key.bytes())) {
    if (has(rowFlags(*stored), RowFlags::coversCold)) flags = RowFlags::coversCold;
    if (has(rowFlags(*stored), RowFlags::tombstone)) transaction.coverChanged(name_, {0, -1});
  } else if (cold->find(transaction, key.bytes())) {
    flags = RowFlags::coversCold;
    transaction.coverChanged(name_, {1, 0});
  }
  writeRow(transaction, tree_, key, version, payload, flags);
}

bool CollectionState::erase(TransactionState& transaction, const Key& key) {
  if (heat_) heat_->touch(key.bytes());
  ColdTier* const cold = coldTier(transaction);
  TransactionState::CoverChange change{0, 1};
  if (const auto stored = transaction.storage().get(tree_, key.bytes())) {
    const RowFlags flags = rowFlags(*stored);
    if (has(flags, RowFlags::tombstone)) return false;
    if (!has(flags, RowFlags::coversCold)) {
      transaction.changed();
      return transaction.storage().erase(tree_, key.bytes());
    }
  } else {
    if (cold == nullptr || !cold->find(transaction, key.bytes())) return false;
    change.covered = 1;
  }
  writeRow(transaction, tree_, key, wholeVersion(), {}, kTombstoneFlags);
  transaction.coverChanged(name_, change);
  return true;
}

void CollectionState::upgrade(const Plans& plans, Bytes key, const RowView& stored,
                              internal::RowBytes& row) const {
  try {
    UpgradedRecord(plans, key, stored).moveTo(row, key);
  } catch (const Error& error) {
    throw error.with("collection", name_)
        .with("key", printKey(schema_.key(), key))
        .with("version of the row", std::to_string(stored.version))
        .with("version of the schema", std::to_string(plans.schema().version()));
  }
}

bool CollectionState::loadStaged(Bytes key, const RowView& stored, internal::RowBytes& row) {
  if (staged_->read(key, stored)) {
    try {
      if (stored.version >= schema_.completeFrom()) return false;
      upgrade(plans_, key, stored, row);
      return true;
    } catch (const std::exception&) {  // a function of the program may throw anything
      if (staged_->isDependedUpon()) throw;
    }
  }
  row.serveAs(staged_->versionBelow());
  if (stored.version >= staged_->plansBelow().schema().completeFrom()) return false;
  upgrade(staged_->plansBelow(), key, stored, row);
  return true;
}

bool CollectionState::loadUpgraded(Bytes key, const RowView& stored, internal::RowBytes& row) {
  if (staged_ && !staged_->isDependedUpon()) return loadStaged(key, stored, row);
  upgrade(plans_, key, stored, row);
  WriteBackQueue& queue = store_->writeBackQueue();
  if (queue.isOpen() && isLive_) queue.offer(shared_from_this(), key);
  return true;
}

bool CollectionState::rewriteUpgraded(TransactionState& transaction, const Key& key) {
  if (wholeVersion() != version_) return false;  // the version was given up since
  try {
    std::optional<ColdPlace> place;  // which the row is borrowed from
    RowView row;
    if (const auto stored = transaction.storage().get(tree_, key.bytes())) {
      row = decode(transaction, key.bytes(), *stored);
    } else if (ColdTier* const cold = coldTier(transaction)) {
      place = cold->find(transaction, key.bytes());
      if (place) row = place->view();
    }
    if (row.isTombstone() || !isLookedAt(row)) return false;
    const auto payload = UpgradedRecord(plans_, key.bytes(), row).compact();
    if (isOlderProgram()) Partitions(transaction, name_).noteOlderWrite(key, version_);
    if (place) transaction.coverChanged(name_, {1, 0});
    writeRow(transaction, tree_, key, version_, payload, place ? RowFlags::coversCold : row.flags);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::fixRow || error.code() == ErrorCode::restoreFromBackup) return false;
    throw;
  }
}

void CollectionState::prepareToPut(const PutAs& as, capnp::MessageBuilder& record) const {
  const RecordSchema& schema = as.plans->schema();
  if (!schema.changesPuts()) return;
  try {
    as.plans->prepareToPut(record.getRoot<capnp::DynamicStruct>(schema.root()));
  } catch (const Error& error) {
    throw error.with("collection", name_);
  }
}

}  // namespace instar
