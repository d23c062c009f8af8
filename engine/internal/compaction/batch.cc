#include "instar/engine/internal/compaction/batch.h"

#include <algorithm>
#include <utility>

#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/batch_preparation.h"
#include "instar/engine/internal/compaction/dictionary_choice.h"
#include "instar/engine/internal/row_writer.h"
#include "instar/format/file_format.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kFirstRows = 1024;
constexpr std::uint64_t kFewestRows = 128;  // about a block's

}  // namespace

Batch::Batch(std::shared_ptr<StoreState> store, CollectionState& collection, CompactionMode mode,
             BatchLimits limits, std::uint64_t mostFailures)
    : store_(std::move(store)),
      collection_(collection),
      mode_(mode),
      limits_(limits),
      rows_(std::min<std::uint64_t>(limits.rows, kFirstRows)),
      mostFailures_(mostFailures) {
  openAudit(store_->environment());
}

// Another batch, or another program before this one, may have made the tree.
void Batch::openTrees() {
  if (limits_.keepPreimages && !preimages_) preimages_.emplace(Preimages::make(store_, collection_.name()));
  if (cold_) return;
  const std::string name = coldTreeName(collection_.name());
  const auto tree = mode_ == CompactionMode::compress ? openOrMakeTree(store_, name)
                                                      : store_->environment().openTree(name, false);
  if (tree) cold_ = std::make_unique<ColdTier>(*store_, collection_.name(), *tree);
}

Batch::~Batch() = default;

void Batch::list(FailedRow row) {
  if (result_.failures.size() < mostFailures_) result_.failures.push_back(std::move(row));
}

void Batch::prepare(const Key& lower) {
  while (parts_.size() < std::max(limits_.threads, 1U)) parts_.push_back(std::make_unique<Part>());
  for (const auto& part : parts_) part->clear();
  part_ = installed_ = verifiedBlocks_ = verifiedHot_ = 0;
  isInstalled_ = endedPass_ = false;
  const std::uint16_t version = collection_.schema().version();
  const bool packs = mode_ == CompactionMode::compress;
  {
    TransactionState transaction(store_, storage::Access::read);
    partition_ = Partitions(transaction, collection_.name()).of(lower);
  }
  if (!partition_.pass || partition_.pass->version != version || partition_.pass->packs != packs) {
    beginPass(lower);
    for (const auto& part : parts_) part->packer.reset();  // there may be enough rows for a dictionary by now
  }
  openTrees();
  if (cold_) preparePackers();
  prepareParts(lower);
  at("prepared");
}

// Before the first row is read, so that older programs note what they put from now on.
void Batch::beginPass(const Key& lower) {
  TransactionState transaction(store_, storage::Access::write);
  admit(transaction);
  Partitions partitions(transaction, collection_.name());
  Partition partition = partitions.of(lower);
  if (partition.pass) partition.cold += partition.pass->cold;  // of another version or mode: begins anew
  partition.pass = {.startedAt = now(),
                    .version = collection_.schema().version(),
                    .packs = mode_ == CompactionMode::compress};
  partition.disturbed = false;
  partitions.put(partition);
  at("passBeforeCommit");
  transaction.commit();
  at("passBegun");
}

void Batch::admit(TransactionState& transaction) {
  collection_.admitWriting(transaction);
  if (collection_.isOlderProgram()) {
    throw Error(ErrorCode::upgradeProgram,
                "a newer release has changed the collection: compaction is its work from here on",
                {{"collection", collection_.name()}});
  }
}

void Batch::preparePackers() {
  const auto hasPacker = [](const auto& part) { return part->packer != nullptr; };
  if (std::ranges::all_of(parts_, hasPacker)) return;
  const auto dictionary = chooseDictionary(store_, collection_, *cold_);
  for (const auto& part : parts_)
    part->packer = std::make_unique<BlockPacker>(collection_.schema().version(), dictionary);
}

