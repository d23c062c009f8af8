// Histories that are as promised, and some that must be refused, each for what is wrong with it.

#include "instar/tests/schedules/judge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <optional>

namespace instar::schedules {
namespace {

using Kind = Operation::Kind;

// Tells what a store does that keeps its word; a test then changes a thing or two.
class Telling {
 public:
  Writing begin(Writer id) {
    Writing writing{.id = id, .calledAt = ++now_};
    writing.begunAt = ++now_;
    writing.endCalledAt = ++now_;  // of one that is given up; commit() has its own
    writing.operations.push_back({Kind::read, kTurn, valueOf(kTurn)});
    writing.operations.push_back({Kind::put, kTurn, id});
    return writing;
  }

  void commit(Writing writing) {
    writing.number = ++number_;
    writing.endCalledAt = ++now_;
    writing.acknowledgedAt = ++now_;
    writing.outcome = Outcome::acknowledged;
    for (const Operation& operation : writing.operations) {
      if (operation.kind == Kind::put) state_[operation.place] = writing.id;
      if (operation.kind == Kind::erase) state_.erase(operation.place);
    }
    history.writings.push_back(std::move(writing));
  }

  // A whole one.
  void commit(Writer id, std::initializer_list<Register> puts, std::initializer_list<Register> erased = {}) {
    Writing writing = begin(id);
    for (const Register place : puts) writing.operations.push_back({Kind::put, place, id});
    for (const Register place : erased) writing.operations.push_back({Kind::erase, place, kNothing});
    commit(std::move(writing));
  }

  Reading& read(std::initializer_list<Register> places) {
    Reading reading{.number = number_, .calledAt = ++now_};
    reading.begunAt = ++now_;
    for (const Register place : places) reading.operations.push_back({Kind::read, place, valueOf(place)});
    history.readings.push_back(std::move(reading));
    return history.readings.back();
  }

  Writer valueOf(Register place) const {
    const auto found = state_.find(place);
    return found == state_.end() ? kNothing : found->second;
  }

  Verdict end() {
    history.end = state_;
    return judge(history);
  }

  History history;

