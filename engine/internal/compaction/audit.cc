#include "instar/engine/internal/compaction/audit.h"

#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/row_writer.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

static_assert(static_cast<int>(AuditEvent::unsettled) == static_cast<int>(catalog::AuditEvent::UNSETTLED));

Key numberKey(std::uint64_t number) {
  Key key;
  key.appendNumber(number, 8);
  return key;
}

storage::TreeId auditTree(TransactionState& transaction) {
  const auto tree = transaction.store().environment().openTree(kAuditTree, false);
  if (!tree) {
    throw Error(ErrorCode::restoreFromBackup, "the audit of the file is missing: restore the file", {});
  }
  return *tree;
}

AuditEntry toEntry(catalog::AuditEntry::Reader record) {
  AuditEntry entry;
  entry.number = record.getNumber();
  entry.time = record.getTime();
  entry.event = static_cast<AuditEvent>(record.getEvent());
  entry.collection = record.getCollection().cStr();
  if (record.hasPartition()) entry.partition = Key(bytesOf(record.getPartition()));
  entry.fromVersion = record.getFromVersion();
  entry.toVersion = record.getToVersion();
  entry.rows = record.getRows();
  entry.failedRows = record.getFailedRows();
  entry.cold = toTotals(record.getCold());
  entry.bytes = record.getBytes();
  entry.taken = std::chrono::milliseconds(record.getMilliseconds());
  entry.reason = record.getReason().cStr();
  for (const auto failed : record.getFailures()) {
    const Bytes key = bytesOf(failed.getKey());
    entry.failures.push_back({.key = {key.begin(), key.end()},
                              .version = failed.getVersion(),
                              .field = failed.getField().cStr(),
                              .reason = failed.getReason().cStr()});
  }
  entry.program = record.getProgram().cStr();
  return entry;
}

}  // namespace

void openAudit(storage::Environment& environment) { environment.openTree(kAuditTree, true); }

void appendAudit(TransactionState& transaction, AuditEntry entry) {
  Catalog catalog(transaction);
  std::uint64_t entries = 0;
  std::uint64_t hash = 0;
  if (const auto head = catalog.read<catalog::AuditHead>(Key(kAuditKey))) {
    entries = head->getEntries();
    hash = head->getHash();
  }
  Draft<catalog::AuditEntry> record{{}};
  record->setNumber(entries + 1);
  record->setPrevious(hash);
  record->setTime(entry.time != 0 ? entry.time : now());
  record->setEvent(static_cast<catalog::AuditEvent>(entry.event));
  record->setCollection(stringPtr(entry.collection));
  if (entry.partition) record->setPartition(dataOf(entry.partition->bytes()));
  record->setFromVersion(entry.fromVersion);
  record->setToVersion(entry.toVersion);
  record->setRows(entry.rows);
  record->setFailedRows(entry.failedRows);
  fill(record->initCold(), entry.cold);
  record->setBytes(entry.bytes);
  record->setMilliseconds(static_cast<std::uint64_t>(entry.taken.count()));
  record->setReason(stringPtr(entry.reason));
  record->setProgram(stringPtr(programName()));
  if (!entry.failures.empty()) {
    auto failures = record->initFailures(static_cast<unsigned>(entry.failures.size()));
    for (unsigned i = 0; i < failures.size(); ++i) {
      const FailedRow& failed = entry.failures[i];
      failures[i].setKey(dataOf(failed.key));
      failures[i].setVersion(failed.version);
      failures[i].setField(stringPtr(failed.field));
      failures[i].setReason(stringPtr(failed.reason));
    }
  }
  const FlatRecord flat(record.message());
  const Key key = numberKey(entries + 1);
  const storage::TreeId tree = auditTree(transaction);
  writeRow(transaction, tree, key, kFileFormat1, flat.payload());
  Draft<catalog::AuditHead> head{{}};
  head->setEntries(entries + 1);
  head->setHash(hash64(*transaction.storage().get(tree, key.bytes())));
  catalog.write(Key(kAuditKey), head);
}

AuditTrail readAudit(const Store&, const Transaction& transaction, std::uint64_t after, std::uint64_t limit) {
  AuditTrail trail;
  TransactionState& state = transaction.state();
  const Catalog catalog(state);
  const auto head = catalog.read<catalog::AuditHead>(Key(kAuditKey));
  if (!head) return trail;
  const auto cursor = state.storage().cursor(auditTree(state));
  std::uint64_t number = after;
  std::optional<std::uint64_t> hash;
  const auto breaks = [&](const char* how) {
    if (trail.damage.empty()) trail.damage = "entry " + std::to_string(number) + ": " + how;
  };
  for (bool more = cursor->seek(numberKey(after + 1).bytes()); more && limit != 0;
       more = cursor->next(), --limit) {
    ++number;
    std::vector<std::byte> copy;
    const Bytes value = state.steady(cursor->value(), copy);
    if (compareBytes(cursor->key(), numberKey(number).bytes()) != 0) breaks("it is missing");
    try {
      const auto record = catalog.decode<catalog::AuditEntry>(cursor->key(), value);
      if (number == 1 && record->getPrevious() != 0) breaks("it is not the first");
      if (hash && record->getPrevious() != *hash) breaks("the one before it is not what it was");
      trail.entries.push_back(toEntry(*record));
      number = trail.entries.back().number;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::restoreFromBackup) throw;
      breaks("it is damaged");
    }
    hash = hash64(value);
  }
  if (limit != 0) {
    if (number < head->getEntries()) breaks("those behind it are missing");
    if (hash && number == head->getEntries() && *hash != head->getHash()) breaks("it is not what it was");
  }
  return trail;
}

std::string_view auditEventName(AuditEvent event) noexcept {
  switch (event) {
    case AuditEvent::passEnded:
      return "passEnded";
    case AuditEvent::partitionCut:
      return "partitionCut";
    case AuditEvent::partitionsMerged:
      return "partitionsMerged";
    case AuditEvent::dictionaryTrained:
      return "dictionaryTrained";
    case AuditEvent::mismatch:
      return "mismatch";
    case AuditEvent::failed:
      return "failed";
    case AuditEvent::circuitOpened:
      return "circuitOpened";
    case AuditEvent::circuitClosed:
      return "circuitClosed";
    case AuditEvent::started:
      return "started";
    case AuditEvent::stopped:
      return "stopped";
    case AuditEvent::paused:
      return "paused";
    case AuditEvent::resumed:
      return "resumed";
    case AuditEvent::rateChanged:
      return "rateChanged";
    case AuditEvent::estimated:
      return "estimated";
    case AuditEvent::finished:
      return "finished";
    case AuditEvent::versionGone:
      return "versionGone";
    case AuditEvent::staged:
      return "staged";
    case AuditEvent::percentChanged:
      return "percentChanged";
    case AuditEvent::promoted:
      return "promoted";
    case AuditEvent::aborted:
      return "aborted";
    case AuditEvent::settled:
      return "settled";
    case AuditEvent::retired:
      return "retired";
    case AuditEvent::reconciled:
      return "reconciled";
    case AuditEvent::unsettled:
      return "unsettled";
  }
  return "unknown";
}

}  // namespace instar
