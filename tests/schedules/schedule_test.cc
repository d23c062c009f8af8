// Programs of three versions, one that tries versions, one that makes copies and one that only looks share a
// store, while they are stopped, killed and started anew, and the clock is set. What each was told and has
// seen is as promised. With a bug that is planted in a program or in its store it is not.

#include "instar/tests/schedules/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <iostream>
#include <string>

#include "instar/tests/schedules/clock.h"
#include "instar/tests/schedules/work.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::schedules {
namespace {

ScheduleResult play(unsigned seed, std::chrono::milliseconds length, Plant plant = Plant::none) {
  const testing::TemporaryFolder folder;
  return runSchedule({.seed = seed, .length = length, .plant = plant, .folder = folder / "run"});
}

TEST(ScheduleTest, EveryProgramSeesWhatIsPromised) {
  ScheduleResult all;
  for (const unsigned seed : {1U, 2U, 3U}) {
    const ScheduleResult result = play(seed, kEnoughForAllWork / 3);
    EXPECT_TRUE(result.verdict.isGood()) << "./dev schedules 10 --seed " << seed << '\n' << describe(result);
    std::cout << describe(result) << '\n';
    EXPECT_GT(result.kills, 0U);
    EXPECT_GT(result.stops, 0U);
    EXPECT_GT(result.clockJumps, 0U);
    add(all, result);
  }
  for (const auto& [what, count] : all.counts) std::cout << what << ": " << count << '\n';
  EXPECT_THAT(missingWork(all), ::testing::IsEmpty());
}

// The long run judged whatever there was, also nothing.
TEST(ScheduleWork, ThatWasNotDoneIsMissed) {
  ScheduleResult all;
  all.kills = all.stops = all.clockJumps = 1;
  for (const char* const program : {"oldest", "split", "newest", "copier", "visitor", "stager"})
    for (const char* const what : {": commits", ": snapshots"}) all.counts[std::string(program) + what] = 11;
  for (const char* const what :
       {"newest: migrations", "stager: staged", "stager: promoted", "stager: aborted", "stager: percent set",
        "copier: copies", "last: audit, packed", "last: audit, staged", "last: audit, promoted",
        "last: audit, aborted"})
    all.counts[what] = 1;
  ASSERT_THAT(missingWork(all), ::testing::IsEmpty());
  for (const auto& [what, count] : all.counts) {
    if (what == "copier: commits" || what == "visitor: commits") continue;  // neither writes
    ScheduleResult idle = all;
    idle.counts.erase(what);
    EXPECT_THAT(missingWork(idle), ::testing::Contains(::testing::StartsWith(what))) << what;
  }
  EXPECT_THAT(missingWork({}), ::testing::Contains("kills: 0, not more than 0"));
  all.counts["split: writes refused, floor"] = 11;
  EXPECT_THAT(missingWork(all), ::testing::ElementsAre(::testing::StartsWith("split: writes: 11 refused")));
  ScheduleResult twice;
  add(twice, all);
  add(twice, all);
  EXPECT_EQ(twice.counts["newest: migrations"], 2U);
  EXPECT_EQ(twice.kills, 2U);
}

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
  const Setting setting{.folder = folder / "run", .seed = 1, .board = &board, .isOneProcess = true};
  runThreads(setting, 2500);
  History history = readLogs(setting.logs());
  const ScheduleResult result{.verdict = judge(history)};
  EXPECT_TRUE(result.verdict.isGood()) << describe(result);
  for (const char* const program : {"oldest", "split", "newest", "stager"}) {
    EXPECT_GT(history.counts[std::string(program) + ": commits"], 0U) << program;
    EXPECT_GT(history.counts[std::string(program) + ": snapshots"], 0U) << program;
  }
}

}  // namespace
}  // namespace instar::schedules
