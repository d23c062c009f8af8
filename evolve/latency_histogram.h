#pragma once

// How long something has taken, as counts in buckets that are the same everywhere, so that histograms of
// threads, processes and days add up exactly. Log-linear: sixteen buckets to each doubling, so what comes
// out is within 1/32 of what went in (exact below 32 ns). A value; 4.7 KB.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace instar {

class LatencyHistogram {
 public:
  static constexpr std::size_t kBuckets = 592;  // up to 2^40 ns, 18 minutes; what takes longer counts there

  void add(std::chrono::nanoseconds taken, std::uint64_t times = 1) noexcept;
  void merge(const LatencyHistogram& other) noexcept;

  std::uint64_t count() const noexcept { return count_; }

  // What a share of all has not exceeded: 0.5 for the median. 0 where nothing was added.
  std::chrono::nanoseconds quantile(double share) const noexcept;

  // Between which two values a quantile of many more lies, in the light of these; `deviations` is how sure.
  struct Bounds {
    std::chrono::nanoseconds least{};
    std::chrono::nanoseconds most{};
  };
  Bounds quantileBounds(double share, double deviations) const noexcept;

  // For who stores it.
  std::uint64_t bucket(std::size_t index) const noexcept { return buckets_[index]; }
  void addToBucket(std::size_t index, std::uint64_t times) noexcept;

  friend bool operator==(const LatencyHistogram&, const LatencyHistogram&) = default;

 private:
  std::size_t bucketAtRank(double rank) const noexcept;

  std::uint64_t count_ = 0;
  std::array<std::uint64_t, kBuckets> buckets_{};
};

}  // namespace instar
