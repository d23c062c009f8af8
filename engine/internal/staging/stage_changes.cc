#include "instar/engine/internal/staging/stage_changes.h"

#include <algorithm>
#include <string>

#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/staging/canary_keeper.h"
#include "instar/engine/internal/staging/divergence_log.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

[[noreturn]] void refuse(const char* message, std::string_view collection, std::uint16_t version,
                         std::vector<Error::Fact> facts = {}) {
  facts.insert(facts.begin(),
               {{"collection", std::string(collection)}, {"version", std::to_string(version)}});
  throw Error(ErrorCode::fixCall, message, std::move(facts));
}

void refuseToServe(std::string_view collection, std::uint16_t version) {
  refuse("the version shuts older programs out, so it is only tried in the shadow: set its shadow share",
         collection, version);
}

void endTrial(Catalog& catalog, std::string_view collection, std::uint16_t version, std::string_view reason) {
  auto record = catalog.staging(collection);
  if (!record || record->version != version) return;  // it was not tried
  record->endReason = reason;
  catalog.putStaging(collection, *record);
}

// For people: "5 %", "0.5 %".
std::string text(double share) {
  std::string digits = std::to_string(share);
  while (digits.back() == '0') digits.pop_back();
  if (digits.back() == '.') digits.pop_back();
  return digits + " %";
}

CollectionVersions versionsOf(const Catalog::CollectionRecord& record) {
  return {record.currentVersion, record.readerFloor, record.writerFloor};
}

// The version that is current again where the current one is given up.
std::uint16_t versionToReturnTo(const Catalog& catalog, const Catalog::CollectionRecord& record,
                                std::uint16_t version) {
  const std::string& name = record.name;
  if (version != record.currentVersion) {
    refuse("only the newest version can be aborted: name that one", name, version,
           {{"current version", std::to_string(record.currentVersion)}});
  }
  const std::uint16_t highest = catalog.highestVersion(name);
  if (catalog.versionState(name, highest) == VersionState::staged) {
    refuse("a newer version is staged: abort that one first", name, version,
           {{"staged version", std::to_string(highest)}});
  }
  const auto below = storedVersions(catalog, name).below(version);
  if (!below) refuse("there is no older version to return to: put a newer one in its place", name, version);
  if (record.readerFloor > *below || record.writerFloor > *below) {
    refuse("the version has shut older programs out, so they cannot take over: put a newer one in its place",
           name, version,
           {{"reader floor", std::to_string(record.readerFloor)},
            {"writer floor", std::to_string(record.writerFloor)}});
  }
  return *below;
}

// Programs of this version do not note what they put, because it is the current one again.
void lowerFloors(TransactionState& transaction, std::string_view collection, std::uint16_t version) {
  Partitions partitions(transaction, collection);
  for (Partition partition : partitions.all()) {
    if (partition.floor <= version) continue;
    partition.floor = version;
    partition.disturbed = true;
    partitions.put(partition);
  }
}

}  // namespace

void checkShares(double percent, double shadow) {
  for (const double share : {percent, shadow}) {
    if (share >= 0 && share <= 100) continue;  // NaN is neither
    throw Error(ErrorCode::fixCall, "a share of keys is 0 to 100 percent",
                {{"share", std::to_string(share)}});
  }
}

void checkOptions(const StagingOptions& options) {
  checkShares(options.percent, options.shadow);
  checkGuardRails(options.guardRails);
}

bool isTrial(const SchemaChange& change) noexcept {
  return change.outcome == SchemaChange::Outcome::staged ||
         change.outcome == SchemaChange::Outcome::inTrial || change.outcome == SchemaChange::Outcome::aborted;
}

Catalog::CollectionRecord requireCollection(const Catalog& catalog, std::string_view collection) {
  auto record = catalog.collection(collection);
  if (!record) {
    throw Error(ErrorCode::fixCall, "there is no such collection in the file",
                {{"collection", std::string(collection)}});
  }
  return *std::move(record);
}

