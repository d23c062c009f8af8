#include "instar/engine/internal/compaction/worker.h"

#include <algorithm>

#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/compactor_record.h"
#include "instar/engine/internal/compaction/settlement.h"
#include "instar/engine/internal/staging/stage_changes.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

// Hot rows are counted so seldom that it takes a hundredth of the time, and not more often than this.
constexpr std::chrono::nanoseconds kCountAgain = std::chrono::seconds(1);
constexpr int kPauseForEachCount = 100;

// Of rows before they are packed. Half a second's worth of a small rate would come in one go otherwise; but
// each commit writes about 15 pages that are not rows, which a small batch pays for as well. Blocks take
// about a quarter of what is packed; what is kept of it as much as it was.
std::size_t batchBytes(std::uint64_t rate, CompactionMode mode, bool keepsPreimages) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  const std::uint64_t share = rate / (mode == CompactionMode::compress && !keepsPreimages ? 4 : 16);
  return rate == 0 ? kMost : std::clamp<std::size_t>(share, 4096, kMost);
}

// What a batch of rows in place replaces is free afterwards, and LMDB's list of free pages is brought up to
// date in each later commit of whomever: with batches of 2 ms it takes two pages more than with batches of 1
// ms.
std::chrono::microseconds lockTime(CompactionMode mode) {
  return std::chrono::milliseconds(mode == CompactionMode::compress ? 2 : 1);
}

BatchLimits limitsOf(const Worker::Settings& settings, CompactionMode mode) {
  return {.bytes = batchBytes(settings.rate, mode, settings.keepPreimages),
          .lockTime = settings.lockTime.value_or(lockTime(mode)),
          .keepPreimages = settings.keepPreimages};
}

std::uint64_t rowsOf(const Partition& partition) {
  return std::max(partition.rows, partition.allCold().rows);
}

}  // namespace

Worker::Worker(std::shared_ptr<StoreState> store, std::shared_ptr<CollectionState> collection,
               const Settings& settings)
    : store_(std::move(store)),
      collection_(std::move(collection)),
      mode_(settings.mode),
      upgrade_(store_, *collection_, CompactionMode::upgrade, limitsOf(settings, CompactionMode::upgrade),
               settings.mostFailures),
      pack_(mode_ != CompactionMode::compress
                ? nullptr
                : std::make_unique<Batch>(store_, *collection_, mode_, limitsOf(settings, mode_),
                                          settings.mostFailures)),
      preimages_(settings.keepPreimages ? Preimages::make(store_, collection_->name())
                                        : Preimages::find(*store_, collection_->name())),
      settling_(limitsOf(settings, CompactionMode::upgrade)),
      threads_(settings.threads) {}

// Walks over hot rows, as far as they matter: a partition that is packed has few, and of others it is enough
// to know that there are some.
void Worker::countHotRows(TransactionState& transaction, const std::vector<Partition>& partitions) {
  const auto time = std::chrono::steady_clock::now();
  if (transaction.snapshot() == countedSnapshot_ || time < countAgain_) return;
  countedSnapshot_ = transaction.snapshot();
  hotRows_.clear();
  const auto cursor = transaction.storage().cursor(collection_->tree());
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const Partition& partition = partitions[i];
    const Key* const upper = upperOf(partitions, i);
    const std::uint64_t enough =
        std::max(rowsOf(partition) / 16, kFewestRowsToPack) + partition.failedRows + partition.largeRows + 1;
    std::uint64_t& rows = hotRows_[partition.lower];
    bool found = partition.lower.empty() ? cursor->first() : cursor->seek(partition.lower.bytes());
    for (; found && rows < enough && isBelow(cursor->key(), upper); found = cursor->next()) ++rows;
  }
  const auto end = std::chrono::steady_clock::now();
  countAgain_ = end + std::max<std::chrono::nanoseconds>(kCountAgain, kPauseForEachCount * (end - time));
}

std::optional<Worker::Choice> Worker::pick(PickPolicy policy, double coldBelow) {
  auto choice = choose(policy, coldBelow);
  if (!choice) noteSettled();
  return choice;
}

void Worker::noteSettled() {
  {
    TransactionState transaction(store_, storage::Access::read);
    if (!isOurs(transaction) || !canSettle(transaction, collection_->name())) return;
  }
  openAudit(store_->environment());
  TransactionState transaction(store_, storage::Access::write);
  instar::settle(transaction, collection_->name());
  transaction.commit();
}

