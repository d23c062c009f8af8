// Whatever call fails, and whatever n-th call of it: the right error, nothing that was acknowledged is lost,
// reading goes on, and so does work when the fault has gone.
//
//     instar_fault_tests --case SCENARIO FAULTS [leave]     one case, as failures print it
//
// Environment: INSTAR_FAULTS=all leaves nothing out; INSTAR_FAULTS_SEED repeats a choice of pairs;
// INSTAR_FAULTS_PAIRS is how many of them.

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <random>

#include "instar/tests/faults/fault_case.h"

namespace instar::testing {
namespace {

bool leavesNothingOut() {
  const char* const wish = std::getenv("INSTAR_FAULTS");
  return wish != nullptr && std::string_view(wish) == "all";
}

std::uint64_t numberFrom(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::vector<int> errorsOf(FaultCall call) {
  switch (call) {
    case FaultCall::write:
    case FaultCall::pwrite:
    case FaultCall::writev:
      return {EIO, ENOSPC, EINTR, kShortWrite};
    case FaultCall::open:
      return {EIO, ENOSPC, EINTR, EMFILE};
    case FaultCall::mmap:
      return {EIO, ENOSPC, EINTR, ENOMEM};
    case FaultCall::read:
    case FaultCall::pread:
      return {EIO, EINTR};
    case FaultCall::allocate:
      return {ENOMEM};
    default:
      return {EIO, ENOSPC, EINTR};
  }
}

// The thread that compacts waits for memory by the second.
bool mayLast(const Scenario& scenario, FaultCall call) {
  if (call != FaultCall::allocate) return true;
  const bool hasThread = scenario.options.compaction.mode != CompactionMode::off;
  return !hasThread || leavesNothingOut();
}

class FaultSweep : public ::testing::TestWithParam<std::tuple<std::string, FaultCall>> {};

TEST_P(FaultSweep, EveryNumberOfTheCall) {
  const auto& [name, call] = GetParam();
  const Scenario& scenario = scenarioNamed(name);
  FaultCases cases(scenario);
  const CaseResult whole = cases.run({}, AfterFailure::goOn);
  ASSERT_EQ(whole.wrong, "");
  unsigned ran = 0;
  unsigned failedSteps = 0;
  for (const int error : errorsOf(call)) {
    for (const bool isLasting : {false, true}) {
      if (isLasting && error == kShortWrite && !leavesNothingOut()) continue;
      if (isLasting && !mayLast(scenario, call)) continue;
      // A call may be missing in one run of several threads and not in the next; and some memory is libfiu's.
      const unsigned enough = scenario.isConcurrent || call == FaultCall::allocate ? 3 : 1;
      unsigned missing = 0;
      std::uint64_t step = 1;
      std::uint64_t number = 1;
      for (; missing < enough; number += step) {
        const Fault fault{call, error, number, isLasting};
        const auto after = (number + (isLasting ? 1 : 0)) % 2 == 0 ? AfterFailure::leave : AfterFailure::goOn;
        for (const AfterFailure way : {AfterFailure::goOn, AfterFailure::leave}) {
          if (way != after && !leavesNothingOut()) continue;
          const CaseResult result = cases.run({&fault, 1}, way);
          ASSERT_EQ(result.wrong, "");
          missing = result.hits[0] ? 0 : missing + 1;
          // How many calls there are is not the same in each run: batches end with their time.
          if (!result.hits[0] && !scenario.isConcurrent && call != FaultCall::allocate) {
            ASSERT_LT(result.calls[static_cast<std::size_t>(call)], number) << "a call has not failed";
          }
          failedSteps += result.failedSteps;
          ++ran;
        }
        // Of many allocations those that come later are alike.
        if (call == FaultCall::allocate && !leavesNothingOut()) step = 1 + number / 20;
      }
      if (call == FaultCall::allocate && !scenario.isConcurrent) {
        ASSERT_GT(number + number / 4, whole.calls[static_cast<std::size_t>(call)])
            << "it has ended too early";
      }
    }
  }
  RecordProperty("cases", static_cast<int>(ran));
  RecordProperty("failedSteps", static_cast<int>(failedSteps));
}

std::vector<std::string> scenarioNames() {
  std::vector<std::string> names;
  for (const Scenario& scenario : scenarios()) names.push_back(scenario.name);
  return names;
}

std::vector<FaultCall> allCalls() {
  std::vector<FaultCall> calls;
  for (std::size_t i = 0; i < kFaultCalls; ++i) calls.push_back(static_cast<FaultCall>(i));
  return calls;
}

// Where none of the scenarios makes a call, its sweeps prove nothing.
TEST(FaultSweepCalls, EachKindIsMadeInAScenario) {
  std::array<std::uint64_t, kFaultCalls> made{};
  for (const Scenario& scenario : scenarios()) {
    const CaseResult whole = FaultCases(scenario).run({}, AfterFailure::goOn);
    ASSERT_EQ(whole.wrong, "");
    for (std::size_t i = 0; i < kFaultCalls; ++i) made[i] += whole.calls[i];
  }
  for (const FaultCall call : allCalls()) EXPECT_GT(made[static_cast<std::size_t>(call)], 0U) << nameOf(call);
}

INSTANTIATE_TEST_SUITE_P(Scenario, FaultSweep,
                         ::testing::Combine(::testing::ValuesIn(scenarioNames()),
                                            ::testing::ValuesIn(allCalls())),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" +
                                  std::string(nameOf(std::get<1>(test.param)));
                         });

// The second fault meets a program that deals with the first one.
class FaultPairs : public ::testing::TestWithParam<std::string> {
 protected:
  explicit FaultPairs() : scenario_(scenarioNamed(GetParam())), cases_(scenario_) {}

