// One run from filling to the comparison with the model, within this process.

#include "instar/bench/upgrade/play.h"

#include <capnp/message.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "instar/bench/order.capnp.h"
#include "instar/bench/sample.h"
#include "instar/bench/upgrade/model.h"
#include "instar/bench/upgrade/results.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::bench {
namespace {

using ::testing::HasSubstr;

RunRecord runOf(const Scenario& scenario) {
  const testing::TemporaryFolder folder;
  const auto data = folder.path() / "data";
  std::filesystem::create_directory(data);
  fillFolder({scenario}, data);
  RunRecord run;
  play({scenario}, *subjectOf({scenario}, data), data, run.builder());
  return run;
}

Scenario smallScenario(Strategy strategy, Change change) {
  return {.strategy = strategy,
          .change = change,
          .mix = Mix::c,
          .rows = 300,
          .durability = Durability::off,
          .seconds = 0.02,
          .longest = 20};
}

class EveryChangeTest : public ::testing::TestWithParam<Change> {};

TEST_P(EveryChangeTest, AllStrategiesLeaveTheSameRows) {
  std::set<std::string> digests;
  for (const Strategy strategy :
       {Strategy::none, Strategy::eager, Strategy::eagerLater, Strategy::batches, Strategy::lazy,
        Strategy::writeBack, Strategy::background, Strategy::paced, Strategy::standard}) {
    const RunRecord record = runOf(smallScenario(strategy, GetParam()));
    const Run::Reader run = record.reader();
    digests.insert(run.getDigest().cStr());
    EXPECT_GT(run.getOpenToFirstAnswer(), 0);
    EXPECT_GT(run.getReads().getCount(), 0U);
    if (!comesToAnEnd(strategy)) continue;
    EXPECT_EQ(run.getRowsLeft(), 0U) << textOf(strategy);
    EXPECT_GT(run.getCompleteAfter(), 0) << textOf(strategy);
    if (GetParam() != Change::additive) {
      EXPECT_EQ(run.getRowsMigrated(), 300U) << textOf(strategy);
    }
  }
  EXPECT_EQ(digests.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(All, EveryChangeTest,
                         ::testing::Values(Change::additive, Change::derived, Change::replaced,
                                           Change::history),
                         [](const auto& parameter) { return std::string(textOf(parameter.param)); });

TEST(PlayTest, OperationsAreCountedUntilTheMigrationIsComplete) {
  const auto countOf = [](Strategy strategy) {
    const RunRecord record = runOf(smallScenario(strategy, Change::derived));
    const Run::Reader run = record.reader();
    EXPECT_LE(run.getOperationsUntilComplete(), static_cast<std::int64_t>(run.getReads().getCount()));
    return run.getOperationsUntilComplete();
  };
  EXPECT_EQ(countOf(Strategy::lazy), -1);
  EXPECT_EQ(countOf(Strategy::eager), 0);
  EXPECT_GE(countOf(Strategy::batches), 0);
}

// Instar's own header was in it, and what it wrote was little by that.
TEST(PlayTest, TheBytesMigratedAreThoseOfKeyAndRecord) {
  constexpr std::uint64_t kOne = 1;
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<Order>(), sampleOf(0));
  const std::size_t record = message.getSegmentsForOutput()[0].asBytes().size();
  EXPECT_EQ(bytesOfOldRow(kOne), static_cast<double>(sizeof(std::uint64_t) + record));
}

TEST(PlayTest, WhatALoadWritesIsWhatTheModelExpects) {
  for (const Mix mix : {Mix::a, Mix::d, Mix::e, Mix::f}) {
    Scenario scenario = smallScenario(Strategy::background, Change::history);
    scenario.mix = mix;
    const RunRecord run = runOf(scenario);
    EXPECT_GT(run.reader().getWrites().getCount(), 0U) << textOf(mix);
  }
}

TEST(PlayTest, ARunOverOtherRowsThanItsScenarioSaysFails) {
  const testing::TemporaryFolder folder;
  const auto data = folder.path() / "data";
  std::filesystem::create_directory(data);
  Scenario scenario = smallScenario(Strategy::lazy, Change::derived);
  fillFolder({scenario}, data);
  --scenario.rows;
  RunRecord run;
  try {
    play({scenario}, *subjectOf({scenario}, data), data, run.builder());
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("wrong rows are stored: 300"));
  }
}

// Does as another one does.
class ImitatingSubject : public Subject {
 public:
  explicit ImitatingSubject(std::unique_ptr<Subject> subject) : subject_(std::move(subject)) {}
  void fill() override { subject_->fill(); }
  void open(MigrationProgress& progress) override { subject_->open(progress); }
  std::unique_ptr<Session> session() override { return subject_->session(); }
  void migrate(MigrationProgress& progress, const std::atomic<bool>& stop) override {
    subject_->migrate(progress, stop);
  }
  void settle() override { subject_->settle(); }
  Census census() override { return subject_->census(); }

