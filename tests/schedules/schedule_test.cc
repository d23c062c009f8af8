// Programs of three versions, one that tries versions, one that makes copies and one that only looks share a
// store, while they are stopped, killed and started anew, and the clock is set. What each was told and has
// seen is as promised. With a bug that is planted in a program or in its store it is not.

#include "instar/tests/schedules/schedule.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <iostream>
#include <map>
#include <string>

#include "instar/tests/schedules/clock.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::schedules {
namespace {

ScheduleResult play(unsigned seed, std::chrono::milliseconds length, Plant plant = Plant::none) {
  const testing::TemporaryFolder folder;
  return runSchedule({.seed = seed, .length = length, .plant = plant, .folder = folder / "run"});
}

// Otherwise nothing is proved. What makes the store and what looks at the end is not among it.
void expectWork(std::map<std::string, std::uint64_t>& counts) {
  for (const char* const what : {"oldest: commits", "split: commits", "newest: commits", "oldest: snapshots",
                                 "split: snapshots", "newest: snapshots", "copier: snapshots"})
    EXPECT_GT(counts[what], 10U) << what;
  for (const char* const what :
       {"newest: migrations", "stager: commits", "stager: snapshots", "stager: staged", "stager: promoted",
        "stager: aborted", "stager: percent set", "last: audit, packed", "last: audit, staged",
        "last: audit, promoted", "last: audit, aborted"})
    EXPECT_GT(counts[what], 0U) << what;
}

// What is refused and expected is the lesser part.
void expectFewRefused(const std::map<std::string, std::uint64_t>& counts) {
  std::map<std::string, std::uint64_t> refused;
  for (const auto& [what, count] : counts)
    if (const auto end = what.find(" refused"); end != std::string::npos)
      refused[what.substr(0, end)] += count;
  const auto countOf = [&](const std::string& what) {
    const auto found = counts.find(what);
    return found == counts.end() ? 0 : found->second;
  };
  for (const char* const program : {"oldest", "split", "newest", "stager"}) {
    const std::string name(program);
    EXPECT_LT(refused[name + ": writes"], countOf(name + ": commits")) << name;
    EXPECT_LT(refused[name + ": snapshots"], countOf(name + ": snapshots")) << name;
  }
  // Who compacts is often in the way, and guard rails are seldom satisfied.
  std::uint64_t changes = 0;
  for (const char* const what : {"staged", "promoted", "aborted", "retired", "percent set", "shadow set"})
    changes += countOf(std::string("stager: ") + what);
  EXPECT_LT(refused["stager: changes"], 4 * changes);
}

TEST(ScheduleTest, EveryProgramSeesWhatIsPromised) {
  std::map<std::string, std::uint64_t> counts;
  for (const unsigned seed : {1U, 2U, 3U}) {
    const ScheduleResult result = play(seed, std::chrono::seconds(5));
    EXPECT_TRUE(result.verdict.isGood()) << "./dev schedules 10 --seed " << seed << '\n' << describe(result);
    std::cout << describe(result) << '\n';
    EXPECT_GT(result.kills, 0U);
    EXPECT_GT(result.stops, 0U);
    EXPECT_GT(result.clockJumps, 0U);
    for (const auto& [what, count] : result.counts) counts[what] += count;
  }
  for (const auto& [what, count] : counts) std::cout << what << ": " << count << '\n';
  expectWork(counts);
  expectFewRefused(counts);
  EXPECT_GT(counts["copier: copies"], 0U);
  EXPECT_GT(counts["visitor: snapshots"], 10U);
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
