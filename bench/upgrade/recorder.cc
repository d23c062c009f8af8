#include "instar/bench/upgrade/recorder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "instar/bench/upgrade/figures.h"

namespace instar::bench {
namespace {

constexpr unsigned kBits = 6;
constexpr std::uint64_t kPerDoubling = 1U << kBits;

std::size_t bucketOf(std::uint64_t value) noexcept {
  if (value < kPerDoubling) return value;
  const auto doublings = static_cast<unsigned>(std::bit_width(value)) - 1 - kBits;
  return doublings * kPerDoubling + (value >> doublings);
}

std::uint64_t beginOf(std::size_t bucket) noexcept {
  if (bucket < kPerDoubling) return bucket;
  return (kPerDoubling + bucket % kPerDoubling) << (bucket / kPerDoubling - 1);
}

double microseconds(std::chrono::nanoseconds time) noexcept {
  return static_cast<double>(time.count()) / 1e3;
}

}  // namespace

void Times::add(std::chrono::nanoseconds taken) {
  taken = std::max(taken, std::chrono::nanoseconds{0});
  const std::size_t bucket = bucketOf(static_cast<std::uint64_t>(taken.count()));
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  longest_ = std::max(longest_, taken);
}

void Times::merge(const Times& other) {
  buckets_.resize(std::max(buckets_.size(), other.buckets_.size()));
  for (std::size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  longest_ = std::max(longest_, other.longest_);
}

std::chrono::nanoseconds Times::quantile(double share) const noexcept {
  const auto rank = static_cast<std::uint64_t>(std::max(std::ceil(share * static_cast<double>(count_)), 1.0));
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    below += buckets_[i];
    if (below < rank) continue;
    const std::chrono::nanoseconds middle{static_cast<std::int64_t>((beginOf(i) + beginOf(i + 1) - 1) / 2)};
    return std::min(middle, longest_);
  }
  return {};
}

void Times::describe(Latency::Builder latency) const {
  latency.setCount(count_);
  const auto known = [this](double share, std::uint64_t least) {
    return count_ < least ? std::numeric_limits<double>::quiet_NaN() : microseconds(quantile(share));
  };
  latency.setP50(known(0.5, kLeastForP50));
  latency.setP95(known(0.95, kLeastForP95));
  latency.setP99(known(0.99, kLeastForP99));
  latency.setP999(known(0.999, kLeastForP999));
  latency.setLongest(microseconds(longest_));
}

void Series::add(Clock::time_point due, std::chrono::nanoseconds taken) {
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(due - start_).count();
  const auto second = static_cast<std::size_t>(std::max<std::int64_t>(since, 0));
  if (second >= seconds_.size()) seconds_.resize(second + 1);
  seconds_[second].add(taken);
}

Times Series::all() const {
  Times sum;
  for (const Times& second : seconds_) sum.merge(second);
  return sum;
}

}  // namespace instar::bench
