// What follows from runs: figures, and which aims they decide.

#include "instar/bench/upgrade/figures.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "instar/bench/upgrade/aims.h"
#include "instar/bench/upgrade/results.h"
#include "instar/bench/upgrade/table.h"

namespace instar::bench {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
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
    run.setSitting("morning");
    run.setLostByKill(-1);
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

// The names were put together in three places, each of which knew other options.
TEST_F(FiguresTest, WhatIsComparedHasNoneOfTheOthersOptions) {
  const std::string name = "instar/standard/derived/b/zipf/10/lock=700/seconds=2/longest=9/cold/packs/kill";
  EXPECT_EQ(referenceName(name), "sqlite/eager/derived/b/zipf/10/seconds=2/cold/kill");
  EXPECT_EQ(withoutMigration(name), "instar/none/derived/b/zipf/10/seconds=2/cold");
  EXPECT_EQ(counterpart(name, System::lmdb, Strategy::batches),
            "lmdb/batches/derived/b/zipf/10/seconds=2/cold/kill");
  EXPECT_EQ(referenceName("instar/paced/own/b/zipf/10/rate=5/collection=notes"),
            "instar/eager/own/b/zipf/10/collection=notes");
  EXPECT_EQ(seriesOf(name), "instar/standard/lock=700/longest=9/packs");
  EXPECT_EQ(seriesOf("instar/paced/derived/b/zipf/10/rate=5/rps=9"), "instar/paced/rate=5");
  EXPECT_EQ(seriesOf("instar/paced/derived/b/zipf/10"), "instar/paced");
}

// A kernel takes more memory or less for itself from one start to the next.
TEST_F(FiguresTest, MachinesAreTheSameWhateverMemoryTheKernelLeaves) {
  for (const std::uint64_t memory : {100U, 101U}) {
    auto machine = add(kStandard).initMachine();
    machine.setMemory(memory);
    machine.setBuild("one");
  }
  EXPECT_FALSE(isMixed(runs()));
  add(kStandard).initMachine().setBuild("another");
  EXPECT_TRUE(isMixed(runs()));
}

// What was measured on another day was compared with silently.
TEST_F(FiguresTest, AComparisonWithRunsOfAnotherSittingDecidesNothing) {
  for (const unsigned repetition : {1U, 2U}) {
    add(kStandard, repetition);
    auto other = add("sqlite/eager/derived/b/zipf/1000000", repetition);
    other.setOpenToFirstAnswer(5);
    other.setSitting("evening");
  }
  EXPECT_EQ(aim("stall").verdict, "undecided: what it is compared with is of another sitting");
  records_.back().builder().setSitting("morning");
  EXPECT_EQ(aim("stall").verdict, "met");
  for (RunRecord& run : records_) run.builder().setSitting("");
  EXPECT_EQ(aim("stall").verdict, "undecided: what it is compared with is of another sitting");
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

// It was met by a million rows and a hundredth of them, with nothing known of more.
TEST_F(FiguresTest, AnyRowsAreTenThousandAndTenMillion) {
  const auto addOf = [this](std::uint64_t rows) {
    for (const unsigned repetition : {1U, 2U})
      add("instar/standard/derived/b/zipf/" + std::to_string(rows), repetition).setRows(rows);
  };
  addOf(1'000'000);
  addOf(10'000);
  EXPECT_EQ(aim("first answer").verdict, "undecided: not measured at 10,000,000 rows");
  EXPECT_THAT(aim("first answer").command, HasSubstr("/10000000/"));
  addOf(10'000'000);
  EXPECT_EQ(aim("first answer").verdict, "met");
  std::erase_if(records_, [](const RunRecord& run) { return run.reader().getRows() == 10'000; });
  EXPECT_EQ(aim("first answer").verdict, "undecided: not measured at 10,000 rows");
}

// The median alone decided, also where repetitions lay on both sides of the limit.
TEST_F(FiguresTest, RepetitionsOnBothSidesOfTheLimitDecideNothing) {
  for (const auto& [repetition, seconds] : {std::pair(1U, 0.006), std::pair(2U, 0.009), std::pair(3U, 0.004)})
    add(kStandard, repetition).setOpenToFirstAnswer(seconds);
  EXPECT_EQ(aim("first answer").verdict, "undecided: spread crosses the limit");
  EXPECT_THAT(aim("first answer").measured, ::testing::Eq("6 ms [4 ms to 9 ms]"));
  EXPECT_EQ(aim("first answer").where, kStandard);
  EXPECT_THAT(aim("first answer").command, HasSubstr("1000000 --repetitions 9"));
  for (const unsigned repetition : {1U, 2U})
    add(std::string(kStandard) + "/seconds=10", repetition).setOpenToFirstAnswer(0.0055);
  EXPECT_EQ(aim("first answer").verdict, "missed");
  EXPECT_THAT(aim("first answer").measured, HasSubstr("5.5 ms"));
}

TEST_F(FiguresTest, TheSpreadOfWhatIsComparedWithCountsToo) {
  for (const unsigned repetition : {1U, 2U}) {
    add(kStandard, repetition);
    add("sqlite/eager/derived/b/zipf/1000000", repetition).setOpenToFirstAnswer(repetition == 1 ? 0.9 : 1.5);
  }
  EXPECT_THAT(aim("stall").measured, StartsWith("120 x [90 x to 150 x]"));
  EXPECT_THAT(aim("stall").verdict, StartsWith("undecided: spread"));
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

// SQLite's ADD COLUMN was "not known" where the lazy strategy was 0.
TEST_F(FiguresTest, NothingIsWrittenForWhatAnAdditiveChangeMigrates) {
  for (const char* strategy : {"eager", "standard", "lazy"}) {
    auto run = add("sqlite/" + std::string(strategy) + "/additive");
    run.setChange("additive");
    EXPECT_EQ(writtenPerMigrated(run), 0) << strategy;
    run.setChange("derived");
    EXPECT_EQ(std::isnan(writtenPerMigrated(run)), strategy != std::string("lazy")) << strategy;
  }
  auto none = add("sqlite/none/additive");
  none.setChange("additive");
  EXPECT_TRUE(std::isnan(writtenPerMigrated(none)));
}

TEST_F(FiguresTest, APercentileIsOfEnoughOperations) {
  auto writes = add("one").getWrites();
  writes.setP50(1000);
  writes.setP95(4000);
  writes.setP99(2000);
  writes.setP999(3000);
  const auto knownAt = [&](std::uint64_t count) {
    writes.setCount(count);
    std::string known;
    for (const double value : {p50Of(writes), p95Of(writes), p99Of(writes), p999Of(writes)})
      known += std::isnan(value) ? "-" : std::to_string(std::lround(value * 1e3));
    return known;
  };
  EXPECT_EQ(knownAt(0), "----");
  EXPECT_EQ(knownAt(1), "1---");
  EXPECT_EQ(knownAt(19), "1---");
  EXPECT_EQ(knownAt(20), "14--");
  EXPECT_EQ(knownAt(99), "14--");
  EXPECT_EQ(knownAt(100), "142-");
  EXPECT_EQ(knownAt(999), "142-");
  EXPECT_EQ(knownAt(1000), "1423");
}

TEST_F(FiguresTest, OnlyWhatEndsByItselfCanBeUnfinished) {
  for (const char* strategy : {"standard", "paced", "eager-later"})
    EXPECT_TRUE(isUnfinished(add("instar/" + std::string(strategy) + "/x"))) << strategy;
  for (const char* strategy : {"none", "lazy", "write-back", "unheard-of"})
    EXPECT_FALSE(isUnfinished(add("instar/" + std::string(strategy) + "/x"))) << strategy;
  auto complete = add(kStandard);
  complete.setCompleteAfter(3);
  EXPECT_FALSE(isUnfinished(complete));
}

// What comes after an outage was spread over it.
TEST_F(FiguresTest, ThroughputOfWhatIsDoneBeforeTheFirstAnswerIsNone) {
  auto run = add("sqlite/eager/derived");
  run.setOpenToFirstAnswer(2.5);
  run.setCompleteAfter(2.5);
  run.setOperationsUntilComplete(0);
  auto seconds = run.initSeconds(10);
  for (unsigned i = 0; i < 10; ++i) seconds[i].setFrom(i);
  for (unsigned i = 2; i < 10; ++i) seconds[i].initReads().setCount(i == 2 ? 500 : 1000);
  EXPECT_DOUBLE_EQ(throughput(run), 0);
  EXPECT_DOUBLE_EQ(throughputUntil(run, 4), 1500.0 / 4);
}

// The second in which it was complete was spread evenly, however little was done in the part before.
TEST_F(FiguresTest, ThroughputIsOfWhatWasCountedWhenTheMigrationWasComplete) {
  auto run = add(kStandard);
  run.setCompleteAfter(1.5);
  auto seconds = run.initSeconds(10);
  for (unsigned i = 0; i < 10; ++i) {
    seconds[i].setFrom(i);
    seconds[i].initReads().setCount(1000);
  }
  EXPECT_TRUE(std::isnan(throughput(run))) << "of a run that has not counted them";
  run.setOperationsUntilComplete(1100);
  EXPECT_DOUBLE_EQ(throughput(run), 1100 / 1.5);
  run.setCompleteAfter(0.1);
  run.setOperationsUntilComplete(3);
  EXPECT_DOUBLE_EQ(throughput(run), 1000) << "of a whole second";
}

TEST_F(FiguresTest, ThroughputCountsUntilTheMigrationIsComplete) {
  // 900 in each of the 2 s that the migration takes, 1,000 without one and afterwards.
  for (const unsigned repetition : {1U, 2U}) {
    for (const char* name : {"instar/none/derived/b/zipf/1000000", kStandard}) {
      auto run = add(name, repetition);
      const bool isMigrating = name == kStandard;
      run.setCompleteAfter(isMigrating ? 2 : 0);
      run.setOperationsUntilComplete(isMigrating ? 1800 : -1);
      auto seconds = run.initSeconds(10);
      for (unsigned i = 0; i < 10; ++i) {
        seconds[i].setFrom(i);
        seconds[i].initReads().setCount(isMigrating && i < 2 ? 900 : 1000);
      }
    }
  }
  const auto [none, beside] = std::pair(runs()[0], runs()[1]);
  EXPECT_DOUBLE_EQ(throughput(beside), 900);
  EXPECT_DOUBLE_EQ(throughputShare(beside, {&none, 1}), 0.9);
  EXPECT_THAT(aim("throughput").measured, StartsWith("90.0 %"));
  EXPECT_EQ(aim("throughput").verdict, "missed");
}

TEST_F(FiguresTest, KilledAndColdRunsDecideNoAim) {
  for (const char* option : {"/kill", "/cold", "/packs"}) {
    for (const unsigned repetition : {1U, 2U}) add(kStandard + std::string(option), repetition);
  }
  EXPECT_EQ(aim("first answer").verdict, "not measured");
}

class TableTest : public FiguresTest {
 protected:
  std::string table() const {
    std::vector<std::string> names;
    for (const RunRecord& run : records_) {
      if (const std::string name = run.reader().getName().cStr();
          std::ranges::find(names, name) == names.end())
        names.push_back(name);
    }
    std::ostringstream out;
    printTable(out, records_, names);
    return out.str();
  }
};

// Two columns had brackets, the others a median alone.
TEST_F(TableTest, LeastAndMostStandUnderEachMedian) {
  for (const unsigned repetition : {1U, 2U, 3U}) {
    auto run = add("instar/standard/derived/b/zipf/1000000/seconds=10", repetition);
    run.setCompleteAfter(2 + repetition);
    run.getWrites().setP50(100 * repetition);
    run.getWrites().setLongest(1000 * repetition + 1000);
    run.setFileBefore(100);
    run.setFileHighest(200);
  }
  EXPECT_THAT(table(), StartsWith("derived/b/zipf/1000000/seconds=10\n"));
  EXPECT_THAT(table(), ContainsRegex("instar/standard +2 ms +4 s.* 200 us.* 3 ms.* 2.00\n"
                                     " +\\[3-5\\] .*\\[100-300\\] .*\\[2-4\\]\n"));
}

TEST_F(TableTest, WhatHasNotEndedSaysHowLongItWasWaitedFor) {
  const std::string conditions = "/derived/b/zipf/1000000";
  add("instar/lazy" + conditions);
  add("instar/paced" + conditions).setDuration(600.02);
  EXPECT_THAT(table(), ContainsRegex("instar/paced +2 ms +not within 600 s +"));
  EXPECT_THAT(table(), ContainsRegex("instar/lazy +2 ms +- +"));
  add("instar/paced" + conditions, 2).setCompleteAfter(9);
  EXPECT_THAT(table(), ContainsRegex("not within 600 s.*\n +1 of 2"));
}

TEST_F(TableTest, ColumnsOfWhatIsNotKnownOfAnyRunAreLeftOut) {
  const std::string name = "instar/standard/derived/b/zipf/1000000/kill";
  auto run = add(name);
  run.setPerSecond(1000);
  EXPECT_THAT(table(), ContainsRegex("\nstrategy +answer +complete +p50 +p99 +p99.9 +p50 +p99 +p99.9 "));
  EXPECT_THAT(table(), Not(HasSubstr("memory of")));
  run.setMemoryHighest(std::uint64_t{3} << 20);
  run.setIsCold(true);
  run.setBytesRead(std::uint64_t{5} << 20);
  run.setLostByKill(0.25);
  run.getWrites().setP95(700);
  EXPECT_THAT(table(),
              ContainsRegex("memory of +read from +lost by\n.* p50 +p95 +p99 .*its own +disk +a kill\n"));
  EXPECT_THAT(table(), ContainsRegex("instar/standard .* 700 us .* 3 MiB +5 MiB +0.25 s"));
}

TEST_F(TableTest, AReferenceOfAnotherSittingIsSaid) {
  add("instar/standard/derived/b/zipf/1000000");
  auto reference = add("sqlite/eager/derived/b/zipf/1000000");
  EXPECT_THAT(table(), Not(HasSubstr("another sitting")));
  reference.setSitting("evening");
  EXPECT_THAT(table(), ContainsRegex("instar/standard .*reference of another sitting\n"));
}

TEST_F(TableTest, OperationsASecondAreThoseOfAClosedLoop) {
  const std::string name = "instar/none/derived/b/zipf/1000000";
  add(name).setPerSecond(1000);
  EXPECT_THAT(table(), ContainsRegex("\nstrategy +answer +complete +p50"));
  records_.clear();
  add(name).initReads().setCount(90'000);
  EXPECT_THAT(table(), ContainsRegex("\nstrategy +answer +complete +second +p50"));
  EXPECT_THAT(table(), ContainsRegex("instar/none +2 ms +- +9010 +"));
}

}  // namespace
}  // namespace instar::bench
