// That the harness finds what it is there to find: storage that forgets, errors that nobody passes on,
// crashes, hangs, and errors that say nothing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
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

TEST(FaultHarness, FindsACommitWhoseErrorIsSwallowed) {
  Scenario scenario = scenarioNamed("evolve");
  for (Step& step : scenario.steps) {
    if (step.kind != StepKind::commit) continue;
    step.run = [run = step.run](World& world) {
      try {
        run(world);
      } catch (const Error&) {
      }
    };
  }
  for (const FaultCall call : {FaultCall::pwrite, FaultCall::fdatasync})
    EXPECT_GT(countWrong(scenario, call, EIO, AfterFailure::goOn), 0) << nameOf(call);
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
  EXPECT_THAT(verdictOn([](World&) { throw std::runtime_error("oh"); }), HasSubstr("another exception: oh"));
  EXPECT_THAT(verdictOn([](World&) { throw std::bad_alloc(); }), HasSubstr("there was enough memory"));
}

TEST(FaultHarness, FindsFilesThatAreLeftBehind) {
  Scenario scenario = scenarioNamed("evolve");
  scenario.steps.front().run = [run = scenario.steps.front().run](World& world) {
    run(world);
    std::filesystem::create_directory(world.folder / ".items.instar-1234");
  };
  EXPECT_THAT(FaultCases(scenario).run({}, AfterFailure::goOn).wrong, HasSubstr("left behind"));
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
