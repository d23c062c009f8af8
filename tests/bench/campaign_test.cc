#include "instar/bench/upgrade/campaign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <utility>

#include "instar/bench/upgrade/runner.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class CampaignTest : public ::testing::Test {
 protected:
  // What it says on the way.
  std::string run(const std::vector<Scenario>& scenarios, unsigned repetitions,
                  const std::vector<Scenario>& again = {}) {
    std::ostringstream messages;
    tables_.str("");
    Campaign campaign({.out = folder_.path() / "out", .data = folder_.path() / "data", .program = program_},
                      tables_, messages, false);
    campaign.run(scenarios, repetitions, again);
    return messages.str();
  }

  // From here on every run of `scenario` fails.
  void spoil(const Scenario& scenario) {
    program_ = folder_.path() / "program";
    std::ofstream(program_) << "#!/bin/sh\n[ \"$1 $2\" = \"play " << nameOf(scenario)
                            << "\" ] && exit 1\nexec " INSTAR_UPGRADE_BENCH " \"$@\"\n";
    std::filesystem::permissions(program_, std::filesystem::perms::owner_all);
  }

  // As if the runs that are there were of that build.
  void setBuild(const char* build) const {
    Results results(folder_.path() / "out");
    std::vector<std::string> texts = results.asJson();
    for (const std::string& text : texts) {
      RunRecord run;
      fromJson(text, run.builder());
      run.builder().getMachine().setBuild(build);
      results.add(std::move(run));
    }
  }

  // Of the runs that are there: which, repetition, and whether the build is this one.
  std::vector<std::tuple<Scenario, unsigned, bool>> runs() const {
    std::vector<std::tuple<Scenario, unsigned, bool>> found;
    const Results results(folder_.path() / "out");
    for (const RunRecord& record : results.runs()) {
      const Run::Reader run = record.reader();
      found.emplace_back(scenarioOf(run.getName().cStr()), run.getRepetition(),
                         std::string(run.getMachine().getBuild().cStr()).starts_with("commit "));
    }
    return found;
  }

  const testing::TemporaryFolder folder_;
  std::filesystem::path program_ = INSTAR_UPGRADE_BENCH;
  std::ostringstream tables_;
  const std::vector<Scenario> scenarios_ = {
      scenarioOf("instar/lazy/derived/c/zipf/100/rps=1000/seconds=0.01"),
      scenarioOf("instar/batches/derived/c/zipf/100/rps=1000/seconds=0.01")};
};

TEST_F(CampaignTest, GoesOnWithTheRunsThatAreMissing) {
  EXPECT_EQ(run({scenarios_[0]}, 1), "1/1 " + nameOf(scenarios_[0]) + ", repetition 1\n");
  const std::string more = run(scenarios_, 2);
  EXPECT_EQ(more, "1/3 " + nameOf(scenarios_[1]) + ", repetition 1\n2/3 " + nameOf(scenarios_[1]) +
                      ", repetition 2\n3/3 " + nameOf(scenarios_[0]) + ", repetition 2\n")
      << "every second repetition has them the other way round";
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

// What the kill had left was counted by a scenario that is not offered, and every such run failed.
TEST_F(CampaignTest, AMigrationWithATimeUnderTheLockCanBeKilledToo) {
  const Scenario scenario =
      scenarioOf("instar/batches/derived/c/zipf/3000/lock=700/rps=1000/seconds=0.01/kill");
  run({scenario}, 1);
  EXPECT_THAT(runs(), ElementsAre(std::tuple(scenario, 1, true)));
}

// Each repetition once had the same operations in the same order.
TEST_F(CampaignTest, ARepetitionIsTheSeedOfItsOperationsForAll) {
  const auto log = folder_.path() / "seeds";
  program_ = folder_.path() / "program";
  std::ofstream(program_)
      << "#!/bin/sh\n[ \"$1\" = play ] && echo \"$@\" | sed 's/.*--seed \\([0-9]*\\).*/\\1/' >>"
      << log.string() << "\nexec " INSTAR_UPGRADE_BENCH " \"$@\"\n";
  std::filesystem::permissions(program_, std::filesystem::perms::owner_all);
  run(scenarios_, 2);
  EXPECT_EQ(readText(log), "1\n1\n2\n2\n");
}

TEST_F(CampaignTest, RunsOfOneCallAreOfOneSitting) {
  run(scenarios_, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  run(scenarios_, 2);
  const Results results(folder_.path() / "out");
  const auto sittingOf = [&](unsigned which, unsigned repetition) -> std::string {
    return results.find(nameOf(scenarios_[which]), repetition)->reader().getSitting().cStr();
  };
  EXPECT_NE(sittingOf(0, 1), "");
  EXPECT_EQ(sittingOf(0, 1), sittingOf(1, 1));
  EXPECT_EQ(sittingOf(0, 2), sittingOf(1, 2));
  EXPECT_NE(sittingOf(0, 1), sittingOf(0, 2));
}

// One that failed once ended all, and each time that it was gone on with it was the first.
TEST_F(CampaignTest, ARunThatFailsIsListedAndTheOthersAreMade) {
  spoil(scenarios_[0]);
  try {
    run(scenarios_, 2);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("2 of 4 runs failed:\n  " + nameOf(scenarios_[0]) + ", repetition 1: "));
  }
  EXPECT_THAT(runs(), ElementsAre(std::tuple(scenarios_[1], 1, true), std::tuple(scenarios_[1], 2, true)));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "out" / "index.html"));
}

