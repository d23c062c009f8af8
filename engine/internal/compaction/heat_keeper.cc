#include "instar/engine/internal/compaction/heat_keeper.h"

#include <algorithm>
#include <functional>

#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/error.h"

namespace instar {
namespace {

constexpr std::chrono::milliseconds kPatience(
    100);  // with other writers: heat can wait, and who keeps it cannot

// Null where somebody writes for longer.
std::unique_ptr<TransactionState> beginWriting(const std::shared_ptr<StoreState>& store) {
  try {
    return std::make_unique<TransactionState>(store, storage::Access::write, kPatience);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::retry) throw;
    return nullptr;
  }
}

}  // namespace

void HeatKeeper::keep(const std::shared_ptr<StoreState>& store) {
  const auto taken = map_.take();
  counts_.resize(taken.size());  // of a time when nothing could be stored there is more
  std::ranges::transform(counts_, taken, counts_.begin(), std::plus<>());
  const bool counted = std::ranges::any_of(counts_, [](std::uint64_t count) { return count != 0; });
  std::vector<Key> bounds;
  if (counted) {
    const auto transaction = beginWriting(store);
    if (!transaction) return;
    Partitions partitions(*transaction, collection_);
    const HeatTime time = std::chrono::system_clock::now();
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] == 0) continue;
      Partition partition = partitions.of(bounds_[i]);
      const HeatTime since = std::max(kept_, heatTimeOf(partition));  // it may have been merged meanwhile
      partition.heat = warmed(heatOf(partition, since), counts_[i], since, time, kHeatHalfLife);
      partition.heatAt = now();
      partitions.put(partition);
    }
    for (const Partition& partition : partitions.all()) bounds.push_back(partition.lower);
    transaction->commit();
    kept_ = time;
    counts_.clear();
  } else {
    TransactionState transaction(store, storage::Access::read);
    for (const Partition& partition : Partitions(transaction, collection_).all())
      bounds.push_back(partition.lower);
  }
  if (!counted) kept_ = std::chrono::system_clock::now();
  if (bounds != bounds_) {
    bounds_ = bounds;
    map_.rebuild(std::move(bounds));
  }
}

}  // namespace instar
