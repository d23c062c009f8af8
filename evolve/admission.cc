#include "instar/evolve/admission.h"

#include <algorithm>
#include <string>
#include <utility>

#include "instar/evolve/internal/derivation.h"
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

// Why a version cannot be added at all, whatever it changes.
Error refusal(const char* message, const RecordSchema& program, const char* what, std::uint16_t number) {
  return Error(ErrorCode::fixSchema, message,
               {{"type", std::string(program.typeName())},
                {"version", std::to_string(program.version())},
                {what, std::to_string(number)}});
}

// Whether a change against an aborted version is only about how a field is made, from a version on that no
// row of the aborted one has.
bool isRemade(const Change& change, const RecordSchema& newer, std::uint16_t aborted) {
  const auto beginsLater = [&](const std::vector<internal::Derivation>& all, const std::string& field) {
    return std::ranges::any_of(all, [&](const internal::Derivation& derivation) {
      return derivation.target.text() == field && derivation.since > aborted;
    });
  };
  if (const auto* added = std::get_if<DerivationAdded>(&change))
    return beginsLater(newer.derivations().derived, added->field);
  if (const auto* changed = std::get_if<DerivationChanged>(&change))
    return beginsLater(newer.derivations().derived, changed->field);
  if (const auto* changed = std::get_if<MirrorChanged>(&change))
    return beginsLater(newer.derivations().mirrored, changed->field);
  return false;
}

// Rows of an aborted version may be there, although nobody depends on it.
std::optional<Admission> refuseAfterAborted(const CollectionVersions& versions, const StoredVersions& stored,
                                            const RecordSchema& program) {
  const auto number = stored.abortedBelow(program.version());
  if (!number || *number < versions.current) return std::nullopt;  // the current one was judged already
  const auto aborted = loadExisting(stored, *number);
  auto changes = difference(aborted, program);
  std::erase_if(changes, [&](const Change& change) { return isRemade(change, program, *number); });
  auto judgements = judge(changes);
  if (!isRefused(judgements)) return std::nullopt;
  return refuseChanges(versions, std::move(judgements), aborted, program);
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

// What is in the way of a version above the current one.
std::optional<Admission> refuseAbove(const CollectionVersions& versions, const StoredVersions& stored,
                                     const RecordSchema& program, Opening opening,
                                     const std::vector<Judgement>& judgements) {
  const std::uint16_t highest = stored.highest();
  if (highest != 0 && stored.state(highest) == VersionState::staged) {
    return refused(versions, judgements,
                   refusal("another version of the collection is staged: promote or abort it first", program,
                           "staged version", highest));
  }
  if (program.version() < highest) {
    return refused(versions, judgements,
                   refusal("a higher version was aborted: raise the number in $Instar.version above it",
                           program, "aborted version", highest));
  }
  const auto isReplaced = [](const Judgement& one) { return one.verdict == Verdict::replaced; };
  if (opening == Opening::staged && std::ranges::any_of(judgements, isReplaced)) {
    return refused(versions, judgements,
                   refusal("another record struct cannot be staged, because a program reads old rows by it: "
                           "try it on the file with instar canary",
                           program, "current version", versions.current));
  }
  return refuseAfterAborted(versions, stored, program);
}

Admission admitUnseen(const CollectionVersions& versions, const StoredVersions& stored,
                      const RecordSchema& program, Opening opening) {
  const bool isAbove = program.version() > versions.current;
  Admission admission;
  if (auto number = stored.below(program.version())) {
    auto older = loadExisting(stored, *number);
    admission.judgements = judgeStep(older, program);
    if (isRefused(admission.judgements)) {
      return refuseChanges(versions, std::move(admission.judgements), older, program);
    }
  }
  if (isAbove) {
    if (auto refusal = refuseAbove(versions, stored, program, opening, admission.judgements))
      return *std::move(refusal);
    // In a new collection there is nothing to try it on.
    if (opening == Opening::staged && versions.current != 0) {
      admission.kind = AdmissionKind::stageVersion;
      admission.versions = versions;
      return admission;
    }
  }
  admission.kind = isAbove ? AdmissionKind::addVersion : AdmissionKind::insertVersion;
  admission.versions = raised(versions, program.version(), admission.judgements);
  if (!isAbove) {
    if (auto refusal = refuseBelow(versions, stored, program, admission.versions)) return *std::move(refusal);
  }
  return admission;
}

Admission admitStaged(const CollectionVersions& versions, const StoredVersions& stored,
                      const RecordSchema& program, Opening opening) {
  auto judgements = judgeStored(stored, program);
  if (opening == Opening::staged) return {AdmissionKind::stagedVersion, versions, std::move(judgements)};
  return refused(versions, std::move(judgements),
                 refusal("the version is only staged: promote it, or open it with stage()", program,
                         "current version", versions.current));
}

Admission admitAborted(const CollectionVersions& versions, const StoredVersions& stored,
                       const RecordSchema& program, Opening opening) {
  if (opening == Opening::staged) return {AdmissionKind::abortedVersion, versions, {}};
  return refused(versions, judgeStored(stored, program),
                 refusal("the version was aborted: raise the number in $Instar.version", program,
                         "current version", versions.current));
}

}  // namespace

std::string_view stateName(VersionState state) noexcept {
  switch (state) {
    case VersionState::active:
      return "active";
    case VersionState::staged:
      return "staged";
    case VersionState::aborted:
      return "aborted";
    case VersionState::settled:
      return "settled";
    case VersionState::retired:
      return "retired";
  }
  return "unknown";
}

std::vector<Judgement> judgeStored(const StoredVersions& stored, const RecordSchema& version) {
  const auto number = stored.below(version.version());
  if (!number) return {};
  return judgeStep(loadExisting(stored, *number), version);
}

CollectionVersions promoted(const CollectionVersions& versions, const StoredVersions& stored,
                            std::uint16_t version) {
  return raised(versions, version, judgeStored(stored, loadExisting(stored, version)));
}

Admission admit(const CollectionVersions& versions, const StoredVersions& stored, const RecordSchema& program,
                Opening opening) {
  checkReaderFloor(versions, program.version());
  const auto state = versions.current == 0 ? std::nullopt : stored.state(program.version());
  if (!state) return admitUnseen(versions, stored, program, opening);
  const auto known = loadExisting(stored, program.version());
  if (known.fingerprint() != program.fingerprint()) return refuseNumber(versions, known, program);
  if (*state == VersionState::staged) return admitStaged(versions, stored, program, opening);
  if (*state == VersionState::aborted) return admitAborted(versions, stored, program, opening);
  auto kind = program.version() == versions.current ? AdmissionKind::same : AdmissionKind::olderProgram;
  return {kind, versions, {}};
}

}  // namespace instar
