#pragma once

// What it means for a collection that a program opens it with a certain version of the record type. Decided
// here, carried out by the engine. Looks at four stored versions at the most, however many there are. Pure;
// any thread.
//
// At most one version is staged, and its number is the highest. A version that was aborted keeps its number,
// and its fields keep their places, because rows may have them: what comes later is judged against it too.
// Only the way in which it derived or mirrored a field may change, from a later `since` on.

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "instar/evolve/record_schema.h"
#include "instar/evolve/verdict.h"
#include "instar/format/error.h"

namespace instar {

struct CollectionVersions {
  std::uint16_t current = 0;      // the highest version that is stored; 0 where there is none yet
  std::uint16_t readerFloor = 1;  // lowest version of a program that may read
  std::uint16_t writerFloor = 1;  // lowest version of a program that may write

  friend bool operator==(const CollectionVersions&, const CollectionVersions&) = default;
};

// How far a stored version has come. Programs depend on one that is neither staged nor aborted.
enum class VersionState : std::uint8_t {
  active = 1,
  staged,   // tried on a share of the keys; floors have not risen
  aborted,  // was tried, or was active, and is no longer; rows of it may be left
  settled,  // active, and no row is left that has to be upgraded to it
  retired,  // no row is left that has to be upgraded from it, and no program of it may come any more
};
std::string_view stateName(VersionState state) noexcept;  // "staged"

constexpr bool isDependedUpon(VersionState state) noexcept {
  return state != VersionState::staged && state != VersionState::aborted;
}

// How stored versions are reached: the schema and the state of one, nothing where it is not stored; the
// nearest number below or above of those that programs depend on; the nearest aborted one below; the highest
// number of all, 0 where there is none.
struct StoredVersions {
  std::function<std::optional<RecordSchema>(std::uint16_t version)> load;
  std::function<std::optional<VersionState>(std::uint16_t version)> state;
  std::function<std::optional<std::uint16_t>(std::uint16_t version)> below;
  std::function<std::optional<std::uint16_t>(std::uint16_t version)> above;
  std::function<std::optional<std::uint16_t>(std::uint16_t version)> abortedBelow;
  std::function<std::uint16_t()> highest;
};

// How a program opens its version: to depend on it, or to try it before.
enum class Opening : std::uint8_t { plain, staged };

enum class AdmissionKind : std::uint8_t {
  same,            // the current version; nothing to do
  olderProgram,    // a stored version below the current one; nothing to do
  addVersion,      // a version above the current one: store it, it becomes the current one
  insertVersion,   // a version below the current one that was never seen: store it, the current one stays
  stageVersion,    // a version above the current one that is to be tried: store it, the current one stays
  stagedVersion,   // the one that is tried; nothing to do
  abortedVersion,  // opened to be tried, but aborted: the program does as one of the version below
  refused,         // the number is taken by another schema, a change is refused, or a trial is in the way
};

struct Admission {
  AdmissionKind kind = AdmissionKind::same;
  CollectionVersions versions;  // as they are once the version is stored
  // Of the changes against the nearest version below that programs depend on; of a refusal, those that it is
  // based on.
  std::vector<Judgement> judgements;
  std::optional<Error> refusal{};  // where it is refused: Error(fixSchema), whose facts have the list
};

// Opening is for reading: whoever is below the writer floor is refused when he writes.
//
// Throws Error(upgradeProgram), with both versions: below the reader floor, or the versions above have moved
// on in a way that such a program cannot follow.
Admission admit(const CollectionVersions& versions, const StoredVersions& stored, const RecordSchema& program,
                Opening opening = Opening::plain);

// Of a collection whose staged version becomes the current one.
CollectionVersions promoted(const CollectionVersions& versions, const StoredVersions& stored,
                            std::uint16_t version);

// What a version changes against the nearest one below that programs depend on.
std::vector<Judgement> judgeStored(const StoredVersions& stored, const RecordSchema& version);

}  // namespace instar
