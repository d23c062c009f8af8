#pragma once

// Which partition comes next, and how large partitions are. Pure; any thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "instar/engine/compaction_options.h"

namespace instar {

struct PartitionSummary {
  std::uint16_t floor = 0;       // the lowest version that can occur in it
  std::uint16_t passedFor = 0;   // version of the schema in the last pass that came to its end; 0: never
  bool disturbed = false;        // rows may have become older than its floor says since that pass
  bool inProgress = false;       // a pass has begun
  std::uint64_t rows = 0;        // estimate
  std::uint64_t hotRows = 0;     // of them in the hot tree; estimate
  std::uint64_t failedRows = 0;  // that cannot be upgraded, and stay in the hot tree
  double heat = 0;               // accesses a second, decayed
};

struct PickContext {
  std::uint16_t completeFrom = 0;  // rows of earlier versions have to be upgraded
  std::uint16_t version = 0;       // of the newest schema
  CompactionMode mode = CompactionMode::off;
  PickPolicy policy = PickPolicy::coldest;
  double coldBelow = 0;  // accesses a second
};

// 1. A partition in progress: what was begun is finished.
// 2. A partition whose floor is pending, by policy. One that has been passed for this version and has not
//    been disturbed since keeps its floor because of rows that cannot be upgraded, and is left alone.
// 3. To compress: the coldest of those that are cold and have more than a sixteenth of their rows to pack,
//    and more than kFewestRowsToPack.
// Among equals the first. Nothing to do: nullopt.
std::optional<std::size_t> pick(std::span<const PartitionSummary> partitions, const PickContext& context);

// Fewer are not worth a pass, which is some commits: about a block's.
inline constexpr std::uint64_t kFewestRowsToPack = 100;

inline constexpr std::uint64_t kPartitionRows = 65536;  // that partitions aim at

// Whether a partition that so many rows have been seen of is large enough to be cut.
constexpr bool shouldSplit(std::uint64_t rowsSoFar, std::uint64_t aim = kPartitionRows) noexcept {
  return rowsSoFar >= 2 * aim;
}

// Whether two neighbours are to become one. Far enough from splitting that neither undoes the other.
constexpr bool shouldMerge(std::uint64_t rows, std::uint64_t neighbourRows) noexcept {
  return rows < kPartitionRows / 2 && neighbourRows < kPartitionRows / 2 - rows;
}

}  // namespace instar
