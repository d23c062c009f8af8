#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "instar/engine/internal/compaction/heat.h"

namespace instar {
namespace {

constexpr int kThreads = 3;
constexpr int kTouches = 1000000;  // of each thread

void touchAll(HeatMap& map) {
  for (int i = 0; i < kTouches; ++i) {
    const auto key = static_cast<std::byte>(i);
    map.touch(Bytes(&key, 1));
  }
}

std::uint64_t sum(const std::vector<std::uint64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

TEST(HeatMapConcurrent, WhatAllThreadsTouchIsCountedOnce) {
  HeatMap map;
  map.rebuild({Key(), Key("\x80")});
  std::uint64_t taken = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(touchAll, std::ref(map));
  for (int i = 0; i < 1000; ++i) taken += sum(map.take());
  for (std::thread& thread : threads) thread.join();
  taken += sum(map.take());
  EXPECT_NEAR(static_cast<double>(taken), kThreads * kTouches, 0.1 * kThreads * kTouches);
}

TEST(HeatMapConcurrent, BoundsChangeWhileOthersTouch) {
  HeatMap map;
  std::atomic<int> running = kThreads;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      touchAll(map);
      --running;
    });
  }
  std::uint64_t taken = 0;
  for (unsigned parts = 1; running != 0; parts = parts % 200 + 1) {
    std::vector<Key> bounds(1);
    for (unsigned i = 1; i < parts; ++i) {
      const auto first = static_cast<std::byte>(i);
      bounds.emplace_back(Bytes(&first, 1));
    }
    taken += sum(map.take());
    map.rebuild(std::move(bounds));
    EXPECT_EQ(map.take().size(), parts);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LT(static_cast<double>(taken), 1.1 * kThreads * kTouches);
}

}  // namespace
}  // namespace instar
