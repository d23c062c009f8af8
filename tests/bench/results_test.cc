#include "instar/bench/upgrade/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "instar/bench/upgrade/recorder.h"
#include "instar/bench/upgrade/table.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

RunRecord runOf(const char* name, const char* strategy, unsigned repetition = 1) {
  RunRecord record;
  auto run = record.builder();
  run.setName(name);
  run.setSystem("instar");
  run.setStrategy(strategy);
  run.setRepetition(repetition);
  return record;
}

class ResultsTest : public ::testing::Test {
 protected:
  const testing::TemporaryFolder folder_;
};

TEST_F(ResultsTest, ARunIsThereAgainWhenTheFolderIsOpenedAgain) {
  {
    Results results(folder_.path());
    auto run = runOf("instar/lazy/x", "lazy", 2);
    run.builder().setRows(UINT64_MAX);
    run.builder().initSeconds(2)[1].setFrom(1);
    results.add(std::move(run));
  }
  const Results again(folder_.path());
  EXPECT_TRUE(again.find("instar/lazy/x", 2));
  EXPECT_FALSE(again.find("instar/lazy/x", 1));
  EXPECT_FALSE(again.find("instar/lazy/y", 2));
  ASSERT_EQ(again.runs().size(), 1U);
  EXPECT_EQ(again.runs()[0].reader().getRows(), UINT64_MAX);
  EXPECT_EQ(again.runs()[0].reader().getSeconds()[1].getFrom(), 1);
}

TEST_F(ResultsTest, ARunTakesThePlaceOfItsPredecessor) {
  Results results(folder_.path());
  for (const std::uint64_t rows : {1U, 2U}) {
    auto run = runOf("instar/lazy/x", "lazy", 3);
    run.builder().setRows(rows);
    results.add(std::move(run));
  }
  const Results again(folder_.path());
  for (const Results* seen : {&std::as_const(results), &again}) {
    ASSERT_EQ(seen->runs().size(), 1U);
    EXPECT_EQ(seen->runs()[0].reader().getRows(), 2U);
  }
}

TEST_F(ResultsTest, WhatIsForgottenIsGoneFromTheFolderToo) {
  Results results(folder_.path());
  results.add(runOf("instar/lazy/x", "lazy", 1));
  results.add(runOf("instar/lazy/x", "lazy", 2));
  results.add(runOf("instar/lazy/y", "lazy", 1));
  results.forgetBeyond("instar/lazy/x", 1);
  const Results again(folder_.path());
  for (const Results* seen : {&std::as_const(results), &again}) {
    EXPECT_TRUE(seen->find("instar/lazy/x", 1));
    EXPECT_FALSE(seen->find("instar/lazy/x", 2));
    EXPECT_TRUE(seen->find("instar/lazy/y", 1));
  }
}

TEST_F(ResultsTest, AFileThatIsNoRunIsNamed) {
  Results{folder_.path()};
  writeText(folder_.path() / "runs" / "half.json", "{\"name\": \"instar");
  try {
    Results{folder_.path()};
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("half.json: not a run"));
    EXPECT_THAT(error.what(), HasSubstr("remove it"));
  }
}

// With 10 operations for each 1000 bytes and each second of the processor.
RunRecord loadOf(const char* name, std::uint64_t operations, unsigned repetition = 1) {
  RunRecord load = runOf(name, "none", repetition);
  load.builder().setBytesWritten(100 * operations);
  load.builder().setProcessorSeconds(0.1 * static_cast<double>(operations));
  load.builder().initWrites().setCount(operations);
  return load;
}

TEST_F(ResultsTest, WhatTheSameLoadTakesIsFoundWhenAReportIsMade) {
  Results results(folder_.path());
  auto batches = runOf("instar/batches/derived/a/zipf/100/rps=10/packs", "batches");
  batches.builder().setBytesWritten(9000);
  batches.builder().setBytesMigrated(3500);
  batches.builder().initReads().setCount(12);
  batches.builder().initWrites().setCount(8);
  results.add(std::move(batches));
  const auto first = [&] { return results.runs()[0].reader(); };
  results.findLoads();
  EXPECT_EQ(first().getBytesWrittenByLoad(), 0U);
  EXPECT_EQ(first().getProcessorSecondsOfLoad(), 0);
  EXPECT_TRUE(std::isnan(writtenPerMigrated(first())));
  results.add(loadOf("instar/none/derived/a/zipf/100/rps=10", 10));
  results.findLoads();
  EXPECT_EQ(first().getBytesWrittenByLoad(), 2000U);
  EXPECT_DOUBLE_EQ(first().getProcessorSecondsOfLoad(), 2);
  EXPECT_DOUBLE_EQ(writtenPerMigrated(first()), 2);
}

