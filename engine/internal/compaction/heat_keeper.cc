#include "instar/engine/internal/compaction/heat_keeper.h"

#include <algorithm>

#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
void HeatKeeper::keep(const std::shared_ptr<StoreState>& store) {
  const auto counts = map_.take();
  const bool counted =
      std::any_of(counts.begin(), counts.end(), [](std::uint64_t count) { return count != 0; });
  std::vector<Key> bounds;
  if (counted) {
    TransactionState transaction(store, storage::Access::write);
    Partitions partitions(transaction, collection_);
    const HeatTime time = std::chrono::system_clock::now();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      Partition partition = partitions.of(bounds_[i]);
      const HeatTime since = std::max(kept_, heatTimeOf(partition));  // it may have been merged meanwhile
      partition.heat = warmed(heatOf(partition, since), counts[i], since, time, kHeatHalfLife);
      partition.heatAt = now();
      partitions.put(partition);
    }
    for (const Partition& partition : partitions.all()) bounds.push_back(partition.lower);
    transaction.commit();
    kept_ = time;
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
