#include "instar/evolve/admission.h"

#include <algorithm>
#include <string>

#include "instar/format/error.h"

namespace instar {
namespace {

std::vector<Judgement> judgeStep(const RecordSchema& older, const RecordSchema& newer) {
  return judge(difference(older, newer));
}

[[noreturn]] void throwBelowFloor(const char* message, std::uint16_t program, std::uint16_t floor) {
  throw Error(
      ErrorCode::upgradeProgram, message,
      {{"version of the program", std::to_string(program)}, {"lowest version", std::to_string(floor)}});
}

void checkReaderFloor(const CollectionVersions& versions, std::uint16_t program) {
  if (program < versions.readerFloor) {
    throwBelowFloor("the collection has moved on, and this program would misread it; use a newer release",
                    program, versions.readerFloor);
  }
}

std::vector<Judgement> onlyRefused(std::vector<Judgement> judgements) {
  std::erase_if(judgements, [](const Judgement& judgement) { return judgement.verdict != Verdict::refused; });
  return judgements;
}

void checkAllowed(const std::vector<Judgement>& judgements, const RecordSchema& older,
                  const RecordSchema& newer) {
  if (!isRefused(judgements)) return;
  throw Error(ErrorCode::fixSchema,
              "the schema changes what stored rows do not allow; change it as the list says",
              {{"type", std::string(newer.typeName())},
               {"from version", std::to_string(older.version())},
               {"to version", std::to_string(newer.version())},
               {"changes", describe(onlyRefused(judgements))}});
}

// The same number with another schema: the judgements are listed, because the refused ones have to go in any
// case.
[[noreturn]] void throwNumberTaken(const RecordSchema& known, const RecordSchema& program) {
  throw Error(ErrorCode::fixSchema,
              "the schema was changed but kept its number; raise the number in $Instar.version",
              {{"type", std::string(program.typeName())},
               {"version", std::to_string(program.version())},
               {"changes", describe(judgeStep(known, program))}});
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
  if (raisesFloors(judgements)) {
    versions.readerFloor = std::max(versions.readerFloor, program);
    versions.writerFloor = std::max(versions.writerFloor, program);
  }
  return versions;
}

// What lies above is there already; the program has to live with it.
void checkAbove(const StoredVersions& stored, const RecordSchema& program) {
  auto number = stored.above(program.version());
  if (!number) return;
  auto newer = loadExisting(stored, *number);
  auto judgements = judgeStep(program, newer);
  checkAllowed(judgements, program, newer);
  if (raisesFloors(judgements)) {
    throwBelowFloor("the collection has moved on, and this program would misread it; use a newer release",
                    program.version(), *number);
  }
}

Admission admitUnseen(const CollectionVersions& versions, const StoredVersions& stored,
                      const RecordSchema& program) {
  Admission admission;
  admission.kind =
      program.version() > versions.current ? AdmissionKind::addVersion : AdmissionKind::insertVersion;
  if (auto number = stored.below(program.version())) {
    auto older = loadExisting(stored, *number);
    admission.judgements = judgeStep(older, program);
    checkAllowed(admission.judgements, older, program);
  }
  if (admission.kind == AdmissionKind::insertVersion) checkAbove(stored, program);
  admission.versions = raised(versions, program.version(), admission.judgements);
  return admission;
}

}  // namespace

Admission admit(const CollectionVersions& versions, const StoredVersions& stored,
                const RecordSchema& program) {
  checkReaderFloor(versions, program.version());
  auto known = program.version() <= versions.current ? stored.load(program.version()) : std::nullopt;
  if (!known) return admitUnseen(versions, stored, program);
  if (known->fingerprint() != program.fingerprint()) throwNumberTaken(*known, program);
  auto kind = program.version() == versions.current ? AdmissionKind::same : AdmissionKind::olderProgram;
  return {kind, versions, {}};
}

}  // namespace instar
