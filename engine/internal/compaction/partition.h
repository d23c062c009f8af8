#pragma once

// Partitions: contiguous key ranges of a collection, with the floor below which no row of theirs is, the
// pass that compaction is making over them, and their heat. Records of the catalog (format/catalog.capnp);
// compaction alone makes and divides them. One thread, as the transaction.
//
// A floor needs no care where rows are put: who puts at the newest version puts nothing older. A program of
// an older version notes what it puts (noteOlderWrite), in the same transaction.

#include <optional>
#include <vector>

#include "instar/engine/compaction.h"
#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/compaction/heat.h"
#include "instar/format/cold_block.h"

namespace instar {

struct Pass {
  Key position = {};  // the last key that it has done with; empty: none yet
  std::uint64_t rows = 0;
  std::uint64_t failedRows = 0;
  std::uint64_t largeRows = 0;  // that no block can have
  std::uint16_t floor = 0;      // the lowest version that it has left behind; 0: no row yet
  ColdTotals cold = {};
  std::int64_t startedAt = 0;  // nanoseconds since 1970, UTC, as the others
  std::uint16_t version = 0;   // of the schema that it is made for
  bool packs = false;          // rows into blocks

  void left(std::uint16_t version) noexcept {
    if (floor == 0 || version < floor) floor = version;
  }
};

struct Partition {
  Key lower = {};  // where it begins; empty: at the beginning
  std::uint16_t floor = 0;
  std::uint16_t passedFor = 0;  // version that the last whole pass was made for; 0: there was none
  bool compressed = false;      // and whether that pass packed rows
  std::int64_t lastPassedAt = 0;
  std::uint64_t rows = 0;  // that the last whole pass saw
  std::uint64_t failedRows = 0;
  std::uint64_t largeRows = 0;
  bool disturbed = false;  // an older program has written since the pass in progress, or the last one, began
  ColdTotals cold = {};    // blocks that the pass in progress has not come to; without one, all
  double heat = 0;         // accesses a second, at heatAt
  std::int64_t heatAt = 0;
  std::optional<Pass> pass = {};

  ColdTotals allCold() const noexcept;
};

class Partitions {
 public:
  Partitions(TransactionState& transaction, std::string_view collection)
      : transaction_(transaction), catalog_(transaction), collection_(collection) {}

  // In the order of their keys. A collection that has no records is one partition, whose floor is the first
  // version of its schema.
  std::vector<Partition> all() const;
  // The one that a key belongs to, and where the one behind it begins; an empty key is the first of all.
  Partition of(const Key& key) const;
  std::optional<Key> upperOf(const Partition& partition) const;

  void put(const Partition& partition);
  void erase(const Partition& partition);

  // That an older program has put a row of this version under the key; the current version is no longer
  // settled where that has to be upgraded.
  void noteOlderWrite(const Key& key, std::uint16_t version);

 private:
  Key recordKey(const Key& lower) const;
  void unsettle(std::uint16_t version);
  Partition whole() const;
  Partition decode(Bytes key, Bytes value) const;

  TransactionState& transaction_;
  Catalog catalog_;
  const std::string collection_;
};

// Where a partition of all of them ends, borrowed from the next; null: at the end of the collection.
inline const Key* upperOf(const std::vector<Partition>& all, std::size_t index) noexcept {
  return index + 1 < all.size() ? &all[index + 1].lower : nullptr;
}
inline bool isBelow(Bytes key, const Key* upper) noexcept {
  return upper == nullptr || compareBytes(key, upper->bytes()) < 0;
}
inline bool isBelow(Bytes key, const std::optional<Key>& upper) noexcept {
  return isBelow(key, upper ? &*upper : nullptr);
}

// Accesses a second, decayed until then.
double heatOf(const Partition& partition, HeatTime time) noexcept;
HeatTime heatTimeOf(const Partition& partition) noexcept;  // that its record's heat was true at
inline constexpr std::chrono::seconds kHeatHalfLife = std::chrono::minutes(10);

// Of one block, as it is stored.
ColdTotals totalsOf(const UnpackedBlock& block, std::size_t storedBytes) noexcept;
ColdTotals toTotals(catalog::ColdTotals::Reader record);
void fill(catalog::ColdTotals::Builder record, const ColdTotals& totals);

// Longer ones make no bounds.
inline constexpr std::size_t kMaxBoundLength = 255;

// The shortest key that is greater than `below` and not greater than `from`; nothing where it is too long.
std::optional<Key> boundBetween(const Key& below, const Key& from);

}  // namespace instar
