#include "instar/evolve/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace instar::testing {
namespace {

using std::chrono::nanoseconds;

TEST(LatencyHistogram, GivesEveryValueBackWithinItsError) {
  for (std::int64_t value = 0; value < std::int64_t{1} << 39; value += 1 + value / 97) {
    LatencyHistogram histogram;
    histogram.add(nanoseconds(value));
    const auto error = std::abs(histogram.quantile(0.5).count() - value);
    EXPECT_LE(error * 32, value) << value;  // so that what is below 32 is exact
    const auto bounds = histogram.quantileBounds(0.5, 0);
    EXPECT_LE(bounds.least.count(), value);
    EXPECT_GE(bounds.most.count(), value);
  }
}

TEST(LatencyHistogram, TakesWhatIsOutOfItsRange) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(0));
  histogram.add(nanoseconds(-5));
  EXPECT_EQ(histogram.quantile(1), nanoseconds(0));
  histogram.add(nanoseconds::max());
  EXPECT_GT(histogram.quantile(1), std::chrono::minutes(17));
  EXPECT_EQ(histogram.count(), 2U);
}

TEST(LatencyHistogram, FindsQuantilesAsSortingDoes) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> taken(7, 1.5);
  std::vector<std::int64_t> values;
  LatencyHistogram histogram;
  for (int i = 0; i < 10'000; ++i) {
    values.push_back(static_cast<std::int64_t>(taken(random)));
    histogram.add(nanoseconds(values.back()));
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    const auto exact = values[static_cast<std::size_t>(share * 10'000) - 1];
    EXPECT_NEAR(static_cast<double>(histogram.quantile(share).count()), static_cast<double>(exact),
                static_cast<double>(exact) / 32 + 1)
        << share;
  }
}

// The median of the distribution lies outside of the bounds in about 5 of 100 samples with 2 deviations.
TEST(LatencyHistogram, BoundsWhatTheMedianOfManyMoreIs) {
  std::mt19937_64 random(8);
  std::lognormal_distribution<double> taken(7, 1);
  const double median = std::exp(7.0);
  int outside = 0;
  for (int sample = 0; sample < 1000; ++sample) {
    LatencyHistogram histogram;
    for (int i = 0; i < 400; ++i) histogram.add(nanoseconds(static_cast<std::int64_t>(taken(random))));
    const auto bounds = histogram.quantileBounds(0.5, 2);
    EXPECT_LT(static_cast<double>(bounds.most.count()), 1.6 * static_cast<double>(bounds.least.count()));
    const auto between = [&](double value) {
      return static_cast<double>(bounds.least.count()) <= value &&
             value <= static_cast<double>(bounds.most.count());
    };
    outside += between(median) ? 0 : 1;
  }
  EXPECT_LT(outside, 50);
  EXPECT_GT(outside, 0);
}

}  // namespace
}  // namespace instar::testing
