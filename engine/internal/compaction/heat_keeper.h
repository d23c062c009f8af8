#pragma once

// The heat of a collection's partitions: counted in memory where rows are read and written, kept in the
// records of the partitions. touch() for any thread; keep() for the compaction thread.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "instar/engine/internal/compaction/heat.h"

namespace instar {

class StoreState;

// How often heat is written: what a crash can lose.
inline constexpr std::chrono::seconds kHeatKeeping{15};

class HeatKeeper {
 public:
  explicit HeatKeeper(std::string collection) : collection_(std::move(collection)) {}

  void touch(Bytes key) noexcept { map_.touch(key); }

  // Adds what was counted since the last time to the partitions, and goes by their bounds from here on.
  void keep(const std::shared_ptr<StoreState>& store);

 private:
  const std::string collection_;
  HeatMap map_;
  std::vector<Key> bounds_;            // that map_ goes by
  std::vector<std::uint64_t> counts_;  // taken from there and not yet kept
  HeatTime kept_ = std::chrono::system_clock::now();
};

}  // namespace instar