  void expectRight(const std::vector<Fault>& faults, AfterFailure after) {
    const CaseResult result = cases_.run(faults, after);
    ASSERT_EQ(result.wrong, "");
    if (result.hits[0] && result.hits[1]) ++bothHit_;
  }

  const Scenario& scenario_;
  FaultCases cases_;
  int bothHit_ = 0;
};

TEST_P(FaultPairs, SomeByChance) {
  const std::uint64_t seed = numberFrom("INSTAR_FAULTS_SEED", 1);
  const std::uint64_t pairs = numberFrom("INSTAR_FAULTS_PAIRS", 100);
  SCOPED_TRACE("INSTAR_FAULTS_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const CaseResult whole = cases_.run({}, AfterFailure::goOn);
  ASSERT_EQ(whole.wrong, "");
  std::vector<FaultCall> calls;
  for (const FaultCall call : allCalls()) {
    const bool isLeftAlone = call == FaultCall::allocate && !leavesNothingOut();
    if (whole.calls[static_cast<std::size_t>(call)] != 0 && !isLeftAlone) calls.push_back(call);
  }
  const auto anyFault = [&] {
    const FaultCall call = calls[random() % calls.size()];
    const std::vector<int> errors = errorsOf(call);
    return Fault{.call = call,
                 .error = errors[random() % errors.size()],
                 .number = 1 + random() % whole.calls[static_cast<std::size_t>(call)],
                 .isLasting = random() % 4 == 0 && mayLast(scenario_, call)};
  };
  for (std::uint64_t pair = 0; pair < pairs; ++pair) {
    const std::vector<Fault> faults{anyFault(), anyFault()};
    expectRight(faults, random() % 2 == 0 ? AfterFailure::goOn : AfterFailure::leave);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(bothHit_, 0) << "nothing was proved";
  RecordProperty("pairs", static_cast<int>(pairs));
  RecordProperty("bothHit", bothHit_);
}

// Every number of every call with every other; the errors take turns. Memory is left to chance.
TEST_P(FaultPairs, AllOfThem) {
  if (!leavesNothingOut()) GTEST_SKIP() << "takes minutes: ./dev faults --all";
  const CaseResult whole = cases_.run({}, AfterFailure::goOn);
  std::vector<Fault> points;
  for (const FaultCall call : allCalls()) {
    if (call == FaultCall::allocate) continue;
    for (std::uint64_t number = 1; number <= whole.calls[static_cast<std::size_t>(call)]; ++number)
      points.push_back({.call = call, .number = number});
  }
  std::size_t turn = 0;
  const auto withError = [&](Fault point) {
    const std::vector<int> errors = errorsOf(point.call);
    point.error = errors[turn++ % errors.size()];
    return point;
  };
  for (std::size_t first = 0; first < points.size(); ++first) {
    for (std::size_t second = first + 1; second < points.size(); ++second) {
      const auto after = turn % 2 == 0 ? AfterFailure::goOn : AfterFailure::leave;
      expectRight({withError(points[first]), withError(points[second])}, after);
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Scenario, FaultPairs, ::testing::ValuesIn(scenarioNames()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace instar::testing
