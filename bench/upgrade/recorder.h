#pragma once
// How long operations took, in all and second by second. Each belongs to one thread while it is filled.

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "instar/bench/upgrade/run.capnp.h"

namespace instar::bench {

// Counts in buckets, 64 to each doubling: quantiles are within 1 % of what went in, the longest is exact.
// Finer than LatencyHistogram (evolve), whose buckets are stored in files.
class Times {
 public:
  void add(std::chrono::nanoseconds taken);
  void merge(const Times& other);

  std::uint64_t count() const noexcept { return count_; }
  std::chrono::nanoseconds longest() const noexcept { return longest_; }
  // What a share of all has not exceeded; 0 where there is nothing.
  std::chrono::nanoseconds quantile(double share) const noexcept;

  // Percentiles of too few are left unknown.
  void describe(Latency::Builder latency) const;

 private:
  std::uint64_t count_ = 0;
  std::chrono::nanoseconds longest_{0};
  std::vector<std::uint32_t> buckets_;  // as many as are needed
};

// By the second in which an operation was due, from `start` on: what waited behind a stall shows when it
// happened.
class Series {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Series(Clock::time_point start) : start_(start) {}
  void add(Clock::time_point due, std::chrono::nanoseconds taken);

  Times all() const;
  const std::vector<Times>& seconds() const noexcept { return seconds_; }

 private:
  Clock::time_point start_;
  std::vector<Times> seconds_;
};

}  // namespace instar::bench
