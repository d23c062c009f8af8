#include "instar/engine/internal/compaction/pacer.h"

#include <gtest/gtest.h>

namespace instar {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kRate = 1000000;

class PacerTest : public ::testing::Test {
 protected:
  static CompactionOptions limited() { return {.rate = kRate, .minFreeDisk = 0}; }

  void use(const CompactionOptions& options) { pacer = Pacer(options, now, 1); }

  Answer ask(const Load& load = {}) { return pacer.ask(now, load); }
  void spend(std::uint64_t written, std::uint64_t read = 0) { pacer.spent(now, written, read); }
  void fail(unsigned times = 1) {
    for (unsigned i = 0; i < times; ++i) pacer.failed(now);
  }

  static Answer waits(WaitReason reason, std::chrono::nanoseconds wait) { return {false, reason, wait}; }
  static constexpr Answer kGo{.go = true};

  Pacer::Clock::time_point now{24h};
  Pacer pacer{limited(), now, 1};
};

TEST_F(PacerTest, ATenthOfASecondIsFreeAndDebtIsWaitedFor) {
  spend(kRate / 10);
  EXPECT_EQ(ask(), kGo);
  spend(kRate / 2);
  const Answer answer = ask();
  EXPECT_EQ(answer.reason, WaitReason::rate);
  EXPECT_NEAR(std::chrono::duration<double>(answer.wait).count(), 0.5, 1e-6);
  now += answer.wait;
  EXPECT_EQ(ask(), kGo) << "whoever waits as long as told finds the debt paid";
}

TEST_F(PacerTest, TheLargerDebtOfWrittenAndReadDecides) {
  spend(kRate / 2, kRate);
  EXPECT_NEAR(std::chrono::duration<double>(ask().wait).count(), 0.9, 1e-6);
  now += 500ms;
  spend(kRate, 0);
  EXPECT_NEAR(std::chrono::duration<double>(ask().wait).count(), 0.9, 1e-6);
}

TEST_F(PacerTest, IdleTimeIsNotSavedUp) {
  now += 1h;
  spend(kRate / 5);
  EXPECT_EQ(ask().reason, WaitReason::rate);
}

TEST_F(PacerTest, WithoutALimitNothingIsWaitedFor) {
  use({.rate = 0, .minFreeDisk = 0});
  spend(std::uint64_t{1} << 40, std::uint64_t{1} << 40);
  EXPECT_EQ(ask(), kGo);
}

TEST_F(PacerTest, TheRateChangesWhileItRuns) {
  spend(kRate + kRate / 10);
  pacer.setRate(kRate * 4);
  EXPECT_EQ(pacer.rate(), kRate * 4);
  EXPECT_NEAR(std::chrono::duration<double>(ask().wait).count(), 0.25, 1e-6);
  pacer.setRate(0);
  EXPECT_EQ(ask(), kGo);
  pacer.setRate(kRate);
  EXPECT_EQ(ask(), kGo) << "what was spent without a limit is no debt";
  spend(kRate);
  EXPECT_EQ(ask().reason, WaitReason::rate);
}

TEST_F(PacerTest, NoAnswerHoldsLongerThanAMinute) {
  use({.rate = 1, .allowedHours = AllowedHours{60, 120}, .minFreeDisk = 0});
  spend(std::uint64_t{1} << 60);
  EXPECT_EQ(ask({.minuteOfDay = 300}), waits(WaitReason::quietHours, 1min));
  EXPECT_EQ(ask({.minuteOfDay = 60}).reason, WaitReason::rate);
  EXPECT_LE(ask({.minuteOfDay = 60}).wait, 1min);
}

TEST_F(PacerTest, WaitingWritersAreGivenWayToInGrowingSteps) {
  for (const auto step : {1ms, 2ms, 4ms, 8ms, 10ms, 10ms}) {
    EXPECT_EQ(ask({.writersWaiting = 1}), waits(WaitReason::writersWaiting, step));
    now += step;
  }
  EXPECT_EQ(ask(), kGo);
  EXPECT_EQ(ask({.writersWaiting = 1}), waits(WaitReason::writersWaiting, 1ms)) << "it begins anew";
}

TEST_F(PacerTest, DeferenceIsNotCountedOnFromBeforeAPause) {
  ask({.writersWaiting = 1});
  pacer.pause();
  ask();
  now += 1h;
  pacer.resume();
  EXPECT_EQ(ask({.writersWaiting = 1}), waits(WaitReason::writersWaiting, 1ms));
}

TEST_F(PacerTest, LatencyOverItsBudgetIsGivenWayTo) {
  use({.rate = 0, .minFreeDisk = 0, .latencyBudget = 500us});
  EXPECT_EQ(ask({.foregroundLatency = 500us}), kGo);
  EXPECT_EQ(ask({.foregroundLatency = 501us}), waits(WaitReason::latency, 1ms));
  use({.rate = 0, .minFreeDisk = 0});
  EXPECT_EQ(ask({.foregroundLatency = 1h}), kGo) << "no budget";
}

TEST_F(PacerTest, ADiskThatRunsFullIsWaitedFor) {
  use({.rate = 0, .minFreeDisk = 1000});
  EXPECT_EQ(ask({.freeDiskBytes = 999}), waits(WaitReason::diskSpace, 1s));
  EXPECT_EQ(ask({.freeDiskBytes = 1000}), kGo);
}

TEST_F(PacerTest, ItRunsInsideItsHoursOnly) {
  use({.rate = 0, .allowedHours = parseAllowedHours("22:00-06:00"), .minFreeDisk = 0});
  EXPECT_EQ(ask({.minuteOfDay = 12 * 60}).reason, WaitReason::quietHours);
  EXPECT_EQ(ask({.minuteOfDay = 23 * 60}), kGo);
}

TEST_F(PacerTest, APauseLastsUntilItIsResumed) {
  pacer.pause();
  now += 24h;
  EXPECT_EQ(ask().reason, WaitReason::paused);
  pacer.resume();
  EXPECT_EQ(ask(), kGo);
}

TEST_F(PacerTest, AFailureIsWaitedAfter) {
  fail();
  const Answer answer = ask();
  EXPECT_EQ(answer.reason, WaitReason::backoff);
  now += answer.wait;
  EXPECT_EQ(ask(), kGo);
}

TEST_F(PacerTest, TooManyFailuresInARowStopItUntilTheOperatorSaysSo) {
  fail(4);
  pacer.succeeded();
  fail(4);
  EXPECT_EQ(ask().reason, WaitReason::backoff) << "not in a row";
  fail();
  now += 24h;
  EXPECT_EQ(ask().reason, WaitReason::circuitOpen);
  EXPECT_TRUE(pacer.circuitIsOpen());
  pacer.closeCircuit();
  EXPECT_EQ(ask(), kGo);
}

TEST_F(PacerTest, WaitsAreAddedUpByReason) {
  pacer.pause();
  ask();
  now += 2s;
  ask();
  now += 1s;
  pacer.resume();
  ask({.writersWaiting = 1});
  now += 1ms;
  ask();
  now += 1h;  // a batch
  ask();
  EXPECT_EQ(pacer.waited(WaitReason::paused), 3s);
  EXPECT_EQ(pacer.waited(WaitReason::writersWaiting), 1ms);
  EXPECT_EQ(pacer.waited(WaitReason::rate), 0s);
}

}  // namespace
}  // namespace instar