VersionState requireState(const Catalog& catalog, std::string_view collection, std::uint16_t version) {
  requireCollection(catalog, collection);
  const auto state = catalog.versionState(collection, version);
  if (!state) refuse("the collection has no such version: name one that it has", collection, version);
  return *state;
}

void requireStaged(const Catalog& catalog, std::string_view collection, std::uint16_t version) {
  const VersionState state = requireState(catalog, collection, version);
  if (state == VersionState::staged) return;
  refuse("the version is not staged: name the one that is", collection, version,
         {{"state", std::string(stateName(state))}});
}

bool isShadowOnly(const Catalog& catalog, std::string_view collection, std::uint16_t version) {
  const StoredVersions stored = storedVersions(catalog, collection);
  const auto schema = stored.load(version);
  return schema && floorEffect(judgeStored(stored, *schema)) != FloorEffect::none;
}

void recordStaging(TransactionState& transaction, std::string_view collection, const SchemaChange& change,
                   const StagingOptions& options) {
  if (floorEffect(change.judgements) != FloorEffect::none && (options.percent > 0 || options.serves))
    refuseToServe(collection, change.to);
  Catalog catalog(transaction);
  catalog.putStaging(collection, {.version = change.to,
                                  .percent = options.percent,
                                  .shadow = options.shadow,
                                  .promotes = options.promotes,
                                  .guardRails = options.guardRails,
                                  .stagedAt = now(),
                                  .stagedBy = programName(),
                                  .endReason = {}});
  eraseDivergences(transaction, collection);  // of the one before
  catalog.raiseFormat(kFileFormat3);
  appendAudit(transaction, {.event = AuditEvent::staged,
                            .collection = std::string(collection),
                            .fromVersion = change.from,
                            .toVersion = change.to});
}

std::shared_ptr<StagedVersion> stagedVersion(TransactionState& transaction, std::string_view collection,
                                             const Plans& plans, const StagingOptions& options) {
  const RecordSchema& schema = plans.schema();
  const Catalog catalog(transaction);
  const StoredVersions stored = storedVersions(catalog, collection);
  const auto below = stored.below(schema.version());
  const auto older = below ? stored.load(*below) : std::nullopt;
  if (!older) {
    throw Error(ErrorCode::restoreFromBackup,
                "the version below the staged one is missing: restore the file from a backup",
                {{"collection", std::string(collection)}});
  }
  const Plans active = plansOf(transaction, collection, *older);
  return std::make_shared<StagedVersion>(
      collection, schema.version(), active, floorEffect(judgeStored(stored, schema)) != FloorEffect::none,
      options.serves, std::make_shared<CanaryTrial>(std::string(collection), active, plans));
}

void keepTrial(TransactionState& transaction, std::string_view collection, StagedVersion& staged,
               std::function<void(const StagingEnd&)> ended) {
  const auto keeper = transaction.store().canaryKeeper();
  const auto& trial = staged.trial();
  if (keeper && Catalog(transaction).versionState(collection, trial->version()) == VersionState::staged)
    staged.share(keeper->open(trial, std::move(ended)));
}

void setShares(TransactionState& transaction, std::string_view collection, std::uint16_t version,
               double percent, double shadow) {
  checkShares(percent, shadow);
  Catalog catalog(transaction);
  requireStaged(catalog, collection, version);
  if (percent > 0 && isShadowOnly(catalog, collection, version)) refuseToServe(collection, version);
  auto record = *catalog.staging(collection);
  record.percent = percent;
  record.shadow = shadow;
  catalog.putStaging(collection, record);
  appendAudit(transaction, {.event = AuditEvent::percentChanged,
                            .collection = std::string(collection),
                            .toVersion = version,
                            .reason = "serves " + text(percent) + ", shadow " + text(shadow)});
}