 private:
  Time now_ = 0;
  std::uint64_t number_ = 10;
  std::map<Register, Writer> state_;
};

// Each of them is that.
void expectFaults(const Verdict& verdict, std::initializer_list<Fault> faults) {
  for (const Fault fault : faults) {
    const bool isThere = std::ranges::any_of(
        verdict.violations, [&](const Violation& violation) { return violation.fault == fault; });
    EXPECT_TRUE(isThere) << "not found: " << nameOf(fault);
  }
  for (const Violation& violation : verdict.violations) {
    const bool isExpected = std::ranges::count(faults, violation.fault) != 0;
    EXPECT_TRUE(isExpected) << nameOf(violation.fault) << ": " << violation.what;
  }
}

Telling threeCommits() {
  Telling telling;
  telling.commit(1, {1, 2, 3});
  telling.commit(2, {2, 3});
  telling.commit(3, {1}, {3});
  return telling;
}

TEST(Judge, TakesAHistoryAsPromised) {
  Telling telling;
  telling.read({kTurn, 1});
  telling.commit(1, {1, 2, 3});
  telling.read({1, 2, 3, 4});
  telling.commit(2, {2, 3}, {1});
  telling.read({3, 1, 2, 1});
  telling.commit(3, {1});
  telling.read({1, 2});
  const Verdict verdict = telling.end();
  expectFaults(verdict, {});
  EXPECT_EQ(verdict.commits, 3U);
  EXPECT_EQ(verdict.readings, 4U);
}

TEST(Judge, TakesACommitWhoseProgramDiedEitherWay) {
  for (const bool isThere : {false, true}) {
    Telling telling = threeCommits();
    telling.read({1, 2});
    Writing last = telling.begin(4);
    last.operations.push_back({Kind::put, 1, 4});
    if (isThere) {
      telling.commit(last);
      telling.history.writings.back().outcome = Outcome::unknown;
      telling.read({1, 2});
    } else {
      telling.history.writings.push_back(last);
    }
    const Verdict verdict = telling.end();
    expectFaults(verdict, {});
    EXPECT_EQ(verdict.perhaps, isThere ? 1U : 0U);
  }
}

// What overlaps in time may come in either order.
TEST(Judge, TakesASnapshotThatDoesNotSeeACommitInProgress) {
  for (const bool seesIt : {false, true}) {
    Telling telling = threeCommits();
    Reading reading = telling.read({1, 2});
    telling.history.readings.pop_back();
    telling.commit(4, {1, 2});
    const Writing& commit = telling.history.writings.back();
    reading.calledAt = commit.endCalledAt - 1;
    reading.begunAt = commit.acknowledgedAt + 1;
    if (seesIt) {
      reading.number = commit.number;
      for (Operation& operation : reading.operations) operation.value = 4;
    }
    telling.history.readings.push_back(reading);
    expectFaults(telling.end(), {});
  }
}

// Other commits than those of the history have numbers too: compaction's.
TEST(Judge, TakesASnapshotBehindACommitOfSomebodyElse) {
  Telling telling = threeCommits();
  telling.read({1, 2, 3}).number += 5;
  expectFaults(telling.end(), {});
}

TEST(Judge, RefusesALostUpdate) {
  Telling telling = threeCommits();
  Writing other = telling.begin(5);  // begins behind 3, as 4 does
  telling.commit(4, {1});
  other.outcome = Outcome::acknowledged;
  other.number = 15;
  other.begunAt = telling.history.writings.back().acknowledgedAt + 1;
  other.endCalledAt = other.acknowledgedAt = other.begunAt + 1;
  telling.history.writings.push_back(other);
  expectFaults(telling.end(), {Fault::lostUpdate});
}

TEST(Judge, RefusesAnAcknowledgedCommitThatIsGone) {
  Telling telling = threeCommits();
  Writing lost = telling.begin(4);
  lost.outcome = Outcome::acknowledged;
  lost.number = 14;
  lost.endCalledAt = 100;
  lost.acknowledgedAt = 101;
  telling.history.writings.push_back(lost);
  expectFaults(telling.end(), {Fault::lostCommit});
}

TEST(Judge, RefusesADirtyRead) {
  for (const Outcome outcome : {Outcome::aborted, Outcome::unknown}) {
    Telling telling = threeCommits();
    Writing givenUp = telling.begin(4);
    givenUp.operations.push_back({Kind::put, 1, 4});
    givenUp.outcome = outcome;
    telling.history.writings.push_back(givenUp);
    telling.read({1, 2}).operations[0].value = 4;
    expectFaults(telling.end(), {Fault::dirtyRead});
  }
}

TEST(Judge, RefusesACommitOfWhatWasAborted) {
  Telling telling = threeCommits();
  telling.commit(4, {1});
  telling.history.writings.back().outcome = Outcome::aborted;
  expectFaults(telling.end(), {Fault::dirtyRead});
}

TEST(Judge, RefusesADirtyReadOfAWriter) {
  Telling telling = threeCommits();
  Writing givenUp = telling.begin(4);
  givenUp.operations.push_back({Kind::put, 1, 4});
  givenUp.outcome = Outcome::aborted;
  telling.history.writings.push_back(givenUp);
  Writing next = telling.begin(5);
  next.operations.push_back({Kind::read, 1, 4});
  telling.commit(next);
  expectFaults(telling.end(), {Fault::dirtyRead});
}

TEST(Judge, RefusesAReadThatCannotBeRepeated) {
  Telling telling = threeCommits();
  Reading reading = telling.read({1, 2, 1});
  telling.commit(4, {1});
  reading.operations[2].value = 4;
  reading.begunAt = 1000;
  telling.history.readings = {reading};
  expectFaults(telling.end(), {Fault::changedSnapshot});
}

TEST(Judge, RefusesATornTransaction) {
  Telling telling = threeCommits();
  telling.read({2, 3});
  telling.commit(4, {2, 3});
  telling.read({2, 3}).operations[1].value = kNothing;  // as it was before
  expectFaults(telling.end(), {Fault::tornSnapshot});
}

TEST(Judge, RefusesARowThatIsMissingInASnapshot) {
  Telling telling = threeCommits();
  telling.read({1, 2}).operations[1].value = kNothing;
  expectFaults(telling.end(), {Fault::tornSnapshot});
}

TEST(Judge, RefusesAValueThatNobodyHasMade) {
  Telling telling = threeCommits();
  telling.read({1, 2}).operations[0].value = 99;  // nobody of that number
  telling.read({1, 2}).operations[0].value = 2;   // who has not put it there
  expectFaults(telling.end(), {Fault::inventedValue});
}

TEST(Judge, RefusesAStaleSnapshot) {
  Telling telling = threeCommits();
  const Reading old = telling.read({1, 2, 3});
  telling.commit(4, {1});
  Reading& stale = telling.read({1, 2, 3});
  stale.number = old.number;
  stale.operations = old.operations;
  telling.history.readings = {stale};
  expectFaults(telling.end(), {Fault::staleSnapshot});
}

TEST(Judge, RefusesASnapshotOfACommitThatWasNotCalledYet) {
  Telling telling = threeCommits();
  const Time then = telling.read({1}).begunAt;
  telling.commit(4, {1});
  Reading& early = telling.read({1});
  early.calledAt = early.begunAt = then;
  expectFaults(telling.end(), {Fault::earlySnapshot});
}

// Nobody has acknowledged the commit before the second of them began, so time alone would allow it.
TEST(Judge, RefusesSnapshotsOutOfOrder) {
  Telling telling = threeCommits();
  Reading older = telling.read({1});
  telling.commit(4, {1});
  Reading newer = telling.read({1});
  Writing& commit = telling.history.writings.back();
  newer.calledAt = commit.endCalledAt + 1;
  newer.begunAt = newer.calledAt + 1;
  older.calledAt = newer.begunAt + 1;
  older.begunAt = older.calledAt + 1;
  commit.acknowledgedAt = older.begunAt + 1;
  telling.history.readings = {newer, older};
  expectFaults(telling.end(), {Fault::disorderedSnapshots});
}

TEST(Judge, RefusesCommitsOutOfOrder) {
  Telling telling = threeCommits();
  telling.history.writings[0].calledAt = 1000;
  telling.history.writings[0].begunAt = 1001;
  telling.history.writings[0].endCalledAt = 1002;
  telling.history.writings[0].acknowledgedAt = 1003;
  expectFaults(telling.end(), {Fault::disorderedCommits});
}

// The second had called before the first was begun, so its call alone would allow it. It was acknowledged
// before the first, whose writes it has read, called its commit.
TEST(Judge, RefusesAWriterThatReadsWhatIsCommittedOnlyLater) {
  Telling telling = threeCommits();
  telling.commit(4, {1});
  telling.commit(5, {2});
  auto& writings = telling.history.writings;
  Writing& before = writings[writings.size() - 2];
  Writing& behind = writings.back();
  behind.calledAt = before.calledAt;
  before.endCalledAt = behind.acknowledgedAt + 1;
  before.acknowledgedAt = behind.acknowledgedAt + 2;
  expectFaults(telling.end(), {Fault::disorderedCommits, Fault::writersAtOnce});
}

// It has given up before the other one called its commit, which got in.
TEST(Judge, RefusesADirtyReadOfAWriterThatGivesUp) {
  Telling telling = threeCommits();
  telling.commit(4, {1});
  Writing givenUp = telling.begin(5);
  givenUp.outcome = Outcome::aborted;
  Writing& commit = telling.history.writings.back();
  commit.endCalledAt = givenUp.endCalledAt + 1;
  commit.acknowledgedAt = givenUp.endCalledAt + 2;
  telling.history.writings.push_back(givenUp);
  expectFaults(telling.end(), {Fault::dirtyRead, Fault::writersAtOnce});
}

// Neither has seen anything of the other.
TEST(Judge, RefusesTwoWritersAtOnce) {
  for (const Outcome outcome : {Outcome::aborted, Outcome::unknown}) {
    Telling telling = threeCommits();
    Writing other = telling.begin(5);
    telling.commit(4, {1});
    other.endCalledAt = telling.history.writings.back().endCalledAt + 1;
    other.outcome = outcome;
    telling.history.writings.push_back(other);
    expectFaults(telling.end(), {Fault::writersAtOnce});
  }
}

TEST(Judge, RefusesNumbersOutOfOrder) {
  Telling telling = threeCommits();
  telling.history.writings[1].number = 99;
  expectFaults(telling.end(), {Fault::wrongNumber});
}

TEST(Judge, RefusesASnapshotWithTheNumberOfAnotherCommit) {
  Telling telling = threeCommits();
  --telling.read({1, 2, 3}).number;
  expectFaults(telling.end(), {Fault::wrongNumber});
}

TEST(Judge, RefusesAWriterThatDoesNotSeeTheOneBefore) {
  for (const Outcome outcome : {Outcome::acknowledged, Outcome::aborted}) {
    Telling telling = threeCommits();
    Writing writing = telling.begin(4);
    writing.operations.push_back({Kind::read, 1, 1});  // where 3 has put since
    if (outcome == Outcome::acknowledged) {
      telling.commit(writing);
    } else {
      writing.outcome = outcome;
      telling.history.writings.push_back(writing);
    }
    expectFaults(telling.end(), {Fault::wrongReadByWriter});
  }
}

TEST(Judge, RefusesAWriterThatDoesNotSeeItsOwnPut) {
  Telling telling = threeCommits();
  Writing writing = telling.begin(4);
  writing.operations.push_back({Kind::put, 1, 4});
  writing.operations.push_back({Kind::read, 1, 3});
  telling.commit(writing);
  expectFaults(telling.end(), {Fault::wrongReadByWriter});
}

TEST(Judge, RefusesAWriterThatBeginsBehindAnOldState) {
  Telling telling = threeCommits();
  Writing writing = telling.begin(5);
  telling.commit(4, {1});
  writing.calledAt = 1000;
  writing.begunAt = 1001;
  writing.endCalledAt = 1002;
  writing.outcome = Outcome::aborted;
  telling.history.writings.push_back(writing);
  expectFaults(telling.end(), {Fault::wrongReadByWriter});
}

TEST(Judge, RefusesAnEndThatNobodyHasLeft) {
  Telling telling = threeCommits();
  telling.end();
  telling.history.end.erase(2);
  expectFaults(judge(telling.history), {Fault::wrongEnd});
  telling.history.end[2] = 2;
  telling.history.end[3] = 2;
  expectFaults(judge(telling.history), {Fault::wrongEnd});
}

TEST(Judge, RefusesATurnOfSomebodyUnknown) {
  Telling telling = threeCommits();
  telling.history.writings.erase(telling.history.writings.begin() + 1);
  const Verdict verdict = telling.end();
  EXPECT_EQ(verdict.violations.at(0).fault, Fault::inventedValue);
}

TEST(Judge, PassesOnWhatProgramsHaveNoticed) {
  Telling telling = threeCommits();
  telling.history.problems.push_back("a row whose text is not its writer's");
  expectFaults(telling.end(), {Fault::noticed});
}

}  // namespace
}  // namespace instar::schedules