std::optional<Worker::Choice> Worker::choose(PickPolicy policy, double coldBelow) {
  TransactionState transaction(store_, storage::Access::read);
  if (!isOurs(transaction)) return std::nullopt;
  if (unsaid_) return Choice{.lower = unsaid_->lower};
  if (const auto choice = pickToSettle(transaction)) return choice;
  const auto partitions = Partitions(transaction, collection_->name()).all();
  if (pack_) countHotRows(transaction, partitions);
  std::vector<PartitionSummary> summaries;
  const HeatTime time = std::chrono::system_clock::now();
  for (const Partition& partition : partitions) {
    if (asides_.contains(partition.lower)) {
      summaries.push_back({.floor = UINT16_MAX});  // nothing to do
      continue;
    }
    const auto hot = hotRows_.find(partition.lower);
    summaries.push_back({.floor = partition.floor,
                         .passedFor = partition.passedFor,
                         .disturbed = partition.disturbed,
                         .inProgress = partition.pass.has_value(),
                         .rows = rowsOf(partition),
                         .hotRows = hot == hotRows_.end() ? 0 : hot->second,
                         .failedRows = partition.failedRows + partition.largeRows,
                         .heat = heatOf(partition, time)});
  }
  const auto chosen = instar::pick(summaries, {.completeFrom = collection_->schema().completeFrom(),
                                               .version = collection_->schema().version(),
                                               .mode = mode_,
                                               .policy = policy,
                                               .coldBelow = coldBelow});
  if (!chosen) return std::nullopt;
  const Partition& partition = partitions[*chosen];
  const bool packs = partition.pass ? partition.pass->packs : summaries[*chosen].heat < coldBelow;
  return Choice{partition.lower, packs && pack_ != nullptr};
}

std::optional<Worker::Choice> Worker::pickToSettle(TransactionState& transaction) const {
  if (!preimages_) return std::nullopt;
  const auto lower = partitionToSettle(transaction, *collection_, *preimages_, asides_);
  if (!lower) return std::nullopt;
  return Choice{.lower = *lower, .settles = true};
}

std::optional<Worker::Choice> Worker::pickToSettle() const {
  TransactionState transaction(store_, storage::Access::read);
  return isOurs(transaction) ? pickToSettle(transaction) : std::nullopt;
}

// Not a newer release's, whose pass it may be.
bool Worker::isOurs(TransactionState& transaction) const {
  return collection_->mayWrite(transaction) && !collection_->isOlderProgram();
}

// Whether a pass would begin where something is left of another one: of another version or mode, too.
bool Worker::hasToSettle(const Choice& choice) const {
  if (choice.settles) return true;
  if (!preimages_) return false;
  TransactionState transaction(store_, storage::Access::read);
  const Partitions partitions(transaction, collection_->name());
  const Partition partition = partitions.of(choice.lower);
  const bool goesOn = partition.pass && partition.pass->version == collection_->schema().version() &&
                      partition.pass->packs == choice.packs;
  return !goesOn && preimages_->hasAny(transaction, partition.lower, partitions.upperOf(partition));
}

void Worker::settle(const Key& lower, const std::function<void()>& between) {
  Settlement settlement(store_, *collection_, *preimages_, lower, settling_);
  while (!settlement.isDone()) {
    if (const auto mismatch = settlement.step()) refuse({*mismatch, lower});
    settled_ = settlement.takeResult();
    between();
  }
}

BatchResult Worker::takeResult() {
  BatchResult result = current_->takeResult();
  const BatchResult settled = std::exchange(settled_, {});
  result.transactions += settled.transactions;
  result.longestLock = std::max(result.longestLock, settled.longestLock);
  return result;
}

bool Worker::step(const Choice& choice, const std::function<void()>& between) {
  if (unsaid_) refuse(Found(*unsaid_));
  lastLower_ = choice.lower;
  if (hasToSettle(choice)) settle(choice.lower, between);
  if (choice.settles) return true;
  current_ = choice.packs ? pack_.get() : &upgrade_;
  current_->setThreads(threads_.get());
  try {
    current_->prepare(choice.lower);
    threads_.took(current_->preparationTime().processor, current_->preparationTime().passed);
    do {
      current_->install();
      if (const auto mismatch = current_->verify()) refuse({*mismatch, current_->partition().lower});
      between();
    } while (!current_->isInstalled());
  } catch (...) {
    current_->takeResult();  // what was not stored is counted when it is
    throw;
  }
  if (!current_->endedPass()) return false;
  hotRows_.erase(current_->partition().lower);  // they are no longer there; counted again before long
  return true;
}

