#include "instar/evolve/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace instar {
namespace {

constexpr unsigned kBitsPerDoubling = 4;
constexpr std::uint64_t kPerDoubling = 1U << kBitsPerDoubling;

std::size_t bucketOf(std::chrono::nanoseconds taken) noexcept {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(taken.count(), 0));
  if (value < kPerDoubling) return value;
  const auto doublings = static_cast<unsigned>(std::bit_width(value)) - 1 - kBitsPerDoubling;
  const std::size_t index = doublings * kPerDoubling + (value >> doublings);
  return std::min(index, LatencyHistogram::kBuckets - 1);
}

// The least value of a bucket; that of the next one is where it ends.
std::uint64_t beginOf(std::size_t bucket) noexcept {
  if (bucket < kPerDoubling) return bucket;
  return (kPerDoubling + bucket % kPerDoubling) << (bucket / kPerDoubling - 1);
}

std::chrono::nanoseconds nanoseconds(std::uint64_t count) noexcept {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(count));
}

}  // namespace

void LatencyHistogram::add(std::chrono::nanoseconds taken, std::uint64_t times) noexcept {
  addToBucket(bucketOf(taken), times);
}

void LatencyHistogram::addToBucket(std::size_t index, std::uint64_t times) noexcept {
  buckets_[index] += times;
  count_ += times;
}

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
}

std::size_t LatencyHistogram::bucketAtRank(double rank) const noexcept {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    below += buckets_[i];
    if (below > 0 && static_cast<double>(below) >= rank) return i;
  }
  return kBuckets - 1;
}

std::chrono::nanoseconds LatencyHistogram::quantile(double share) const noexcept {
  if (count_ == 0) return {};
  const std::size_t bucket = bucketAtRank(std::ceil(share * static_cast<double>(count_)));
  return nanoseconds((beginOf(bucket) + beginOf(bucket + 1) - 1) / 2);
}

LatencyHistogram::Bounds LatencyHistogram::quantileBounds(double share, double deviations) const noexcept {
  if (count_ == 0) return {};
  const auto all = static_cast<double>(count_);
  const double reach = deviations * std::sqrt(share * (1 - share) * all);  // of the rank
  const double rank = share * all;
  return {nanoseconds(beginOf(bucketAtRank(std::max(std::floor(rank - reach), 1.0)))),
          nanoseconds(beginOf(bucketAtRank(std::min(std::ceil(rank + reach) + 1, all)) + 1) - 1)};
}

}  // namespace instar
