// The canary reads of a version in one store, without a file.

#include "instar/engine/internal/staging/canary_trial.h"

#include <capnp/dynamic.h>
#include <capnp/message.h>
#include <gtest/gtest.h>

#include "instar/tests/engine/staging/contacts.h"

namespace instar {
namespace {

using namespace testing;

constexpr GuardRails kRails{.minimumSamples = 10, .maxErrorShare = 0.05, .maxDivergenceShare = 0.05};

class CanaryTrialTest : public ::testing::Test {
 protected:
  CanaryTrialTest() {
    trial->setGuardRails(kRails);
    trial->onRead([this](CanaryTrial::Wake when) { ++(when == CanaryTrial::Wake::now ? urged : woken); });
  }

  // As many reads of rows of version 1, which fail where the name is no number; looked at.
  void read(const char* name, int times) {
    capnp::MallocMessageBuilder message;
    auto row = message.initRoot<capnp::DynamicStruct>(contact1().root());
    row.set("name", name);
    const auto words = message.getSegmentsForOutput()[0].asBytes();
    const RowView view{1, RowFlags::none, std::as_bytes(std::span(words.begin(), words.size()))};
    for (; times > 0; --times) trial->read(asBytes("key"), view);
    trips += trial->examine(std::chrono::steady_clock::time_point::max()) ? 1 : 0;
  }
  void readGood(int times) { read("77", times); }
  void readBad(int times) { read("no number", times); }

  int woken = 0;
  int urged = 0;
  int trips = 0;
  std::shared_ptr<CanaryTrial> trial =
      std::make_shared<CanaryTrial>("contacts", Plans(contact1()), Plans(contactWithNumber()));
};

TEST_F(CanaryTrialTest, TripsWithTheFirstReadOfWhichAnythingIsDecided) {
  readBad(9);
  EXPECT_FALSE(trial->isTripped());
  readGood(1);
  EXPECT_TRUE(trial->isTripped());
  EXPECT_EQ(trips, 1);
  readBad(5);
  EXPECT_EQ(trips, 1);
  EXPECT_EQ(trial->take().statistics.failed, 9U) << "what comes behind is not looked at";
}

TEST_F(CanaryTrialTest, SaysWhenThereAreRowsToLookAtAndWhenItIsTime) {
  trial->setGuardRails({.minimumSamples = UINT64_MAX});
  readGood(100);
  EXPECT_EQ(woken, 1);
  readGood(1);
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(urged, 0);
  readGood(50'000);
  EXPECT_EQ(urged, 1);
  const auto seen = trial->take().statistics;
  const auto samples = seen.samples;
  EXPECT_EQ(samples + seen.passedOver, 50'101U);
  EXPECT_GT(samples, 1101U);
  EXPECT_LT(samples, 50'101U) << "for all of them there is no room";
}

TEST_F(CanaryTrialTest, KeepsNothingWhereNobodyLooks) {
  trial->onRead({});
  readGood(20);
  EXPECT_EQ(trial->take().statistics.samples, 0U);
}

TEST_F(CanaryTrialTest, TripsByWhatOtherProgramsHaveSeenToo) {
  CanaryStatistics others;
  others.samples = 100;
  others.failed = 20;
  trial->see(others, false);
  readBad(1);
  EXPECT_TRUE(trial->isTripped());
}

TEST_F(CanaryTrialTest, LeavesTheLatencyToWhoKeepsIt) {
  trial->setGuardRails(
      {.minimumSamples = 10, .maxErrorShare = 1, .maxDivergenceShare = 1, .maxLatencyRatio = 1e-9});
  readGood(50);
  readBad(50);
  EXPECT_FALSE(trial->isTripped());
  EXPECT_EQ(decide({.minimumSamples = 10, .maxErrorShare = 1, .maxLatencyRatio = 1e-9},
                   trial->take().statistics, {})
                .verdict,
            GuardVerdict::breach);
}

TEST_F(CanaryTrialTest, LooksAtSomeRowsAtATime) {
  capnp::MallocMessageBuilder message;
  message.initRoot<capnp::DynamicStruct>(contact1().root()).set("name", "77");
  const auto words = message.getSegmentsForOutput()[0].asBytes();
  const RowView view{1, RowFlags::none, std::as_bytes(std::span(words.begin(), words.size()))};
  for (int row = 0; row < 3; ++row) trial->read(asBytes("key"), view);
  for (std::uint64_t seen = 1; seen <= 3; ++seen) {
    EXPECT_TRUE(trial->hasRows());
    EXPECT_FALSE(trial->examine({}));  // it is late already
    EXPECT_EQ(trial->take().statistics.samples, 1U);
  }
  EXPECT_FALSE(trial->hasRows());
}

TEST_F(CanaryTrialTest, IsDoneWhenItsHandlesAreGoneAndItsReadsAreTaken) {
  EXPECT_TRUE(trial->isDone());
  auto one = trial->open({});
  auto other = trial->open({});
  one.reset();
  EXPECT_FALSE(trial->isDone());
  readGood(1);
  other.reset();
  EXPECT_FALSE(trial->isDone());
  trial->take();
  EXPECT_TRUE(trial->isDone());
}

TEST_F(CanaryTrialTest, TellsEachHandleOnceThatItHasEnded) {
  int told = 0;
  const auto tell = [&](const StagingEnd& end) {
    EXPECT_EQ(end.collection, "contacts");
    EXPECT_EQ(end.version, 2);
    EXPECT_EQ(end.reason, "by hand");
    ++told;
    throw std::runtime_error("as it must not");
  };
  const auto one = trial->open(tell);
  const auto other = trial->open(tell);
  trial->open(tell);  // gone at once
  trial->end(VersionState::aborted, "by hand");
  EXPECT_EQ(told, 2);
  EXPECT_TRUE(trial->isDone());
  const auto late = trial->open(tell);
  EXPECT_FALSE(trial->isDone());
  trial->end(VersionState::aborted, "by hand");
  EXPECT_EQ(told, 3);
  EXPECT_TRUE(trial->isDone());
}

}  // namespace
}  // namespace instar
