#include "instar/bench/upgrade/disturbance.h"

#include <capnp/message.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "instar/tests/support/temporary_folder.h"

namespace instar::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr double kRounding = 1e-9;

// Fifty seconds of two processors, of which this process took 30.
class DisturbanceTest : public ::testing::Test {
 protected:
  Disturbance::Reader describe() {
    auto disturbance = message_->initRoot<Disturbance>();
    std::vector<MachineLook> looks{before_};
    looks.insert(looks.end(), between_.begin(), between_.end());
    looks.push_back(after_);
    describeDisturbance(looks, disturbance);
    return disturbance.asReader();
  }

  // `seconds` after the first look, when others, besides what this process took evenly, had taken so much.
  static MachineLook lookAt(double seconds, double others, double stolen) {
    return {
        .at = 50 + seconds,
        .processors = {.all = 1000 + 2 * seconds, .busy = 200 + 0.6 * seconds + others, .stolen = 7 + stolen},
        .own = 3 + 0.6 * seconds};
  }

  const MachineLook before_{
      .at = 50, .processors = {.all = 1000, .busy = 200, .stolen = 7}, .own = 3, .sync = 2};
  std::vector<MachineLook> between_;
  MachineLook after_{.at = 100, .processors = {.all = 1100, .busy = 230, .stolen = 7}, .own = 33, .sync = 2};
  const std::unique_ptr<capnp::MallocMessageBuilder> message_ =
      std::make_unique<capnp::MallocMessageBuilder>();
};

TEST_F(DisturbanceTest, WhatTheProcessItselfTakesDisturbsNobody) {
  const auto disturbance = describe();
  EXPECT_FALSE(disturbance.getDisturbed());
  EXPECT_EQ(disturbance.getStolen(), 0);
  EXPECT_EQ(disturbance.getOthers(), 0);
  EXPECT_STREQ(disturbance.getReason().cStr(), "");
}

TEST_F(DisturbanceTest, TheShareOfOthersIsOfAllProcessorsWithoutItsOwn) {
  after_.processors.busy += 20;
  const auto disturbance = describe();
  EXPECT_DOUBLE_EQ(disturbance.getOthers(), 0.2);
  EXPECT_TRUE(disturbance.getDisturbed());
  EXPECT_STREQ(disturbance.getReason().cStr(), "other processes took 20 % of the processors");
}

TEST_F(DisturbanceTest, ALittleOfOthersIsBorne) {
  after_.processors.busy += 14;
  after_.processors.stolen += 1;
  after_.sync = 7;
  EXPECT_FALSE(describe().getDisturbed());
}

TEST_F(DisturbanceTest, WhatTheHostTakesDisturbs) {
  after_.processors.stolen += 3;
  const auto disturbance = describe();
  EXPECT_DOUBLE_EQ(disturbance.getStolen(), 0.03);
  EXPECT_TRUE(disturbance.getDisturbed());
  EXPECT_THAT(disturbance.getReason().cStr(), HasSubstr("the host took 3 %"));
}

TEST_F(DisturbanceTest, ASyncThatIsMuchSlowerOrMuchFasterDisturbs) {
  for (const double sync : {8.5, 0.4}) {
    after_.sync = sync;
    EXPECT_TRUE(describe().getDisturbed()) << sync;
    EXPECT_THAT(describe().getReason().cStr(), HasSubstr("a sync took 2"));
  }
}

// A second in a run of ten minutes makes the longest wait of all, and is nothing on average.
TEST_F(DisturbanceTest, ABurstOfASecondDisturbs) {
  between_ = {lookAt(10, 0, 0), lookAt(11, 1.5, 0)};
  after_.processors.busy += 1.5;
  const auto others = describe();
  EXPECT_NEAR(others.getOthers(), 0.015, kRounding);
  EXPECT_NEAR(others.getWorstOthers(), 0.75, kRounding);
  EXPECT_STREQ(others.getReason().cStr(), "other processes took 75 % of the processors in the worst second");
  between_ = {lookAt(10, 1.5, 0), lookAt(11, 1.5, 0.5)};
  after_.processors.stolen += 0.5;
  const auto stolen = describe();
  EXPECT_NEAR(stolen.getWorstStolen(), 0.25, kRounding);
  EXPECT_STREQ(stolen.getReason().cStr(), "the host took 25 % of the processors in the worst second");
}

TEST_F(DisturbanceTest, ASecondOfALittleMoreIsBorneAndSoIsAMomentOfMuch) {
  between_ = {lookAt(10, 0, 0), lookAt(11, 0.7, 0.15), lookAt(49.7, 0.7, 0.15)};
  after_.processors.busy += 1.3;  // in the last three tenths
  after_.processors.stolen += 0.15;
  const auto disturbance = describe();
  EXPECT_NEAR(disturbance.getWorstOthers(), 0.35, kRounding);
  EXPECT_STREQ(disturbance.getReason().cStr(), "");
}

// The kernel's threads that wrote a run's own data to the disk once disturbed it.
TEST_F(DisturbanceTest, ThreadsOfTheKernelAreNoOthers) {
  after_.processors.busy += 20;
  after_.kernel = 18;
  const auto disturbance = describe();
  EXPECT_NEAR(disturbance.getOthers(), 0.02, kRounding);
  EXPECT_FALSE(disturbance.getDisturbed());
}

TEST_F(DisturbanceTest, ThreadsOfTheKernelAreKnownByTheirFlags) {
  EXPECT_EQ(
      kernelTicksOf("31 (kworker/u4:2-flush (8:0)) I 2 0 0 0 -1 69238880 0 0 0 0 1 57 0 0 20 0 1 0 9 0"),
      58U);
  EXPECT_EQ(kernelTicksOf("812 (sh) S 1 812 812 0 -1 4194304 1 2 3 4 5 6 0 0 20 0 1 0 9 0"), std::nullopt);
  EXPECT_EQ(kernelTicksOf(""), std::nullopt);
  KernelThreads threads;
  EXPECT_GE(threads.seconds(), 0);
}

TEST_F(DisturbanceTest, AWatchLooksUntilItIsAsked) {
  const testing::TemporaryFolder folder;
  DisturbanceWatch watch(folder.path());
  auto disturbance = message_->initRoot<Disturbance>();
  watch.describe(disturbance);
  EXPECT_GT(disturbance.getSyncBefore(), 0);
  EXPECT_GT(disturbance.getSyncAfter(), 0);
}

// Ticks of the kernel are coarser than the account of a process.
TEST_F(DisturbanceTest, LessThanNothingIsNothing) {
  after_.own += 5;
  EXPECT_EQ(describe().getOthers(), 0);
}

TEST_F(DisturbanceTest, TheMachineSaysWhichCommitWasBuilt) {
  const testing::TemporaryFolder folder;
  capnp::MallocMessageBuilder message;
  auto machine = message.initRoot<Machine>();
  describeMachine(folder.path(), machine);
  EXPECT_THAT(machine.getBuild().cStr(), StartsWith("commit "));
}

}  // namespace
}  // namespace instar::bench
