// What follows from runs: figures, and which aims they decide.

#include "instar/bench/upgrade/figures.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "instar/bench/upgrade/aims.h"
#include "instar/bench/upgrade/results.h"
#include "instar/bench/upgrade/table.h"

namespace instar::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class FiguresTest : public ::testing::Test {
 protected:
  // A run that answers after 2 ms, and whose writes wait 10 ms at most.
  Run::Builder add(const std::string& name, unsigned repetition = 1, bool isDisturbed = false) {
    auto run = records_.emplace_back().builder();
    run.setName(name);
    const std::size_t slash = name.find('/');
    run.setSystem(name.substr(0, slash));
    run.setStrategy(name.substr(slash + 1, name.find('/', slash + 1) - slash - 1));
    run.setRows(1'000'000);
    run.setRepetition(repetition);
    run.setOpenToFirstAnswer(0.002);
    run.setDuration(10);
    run.initDisturbance().setDisturbed(isDisturbed);
    auto writes = run.initWrites();
    writes.setCount(100);
    writes.setLongest(10'000);
    return run;
  }

  std::vector<Run::Reader> runs() const {
    std::vector<Run::Reader> all;
    for (const RunRecord& record : records_) all.push_back(record.reader());
    return all;
  }

  Aim aim(std::string_view title, std::string_view strategy = "standard") const {
    for (const Aim& one : aimsOf(runs())) {
      if (one.title.find(title) != one.title.npos && one.strategy == strategy) return one;
    }
    return {};
  }

  std::vector<RunRecord> records_;
};

const char* const kStandard = "instar/standard/derived/b/zipf/1000000";

TEST_F(FiguresTest, WhatIsNotKnownIsNoNumber) {
  auto run = add("instar/background/derived");
  run.setPerSecond(1000);
  run.setBytesRead(4096);
  run.setProcessorSeconds(3);
  run.setBytesMigrated(10);
  EXPECT_TRUE(std::isnan(throughput(run)));
  EXPECT_TRUE(std::isnan(bytesReadFromDisk(run)));
  EXPECT_TRUE(std::isnan(processorOfMigration(run)));
  EXPECT_TRUE(std::isnan(writtenPerMigrated(run)));
  EXPECT_TRUE(std::isnan(timeToCompletion(run)));
  EXPECT_TRUE(std::isnan(longestReadStall(run)));
  run.setPerSecond(0);
  run.setIsCold(true);
  run.setProcessorSecondsOfLoad(1);
  run.setBytesWritten(12);
  run.setBytesWrittenByLoad(7);
  EXPECT_DOUBLE_EQ(throughput(run), 10);
  EXPECT_DOUBLE_EQ(bytesReadFromDisk(run), 4096);
  EXPECT_DOUBLE_EQ(processorOfMigration(run), 2);
  EXPECT_DOUBLE_EQ(writtenPerMigrated(run), 0.5);
}

// Cut off at 0, half of what differs by chance was lost, and a median of it was too high.
TEST_F(FiguresTest, LessWrittenThanByTheLoadAloneIsBelowNothing) {
  auto run = add("instar/batches/derived");
  run.setBytesMigrated(10);
  run.setBytesWritten(5);
  run.setBytesWrittenByLoad(7);
  EXPECT_DOUBLE_EQ(writtenPerMigrated(run), -0.2);
}

TEST_F(FiguresTest, AnOpeningThatTakesLongIsAStall) {
  auto run = add("sqlite/eager/derived");
  EXPECT_DOUBLE_EQ(longestStall(run), 0.01);
  run.setOpenToFirstAnswer(4);
  EXPECT_DOUBLE_EQ(longestStall(run), 4);
  EXPECT_DOUBLE_EQ(longestOpenStall(run), 0.01);
}

TEST_F(FiguresTest, MediansAreThoseOfWhatIsKnown) {
  const Spread spread = spreadOf({std::nan(""), 3, 1, std::nan(""), 2});
  EXPECT_DOUBLE_EQ(spread.median, 2);
  EXPECT_DOUBLE_EQ(spread.least, 1);
  EXPECT_DOUBLE_EQ(spread.most, 3);
  EXPECT_TRUE(std::isnan(spreadOf({std::nan("")}).median));
}

TEST_F(FiguresTest, DisturbedRunsCountOnlyWhereThereAreNoOthers) {
  add(kStandard, 1, true);
  EXPECT_EQ(countedRuns(runs()).size(), 1U);
  add(kStandard, 2);
  ASSERT_EQ(countedRuns(runs()).size(), 1U);
  EXPECT_EQ(countedRuns(runs())[0].getRepetition(), 2U);
}

TEST_F(FiguresTest, ALoadWithoutMigrationHasNoneOfTheStrategysOptions) {
  EXPECT_EQ(withoutMigration("instar/paced/derived/b/zipf/10/rate=5/lock=700/seconds=2/packs"),
            "instar/none/derived/b/zipf/10/seconds=2");
  EXPECT_EQ(withoutMigration("one"), "");
}

TEST_F(FiguresTest, AnAimThatNothingIsKnownOfSaysHowItIsMeasured) {
  const Aim first = aim("first answer", "background");
  EXPECT_EQ(first.verdict, "not measured");
  EXPECT_EQ(first.measured, "");
  EXPECT_THAT(first.command, HasSubstr("run instar/background/derived/b/zipf/10000/"));
}

TEST_F(FiguresTest, RowsThatAreWrittenInPlaceAndThosePackedAreAskedForApart) {
  for (const unsigned repetition : {1U, 2U}) {
    for (const auto& [options, written] :
         {std::pair(std::string(), 130U), std::pair(std::string("/packs"), 40U)}) {
      auto run = add(kStandard + options, repetition);
      run.setBytesMigrated(100);
      run.setBytesWritten(written + 7);
      run.setBytesWrittenByLoad(7);
    }
    add("instar/none/derived/b/zipf/1000000", repetition);
  }
  EXPECT_EQ(aim("migrated, in place").verdict, "missed");
  EXPECT_THAT(aim("migrated, in place").measured, StartsWith("1.30"));
  EXPECT_EQ(aim("migrated, packed").verdict, "met");
  EXPECT_THAT(aim("migrated, packed").measured, StartsWith("0.40"));
  EXPECT_THAT(aim("migrated, packed", "background").command, HasSubstr("/packs"));
}

TEST_F(FiguresTest, OneRepetitionOrADisturbedOneDecidesNothing) {
  add(kStandard, 1).setOpenToFirstAnswer(0.009);
  EXPECT_THAT(aim("first answer").verdict, StartsWith("undecided: one"));
  add(kStandard, 2, true).setOpenToFirstAnswer(0.009);
  EXPECT_THAT(aim("first answer").verdict, StartsWith("undecided: one"));
  add(kStandard, 3).setOpenToFirstAnswer(0.009);
  EXPECT_EQ(aim("first answer").verdict, "missed");
  EXPECT_THAT(aim("first answer").measured, HasSubstr("9 ms"));
}

TEST_F(FiguresTest, AnyRowsAreFewAndMany) {
  for (const unsigned repetition : {1U, 2U}) add(kStandard, repetition);
  EXPECT_THAT(aim("first answer").verdict, HasSubstr("other sizes"));
  for (const unsigned repetition : {1U, 2U})
    add("instar/standard/derived/b/zipf/1000", repetition).setRows(1000);
  EXPECT_EQ(aim("first answer").verdict, "met");
}

TEST_F(FiguresTest, AStallIsComparedWithTheUpdateOfTheSameRows) {
  for (const unsigned repetition : {1U, 2U}) {
    add(kStandard, repetition);
    add("sqlite/eager/derived/a/zipf/1000000", repetition).setOpenToFirstAnswer(100);  // another load
  }
  EXPECT_EQ(aim("stall").verdict, "not measured");
  for (const unsigned repetition : {1U, 2U})
    add("sqlite/eager/derived/b/zipf/1000000", repetition).setOpenToFirstAnswer(0.9);
  EXPECT_EQ(aim("stall").verdict, "missed");
  EXPECT_THAT(aim("stall").measured, StartsWith("90 x"));
}

TEST_F(FiguresTest, RunsOfSeveralBuildsDecideNothing) {
  for (const unsigned repetition : {1U, 2U}) {
    add(kStandard, repetition).initMachine().setBuild("one");
    auto other = add("sqlite/eager/derived/b/zipf/1000000", repetition);
    other.setOpenToFirstAnswer(5);
    other.initMachine().setBuild("another");
  }
  EXPECT_EQ(aim("stall").verdict, "undecided: builds or machines mixed");
}

TEST_F(FiguresTest, ThroughputCountsUntilTheMigrationIsComplete) {
  // 900 in each of the 2 s that the migration takes, 1,000 without one and afterwards.
  for (const unsigned repetition : {1U, 2U}) {
    for (const char* name : {"instar/none/derived/b/zipf/1000000", kStandard}) {
      auto run = add(name, repetition);
      const bool isMigrating = name == kStandard;
      run.setCompleteAfter(isMigrating ? 2 : 0);
      auto seconds = run.initSeconds(10);
      for (unsigned i = 0; i < 10; ++i) {
        seconds[i].setFrom(i);
        seconds[i].initReads().setCount(isMigrating && i < 2 ? 900 : 1000);
      }
    }
  }
  EXPECT_THAT(aim("throughput").measured, StartsWith("90.0 %"));
  EXPECT_EQ(aim("throughput").verdict, "missed");
}

TEST_F(FiguresTest, KilledAndColdRunsDecideNoAim) {
  for (const char* option : {"/kill", "/cold", "/packs"}) {
    for (const unsigned repetition : {1U, 2U}) add(kStandard + std::string(option), repetition);
  }
  EXPECT_EQ(aim("first answer").verdict, "not measured");
}

}  // namespace
}  // namespace instar::bench