// They were once forgotten first, and a campaign that ended early had neither the old nor the new ones.
TEST_F(CampaignTest, RunsAreReplacedOnlyByTheirSuccessors) {
  run({scenarios_[0]}, 3);
  setBuild("old");
  const std::filesystem::path good = program_;
  spoil(scenarios_[0]);
  EXPECT_THROW(run({scenarios_[0]}, 2, {scenarios_[0]}), std::runtime_error);
  EXPECT_THAT(runs(), ElementsAre(std::tuple(scenarios_[0], 1, false), std::tuple(scenarios_[0], 2, false),
                                  std::tuple(scenarios_[0], 3, false)));
  program_ = good;
  run({scenarios_[0]}, 2, {scenarios_[0]});
  EXPECT_THAT(runs(), ElementsAre(std::tuple(scenarios_[0], 1, true), std::tuple(scenarios_[0], 2, true)));
}

TEST_F(CampaignTest, WhatOthersShareIsMadeAgainOnlyByAnotherBuild) {
  run(scenarios_, 1);
  EXPECT_EQ(run(scenarios_, 1, {scenarios_[1]}), "1/1 " + nameOf(scenarios_[1]) + ", repetition 1\n");
  setBuild("old");
  run(scenarios_, 1, {scenarios_[1]});
  EXPECT_THAT(runs(),
              UnorderedElementsAre(std::tuple(scenarios_[0], 1, true), std::tuple(scenarios_[1], 1, true)));
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

// How a program ends that makes the runs of `scenario`, once it is at one and is sent `signal`.
int endOf(const std::filesystem::path& folder, const Scenario& scenario, int signal) {
  const auto data = folder / "data";
  std::string texts[] = {
      INSTAR_UPGRADE_BENCH, "run", nameOf(scenario), "--out", folder / "out", "--data", data};
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  // A shell lets what runs behind it ignore SIGINT, and then so would this.
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, signal);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setsigdefault(&attributes, &signals);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t process = 0;
  const int code =
      ::posix_spawn(&process, INSTAR_UPGRADE_BENCH, nullptr, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (code != 0) return -1;
  int status = 0;
  const auto own = data / ("upgrade-" + std::to_string(process));
  pid_t ended = 0;
  while (!std::filesystem::exists(own / "run") && (ended = ::waitpid(process, &status, WNOHANG)) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (ended == 0) {
    ::kill(process, signal);
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Their files were once left behind, gigabytes of them, and what was measured was not reported.
TEST_F(CampaignTest, WhatInterruptsItLeavesAReportAndNoData) {
  Scenario lengthy = scenarios_[0];
  lengthy.seconds = 60;
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto folder = folder_.path() / std::to_string(signal);
    EXPECT_EQ(endOf(folder, lengthy, signal), 128 + signal);
    EXPECT_TRUE(std::filesystem::is_empty(folder / "data"));
    EXPECT_TRUE(std::filesystem::exists(folder / "out" / "index.html"));
    EXPECT_TRUE(std::filesystem::exists(folder / "out" / "totals.csv"));
  }
}

TEST_F(CampaignTest, WhatDeadProcessesHaveLeftIsRemoved) {
  const pid_t dead = ::fork();
  ASSERT_GE(dead, 0);
  if (dead == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(dead, nullptr, 0), dead);
  const auto data = folder_.path() / "data";
  for (const std::string& name : {"upgrade-" + std::to_string(dead), "upgrade-" + std::to_string(::getppid()),
                                  std::string("upgrade-notes"), std::string("mine")})
    std::filesystem::create_directories(data / name / "run");
  run({scenarios_[0]}, 1);
  EXPECT_FALSE(std::filesystem::exists(data / ("upgrade-" + std::to_string(dead))));
  EXPECT_TRUE(std::filesystem::exists(data / ("upgrade-" + std::to_string(::getppid())) / "run"));
  EXPECT_TRUE(std::filesystem::exists(data / "upgrade-notes" / "run"));
  EXPECT_TRUE(std::filesystem::exists(data / "mine" / "run"));
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
