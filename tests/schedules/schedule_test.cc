// Programs of three versions, one that tries versions, one that makes copies and one that only looks share a
// store, while they are stopped, killed and started anew, and the clock is set. What each was told and has
// seen is as promised. With a bug that is planted in a program or in its store it is not.

#include "instar/tests/schedules/schedule.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <iostream>
#include <string>

#include "instar/tests/schedules/clock.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::schedules {
namespace {

ScheduleResult play(unsigned seed, std::chrono::milliseconds length, Plant plant = Plant::none) {
  const testing::TemporaryFolder folder;
  return runSchedule({.seed = seed, .length = length, .plant = plant, .folder = folder / "run"});
}

class ScheduleTest : public ::testing::TestWithParam<unsigned> {};

TEST_P(ScheduleTest, EveryProgramSeesWhatIsPromised) {
  const ScheduleResult result = play(GetParam(), std::chrono::seconds(5));
  EXPECT_TRUE(result.verdict.isGood()) << "./dev schedules 10 --seed " << GetParam() << '\n'
                                       << describe(result);
  std::cout << describe(result) << '\n';
  // Otherwise nothing is proved.
  EXPECT_GT(result.verdict.commits, 50U);
  EXPECT_GT(result.verdict.readings, 50U);
  EXPECT_GT(result.kills, 3U);
  EXPECT_GT(result.stops, 3U);
  EXPECT_GT(result.clockJumps, 3U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ScheduleTest, ::testing::Values(1, 2, 3));

class ScheduleMustFail : public ::testing::TestWithParam<PlantedBug> {};

// Not for something else, which would be a bug that nobody has planted.
TEST_P(ScheduleMustFail, ForThePlantedBug) {
  const auto result = play(1, std::chrono::seconds(2), GetParam().plant);
  EXPECT_TRUE(isFound(GetParam(), result.verdict)) << describe(result);
}

INSTANTIATE_TEST_SUITE_P(Planted, ScheduleMustFail, ::testing::ValuesIn(kPlantedBugs),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ScheduleClock, JumpsForAllButTheMonotonicOne) {
  constexpr std::int64_t kDay = 86'400;
  const std::atomic<std::int64_t> offset{kDay * 1'000'000'000};
  const auto wall = std::chrono::system_clock::now();
  const auto steady = std::chrono::steady_clock::now();
  const std::time_t seconds = std::time(nullptr);
  useClockOffset(&offset);
  EXPECT_GE(std::chrono::system_clock::now() - wall, std::chrono::hours(24));
  EXPECT_GE(std::time(nullptr) - seconds, kDay);
  EXPECT_LT(std::chrono::steady_clock::now() - steady, std::chrono::hours(12));
  useClockOffset(nullptr);
  EXPECT_LT(std::chrono::system_clock::now() - wall, std::chrono::hours(12));
}

// For ThreadSanitizer: the same as threads of one process.
TEST(ScheduleConcurrent, EveryThreadSeesWhatIsPromised) {
  const testing::TemporaryFolder folder;
  Board board;
  const Setting setting{.folder = folder / "run", .seed = 1, .board = &board};
  runThreads(setting, 2500);
  const ScheduleResult result{.verdict = judge(readLogs(setting.logs()))};
  EXPECT_TRUE(result.verdict.isGood()) << describe(result);
  EXPECT_GT(result.verdict.commits, 50U);
  EXPECT_GT(result.verdict.readings, 50U);
}

}  // namespace
}  // namespace instar::schedules