void promote(TransactionState& transaction, std::string_view collection, std::uint16_t version,
             std::string_view reason) {
  Catalog catalog(transaction);
  requireStaged(catalog, collection, version);
  auto record = *catalog.collection(collection);
  const std::uint16_t before = record.currentVersion;
  const auto after = promoted(versionsOf(record), storedVersions(catalog, collection), version);
  record.currentVersion = after.current;
  record.readerFloor = after.readerFloor;
  record.writerFloor = after.writerFloor;
  catalog.putCollection(record);
  catalog.setVersionState(collection, version, VersionState::active);
  endTrial(catalog, collection, version, reason);
  appendAudit(transaction, {.event = AuditEvent::promoted,
                            .collection = std::string(collection),
                            .fromVersion = before,
                            .toVersion = version,
                            .reason = std::string(reason)});
}

void abort(TransactionState& transaction, std::string_view collection, std::uint16_t version,
           std::string_view reason) {
  Catalog catalog(transaction);
  const VersionState state = requireState(catalog, collection, version);
  if (state == VersionState::aborted) refuse("the version was aborted already", collection, version);
  auto record = *catalog.collection(collection);
  endTrial(catalog, collection, version, reason);
  if (state != VersionState::staged) {
    record.currentVersion = versionToReturnTo(catalog, record, version);
    catalog.putCollection(record);
    lowerFloors(transaction, collection, record.currentVersion);
  }
  catalog.setVersionState(collection, version, VersionState::aborted);
  catalog.raiseFormat(kFileFormat3);
  appendAudit(transaction, {.event = AuditEvent::aborted,
                            .collection = std::string(collection),
                            .fromVersion = version,
                            .toVersion = record.currentVersion,
                            .reason = std::string(reason)});
  // What was put while it was not the current one did not count against it.
  if (catalog.versionState(collection, record.currentVersion) == VersionState::settled) {
    unsettle(transaction, collection, record.currentVersion,
             "it is the current one again, in place of version " + std::to_string(version));
  }
}

void retire(TransactionState& transaction, std::string_view collection, std::uint16_t version) {
  Catalog catalog(transaction);
  auto record = requireCollection(catalog, collection);
  const auto floor = static_cast<std::uint16_t>(version + 1);
  record.readerFloor = std::max(record.readerFloor, floor);
  record.writerFloor = std::max(record.writerFloor, floor);
  catalog.putCollection(record);
  const StoredVersions stored = storedVersions(catalog, collection);
  for (auto number = stored.below(floor); number; number = stored.below(*number))
    catalog.setVersionState(collection, *number, VersionState::retired);
  appendAudit(transaction, {.event = AuditEvent::retired,
                            .collection = std::string(collection),
                            .fromVersion = version,
                            .toVersion = record.currentVersion});
}

bool canSettle(TransactionState& transaction, std::string_view collection) {
  const Catalog catalog(transaction);
  const auto record = requireCollection(catalog, collection);
  if (catalog.versionState(collection, record.currentVersion) != VersionState::active) return false;
  const auto current = catalog.version(collection, record.currentVersion);
  return current && std::ranges::all_of(Partitions(transaction, collection).all(), [&](const Partition& one) {
           return one.floor >= current->schema.completeFrom();
         });
}

void settle(TransactionState& transaction, std::string_view collection) {
  if (!canSettle(transaction, collection)) return;
  Catalog catalog(transaction);
  const std::uint16_t version = catalog.collection(collection)->currentVersion;
  catalog.setVersionState(collection, version, VersionState::settled);
  appendAudit(transaction, {.event = AuditEvent::settled,
                            .collection = std::string(collection),
                            .toVersion = version,
                            .reason = "no row is left that has to be upgraded"});
}

void unsettle(TransactionState& transaction, std::string_view collection, std::uint16_t version,
              std::string_view reason) {
  Catalog(transaction).setVersionState(collection, version, VersionState::active);
  appendAudit(transaction, {.event = AuditEvent::unsettled,
                            .collection = std::string(collection),
                            .toVersion = version,
                            .reason = std::string(reason)});
}

}  // namespace instar
