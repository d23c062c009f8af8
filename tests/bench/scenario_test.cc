#include "instar/bench/upgrade/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "instar/bench/upgrade/catalogue.h"

namespace instar::bench {
namespace {

using ::testing::HasSubstr;

TEST(ScenarioTest, ItsNameMakesItAgain) {
  const Scenario scenario{.system = System::sqlite,
                          .strategy = Strategy::paced,
                          .change = Change::history,
                          .mix = Mix::e,
                          .access = Access::latest,
                          .rows = 123,
                          .durability = Durability::off,
                          .rate = 77,
                          .lockTime = 900,
                          .perSecond = 5,
                          .seconds = 0.25,
                          .longest = 3,
                          .cold = true,
                          .packs = true,
                          .kill = true,
                          .collection = "items"};
  EXPECT_EQ(scenarioOf(nameOf(scenario)), scenario);
  EXPECT_EQ(nameOf(scenario),
            "sqlite/paced/history/e/latest/123/durability=off/rate=77/lock=900/rps=5/seconds=0.25/longest=3/"
            "cold/packs/kill/collection=items");
}

TEST(ScenarioTest, WhatANameLeavesOutIsAsUsual) {
  EXPECT_EQ(nameOf(scenarioOf("lmdb/batches")), "lmdb/batches/derived/b/zipf/100000");
  EXPECT_EQ(nameOf(scenarioOf("instar/lazy/cold")), "instar/lazy/derived/b/zipf/100000/cold");
  EXPECT_EQ(scenarioOf("instar/paced").rate, kStandardRate);
  EXPECT_EQ(scenarioOf("instar/paced/rate=0").rate, 0U);
  EXPECT_EQ(scenarioOf(nameOf(scenarioOf("instar/paced/rate=0"))).rate, 0U);
}

std::string refusalOf(std::string_view name) {
  try {
    scenarioOf(name);
  } catch (const std::invalid_argument& refusal) {
    return refusal.what();
  }
  return "none";
}

TEST(ScenarioTest, AWrongNameIsRefusedWithWhatIsKnown) {
  EXPECT_THAT(refusalOf("oracle/lazy"), HasSubstr("there are instar, sqlite, lmdb, rocksdb"));
  EXPECT_THAT(refusalOf("instar/lazy/derived/b/zipf/many"), HasSubstr("rows is a number, not \"many\""));
  EXPECT_THAT(refusalOf("instar/lazy/derived/b/zipf/0"), HasSubstr("at least one row"));
  EXPECT_THAT(refusalOf("instar/lazy/derived/b/zipf/10/fast"), HasSubstr("\"fast\" is no option"));
  EXPECT_THAT(refusalOf("instar/lazy/seconds=-1"), HasSubstr("not negative"));
}

// They were part of a run's name and did nothing.
TEST(ScenarioTest, AnOptionThatWouldBeIgnoredIsNotOffered) {
  const auto whyNot = [](const char* name) { return whyNotOffered(scenarioOf(name)); };
  for (const char* name : {"instar/lazy/rate=5", "instar/standard/rate=5", "instar/batches/rate=5",
                           "instar/none/rate=5", "sqlite/eager/rate=5"})
    EXPECT_THAT(whyNot(name), HasSubstr("rate= is for paced")) << name;
  EXPECT_THAT(whyNot("instar/lazy/derived/b/zipf/10/collection=notes"), HasSubstr("collection= is for own"));
  for (const char* name : {"instar/lazy/lock=5", "sqlite/batches/lock=5", "lmdb/batches/lock=5"})
    EXPECT_THAT(whyNot(name), HasSubstr("lock= is for Instar's batches")) << name;
  EXPECT_THAT(whyNot("instar/eager/packs"), HasSubstr("packs is for Instar's batches"));
  EXPECT_THAT(whyNot("instar/lazy/kill"), HasSubstr("leave kill out"));
  EXPECT_THAT(whyNot("instar/rebuild"),
              HasSubstr("instar does not have the strategy rebuild for the change derived"));
  for (const char* name :
       {"instar/paced/rate=5/lock=5/packs", "instar/background/rate=5", "instar/batches/lock=5/kill",
        "sqlite/rebuild", "instar/lazy/own/b/zipf/10/collection=notes"})
    EXPECT_EQ(whyNot(name), "") << name;
}

TEST(ScenarioTest, AMigrationAtARateMayTakeLongerTheMoreRowsThereAre) {
  EXPECT_EQ(longestOf(scenarioOf("sqlite/eager-later/derived/b/zipf/10000000")), 600);
  EXPECT_EQ(longestOf(scenarioOf("instar/standard/derived/b/zipf/1000")), 600);
  EXPECT_EQ(longestOf(scenarioOf("instar/standard/derived/b/zipf/10000000")), 6000);
  EXPECT_EQ(longestOf(scenarioOf("instar/paced/derived/b/zipf/10000000/rate=2097152")), 12000);
  EXPECT_EQ(longestOf(scenarioOf("instar/paced/derived/b/zipf/10000000/longest=5")), 5);
}

TEST(CatalogueTest, WhatALoadTakesByItselfIsMeasuredBeforeWhatNeedsIt) {
  const auto scenarios = withLoads({scenarioOf("instar/paced/seconds=1/packs"),
                                    scenarioOf("instar/lazy/seconds=1"), scenarioOf("sqlite/eager/kill")});
  std::vector<std::string> names;
  for (const Scenario& scenario : scenarios) names.push_back(nameOf(scenario));
  EXPECT_THAT(names, ::testing::ElementsAre("instar/none/derived/b/zipf/100000/seconds=1",
                                            "instar/paced/derived/b/zipf/100000/seconds=1/packs",
                                            "instar/lazy/derived/b/zipf/100000/seconds=1",
                                            "sqlite/none/derived/b/zipf/100000",
                                            "sqlite/eager/derived/b/zipf/100000/kill"));
  for (const Scenario& scenario : quickScenarios(1000))
    EXPECT_THAT(quickScenarios(1000), ::testing::Contains(loadAlone(scenario))) << nameOf(scenario);
}

TEST(CatalogueTest, EveryScenarioIsThereOnceAndHasAName) {
  for (const auto& scenarios : {quickScenarios(1000), matrixScenarios(1000)}) {
    std::set<std::string> names;
    for (const Scenario& scenario : scenarios) {
      EXPECT_TRUE(isOffered(scenario)) << nameOf(scenario);
      EXPECT_EQ(scenarioOf(nameOf(scenario)), scenario);
      EXPECT_TRUE(names.insert(nameOf(scenario)).second) << nameOf(scenario);
    }
  }
}

// Each group of files is filled once, and nothing is left filled for long.
TEST(CatalogueTest, WhatUsesTheSameFilesIsTogether) {
  std::set<std::pair<std::uint64_t, Change>> seen;
  std::pair<std::uint64_t, Change> last;
  for (const Scenario& scenario : matrixScenarios(1000)) {
    const std::pair<std::uint64_t, Change> now(scenario.rows, scenario.change);
    if (now != last) {
      EXPECT_TRUE(seen.insert(now).second) << nameOf(scenario);
    }
    last = now;
  }
}

}  // namespace
}  // namespace instar::bench