 private:
  const std::unique_ptr<Subject> subject_;
};

// Says that it has migrated, and has not.
class LyingSubject : public ImitatingSubject {
 public:
  LyingSubject(std::unique_ptr<Subject> subject, bool admits)
      : ImitatingSubject(std::move(subject)), admits_(admits) {}
  void migrate(MigrationProgress& progress, const std::atomic<bool>&) override {
    progress.complete = !admits_;
  }

 private:
  const bool admits_;
};

constexpr std::uint64_t kPutOff = std::uint64_t{4} << 20;

class LateSubject : public ImitatingSubject {
 public:
  LateSubject(std::unique_ptr<Subject> subject, std::filesystem::path folder)
      : ImitatingSubject(std::move(subject)), folder_(std::move(folder)) {}
  void settle() override {
    ImitatingSubject::settle();
    writeText(folder_ / "late", std::string(kPutOff, 'x'));
  }

 private:
  const std::filesystem::path folder_;
};

// RocksDB's merges and SQLite's last checkpoint once counted as bytes, but took no room on the disk.
TEST(PlayTest, WhatIsPutOffTakesRoomOnTheDiskToo) {
  const testing::TemporaryFolder folder;
  const auto data = folder.path() / "data";
  std::filesystem::create_directory(data);
  const Stage stage{smallScenario(Strategy::batches, Change::derived)};
  fillFolder(stage, data);
  LateSubject late(subjectOf(stage, data), data);
  RunRecord record;
  play(stage, late, data, record.builder());
  const Run::Reader run = record.reader();
  EXPECT_GE(run.getFileAfter(), run.getFileBefore() + kPutOff);
  EXPECT_GE(run.getFileHighest(), run.getFileAfter());
  EXPECT_GE(run.getBytesPutOff(), kPutOff);
  std::uint64_t inTime = 0;
  for (const auto second : run.getSeconds()) inTime += second.getWritten();
  EXPECT_EQ(inTime + run.getBytesPutOff(), run.getBytesWritten());
}

TEST(PlayTest, AMigrationThatLeavesOldRowsFailsWhateverItSays) {
  const testing::TemporaryFolder folder;
  const auto data = folder.path() / "data";
  std::filesystem::create_directory(data);
  const Stage stage{smallScenario(Strategy::batches, Change::derived)};
  fillFolder(stage, data);
  const auto failureOf = [&](auto work) -> std::string {
    try {
      RunRecord run;
      work(run.builder());
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "none";
  };
  LyingSubject lying(subjectOf(stage, data), false);
  EXPECT_THAT(failureOf([&](Run::Builder run) { play(stage, lying, data, run); }),
              HasSubstr("300 rows are left in the old form"));
  LyingSubject alone(subjectOf(stage, data), false);
  EXPECT_THAT(failureOf([&](Run::Builder run) {
                Attempt attempt;
                migrateAlone(stage, alone, attempt, 0, run);
              }),
              HasSubstr("300 rows are left in the old form"));
  LyingSubject idle(subjectOf(stage, data), true);
  EXPECT_THAT(failureOf([&](Run::Builder run) {
                Attempt attempt;
                migrateAlone(stage, idle, attempt, 0, run);
              }),
              HasSubstr("is not complete"));
}

TEST(PlayTest, AnOpenLoopKeepsToItsOperationsASecond) {
  Scenario scenario = smallScenario(Strategy::lazy, Change::derived);
  scenario.mix = Mix::a;
  scenario.perSecond = 500;
  scenario.seconds = 0.4;
  const RunRecord run = runOf(scenario);
  const auto operations = run.reader().getReads().getCount() + run.reader().getWrites().getCount();
  EXPECT_GT(operations, 0U);
  // No more than are due until the load has ended, which was before it was carried out.
  EXPECT_LE(static_cast<double>(operations), 500 * run.reader().getDuration() + 2);
}

}  // namespace
}  // namespace instar::bench
