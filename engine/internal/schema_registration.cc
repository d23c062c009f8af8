#include "instar/engine/internal/schema_registration.h"

#include "instar/engine/internal/store_state.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

SchemaChange::Outcome outcomeOf(AdmissionKind kind) noexcept {
  switch (kind) {
    case AdmissionKind::same:
      return SchemaChange::Outcome::unchanged;
    case AdmissionKind::olderProgram:
      return SchemaChange::Outcome::older;
    case AdmissionKind::addVersion:
      return SchemaChange::Outcome::added;
    case AdmissionKind::insertVersion:
      return SchemaChange::Outcome::inserted;
    case AdmissionKind::stageVersion:
      return SchemaChange::Outcome::staged;
    case AdmissionKind::stagedVersion:
      return SchemaChange::Outcome::inTrial;
    case AdmissionKind::abortedVersion:
      return SchemaChange::Outcome::aborted;
    case AdmissionKind::refused:
      return SchemaChange::Outcome::refused;
  }
  return SchemaChange::Outcome::unchanged;
}

}  // namespace

StoredVersions storedVersions(const Catalog& catalog, std::string_view collection) {
  const auto nearest = [&catalog, collection](auto step, auto isWanted) {
    return [=, &catalog](std::uint16_t number) {
      auto found = (catalog.*step)(collection, number);
      while (found && !isWanted(catalog.versionState(collection, *found).value_or(VersionState::active)))
        found = (catalog.*step)(collection, *found);
      return found;
    };
  };
  const auto isAborted = [](VersionState state) { return state == VersionState::aborted; };
  return {
      .load = [&catalog, collection](std::uint16_t number) -> std::optional<RecordSchema> {
        const auto found = catalog.version(collection, number);
        if (!found) return std::nullopt;
        return found->schema;
      },
      .state = [&catalog,
                collection](std::uint16_t number) { return catalog.versionState(collection, number); },
      .below = nearest(&Catalog::versionBelow, isDependedUpon),
      .above = nearest(&Catalog::versionAbove, isDependedUpon),
      .abortedBelow = nearest(&Catalog::versionBelow, isAborted),
      .highest = [&catalog, collection] { return catalog.highestVersion(collection); },
  };
}

SchemaChange examineSchema(TransactionState& transaction, std::string_view collection,
                           const RecordSchema& schema, Opening opening) {
  const Catalog catalog(transaction);
  const auto record = catalog.collection(collection);
  const CollectionVersions versions =
      record ? CollectionVersions{record->currentVersion, record->readerFloor, record->writerFloor}
             : CollectionVersions{};
  if (versions.current == schema.version() &&
      catalog.fingerprint(collection, versions.current) == schema.fingerprint()) {
    // As nearly always. Decoding a stored schema takes longer than all else that an opening does.
    return {.from = versions.current,
            .to = versions.current,
            .readerFloor = versions.readerFloor,
            .writerFloor = versions.writerFloor};
  }
  if (!record && catalog.collections().size() >= kMaxCollections) {
    throw Error(ErrorCode::fixCall, "a file holds at most 1,000 collections: use another file",
                {{"collection", std::string(collection)}});
  }
  Admission admission = admit(versions, storedVersions(catalog, collection), schema, opening);
  return {.outcome = record ? outcomeOf(admission.kind) : SchemaChange::Outcome::created,
          .from = versions.current,
          .to = schema.version(),
          .readerFloor = admission.versions.readerFloor,
          .writerFloor = admission.versions.writerFloor,
          .judgements = std::move(admission.judgements),
          .refusal = std::move(admission.refusal)};
}

SchemaChange requireAllowed(SchemaChange change) {
  if (change.refusal) throw Error(*change.refusal);
  return change;
}

Plans plansOf(TransactionState& transaction, std::string_view collection, const RecordSchema& schema) {
  const Catalog catalog(transaction);
  const StoredVersions stored = storedVersions(catalog, collection);
  return Plans(schema, transaction.store().options().functions,
               [&](std::uint16_t version) -> std::optional<RecordSchema> {
                 const auto number = stored.below(version);
                 return number ? stored.load(*number) : std::nullopt;
               });
}

bool isRecorded(const SchemaChange& change) noexcept {
  switch (change.outcome) {
    case SchemaChange::Outcome::created:
    case SchemaChange::Outcome::added:
    case SchemaChange::Outcome::inserted:
    case SchemaChange::Outcome::staged:
      return true;
    case SchemaChange::Outcome::unchanged:
    case SchemaChange::Outcome::older:
    case SchemaChange::Outcome::inTrial:
    case SchemaChange::Outcome::aborted:
    case SchemaChange::Outcome::refused:
      return false;
  }
  return false;
}

void recordSchema(TransactionState& transaction, std::string_view collection, const RecordSchema& schema,
                  const SchemaChange& change) {
  Catalog catalog(transaction);
  Catalog::CollectionRecord record;
  if (change.outcome == SchemaChange::Outcome::created) {
    record.name = collection;
    record.createdAt = now();
  } else {
    record = *catalog.collection(collection);
  }
  const bool isStaged = change.outcome == SchemaChange::Outcome::staged;
  if (!isStaged) record.currentVersion = std::max(record.currentVersion, schema.version());
  record.readerFloor = change.readerFloor;
  record.writerFloor = change.writerFloor;
  std::vector<std::string> changes;
  for (const Judgement& judgement : change.judgements) changes.push_back(judgement.what);
  catalog.putVersion(collection, schema, changes, isStaged ? VersionState::staged : VersionState::active);
  catalog.putCollection(record);
}

}  // namespace instar
