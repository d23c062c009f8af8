#include <algorithm>

#include "instar/engine/compaction.h"
#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/compactor_record.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
namespace {

CollectionProgress progressOf(TransactionState& transaction, const CollectionInfo& collection) {
  const auto version = Catalog(transaction).version(collection.name, collection.currentVersion);
  if (!version) {
    throw Error(ErrorCode::restoreFromBackup, "the current version is missing: restore the file",
                {{"collection", collection.name}});
  }
  CollectionProgress progress{.name = collection.name,
                              .version = collection.currentVersion,
                              .completeFrom = version->schema.completeFrom(),
                              .rows = collection.rows,
                              .coldRows = collection.coldRows,
                              .coldBytes = collection.coldBytes,
                              .hotPages = collection.pages,
                              .coldPages = collection.coldPages,
                              .partitions = {}};
  const auto partitions = Partitions(transaction, collection.name).all();
  for (const Partition& partition : partitions) {
    progress.partitions.push_back(describe(partition));
    PartitionInfo& info = progress.partitions.back();
    if (partitions.size() == 1 && !info.inProgress) info.rows = collection.rows;
    const bool counts = info.floor >= progress.completeFrom ||
                        (partition.pass && partition.pass->version == collection.currentVersion);
    if (counts) progress.doneRows += info.rows;
  }
  progress.doneRows = progress.isSettled() ? progress.rows : std::min(progress.doneRows, progress.rows);
  return progress;
}

}  // namespace

std::uint16_t CollectionProgress::floor() const noexcept {
  std::uint16_t lowest = version;
  for (const PartitionInfo& partition : partitions) lowest = std::min(lowest, partition.floor);
  return lowest;
}

CompactionProgress compactionProgress(const Store& store, const Transaction& transaction) {
  CompactionProgress progress;
  for (const CollectionInfo& collection : store.collections(transaction))
    progress.collections.push_back(progressOf(transaction.state(), collection));
  progress.compactor = readCompactorRecord(transaction.state());
  return progress;
}

bool resumeCompaction(const Store& store) {
  const auto state = store.read().state().sharedStore();
  openAudit(state->environment());
  TransactionState transaction(state, storage::Access::write);
  auto record = readCompactorRecord(transaction);
  if (!record || !record->stoppedByMismatch) return false;
  record->stoppedByMismatch = false;
  writeCompactorRecord(transaction, *record);
  appendAudit(transaction, {.event = AuditEvent::circuitClosed, .reason = "the file was verified"});
  transaction.commit();
  return true;
}

}  // namespace instar
