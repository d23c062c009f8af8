#include "instar/evolve/admission.h"

#include <algorithm>
#include <string>
#include <utility>

#include "instar/evolve/internal/record_code.h"

namespace instar {
namespace {

std::vector<Judgement> judgeStep(const RecordSchema& older, const RecordSchema& newer) {
  return judge(difference(older, newer));
}

[[noreturn]] void throwMovedOn(std::uint16_t program, std::uint16_t floor) {
  throw Error(
      ErrorCode::upgradeProgram,
      "the collection has moved on, and this program would misread it; use a newer release",
      {{"version of the program", std::to_string(program)}, {"lowest version", std::to_string(floor)}});
}

void checkReaderFloor(const CollectionVersions& versions, std::uint16_t program) {
  if (program < versions.readerFloor) throwMovedOn(program, versions.readerFloor);
}

std::vector<Judgement> onlyRefused(std::vector<Judgement> judgements) {
  std::erase_if(judgements, [](const Judgement& judgement) { return judgement.verdict != Verdict::refused; });
  return judgements;
}

// Nothing changes, for this reason.
Admission refused(const CollectionVersions& versions, std::vector<Judgement> judgements, Error refusal) {
  return {AdmissionKind::refused, versions, std::move(judgements), std::move(refusal)};
}

Admission refuseChanges(const CollectionVersions& versions, std::vector<Judgement> judgements,
                        const RecordSchema& older, const RecordSchema& newer) {
  Error refusal(ErrorCode::fixSchema,
                "the schema changes what stored rows do not allow; change it as the list says",
                {{"type", std::string(newer.typeName())},
                 {"from version", std::to_string(older.version())},
                 {"to version", std::to_string(newer.version())},
                 {"changes", describe(onlyRefused(judgements))}});
  return refused(versions, std::move(judgements), std::move(refusal));
}

// The same number with another schema: the judgements are listed, because the refused ones have to go in any
// case.
Admission refuseNumber(const CollectionVersions& versions, const RecordSchema& known,
                       const RecordSchema& program) {
  auto judgements = judgeStep(known, program);
  Error refusal(ErrorCode::fixSchema,
                "the schema was changed but kept its number; raise the number in $Instar.version",
                {{"type", std::string(program.typeName())},
                 {"version", std::to_string(program.version())},
                 {"changes", describe(judgements)}});
  return refused(versions, std::move(judgements), std::move(refusal));
}

RecordSchema loadExisting(const StoredVersions& stored, std::uint16_t version) {
  auto schema = stored.load(version);
  if (!schema) {
    throw Error(ErrorCode::restoreFromBackup,
                "the catalog lacks a version that it lists; restore the file from a backup",
                {{"version", std::to_string(version)}});
  }
  return *std::move(schema);
}

CollectionVersions raised(CollectionVersions versions, std::uint16_t program,
                          const std::vector<Judgement>& judgements) {
  versions.current = std::max(versions.current, program);
  const FloorEffect effect = floorEffect(judgements);
  if (effect == FloorEffect::readerAndWriter) versions.readerFloor = std::max(versions.readerFloor, program);
  if (effect != FloorEffect::none) versions.writerFloor = std::max(versions.writerFloor, program);
  return versions;
}

// What lies above is there already; the program has to live with it. Nothing where it can; if only by
// reading, the writer floor of `raised` says so.
std::optional<Admission> refuseBelow(const CollectionVersions& versions, const StoredVersions& stored,
                                     const RecordSchema& program, CollectionVersions& raised) {
  auto number = stored.above(program.version());
  if (!number) return std::nullopt;
  auto newer = loadExisting(stored, *number);
  // Of a struct that was replaced since, perhaps more than once: then nothing can be said about the two.
  if (const auto& replaces = newer.code().replaces; replaces && replaces->since > program.version())
    throwMovedOn(program.version(), replaces->since);
  auto judgements = judgeStep(program, newer);
  if (isRefused(judgements)) return refuseChanges(versions, std::move(judgements), program, newer);
  const FloorEffect effect = floorEffect(judgements);
  if (effect == FloorEffect::readerAndWriter) throwMovedOn(program.version(), *number);
  if (effect == FloorEffect::writer) raised.writerFloor = std::max(raised.writerFloor, *number);
  return std::nullopt;
}

Admission admitUnseen(const CollectionVersions& versions, const StoredVersions& stored,
                      const RecordSchema& program) {
  Admission admission;
  admission.kind =
      program.version() > versions.current ? AdmissionKind::addVersion : AdmissionKind::insertVersion;
  if (auto number = stored.below(program.version())) {
    auto older = loadExisting(stored, *number);
    admission.judgements = judgeStep(older, program);
    if (isRefused(admission.judgements)) {
      return refuseChanges(versions, std::move(admission.judgements), older, program);
    }
  }
  admission.versions = raised(versions, program.version(), admission.judgements);
  if (admission.kind == AdmissionKind::insertVersion) {
    if (auto refusal = refuseBelow(versions, stored, program, admission.versions)) return *std::move(refusal);
  }
  return admission;
}

}  // namespace

Admission admit(const CollectionVersions& versions, const StoredVersions& stored,
                const RecordSchema& program) {
  checkReaderFloor(versions, program.version());
  auto known = program.version() <= versions.current ? stored.load(program.version()) : std::nullopt;
  if (!known) return admitUnseen(versions, stored, program);
  if (known->fingerprint() != program.fingerprint()) return refuseNumber(versions, *known, program);
  auto kind = program.version() == versions.current ? AdmissionKind::same : AdmissionKind::olderProgram;
  return {kind, versions, {}};
}

}  // namespace instar