void Worker::setRate(std::uint64_t rate) {
  settling_.bytes = batchBytes(rate, CompactionMode::upgrade, settling_.keepPreimages);
  upgrade_.setBytes(settling_.bytes);
  if (pack_) pack_->setBytes(batchBytes(rate, mode_, settling_.keepPreimages));
}

void Worker::mergePartitions() {
  const auto canMerge = [](const Partition& left, const Partition& right) {
    return !left.pass && !right.pass && !left.disturbed && !right.disturbed && left.passedFor != 0 &&
           left.passedFor == right.passedFor && left.compressed == right.compressed &&
           shouldMerge(left.rows, right.rows);
  };
  const auto findPair = [&](std::vector<Partition>& all) {
    return std::adjacent_find(all.begin(), all.end(), canMerge);
  };
  {
    TransactionState transaction(store_, storage::Access::read);
    auto all = Partitions(transaction, collection_->name()).all();
    if (findPair(all) == all.end()) return;
  }
  TransactionState transaction(store_, storage::Access::write);
  Partitions partitions(transaction, collection_->name());
  auto all = partitions.all();
  const HeatTime time = std::chrono::system_clock::now();
  if (const auto left = findPair(all); left != all.end()) {
    const auto right = std::next(left);
    left->heat = heatOf(*left, time) + heatOf(*right, time);
    left->heatAt = now();
    left->floor = std::min(left->floor, right->floor);
    left->rows += right->rows;
    left->failedRows += right->failedRows;
    left->largeRows += right->largeRows;
    left->cold += right->cold;
    left->lastPassedAt = std::min(left->lastPassedAt, right->lastPassedAt);
    partitions.put(*left);
    partitions.erase(*right);
    appendAudit(transaction, {.event = AuditEvent::partitionsMerged,
                              .collection = collection_->name(),
                              .partition = left->lower,
                              .rows = left->rows});
  }
  transaction.commit();
}

// Where it cannot be written down, because the disk fails or somebody writes for long, the next step tries
// again.
void Worker::refuse(const Found& found) {
  unsaid_ = found;
  const auto& [mismatch, lower] = found;
  const KeySpec& spec = collection_->schema().key();
  std::string reason = mismatch.what + ", from " + printKey(spec, mismatch.first.bytes()) + " to " +
                       printKey(spec, mismatch.last.bytes());
  // Whatever the thread is told meanwhile: this has to be said.
  TransactionState transaction(store_, storage::Access::write, store_->options().writeTimeout);
  CompactorReport record = readCompactorRecord(transaction).value_or(CompactorReport());
  record.stoppedByMismatch = true;
  writeCompactorRecord(transaction, record);
  KeptPreimages kept = preimages_ ? preimages_->count(transaction) : KeptPreimages();
  kept.collection = collection_->name();
  if (kept.rows + kept.blocks != 0) reason += "; " + describe(kept);
  appendAudit(transaction, {.event = AuditEvent::mismatch,
                            .collection = collection_->name(),
                            .partition = lower,
                            .reason = reason});
  transaction.commit();
  unsaid_.reset();
  throw Error(ErrorCode::restoreFromBackup,
              "compaction has read back what it did not store: it stops; run verify, and keep the file",
              {{"collection", collection_->name()}, {"what", reason}});
}

CompactionLock::CompactionLock(std::shared_ptr<StoreState> store) : store_(std::move(store)) {
  TransactionState transaction(store_, storage::Access::read);
  const auto record = readCompactorRecord(transaction);
  if (record && record->stoppedByMismatch) {
    throw Error(ErrorCode::restoreFromBackup,
                "compaction was stopped, because what it read back was not what it had stored: run verify");
  }
  if (store_->environment().tryLockCompaction()) return;
  std::vector<Error::Fact> facts;
  if (record) facts = {{"process", std::to_string(record->process)}, {"program", record->program}};
  throw Error(ErrorCode::retry, "another program compacts the file: wait for it, or stop it there",
              std::move(facts));
}

CompactionLock::~CompactionLock() { store_->environment().unlockCompaction(); }

PartitionInfo describe(const Partition& partition) {
  return {.lower = partition.lower,
          .floor = partition.floor,
          .passedFor = partition.passedFor,
          .inProgress = partition.pass.has_value(),
          .rows = partition.pass ? partition.pass->rows : partition.rows,
          .failedRows = partition.failedRows,
          .cold = partition.allCold(),
          .heat = heatOf(partition, std::chrono::system_clock::now()),
          .lastPassedAt = partition.lastPassedAt};
}

}  // namespace instar
