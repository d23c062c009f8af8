#pragma once

// What it means for a collection that a program opens it with a certain version of the record type. Decided
// here, carried out by the engine. Looks at three stored versions at the most, however many there are. Pure;
// any thread.

#include <cstdint>
#include <functional>
#include <optional>
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

// How stored versions are reached. `below` and `above` give the nearest stored number, nothing where there is
// none.
struct StoredVersions {
  std::function<std::optional<RecordSchema>(std::uint16_t version)> load;
  std::function<std::optional<std::uint16_t>(std::uint16_t version)> below;
  std::function<std::optional<std::uint16_t>(std::uint16_t version)> above;
};

enum class AdmissionKind : std::uint8_t {
  same,           // the current version; nothing to do
  olderProgram,   // a stored version below the current one; nothing to do
  addVersion,     // a version above the current one: store it, it becomes the current one
  insertVersion,  // a version below the current one that was never seen: store it, the current one stays
  refused,        // the number is taken by another schema, or a change is refused
};

struct Admission {
  AdmissionKind kind = AdmissionKind::same;
  CollectionVersions versions;  // as they are once the version is stored
  // Of the changes against the nearest stored version below; of a refusal, those that it is based on.
  std::vector<Judgement> judgements;
  std::optional<Error> refusal{};  // where it is refused: Error(fixSchema), whose facts have the list
};

// Opening is for reading: whoever is below the writer floor is refused when he writes.
//
// Throws Error(upgradeProgram), with both versions: below the reader floor, or the versions above have moved
// on in a way that such a program cannot follow.
Admission admit(const CollectionVersions& versions, const StoredVersions& stored,
                const RecordSchema& program);

}  // namespace instar
