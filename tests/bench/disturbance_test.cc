#include "instar/bench/upgrade/disturbance.h"

#include <capnp/message.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "instar/tests/support/temporary_folder.h"

namespace instar::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A hundred seconds of all processors, of which this process took 30.
class DisturbanceTest : public ::testing::Test {
 protected:
  Disturbance::Reader describe() {
    auto disturbance = message_->initRoot<Disturbance>();
    describeDisturbance(before_, after_, disturbance);
    return disturbance.asReader();
  }

  const MachineLook before_{.processors = {.all = 1000, .busy = 200, .stolen = 7}, .own = 3, .sync = 2};
  MachineLook after_{.processors = {.all = 1100, .busy = 230, .stolen = 7}, .own = 33, .sync = 2};
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
