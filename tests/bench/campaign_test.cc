#include "instar/bench/upgrade/campaign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>
#include <utility>

#include "instar/bench/upgrade/runner.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::bench {
namespace {

using ::testing::HasSubstr;

class CampaignTest : public ::testing::Test {
 protected:
  // What it says on the way.
  std::string run(const std::vector<Scenario>& scenarios, unsigned repetitions) {
    std::ostringstream messages;
    tables_.str("");
    Campaign campaign(
        {.out = folder_.path() / "out", .data = folder_.path() / "data", .program = INSTAR_UPGRADE_BENCH},
        tables_, messages, false);
    campaign.run(scenarios, repetitions);
    return messages.str();
  }

  const testing::TemporaryFolder folder_;
  std::ostringstream tables_;
  const std::vector<Scenario> scenarios_ = {
      scenarioOf("instar/lazy/derived/c/zipf/100/rps=1000/seconds=0.01"),
      scenarioOf("instar/batches/derived/c/zipf/100/rps=1000/seconds=0.01")};
};

TEST_F(CampaignTest, GoesOnWithTheRunsThatAreMissing) {
  EXPECT_EQ(run({scenarios_[0]}, 1), "1/1 " + nameOf(scenarios_[0]) + ", repetition 1\n");
  const std::string more = run(scenarios_, 2);
  EXPECT_EQ(more, "1/3 " + nameOf(scenarios_[1]) + ", repetition 1\n2/3 " + nameOf(scenarios_[0]) +
                      ", repetition 2\n3/3 " + nameOf(scenarios_[1]) + ", repetition 2\n");
  EXPECT_EQ(run(scenarios_, 2), "");
  EXPECT_THAT(tables_.str(), HasSubstr("instar/lazy"));
  EXPECT_THAT(tables_.str(), HasSubstr("instar/batches"));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "out" / "totals.csv"));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "out" / "series.csv"));
}

TEST_F(CampaignTest, AMigrationThatIsKilledIsGoneOnWith) {
  run({scenarioOf("instar/batches/derived/c/zipf/3000/rps=1000/seconds=0.01/kill")}, 1);
  const Results results(folder_.path() / "out");
  ASSERT_EQ(results.runs().size(), 1U);
  const Run::Reader run = results.runs()[0].reader();
  if (run.getLostByKill() == -1) GTEST_SKIP() << "the migration was faster than the one before";
  EXPECT_GE(run.getLostByKill(), 0);
  // What is found is not done again, nor is anything left out.
  EXPECT_EQ(run.getRowsKeptByKill() + run.getRowsAfterKill(), 3000U);
}

TEST_F(CampaignTest, RunsOfAnotherBuildAreNotGoneOnWith) {
  run({scenarios_[0]}, 1);
  const Campaign::Places places{.out = folder_.path() / "out", .data = folder_.path() / "data"};
  std::ostringstream none;
  EXPECT_NO_THROW(Campaign(places, none, none, false).refuseOthers(scenarios_));
  {
    Results results(places.out);
    RunRecord other;
    fromJson(toJson(results.runs()[0].reader()), other.builder());
    other.builder().getMachine().setBuild("commit 0");
    results.add(std::move(other));
  }
  const Campaign campaign(places, none, none, false);
  EXPECT_NO_THROW(campaign.refuseOthers({scenarios_[1]}));
  try {
    campaign.refuseOthers(scenarios_);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("another build or machine (commit 0;"));
    EXPECT_THAT(error.what(), HasSubstr("take another --out, or remove"));
  }
}

TEST(CommandTest, APathIsOneWordToAShell) {
  EXPECT_EQ(shellWord("/srv/orders.instar"), "/srv/orders.instar");
  EXPECT_EQ(shellWord("/srv/my orders"), "'/srv/my orders'");
  EXPECT_EQ(shellWord("it's"), R"('it'\''s')");
  EXPECT_EQ(shellWord("$HOME"), "'$HOME'");
  EXPECT_EQ(shellWord(""), "''");
}

}  // namespace
}  // namespace instar::bench
