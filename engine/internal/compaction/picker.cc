#include "instar/engine/internal/compaction/picker.h"

#include <algorithm>

namespace instar {
namespace {

// The first of those that are `wanted` which no other comes before.
template <typename Wanted, typename Before>
std::optional<std::size_t> best(std::span<const PartitionSummary> partitions, Wanted wanted, Before before) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    if (!wanted(partitions[i])) continue;
    if (!found || before(partitions[i], partitions[*found])) found = i;
  }
  return found;
}

bool isPending(const PartitionSummary& partition, const PickContext& context) {
  const bool passed = partition.passedFor == context.version && !partition.disturbed;
  return partition.floor < context.completeFrom && !passed;
}

bool isWorthPacking(const PartitionSummary& partition) {
  const std::uint64_t stuck = partition.failedRows;
  const std::uint64_t packable = partition.hotRows > stuck ? partition.hotRows - stuck : 0;
  return packable > std::max(partition.rows / 16, kFewestRowsToPack);
}

bool isColder(const PartitionSummary& left, const PartitionSummary& right) { return left.heat < right.heat; }

}  // namespace

std::optional<std::size_t> pick(std::span<const PartitionSummary> partitions, const PickContext& context) {
  if (context.mode == CompactionMode::off) return std::nullopt;

  const auto isBegun = [](const PartitionSummary& partition) { return partition.inProgress; };
  const auto asTheyCome = [](const PartitionSummary&, const PartitionSummary&) { return false; };
  if (const auto begun = best(partitions, isBegun, asTheyCome)) return begun;

  const auto comesFirst = [&](const PartitionSummary& left, const PartitionSummary& right) {
    switch (context.policy) {
      case PickPolicy::coldest:
        return isColder(left, right);
      case PickPolicy::hottest:
        return isColder(right, left);
      case PickPolicy::mostPending:
        return left.rows > right.rows;
    }
    return false;
  };
  const auto pending = [&](const PartitionSummary& partition) { return isPending(partition, context); };
  if (const auto next = best(partitions, pending, comesFirst)) return next;

  if (context.mode != CompactionMode::compress) return std::nullopt;
  const auto isCold = [&](const PartitionSummary& partition) {
    return partition.heat < context.coldBelow && isWorthPacking(partition);
  };
  return best(partitions, isCold, isColder);
}

}  // namespace instar
