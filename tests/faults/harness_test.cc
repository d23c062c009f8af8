// That the harness finds what it is there to find: storage that forgets, errors that nobody passes on,
// crashes, hangs, programs that end by themselves, and errors that say nothing or less than could be known.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <new>
#include <stdexcept>

#include "instar/format/error.h"
#include "instar/tests/faults/fault_case.h"

namespace instar::testing {
namespace {

using ::testing::HasSubstr;

// How many of the cases are found wrong.
int countWrong(const Scenario& scenario, FaultCall call, int error, AfterFailure after) {
  FaultCases cases(scenario);
  int wrong = 0;
  for (std::uint64_t number = 1;; ++number) {
    const Fault fault{.call = call, .error = error, .number = number};
    const CaseResult result = cases.run({&fault, 1}, after);
    if (!result.wrong.empty()) ++wrong;
    if (!result.hits[0]) return wrong;
  }
}

TEST(FaultHarness, FindsADiskThatReportsWritesWhichItHasNotDone) {
  EXPECT_GT(countWrong(scenarioNamed("evolve"), FaultCall::pwrite, kSuccessWithout, AfterFailure::goOn), 0);
}

// Of the scenario the steps of this name take no notice of errors.
Scenario swallowing(std::string_view scenarioName, std::string_view stepName) {
  Scenario scenario = scenarioNamed(scenarioName);
  for (Step& step : scenario.steps) {
    if (step.name != stepName) continue;
    step.run = [run = step.run](World& world) {
      try {
        run(world);
      } catch (const Error&) {
      }
    };
  }
  return scenario;
}

TEST(FaultHarness, FindsACommitWhoseErrorIsSwallowed) {
  const Scenario scenario = swallowing("evolve", "put");
  for (const FaultCall call : {FaultCall::pwrite, FaultCall::fdatasync})
    EXPECT_GT(countWrong(scenario, call, EIO, AfterFailure::goOn), 0) << nameOf(call);
}

// With rows alone none of these was found: they are the same at every version.
TEST(FaultHarness, FindsADecisionAboutAVersionWhoseErrorIsSwallowed) {
  Scenario promotion = swallowing("promotion", "promote");
  while (promotion.steps.back().name != "promote") promotion.steps.pop_back();
  EXPECT_GT(countWrong(promotion, FaultCall::pwrite, EIO, AfterFailure::goOn), 0);
  Scenario abort = swallowing("abort", "abort");
  while (abort.steps.back().name != "abort") abort.steps.pop_back();
  EXPECT_GT(countWrong(abort, FaultCall::pwrite, EIO, AfterFailure::goOn), 0);
  Scenario share = swallowing("promotion", "percent");
  while (share.steps.back().name != "percent") share.steps.pop_back();
  EXPECT_GT(countWrong(share, FaultCall::pwrite, EIO, AfterFailure::goOn), 0);
}

// An older state of the versions, though it was reported to be stored, and one that is stored and was
// reported not to be.
TEST(FaultHarness, FindsVersionsThatAreNotAsWasReported) {
  Scenario scenario = scenarioNamed("promotion");
  const auto isPromotion = [](const Step& step) { return step.name == "promote"; };
  Step& promotion = *std::ranges::find_if(scenario.steps, isPromotion);
  scenario.steps.erase(std::ranges::find_if(scenario.steps, isPromotion) + 1, scenario.steps.end());
  const auto run = promotion.run;
  promotion.run = [](World&) {};
  EXPECT_THAT(FaultCases(scenario).run({}, AfterFailure::goOn).wrong,
              HasSubstr("versions are not as they should be"));
  promotion.run = [run](World& world) {
    run(world);
    throw Error(ErrorCode::fixEnvironment, "the disk reports an error: look at it", {{"a", "b"}});
  };
  const Fault fault{.call = FaultCall::fdatasync, .error = EIO, .number = 1000};
  EXPECT_THAT(FaultCases(scenario).run({&fault, 1}, AfterFailure::goOn).wrong,
              HasSubstr("it is stored, and was reported not to be"));
}

// Instead of the first step.
std::string verdictOn(const std::function<void(World&)>& step) {
  Scenario scenario = scenarioNamed("evolve");
  scenario.steps.front().run = step;
  const Fault fault{.call = FaultCall::fdatasync, .error = EIO, .number = 1};
  return FaultCases(scenario).run({&fault, 1}, AfterFailure::goOn).wrong;
}

TEST(FaultHarness, FindsACrash) {
  EXPECT_THAT(verdictOn([](World&) { ::raise(SIGSEGV); }), HasSubstr("Segmentation fault"));
  EXPECT_THAT(verdictOn([](World&) { std::terminate(); }), HasSubstr("Aborted"));
}

TEST(FaultHarness, FindsAProgramThatEndsInTheMidst) {
  EXPECT_THAT(verdictOn([](World&) { ::_exit(0); }), HasSubstr("it ends the process with status 0"));
  EXPECT_THAT(verdictOn([](World&) { std::exit(EXIT_SUCCESS); }),
              HasSubstr("it ends the process with status 0"));
  EXPECT_THAT(verdictOn([](World&) { ::_exit(1); }), HasSubstr("it ends the process with status 1"));
}

TEST(FaultHarness, FindsAnExaminationThatEndsInTheMidst) {
  Scenario scenario = scenarioNamed("backup");
  scenario.examine = [](const World&) { ::_exit(0); };
  EXPECT_THAT(FaultCases(scenario).run({}, AfterFailure::goOn).wrong,
              HasSubstr("afterwards: it ends the process with status 0"));
}

TEST(FaultHarness, FindsHalfABackupUnderItsName) {
  Scenario scenario = scenarioNamed("backup");
  scenario.steps.back().run = [run = scenario.steps.back().run](World& world) {
    run(world);
    std::filesystem::resize_file(world.folder / "copy", 8192);
  };
  EXPECT_THAT(FaultCases(scenario).run({}, AfterFailure::goOn).wrong, HasSubstr("afterwards"));
}

TEST(FaultHarness, FindsAHang) {
  EXPECT_THAT(verdictOn([](World&) { ::raise(SIGALRM); }), HasSubstr("it hangs")) << "which the alarm ends";
}

TEST(FaultHarness, FindsErrorsThatBelongToSomethingElseOrSayNothing) {
  EXPECT_THAT(verdictOn([](World&) { throw Error(ErrorCode::restoreFromBackup, "the file is damaged"); }),
              HasSubstr("does not belong to the fault"));
  EXPECT_THAT(verdictOn([](World&) {
                throw Error(ErrorCode::fixEnvironment, "the system refuses: see the reason", {{"a", "b"}});
              }),
              HasSubstr("does not say what to do"));
  EXPECT_THAT(verdictOn([](World&) {
                throw Error(ErrorCode::readBack, "read back", {{"a", "b"}});
              }),
              HasSubstr("does not belong to the fault"));
  EXPECT_THAT(verdictOn([](World&) { throw std::runtime_error("oh"); }), HasSubstr("another exception: oh"));
  EXPECT_THAT(verdictOn([](World&) { throw std::bad_alloc(); }), HasSubstr("there was enough memory"));
}

// Whether a commit is stored is unknown where its last page could not be written, and known everywhere else.
TEST(FaultHarness, FindsWhoDoesNotKnowWhatHeCould) {
  FaultCases honest(scenarioNamed("evolve"));
  Scenario scenario = scenarioNamed("evolve");
  for (Step& step : scenario.steps) {
    if (step.kind != StepKind::commit) continue;
    step.run = [run = step.run](World& world) {
      try {
        run(world);
      } catch (const Error&) {
        throw Error(ErrorCode::readBack, "read back", {{"a", "b"}});
      }
    };
  }
  FaultCases ignorant(scenario);
  int unknown = 0;
  int found = 0;
  for (std::uint64_t number = 1;; ++number) {
    const Fault fault{.call = FaultCall::pwrite, .error = EIO, .number = number};
    const CaseResult result = honest.run({&fault, 1}, AfterFailure::goOn);
    if (!result.hits[0]) break;
    EXPECT_EQ(result.wrong, "");
    unknown += static_cast<int>(result.readBacks);
    if (!ignorant.run({&fault, 1}, AfterFailure::goOn).wrong.empty()) ++found;
  }
  EXPECT_GT(unknown, 0);
  EXPECT_GT(found, 0);
}

TEST(FaultHarness, FindsFilesThatAreLeftBehind) {
  Scenario scenario = scenarioNamed("evolve");
  scenario.steps.front().run = [run = scenario.steps.front().run](World& world) {
    run(world);
    std::filesystem::create_directory(world.folder / ".items.instar-1234");
  };
  EXPECT_THAT(FaultCases(scenario).run({}, AfterFailure::goOn).wrong, HasSubstr("left behind"));
}

// Types that are aligned more than others get their memory by another function.
TEST(FaultHarness, RefusesMemoryToEachKindOfNew) {
  const Fault fault{.call = FaultCall::allocate, .error = ENOMEM, .number = 1};
  constexpr auto kAligned = std::align_val_t(64);
  const auto isRefused = [&](auto allocate) {
    armFaults({&fault, 1});
    bool isRefused = false;
    try {
      allocate();
    } catch (const std::bad_alloc&) {
      isRefused = true;
    }
    disarmFaults();
    return isRefused;
  };
  EXPECT_TRUE(isRefused([] { ::operator delete(::operator new(100)); }));
  EXPECT_TRUE(isRefused([] { ::operator delete(::operator new(100, kAligned), kAligned); }));
}

TEST(FaultHarness, ReadsTheFaultsThatItPrints) {
  for (const char* const text : {"write:EIO:1", "pwrite:ENOSPC:12+", "open:EINTR:3,allocate:ENOMEM:400"})
    EXPECT_EQ(describe(parseFaults(text)), text);
  for (const char* const text :
       {"write", "write:EIO", "write:EIO:0", "write:EIO:x", "no:EIO:1", "write:NO:1"})
    EXPECT_THROW(parseFaults(text), std::invalid_argument) << text;
}

}  // namespace
}  // namespace instar::testing
