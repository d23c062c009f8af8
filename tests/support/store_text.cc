#include "instar/tests/support/store_text.h"

#include <capnp/dynamic.h>
#include <kj/string.h>

#include <algorithm>
#include <iterator>

#include "instar/engine/compaction.h"
#include "instar/engine/staging.h"

namespace instar::testing {
namespace {

std::string_view nameOf(VersionState state) {
  switch (state) {
    case VersionState::staged:
      return "staged";
    case VersionState::active:
    case VersionState::settled:  // found out, not decided
      return "active";
    case VersionState::retired:
      return "retired";
    case VersionState::aborted:
      return "aborted";
  }
  return "unknown";
}

// What is decided by one commit that also does it. The audit says the same of compaction, of which the text
// shows nothing.
bool isDecision(AuditEvent event) {
  constexpr AuditEvent kDecisions[] = {AuditEvent::staged, AuditEvent::percentChanged, AuditEvent::promoted,
                                       AuditEvent::aborted, AuditEvent::retired};
  return std::ranges::find(kDecisions, event) != std::end(kDecisions);
}

std::string trialOf(const Store& store, const Transaction& snapshot, const std::string& collection) {
  const auto trial = stagingStatus(store, snapshot, collection);
  if (!trial) return {};
  return "trial of version " + std::to_string(trial->version) + " on " + std::to_string(trial->percent) +
         " %, shadow " + std::to_string(trial->shadow) + " %" + (trial->isShadowOnly ? ", shadow only" : "") +
         (trial->promotes ? ", promotes" : "") + ", ended: " + trial->endReason + "\n";
}

std::string versionsOf(const Store& store, const Transaction& snapshot, const CollectionInfo& info) {
  std::string text = "collection " + info.name + ", version " + std::to_string(info.currentVersion) +
                     ", floors " + std::to_string(info.readerFloor) + " and " +
                     std::to_string(info.writerFloor) + "\n";
  for (const VersionInfo& version : store.versions(snapshot, info.name)) {
    text += "version " + std::to_string(version.number) + " is ";
    text += nameOf(version.state);
    text += "\n";
  }
  return text + trialOf(store, snapshot, info.name);
}

std::string decisionsOf(const Store& store, const Transaction& snapshot) {
  std::string text;
  for (const AuditEntry& entry : readAudit(store, snapshot).entries) {
    if (!isDecision(entry.event)) continue;
    text.append("audit: ").append(entry.collection).append(" ").append(auditEventName(entry.event));
    text += " from " + std::to_string(entry.fromVersion) + " to " + std::to_string(entry.toVersion) + " " +
            entry.reason + "\n";
  }
  return text;
}

}  // namespace

std::string textOfVersions(const Store& store) {
  std::string text;
  const auto snapshot = store.read();
  for (const CollectionInfo& info : store.collections(snapshot)) text += versionsOf(store, snapshot, info);
  return text;
}

std::string textOfStore(const Store& store) {
  std::string text;
  const auto snapshot = store.read();
  for (const CollectionInfo& info : store.collections(snapshot)) {
    text += versionsOf(store, snapshot, info);
    const auto rows = store.collection(info.name);
    std::uint64_t count = 0;
    for (const auto row : rows.scan(snapshot)) {
      text += info.name + ": " + kj::str(*row).cStr() + "\n";
      ++count;
    }
    if (count != info.rows) text += "counted as " + std::to_string(info.rows) + "\n";
  }
  return text + decisionsOf(store, snapshot);
}

}  // namespace instar::testing
