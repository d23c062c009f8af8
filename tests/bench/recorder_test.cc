#include "instar/bench/upgrade/recorder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace instar::bench {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST(TimesTest, QuantilesAreWithinOnePercentAndTheLongestIsExact) {
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> times(10, 3);  // from nanoseconds to seconds
  std::vector<std::int64_t> all;
  Times recorded;
  for (int i = 0; i < 50'000; ++i) {
    all.push_back(static_cast<std::int64_t>(times(random)));
    recorded.add(nanoseconds(all.back()));
  }
  std::ranges::sort(all);
  for (const double share : {0.01, 0.5, 0.95, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(all.size()))) - 1;
    const auto exact = static_cast<double>(all[rank]);
    EXPECT_NEAR(static_cast<double>(recorded.quantile(share).count()), exact, 0.01 * exact + 1) << share;
  }
  EXPECT_EQ(recorded.longest().count(), all.back());
  EXPECT_EQ(recorded.count(), all.size());
}

TEST(TimesTest, NothingHasNoTimes) {
  const Times none;
  EXPECT_EQ(none.quantile(0.5), 0ns);
  EXPECT_EQ(none.longest(), 0ns);
}

TEST(SeriesTest, WhatWaitsCountsInTheSecondInWhichItWasDue) {
  const auto start = Series::Clock::now();
  Series series(start);
  series.add(start + 200ms, 1ms);
  series.add(start + 2100ms, 5s);
  ASSERT_EQ(series.seconds().size(), 3U);
  EXPECT_EQ(series.seconds()[0].count(), 1U);
  EXPECT_EQ(series.seconds()[1].count(), 0U);
  EXPECT_EQ(series.seconds()[2].longest(), 5s);
  EXPECT_EQ(series.all().count(), 2U);
  EXPECT_EQ(series.all().longest(), 5s);
}

}  // namespace
}  // namespace instar::bench
