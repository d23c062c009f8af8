#include "instar/engine/internal/compaction/compactor_record.h"

#include <unistd.h>

#include "instar/format/file_format.h"

namespace instar {
std::optional<CompactorReport> readCompactorRecord(TransactionState& transaction) {
  const auto stored = Catalog(transaction).read<catalog::Compaction>(Key(kCompactionKey));
  if (!stored) return std::nullopt;
  CompactorReport record;
  record.updatedAt = stored->getUpdatedAt();
  record.process = stored->getProcess();
  record.program = stored->getProgram().cStr();
  record.mode = stored->getPacks() ? CompactionMode::compress : CompactionMode::upgrade;
  record.stoppedByMismatch = stored->getStopped();
  record.since = stored->getSince();
  record.status.wait = stored->getWait() <= static_cast<std::uint8_t>(WaitReason::abortedVersion)
                           ? static_cast<WaitReason>(stored->getWait())
                           : WaitReason::stopped;
  record.status.detail = stored->getDetail().cStr();
  record.status.collection = stored->getCollection().cStr();
  record.status.rate = stored->getRate();
  record.status.bytesPerSecond = stored->getBytesPerSecond();
  record.status.rowsPerSecond = stored->getRowsPerSecond();
  return record;
}

void writeCompactorRecord(TransactionState& transaction, const CompactorReport& record) {
  Draft<catalog::Compaction> stored{{}};
  stored->setProcess(static_cast<std::uint32_t>(::getpid()));
  stored->setProgram(stringPtr(programName()));
  stored->setUpdatedAt(now());
  stored->setWait(static_cast<std::uint8_t>(record.status.wait));
  stored->setSince(record.since);
  stored->setDetail(stringPtr(record.status.detail));
  stored->setRate(record.status.rate);
  stored->setBytesPerSecond(record.status.bytesPerSecond);
  stored->setRowsPerSecond(record.status.rowsPerSecond);
  stored->setPacks(record.mode == CompactionMode::compress);
  stored->setStopped(record.stoppedByMismatch);
  stored->setCollection(stringPtr(record.status.collection));
  Catalog(transaction).write(Key(kCompactionKey), stored);
}

}  // namespace instar
