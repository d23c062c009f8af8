#include "instar/engine/internal/compaction/rate_meter.h"

#include <gtest/gtest.h>

namespace instar {
namespace {

using namespace std::chrono_literals;

class RateMeterTest : public ::testing::Test {
 protected:
  void work(std::chrono::seconds time, std::uint64_t rowsPerSecond) {
    for (const auto end = now + time; now < end; now += 100ms)
      meter.add(now, rowsPerSecond * 10, rowsPerSecond / 10);
  }

  double rowsPerSecond() const { return meter.rates(now).rowsPerSecond; }

  RateMeter::Clock::time_point now{24h};
  RateMeter meter{now};
};

TEST_F(RateMeterTest, AnEvenPaceIsMeasuredFromTheBeginning) {
  for (int i = 0; i < 5; ++i) {
    work(2s, 1000);
    EXPECT_DOUBLE_EQ(rowsPerSecond(), 1000);
    EXPECT_DOUBLE_EQ(meter.rates(now).bytesPerSecond, 100000);
  }
}

TEST_F(RateMeterTest, AfterAMinuteThePastIsForgotten) {
  work(300s, 1000);
  work(60s, 5000);
  EXPECT_NEAR(rowsPerSecond(), 5000, 5000 / 50.0);
}

TEST_F(RateMeterTest, AMinuteOfNothingIsNoPace) {
  work(10s, 1000);
  now += 50s;
  EXPECT_GT(rowsPerSecond(), 0);
  now += 20s;
  EXPECT_EQ(rowsPerSecond(), 0);
}

TEST_F(RateMeterTest, ABucketOfAnHourAgoIsNotAddedTo) {
  meter.add(now, 0, 1000000);
  now += 3600s;
  meter.add(now, 0, 600);
  now += 999ms;
  EXPECT_NEAR(rowsPerSecond(), 10, 0.1);
}

TEST_F(RateMeterTest, ABatchInTheFirstInstantIsNotAnEndlessPace) {
  meter.add(now, 0, 4096);
  EXPECT_DOUBLE_EQ(rowsPerSecond(), 4096);
}

}  // namespace
}  // namespace instar