// What the partition's record says of the pass is ours; its floor and whether it was disturbed is
// everybody's.
void Batch::install() {
  while (installed_ == parts_[part_]->groups.size() && part_ + 1 < partsPrepared_) {
    ++part_;
    installed_ = verifiedBlocks_ = verifiedHot_ = 0;
  }
  const Part& part = *parts_[part_];
  TransactionState transaction(store_, storage::Access::write);
  admit(transaction);
  const auto start = Clock::now();
  const bool isUnchanged = transaction.snapshot() == snapshot_;
  Partitions partitions(transaction, collection_.name());
  const Partition stored = partitions.of(partition_.lower);
  partition_.floor = stored.floor;
  partition_.disturbed = stored.disturbed || std::exchange(lacksFunctions_, false);
  Tiers tiers = readTiers(transaction, collection_.name());
  while (installed_ < part.groups.size()) {
    installGroup(transaction, tiers, part, isUnchanged);
    if (Clock::now() - start >= limits_.lockTime) break;
  }
  isInstalled_ = installed_ == part.groups.size() && part_ + 1 == partsPrepared_;
  if (isInstalled_) endPass(transaction, partitions);
  if (mismatch_) return;  // nothing is stored: the file keeps what it says
  partitions.put(partition_);
  if (endedPass_) noteVersionsGone(transaction, partitions, stored.floor);
  if (!part.newBlocks.empty()) {
    Catalog catalog(transaction);
    catalog.raiseFormat(kFileFormat2);
    auto record = catalog.collection(collection_.name());
    if (!record->tiered) {
      record->tiered = true;
      catalog.putCollection(*record);
    }
  }
  if (cold_) {
    const Tiers counted = readTiers(transaction, collection_.name());
    tiers.coveredRows = counted.coveredRows;
    tiers.tombstones = counted.tombstones;
    writeTiers(transaction, collection_.name(), tiers);
  }
  ++result_.transactions;
  result_.longestLock = std::max(result_.longestLock,
                                 std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start));
  adapt(Clock::now() - start);
  const std::uint64_t id = transaction.id();
  at("beforeCommit");
  transaction.commit();
  at("committed");
  if (isUnchanged) snapshot_ = id;
}

// What does not fit in one transaction waits for the next, and meanwhile others change it.
void Batch::adapt(std::chrono::nanoseconds locked) {
  const bool fits = installed_ == parts_[part_]->groups.size();
  if ((!fits || locked > limits_.lockTime) && rows_ > kFewestRows) {
    rows_ = std::max(rows_ * 3 / 4, kFewestRows);
  } else if (fits && locked < limits_.lockTime / 2) {
    rows_ = std::min(rows_ + rows_ / 4, limits_.rows);
  }
}

void Batch::installGroup(TransactionState& transaction, Tiers& tiers, const Part& part, bool isUnchanged) {
  const Group before = installed_ == 0 ? Group() : part.groups[installed_ - 1];
  const Group& group = part.groups[installed_];
  Pass& pass = *partition_.pass;
  for (std::size_t i = before.oldEnd; i < group.oldEnd; ++i) {
    const OldBlock& block = part.oldBlocks[i];
    partition_.cold -= block.totals;
    if (block.stays) {
      pass.cold += block.totals;
      continue;
    }
    at("blockBeforeErase");
    const auto stored = transaction.storage().get(cold_->tree(), block.lastKey);
    ColdBlockHeader header;
    if (!stored || decodeBlockHeader(*stored, header) != BlockDamage::none || header.number != block.number) {
      throw Error(ErrorCode::retry, "another program has changed cold blocks meanwhile: try again",
                  {{"collection", collection_.name()}});
    }
    if (preimages_)
      result_.bytes += preimages_->keepBlock(transaction, collection_.tree(), block.lastKey, header, *stored);
    transaction.changed();
    transaction.storage().erase(cold_->tree(), block.lastKey);
    tiers.coldRows -= block.totals.rows;
    tiers.coldBlocks -= 1;
    tiers.coldBytes -= block.totals.bytes;
    result_.repacked += block.totals.rows;
  }
  for (std::size_t i = before.newEnd; i < group.newEnd; ++i) {
    const NewBlock& block = part.newBlocks[i];
    transaction.changed();
    const auto place = transaction.storage().reserve(cold_->tree(), block.lastKey, block.value.size());
    std::memcpy(place.data(), block.value.data(), block.value.size());
    tiers.coldRows += block.totals.rows;
    tiers.coldBlocks += 1;
    tiers.coldBytes += block.totals.bytes;
    result_.bytes += block.totals.bytes;
    ColdBlockHeader header;
    decodeBlockHeader(block.value, header);
    tiers.nextBlock = std::max(tiers.nextBlock, header.number + 1);
    (block.isRest ? partition_.cold : pass.cold) += block.totals;
  }
  at("blocksStored");
  for (std::size_t i = before.hotEnd; i < group.hotEnd; ++i)
    installHot(transaction, part.hot[i], isUnchanged);
  at("groupInstalled");
  pass.position = Key(group.position);
  pass.rows += group.rows;
  pass.failedRows += group.failedRows;
  result_.failed += group.failedRows;
  pass.largeRows += group.largeRows;
  if (group.floor != 0) pass.left(group.floor);
  result_.rows += group.rows;
  ++installed_;
}

