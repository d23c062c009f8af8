#include "instar/engine/internal/compaction/heat.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace instar {
namespace {

// The share of a heat that a time leaves.
double remainder(HeatTime since, HeatTime now, std::chrono::seconds halfLife) noexcept {
  const std::chrono::duration<double> passed = std::max(now - since, HeatTime::duration::zero());
  return std::exp2(-passed / halfLife);
}

// Accesses until the next that is counted: memoryless, so a thread may begin and end at any of them.
std::int64_t drawDistance() noexcept {
  thread_local std::minstd_rand random = [] {
    static std::atomic<std::uint32_t> threads = 0;
    return std::minstd_rand(threads.fetch_add(1, std::memory_order_relaxed) * 2654435769U + 1);
  }();
  static const double kLogOfMiss = std::log1p(-1.0 / static_cast<double>(HeatMap::kSampling));
  const double chance = static_cast<double>(random()) / static_cast<double>(std::minstd_rand::max());
  return 1 + static_cast<std::int64_t>(std::log(chance) / kLogOfMiss);
}

}  // namespace

double decayed(double heat, HeatTime since, HeatTime now, std::chrono::seconds halfLife) noexcept {
  return heat * remainder(since, now, halfLife);
}

double warmed(double heat, std::uint64_t count, HeatTime since, HeatTime now,
              std::chrono::seconds halfLife) noexcept {
  // Less than a second says little of a rate: counted as one.
  const auto from = std::min(since, now - std::chrono::seconds(1));
  const std::chrono::duration<double> passed = now - from;
  const double share = remainder(from, now, halfLife);
  return decayed(heat, since, now, halfLife) + static_cast<double>(count) / passed.count() * (1 - share);
}

struct HeatMap::Ranges {
  explicit Ranges(std::vector<Key> keys) : bounds(std::move(keys)), counts(bounds.size()) {}

  const std::vector<Key> bounds;
  std::vector<std::atomic<std::uint64_t>> counts;  // of what was sampled
};

HeatMap::HeatMap() : current_(nullptr) { rebuild({}); }

HeatMap::~HeatMap() = default;

void HeatMap::sample(Bytes key) noexcept {
  // A thread's first call draws; the access that made it may be the one that is counted.
  if (untilSample_ < 0) untilSample_ = drawDistance() - 1;
  if (untilSample_ > 0) return;
  untilSample_ = drawDistance();
  count(key);
}

// A reader announces itself before it takes the pointer. Whoever replaces the pointer and then finds no
// reader knows that later ones take the new one; hence the order of these operations.
void HeatMap::count(Bytes key) noexcept {
  readers_.fetch_add(1, std::memory_order_seq_cst);
  Ranges& ranges = *current_.load(std::memory_order_seq_cst);
  if (!ranges.bounds.empty()) {
    const auto next =
        std::upper_bound(ranges.bounds.begin() + 1, ranges.bounds.end(), key,
                         [](Bytes left, const Key& right) { return compareBytes(left, right.bytes()) < 0; });
    const auto index = static_cast<std::size_t>(next - ranges.bounds.begin()) - 1;
    ranges.counts[index].fetch_add(1, std::memory_order_relaxed);
  }
  readers_.fetch_sub(1, std::memory_order_release);
}

std::vector<std::uint64_t> HeatMap::take() {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> taken;
  taken.reserve(owned_->counts.size());
  for (auto& count : owned_->counts)
    taken.push_back(count.exchange(0, std::memory_order_relaxed) * kSampling);
  return taken;
}

void HeatMap::rebuild(std::vector<Key> bounds) {
  auto ranges = std::make_unique<Ranges>(std::move(bounds));
  const std::lock_guard lock(mutex_);
  retired_.emplace_back();  // before those that others look at are touched
  retired_.back() = std::exchange(owned_, std::move(ranges));
  current_.store(owned_.get(), std::memory_order_seq_cst);
  if (readers_.load(std::memory_order_seq_cst) == 0) retired_.clear();
}

}  // namespace instar
