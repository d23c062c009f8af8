// The load over sessions that block, with loads that began and ended at moments of the past: how many
// operations were due is then known to the last one.

#include "instar/bench/upgrade/load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <thread>

namespace instar::bench {
namespace {

using namespace std::chrono_literals;
using Clock = Series::Clock;

// Answers after `work`, which it is told before each operation.
class FakeSession : public Session {
 public:
  explicit FakeSession(std::function<void()> work = [] {}) : work_(std::move(work)) {}

  std::uint64_t read(std::uint64_t) override { return operate(); }
  void update(std::uint64_t, std::int64_t) override { operate(); }
  void insert(std::uint64_t) override { operate(); }
  std::uint64_t scan(std::uint64_t, unsigned) override { return operate(); }
  void readModifyWrite(std::uint64_t) override { operate(); }

 private:
  std::uint64_t operate() {
    work_();
    return 0;
  }

  const std::function<void()> work_;
};

Scenario loadOf(unsigned perSecond, Mix mix = Mix::a) {
  return {.mix = mix, .rows = 100, .perSecond = perSecond};
}

std::uint64_t countOf(const LoadResult& load, std::size_t second) {
  std::uint64_t count = 0;
  for (const Series* series : {&load.reads, &load.writes}) {
    if (second < series->seconds().size()) count += series->seconds()[second].count();
  }
  return count;
}

// What fell due while an application was being opened was left out, so that an outage cost nobody anything
// but the one who asked first.
TEST(LoadTest, WhatFellDueWhileTheFileWasOpenedIsCarriedOutAndWaitedThatLong) {
  const auto start = Clock::now() - 2s;
  LoadEnd end;
  end.set(start + 2s);
  FakeSession reader;
  FakeSession writer;
  const LoadResult load = runLoad(loadOf(100), reader, writer, start, end);
  EXPECT_EQ(countOf(load, 0), 100U);
  EXPECT_EQ(countOf(load, 1), 100U);
  EXPECT_EQ(load.reads.all().count() + load.writes.all().count(), 200U);
  EXPECT_GE(std::max(load.reads.all().longest(), load.writes.all().longest()), 2s);
}

// Whatever still waited when the load ended was thrown away, and it was what had waited longest.
TEST(LoadTest, WhatWaitsBehindAStallWhenTheLoadEndsIsCarriedOut) {
  const auto start = Clock::now();
  LoadEnd end;
  std::atomic<bool> isStalled = false;
  FakeSession reader;
  FakeSession writer([&] {
    isStalled = true;
    while (!end.isSet()) std::this_thread::sleep_for(1ms);
  });
  std::thread ending([&] {
    while (!isStalled || Clock::now() < start + 100ms) std::this_thread::sleep_for(1ms);
    end.set(start + 100ms);
  });
  const LoadResult load = runLoad(loadOf(1000), reader, writer, start, end);
  ending.join();
  EXPECT_EQ(load.reads.all().count() + load.writes.all().count(), 100U);
  EXPECT_EQ(load.written.size(), load.writes.all().count());
}

// The time that the system takes to wake the thread was left out, but only where nothing waited already.
TEST(LoadTest, LatencyCountsFromWhenAnOperationWasDue) {
  constexpr auto kPeriod = 2ms;
  const auto start = Clock::now() + 1ms;
  LoadEnd end;
  end.set(start + 20 * kPeriod);
  Clock::duration latest{0};
  std::int64_t number = 0;
  FakeSession reader([&] { latest = std::max(latest, Clock::now() - (start + kPeriod * number++)); });
  FakeSession writer;
  const LoadResult load = runLoad(loadOf(500, Mix::c), reader, writer, start, end);
  EXPECT_EQ(number, 20);
  EXPECT_GE(load.reads.all().longest(), latest);
}

TEST(LoadTest, AClosedLoopEndsWhereItsEndIsSet) {
  LoadEnd end;
  unsigned reads = 0;
  FakeSession reader([&] {
    if (++reads == 500) end.set(Clock::now());
  });
  FakeSession writer;
  const LoadResult load = runLoad(loadOf(0, Mix::c), reader, writer, Clock::now(), end);
  EXPECT_EQ(load.reads.all().count(), 500U);
}

TEST(LoadTest, OperationsAreCountedWhileTheyGoOn) {
  LoadEnd end;
  std::atomic<std::uint64_t> ended = 0;
  std::uint64_t number = 0;
  bool isBehind = false;
  FakeSession reader([&] {
    isBehind = isBehind || ended != number;
    if (++number == 500) end.set(Clock::now());
  });
  FakeSession writer;
  const LoadResult load = runLoad(loadOf(0, Mix::c), reader, writer, Clock::now(), end, {.ended = &ended});
  EXPECT_FALSE(isBehind);
  EXPECT_EQ(ended, load.reads.all().count());
}

TEST(LoadTest, TheOperationsAreThoseOfTheSeed) {
  const auto writtenOf = [](std::uint64_t seed) {
    const auto start = Clock::now() - 1s;
    LoadEnd end;
    end.set(start + 1s);
    FakeSession reader;
    FakeSession writer;
    return runLoad(loadOf(200), reader, writer, start, end, {.seed = seed}).written;
  };
  EXPECT_EQ(writtenOf(3), writtenOf(3));
  EXPECT_NE(writtenOf(3), writtenOf(4));
}

TEST(LoadTest, WhatASessionThrowsEndsTheLoad) {
  const LoadEnd never;
  FakeSession reader;
  FakeSession writer([] { throw std::runtime_error("a row is missing"); });
  EXPECT_THROW(runLoad(loadOf(1000), reader, writer, Clock::now(), never), std::runtime_error);
  EXPECT_THROW(runLoad(loadOf(0), reader, writer, Clock::now(), never), std::runtime_error);
}

}  // namespace
}  // namespace instar::bench
