#include "instar/engine/internal/compaction/worker.h"

#include <algorithm>

#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/compactor_record.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

// Of rows before they are packed. Half a second's worth of a small rate would come in one go otherwise; but
// each commit writes some 15 pages that are not rows, which a small batch pays for as well. Blocks take about
// a quarter of what is packed.
std::size_t batchBytes(std::uint64_t rate, CompactionMode mode) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  const std::uint64_t share = rate / (mode == CompactionMode::compress ? 4 : 16);
  return rate == 0 ? kMost : std::clamp<std::size_t>(share, 4096, kMost);
}

}  // namespace

Worker::Worker(std::shared_ptr<StoreState> store, std::shared_ptr<CollectionState> collection,
               CompactionMode mode, std::chrono::microseconds lockTime, std::uint64_t rate,
               std::uint64_t mostFailures, std::function<void(const char* point)> probe)
    : store_(std::move(store)),
      collection_(std::move(collection)),
      mode_(mode),
      batch_(store_, *collection_, mode,
             {.bytes = batchBytes(rate, mode), .lockTime = lockTime, .probe = std::move(probe)},
             mostFailures) {}

std::optional<Key> Worker::pick(PickPolicy policy, double coldBelow) const {
  TransactionState transaction(store_, storage::Access::read);
  if (!collection_->mayWrite(transaction) || collection_->isOlderProgram()) return std::nullopt;
  const auto partitions = Partitions(transaction, collection_->name()).all();
  const std::uint64_t hot = transaction.storage().statistics(collection_->tree()).entries;
  std::uint64_t known = 0;  // hot rows that partitions account for
  std::vector<PartitionSummary> summaries;
  const HeatTime time = std::chrono::system_clock::now();
  for (const Partition& partition : partitions) {
    const std::uint64_t cold = partition.allCold().rows;
    const std::uint64_t rows = std::max(partition.rows, cold);
    known += rows - cold;
    summaries.push_back({.floor = partition.floor,
                         .passedFor = partition.passedFor,
                         .disturbed = partition.disturbed,
                         .inProgress = partition.pass.has_value(),
                         .rows = rows,
                         .hotRows = rows - cold,
                         .failedRows = partition.failedRows,
                         .heat = heatOf(partition, time)});
  }
  // What has come since the partitions were gone through is somewhere among them.
  if (hot > known) {
    for (PartitionSummary& summary : summaries) {
      summary.hotRows += (hot - known) / summaries.size();
      summary.rows += (hot - known) / summaries.size();
    }
  }
  const auto chosen = instar::pick(summaries, {.completeFrom = collection_->schema().completeFrom(),
                                               .version = collection_->schema().version(),
                                               .mode = mode_,
                                               .policy = policy,
                                               .coldBelow = coldBelow});
  if (!chosen) return std::nullopt;
  return partitions[*chosen].lower;
}

bool Worker::step(const Key& lower, const std::function<void()>& between) {
  batch_.prepare(lower);
  do {
    batch_.install();
    if (const auto mismatch = batch_.verify()) refuse(*mismatch);
    between();
  } while (!batch_.isInstalled());
  return batch_.endedPass();
}

std::optional<Key> Worker::nextLower() const {
  TransactionState transaction(store_, storage::Access::read);
  return Partitions(transaction, collection_->name()).upperOf(batch_.partition());
}

void Worker::setRate(std::uint64_t rate) { batch_.setBytes(batchBytes(rate, mode_)); }

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
  for (auto left = findPair(all); left != all.end(); left = findPair(all)) {
    const auto right = std::next(left);
    left->heat = heatOf(*left, time) + heatOf(*right, time);
    left->heatAt = now();
    left->floor = std::min(left->floor, right->floor);
    left->rows += right->rows;
    left->failedRows += right->failedRows;
    left->cold += right->cold;
    left->lastPassedAt = std::min(left->lastPassedAt, right->lastPassedAt);
    partitions.put(*left);
    partitions.erase(*right);
    appendAudit(transaction, {.event = AuditEvent::partitionsMerged,
                              .collection = collection_->name(),
                              .partition = left->lower,
                              .rows = left->rows});
    all.erase(right);
  }
  transaction.commit();
}

void Worker::refuse(const Mismatch& mismatch) {
  const KeySpec& spec = collection_->schema().key();
  const std::string reason = mismatch.what + ", from " + printKey(spec, mismatch.first.bytes()) + " to " +
                             printKey(spec, mismatch.last.bytes());
  TransactionState transaction(store_, storage::Access::write);
  CompactorRecord record = readCompactorRecord(transaction).value_or(CompactorRecord());
  record.stoppedByMismatch = true;
  writeCompactorRecord(transaction, record);
  appendAudit(transaction, {.event = AuditEvent::mismatch,
                            .collection = collection_->name(),
                            .partition = batch_.partition().lower,
                            .reason = reason});
  transaction.commit();
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
