#pragma once

// How warm key ranges are, in accesses a second. One access of 64 is counted, drawn at random so that no
// pattern of accesses hides from it; a key that is not drawn costs a decrement.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "instar/format/key.h"

namespace instar {

using HeatTime = std::chrono::system_clock::time_point;  // outlives the process

// What is left of a heat that was true at `since`. Time that went backwards takes nothing away.
double decayed(double heat, HeatTime since, HeatTime now, std::chrono::seconds halfLife) noexcept;

// The same after `count` accesses between the two times. Accesses at an even rate lead to that rate.
double warmed(double heat, std::uint64_t count, HeatTime since, HeatTime now,
              std::chrono::seconds halfLife) noexcept;

// Counts accesses by range. Any thread.
class HeatMap {
 public:
  static constexpr std::uint64_t kSampling = 64;  // one of so many is counted

  HeatMap();
  ~HeatMap();
  HeatMap(const HeatMap&) = delete;
  HeatMap& operator=(const HeatMap&) = delete;

  // Never waits.
  void touch(Bytes key) noexcept {
    if (--untilSample_ > 0) [[likely]]
      return;
    sample(key);
  }

  // Accesses to each range since the last call, estimated from those that were counted.
  std::vector<std::uint64_t> take();

  // From here on ranges begin at these keys, which ascend; keys below the first belong to the first. What has
  // been counted since take() is forgotten. No bounds, as in the beginning: nothing is counted.
  void rebuild(std::vector<Key> bounds);

 private:
  struct Ranges;

  void sample(Bytes key) noexcept;
  void count(Bytes key) noexcept;

  // Accesses of this thread until the next that is counted; below 1 until the first draw.
  static inline constinit thread_local std::int64_t untilSample_ = 0;

  std::atomic<Ranges*> current_;
  std::atomic<unsigned> readers_ = 0;  // threads that may hold a pointer to ranges

  std::mutex mutex_;                              // of what follows; never taken by touch()
  std::unique_ptr<Ranges> owned_;                 // current_
  std::vector<std::unique_ptr<Ranges>> retired_;  // that a reader may still hold
};

}  // namespace instar