void Batch::installHot(TransactionState& transaction, const HotEntry& entry, bool isUnchanged) {
  const storage::TreeId tree = collection_.tree();
  const Key key(entry.key);
  if (!isUnchanged) {
    const auto now = transaction.storage().get(tree, entry.key);
    if (compareBytes(now.value_or(Bytes()), entry.before) != 0) {
      ++result_.changed;
      if (entry.then != Then::hot) setCover(transaction, key, now, entry.then == Then::cold);
      return;
    }
  }
  if (preimages_ && !entry.before.empty()) {
    preimages_->keepRow(transaction, entry.key, entry.before);
    result_.bytes += entry.before.size();
  }
  const RowFlags flags = rowFlags(entry.before);
  if (entry.then != Then::hot && has(flags, RowFlags::coversCold))
    transaction.coverChanged(collection_.name(), {-1, has(flags, RowFlags::tombstone) ? -1 : 0});
  if (entry.then == Then::hot || entry.then == Then::uncovered) {
    const RowFlags kept = entry.then == Then::hot ? flags : RowFlags::none;
    writeRow(transaction, tree, key, entry.version, entry.payload, kept);
    result_.bytes += entry.payload.size();
    if (entry.version == collection_.schema().version()) ++result_.rewritten;
  } else {
    transaction.changed();
    transaction.storage().erase(tree, entry.key);
    if (entry.then == Then::cold) ++result_.packed;
  }
}

// Somebody has changed the entry since the snapshot: it stays, but whether a block has its key changes.
void Batch::setCover(TransactionState& transaction, const Key& key, std::optional<Bytes> now, bool covers) {
  const storage::TreeId tree = collection_.tree();
  const RowFlags flags = now ? rowFlags(*now) : RowFlags::none;
  if (now ? has(flags, RowFlags::coversCold) == covers : !covers) return;
  const std::string& name = collection_.name();
  if (!now) {
    writeRow(transaction, tree, key, collection_.schema().version(), {}, kTombstoneFlags);
    transaction.coverChanged(name, {1, 1});
  } else if (has(flags, RowFlags::tombstone)) {
    transaction.changed();
    transaction.storage().erase(tree, key.bytes());
    transaction.coverChanged(name, {-1, -1});
  } else {
    const std::vector<std::byte> copy(now->begin(), now->end());
    RowView row;
    const RowDamage damage = decodeRow(key.bytes(), copy, Verify::yes, row);
    if (damage != RowDamage::none) {
      throw Error(ErrorCode::restoreFromBackup, "a row is damaged: restore it from a backup",
                  {{"collection", name}, {"damage", describe(damage)}});
    }
    writeRow(transaction, tree, key, row.version, row.payload,
             covers ? RowFlags::coversCold : RowFlags::none);
    transaction.coverChanged(name, {covers ? 1 : -1, 0});
  }
}

// Where the batch has come to the end of the partition its pass ends. Where that has become large enough it
// is cut here, and the pass ends too.
void Batch::endPass(TransactionState& transaction, Partitions& partitions) {
  Pass& pass = *partition_.pass;
  const Part& last = *parts_[part_];
  const std::uint16_t floorBefore = partition_.floor;
  if (!last.reachesEnd) {
    // One that was gone through before stays whole until it has grown: a cut would leave a small rest.
    const std::uint64_t aim = limits_.partitionRows;
    const bool isLarge = partition_.rows == 0 || shouldSplit(partition_.rows, aim);
    if (!(isLarge ? pass.rows >= aim : shouldSplit(pass.rows, aim)) || !last.mayCut || !last.nextKey) return;
    const auto bound = boundBetween(pass.position, *last.nextKey);
    if (!bound) return;
    Partition behind = partition_;
    behind.lower = *bound;
    behind.pass.reset();
    behind.rows = behind.rows > pass.rows ? behind.rows - pass.rows : 0;
    partitions.put(behind);
    at("partitionCut");
    appendAudit(transaction, {.event = AuditEvent::partitionCut,
                              .collection = collection_.name(),
                              .partition = *bound,
                              .rows = pass.rows});
    partition_.cold = {};
  }
  if (partition_.cold != ColdTotals()) {
    mismatch_ = {partition_.lower, pass.position, "the blocks of the partition are not those that it counts"};
    partition_.cold = {};
  }
  // Rows of a version that is staged or aborted are newer than what is put from now on.
  if (!partition_.disturbed)
    partition_.floor = pass.floor == 0 ? pass.version : std::min(pass.floor, pass.version);
  partition_.passedFor = pass.version;
  partition_.compressed = pass.packs;
  partition_.lastPassedAt = now();
  partition_.rows = pass.rows;
  partition_.failedRows = pass.failedRows;
  partition_.largeRows = pass.largeRows;
  partition_.cold = pass.cold;
  at("passEnded");
  const std::int64_t taken = now() - pass.startedAt;
  partition_.pass.reset();
  endedPass_ = true;
  appendAudit(transaction, {.event = AuditEvent::passEnded,
                            .collection = collection_.name(),
                            .partition = partition_.lower,
                            .fromVersion = floorBefore,
                            .toVersion = partition_.floor,
                            .rows = partition_.rows,
                            .failedRows = partition_.failedRows,
                            .cold = partition_.cold,
                            .taken = std::chrono::milliseconds(taken / 1'000'000)});
}

