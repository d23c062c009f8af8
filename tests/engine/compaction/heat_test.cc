#include "instar/engine/internal/compaction/heat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr HeatTime kStart{24h};

TEST(Heat, HalfIsLeftAfterAHalfLife) {
  EXPECT_DOUBLE_EQ(decayed(8, kStart, kStart, 60s), 8);
  EXPECT_DOUBLE_EQ(decayed(8, kStart, kStart + 1min, 60s), 4);
  EXPECT_DOUBLE_EQ(decayed(8, kStart, kStart + 3min, 60s), 1);
  EXPECT_DOUBLE_EQ(decayed(8, kStart, kStart + 24h * 365 * 100, 60s), 0);
}

TEST(Heat, AClockThatWentBackTakesNothingAway) {
  EXPECT_DOUBLE_EQ(decayed(8, kStart, kStart - 1h, 60s), 8);
  EXPECT_GE(warmed(8, 5, kStart, kStart - 1h, 60s), 8);
}

TEST(Heat, AnEvenRateIsWhatItBecomesHoweverOftenOneLooks) {
  for (const auto step : {1s, 7s, 600s}) {
    double heat = 0;
    HeatTime time = kStart;
    for (; time < kStart + 1h; time += step)
      heat = warmed(heat, static_cast<std::uint64_t>(step.count()) * 20, time, time + step, 60s);
    EXPECT_NEAR(heat, 20, 0.01) << step.count();
  }
}

TEST(Heat, LookingTwiceInAnInstantDoesNotBlowItUp) {
  EXPECT_LT(warmed(0, 64, kStart, kStart + 1us, 3600s), 1);
}

class HeatMapTest : public ::testing::Test {
 protected:
  static constexpr int kMany = 640000;  // some 10,000 of them are counted, give or take 100

  static std::vector<Key> keys(std::initializer_list<std::string_view> texts) {
    std::vector<Key> made;
    for (const std::string_view text : texts) made.emplace_back(text);
    return made;
  }

  void touch(std::string_view key, int times) {
    for (int i = 0; i < times; ++i) map.touch(asBytes(key));
  }

  HeatMap map;
};

TEST_F(HeatMapTest, EachRangeIsCreditedWithTheAccessesToItsKeys) {
  map.rebuild(keys({"", "g", "p"}));
  touch("f", kMany);
  touch("g", kMany * 2);
  touch("zebra", kMany * 3);
  const auto counts = map.take();
  ASSERT_EQ(counts.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(static_cast<double>(counts[i]), kMany * static_cast<double>(i + 1), kMany / 10.0);
  EXPECT_THAT(map.take(), ElementsAre(0, 0, 0)) << "they have been taken";
}

TEST_F(HeatMapTest, KeysBelowTheFirstBoundBelongToTheFirstRange) {
  map.rebuild(keys({"g", "p"}));
  touch("a", kMany);
  const auto counts = map.take();
  EXPECT_GT(counts[0], 0U);
  EXPECT_EQ(counts[1], 0U);
}

// Every 64th access would see one key of a program that walks over 64 of them.
TEST_F(HeatMapTest, NoRhythmOfAccessesHidesAKey) {
  std::vector<Key> bounds;
  for (char key = '0'; key < '0' + 64; ++key) bounds.emplace_back(std::string_view(&key, 1));
  map.rebuild(bounds);
  for (int i = 0; i < kMany * 2; ++i) map.touch(bounds[static_cast<std::size_t>(i % 64)].bytes());
  for (const std::uint64_t count : map.take())
    EXPECT_NEAR(static_cast<double>(count), kMany / 32.0, kMany / 64.0);
}

TEST_F(HeatMapTest, WithoutBoundsNothingIsCounted) {
  touch("a", kMany);
  EXPECT_THAT(map.take(), IsEmpty());
}

TEST_F(HeatMapTest, NewBoundsBeginAtZero) {
  map.rebuild(keys({""}));
  touch("a", kMany);
  map.rebuild(keys({"", "b"}));
  EXPECT_THAT(map.take(), ElementsAre(0, 0));
}

}  // namespace
}  // namespace instar
