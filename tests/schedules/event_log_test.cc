#include "instar/tests/schedules/event_log.h"

#include <gtest/gtest.h>

#include <fstream>

#include "instar/tests/support/temporary_folder.h"

namespace instar::schedules {
namespace {

using Kind = Operation::Kind;

Writing writingOf(Writer id) {
  return {.id = id,
          .number = 7,
          .calledAt = 100,
          .begunAt = 150,
          .endCalledAt = 200,
          .operations = {{Kind::read, kTurn, 3}, {Kind::put, kTurn, id}, {Kind::erase, 10'005, kNothing}}};
}

TEST(EventLog, ComesBackAsItWasTold) {
  const testing::TemporaryFolder folder;
  {
    EventLog log(folder / "1-1");
    EventLog other(folder / "1-2");
    log.commits(writingOf(5));
    other.commits(writingOf(6));
    log.acknowledged(5, 300);
    other.aborted(writingOf(8));
    log.read({.number = 7, .calledAt = 1, .begunAt = 2, .operations = {{Kind::read, 4, 5}}});
    log.ends(4, 5);
    log.problem("two\nlines");
    log.count("copies");
    other.count("copies");
  }
  const History history = readLogs(folder.path());
  ASSERT_EQ(history.writings.size(), 3U);
  for (const Writing& writing : history.writings) {
    EXPECT_EQ(writing.operations, writingOf(writing.id).operations);
    EXPECT_EQ(writing.number, 7U);
    EXPECT_EQ(writing.calledAt, 100);
    EXPECT_EQ(writing.begunAt, 150);
    EXPECT_EQ(writing.endCalledAt, 200);
    const Outcome expected = writing.id == 5   ? Outcome::acknowledged
                             : writing.id == 6 ? Outcome::unknown
                                               : Outcome::aborted;
    EXPECT_EQ(writing.outcome, expected) << writing.id;
    EXPECT_EQ(writing.acknowledgedAt, writing.id == 5 ? 300 : 0);
  }
  ASSERT_EQ(history.readings.size(), 1U);
  EXPECT_EQ(history.readings[0].begunAt, 2);
  EXPECT_EQ(history.readings[0].operations, (std::vector<Operation>{{Kind::read, 4, 5}}));
  EXPECT_EQ(history.end, (std::map<Register, Writer>{{4, 5}}));
  EXPECT_EQ(history.problems, std::vector<std::string>{"two lines"});
  EXPECT_EQ(history.counts,
            (std::map<std::string, std::uint64_t>{{"1: commits", 1}, {"1: snapshots", 1}, {"1: copies", 2}}));
}

TEST(EventLog, LeavesOutALineThatWasNotWrittenWhole) {
  const testing::TemporaryFolder folder;
  EventLog(folder / "1-1").commits(writingOf(5));
  std::ofstream(folder / "1-1", std::ios::app) << "A 5 3";
  const History history = readLogs(folder.path());
  ASSERT_EQ(history.writings.size(), 1U);
  EXPECT_EQ(history.writings[0].outcome, Outcome::unknown);
}

TEST(EventLog, RefusesWhatIsNone) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "1-1") << "W five\n";
  EXPECT_THROW(readLogs(folder.path()), std::runtime_error);
}

}  // namespace
}  // namespace instar::schedules