// Where the floor of the whole collection has risen with this partition's.
void Batch::noteVersionsGone(TransactionState& transaction, const Partitions& partitions,
                             std::uint16_t floorBefore) {
  if (partition_.floor <= floorBefore) return;
  std::uint16_t others = collection_.schema().version();
  for (const Partition& partition : partitions.all()) {
    if (partition.lower != partition_.lower) others = std::min(others, partition.floor);
  }
  const std::uint16_t before = std::min(others, floorBefore);
  const std::uint16_t after = std::min(others, partition_.floor);
  if (after <= before) return;
  const auto last = static_cast<std::uint16_t>(after - 1);
  appendAudit(transaction, {.event = AuditEvent::versionGone,
                            .collection = collection_.name(),
                            .fromVersion = before,
                            .toVersion = last,
                            .reason = "no row is left of them"});
}

std::optional<Mismatch> Batch::verify() {
  if (mismatch_) return std::exchange(mismatch_, std::nullopt);
  TransactionState transaction(store_, storage::Access::read);
  const Part& part = *parts_[part_];
  const Group done = installed_ == 0 ? Group() : part.groups[installed_ - 1];
  for (; verifiedBlocks_ < done.newEnd; ++verifiedBlocks_) {
    if (auto mismatch = verifyBlock(transaction, part.newBlocks[verifiedBlocks_])) return mismatch;
  }
  const bool isAlone = transaction.snapshot() == snapshot_;  // nobody has changed anything since
  for (; verifiedHot_ < done.hotEnd; ++verifiedHot_) {
    if (auto mismatch = verifyHot(transaction, part.hot[verifiedHot_], isAlone)) return mismatch;
  }
  at("verified");
  return std::nullopt;
}

std::optional<Mismatch> Batch::verifyHot(TransactionState& transaction, const HotEntry& entry, bool isAlone) {
  const auto mismatch = [&](const char* what) { return Mismatch{Key(entry.key), Key(entry.key), what}; };
  const bool stays = entry.then == Then::hot || entry.then == Then::uncovered;
  const auto stored = transaction.storage().get(collection_.tree(), entry.key);
  if (isAlone && stored.has_value() != stays)
    return mismatch(stays ? "the row is not in the file" : "the row is still among the hot ones");
  if (!stays || !stored) return std::nullopt;
  RowView row;
  const RowDamage damage = decodeRow(entry.key, *stored, Verify::yes, row);
  if (damage != RowDamage::none) return mismatch(describe(damage));
  if (isAlone && (row.version != entry.version || compareBytes(row.payload, entry.payload) != 0))
    return mismatch("the row is not the one that was stored");
  ++result_.verified;
  return std::nullopt;
}

std::optional<Mismatch> Batch::verifyBlock(TransactionState& transaction, const NewBlock& block) {
  const auto stored = transaction.storage().get(cold_->tree(), block.lastKey);
  std::string damage;
  if (!stored) return Mismatch{Key(block.lastKey), Key(block.lastKey), "the block is not in the file"};
  const auto unpacked = cold_->unpack(transaction, block.lastKey, *stored, damage);
  if (!unpacked) return Mismatch{Key(block.lastKey), Key(block.lastKey), damage};
  if (totalsOf(*unpacked, stored->size()) != block.totals)
    return Mismatch{Key(unpacked->key(0)), Key(block.lastKey), "its rows are not those that were packed"};
  result_.verified += unpacked->rows();
  return std::nullopt;
}

}  // namespace instar