// Disturbed runs once weighed as much as others, and so did those of builds that wrote more or less.
TEST_F(ResultsTest, TheLoadIsThatOfUndisturbedRunsOfTheSameBuild) {
  Results results(folder_.path());
  const auto add = [&](RunRecord run, const char* build, bool disturbed = false) {
    run.builder().getMachine().setBuild(build);
    run.builder().getDisturbance().setDisturbed(disturbed);
    results.add(std::move(run));
    results.findLoads();
    return results.runs()[0].reader().getBytesWrittenByLoad();
  };
  auto lazy = runOf("instar/lazy/derived/a/zipf/100/rps=10", "lazy");
  lazy.builder().initWrites().setCount(20);
  const auto load = [](std::uint64_t bytes, unsigned repetition) {
    auto run = runOf("instar/none/derived/a/zipf/100/rps=10", "none", repetition);
    run.builder().initWrites().setCount(10);
    run.builder().setBytesWritten(bytes);
    return run;
  };
  EXPECT_EQ(add(std::move(lazy), "new"), 0U);
  EXPECT_EQ(add(load(100, 1), "old"), 0U);
  EXPECT_EQ(add(load(500, 2), "new", true), 1000U);
  EXPECT_EQ(add(load(300, 3), "new"), 600U);
  EXPECT_EQ(add(load(700, 4), "new", true), 600U);
}

TEST_F(ResultsTest, OtherLoadsAndThoseThatDidNothingSayNothingOfALoad) {
  Results results(folder_.path());
  auto lazy = runOf("instar/lazy/derived/a/zipf/100/rps=10", "lazy");
  lazy.builder().initWrites().setCount(20);
  results.add(std::move(lazy));
  for (const char* other : {"rps=10/seconds=7", "rps=11", "rps=10/cold", "rps=10/durability=off"})
    results.add(loadOf(("instar/none/derived/a/zipf/100/" + std::string(other)).c_str(), 10));
  results.add(loadOf("sqlite/none/derived/a/zipf/100/rps=10", 10));
  results.add(loadOf("instar/none/derived/a/zipf/100/rps=10", 0));
  results.findLoads();
  EXPECT_EQ(results.runs()[0].reader().getBytesWrittenByLoad(), 0U);
  EXPECT_EQ(results.runs()[0].reader().getProcessorSecondsOfLoad(), 0);
}

TEST_F(ResultsTest, ALoadThatWritesNothingIsNotOneThatIsUnknown) {
  Results results(folder_.path());
  auto lazy = runOf("instar/lazy/derived/c/zipf/100", "lazy");
  lazy.builder().initReads().setCount(20);
  results.add(std::move(lazy));
  auto none = runOf("instar/none/derived/c/zipf/100", "none");
  none.builder().initReads().setCount(10);
  results.add(std::move(none));
  results.findLoads();
  EXPECT_EQ(results.runs()[0].reader().getBytesWrittenByLoad(), 1U);
}

TEST_F(ResultsTest, EveryRunIsALineOfTheTotalsAndEverySecondOneOfTheSeries) {
  std::vector<RunRecord> runs;
  runs.push_back(runOf("instar/lazy", "lazy"));
  runs.back().builder().initDisturbance().setReason("the host, \"cloud\", took it");
  runs.back().builder().getReads().setP50(1.5);
  auto seconds = runs.back().builder().initSeconds(2);
  seconds[1].setFrom(1);
  auto writes = seconds[1].initWrites();
  writes.setCount(4);
  writes.setP50(7.5);
  const std::string totals = totalsAsCsv(runs);
  EXPECT_THAT(totals, StartsWith("name,system,strategy,"));
  EXPECT_THAT(totals, HasSubstr(",reads.p50,"));
  EXPECT_THAT(totals, HasSubstr("\"the host, \"\"cloud\"\", took it\""));
  EXPECT_EQ(std::ranges::count(totals, '\n'), 2);
  EXPECT_EQ(
      seriesAsCsv(runs),
      "name,repetition,from,reads.count,reads.p50,reads.p95,reads.p99,reads.p999,reads.longest,writes.count,"
      "writes.p50,writes.p95,writes.p99,writes.p999,writes.longest,migrated,written\n"
      "instar/lazy,1,0,0,,,,,0,0,,,,,0,0,0\n"
      "instar/lazy,1,1,0,,,,,0,4,7.5,,,,0,0,0\n");
}

// Each had a p99.9 of four operations.
TEST_F(ResultsTest, APercentileOfTooFewStaysUnknown) {
  Results results(folder_.path());
  auto run = runOf("instar/lazy/x", "lazy");
  Times times;
  for (int i = 0; i < 25; ++i) times.add(std::chrono::microseconds(7));
  times.describe(run.builder().initWrites());
  results.add(std::move(run));
  const Results again(folder_.path());
  const auto writes = again.runs()[0].reader().getWrites();
  EXPECT_GT(writes.getP95(), 0);
  EXPECT_TRUE(std::isnan(writes.getP99()));
  EXPECT_TRUE(std::isnan(writes.getP999()));
  EXPECT_TRUE(std::isnan(again.runs()[0].reader().getReads().getP50()));
  EXPECT_EQ(toJson(again.runs()[0].reader()).find('\n'), std::string::npos) << "all seconds are in it";
}

// As root this once put a file in the place of /dev/null, which every program of the system writes to.
TEST_F(ResultsTest, WhatIsNoFileIsNotReplaced) {
  const auto folder = folder_.path() / "folder";
  std::filesystem::create_directory(folder);
  EXPECT_THROW(writeText(folder, "text"), std::runtime_error);
  const auto pipe = folder_.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(writeText(pipe, "text"), std::runtime_error);
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

}  // namespace
}  // namespace instar::bench
