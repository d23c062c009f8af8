// The tests, or one case of them as failures print it:
//
//     instar_fault_tests --case SCENARIO FAULTS [leave]

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "instar/tests/faults/fault_case.h"

namespace instar::testing {
namespace {

int runOneCase(std::string_view name, std::string_view text, bool leaves) {
  const std::vector<Fault> faults = parseFaults(text);
  const CaseResult result =
      FaultCases(scenarioNamed(name)).run(faults, leaves ? AfterFailure::leave : AfterFailure::goOn);
  for (std::size_t i = 0; i < faults.size(); ++i)
    std::cout << describe({&faults[i], 1}) << (result.hits[i] ? " was hit\n" : " was not hit\n");
  std::cout << result.failedSteps << " steps failed\n";
  for (std::size_t i = 0; i < kFaultCalls; ++i)
    std::cout << nameOf(static_cast<FaultCall>(i)) << ' ' << result.calls[i] << '\n';
  std::cout << (result.wrong.empty() ? "as it has to be" : result.wrong) << '\n';
  return result.wrong.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace instar::testing

int main(int argumentCount, char** arguments) {
  // Files in memory are synced for free.
  if (std::filesystem::is_directory("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 0);
  std::signal(SIGPIPE, SIG_IGN);
  if (argumentCount >= 4 && std::string_view(arguments[1]) == "--case") {
    const bool leaves = argumentCount > 4 && std::string_view(arguments[4]) == "leave";
    return instar::testing::runOneCase(arguments[2], arguments[3], leaves);
  }
  ::testing::InitGoogleTest(&argumentCount, arguments);
  return RUN_ALL_TESTS();
}
