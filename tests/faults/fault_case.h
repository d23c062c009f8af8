#pragma once

// One scenario with some faults in its way, in processes of its own, so that a signal is a failure like
// others. What has to hold:
//
// 1. A step that fails does so with an error that says what to do, the one that belongs to the fault.
// 2. Directly after it the rows are those before the step or those behind it; only those before it where the
//    error promises that. Reading goes on in the same process, unless reading itself is what fails.
// 3. Without the faults the step and all others behind it succeed, in the same process and with the store
//    that was open. Or the process ends there, as if it had died. That it ends by itself is wrong.
// 4. Another process opens the file, finds it sound, the rows that may be there, and puts one. No other files
//    are left.
//
// One thread. The caller has no store open.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "instar/tests/faults/fault_calls.h"
#include "instar/tests/faults/scenarios.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::testing {

enum class AfterFailure : bool { goOn, leave };

struct CaseResult {
  std::array<bool, 4> hits{};  // of the faults
  std::array<std::uint64_t, kFaultCalls> calls{};
  unsigned failedSteps = 0;
  unsigned readBacks = 0;  // of these, so that it was unknown whether they are stored
  std::string wrong = {};  // empty: all is as it has to be
};

// Prepares the scenario's files once, and runs it as often as it is asked to.
class FaultCases {
 public:
  explicit FaultCases(const Scenario& scenario);

  CaseResult run(std::span<const Fault> faults, AfterFailure after);

  // The arguments of the test program that run the same again.
  std::string command(std::span<const Fault> faults, AfterFailure after) const;

 private:
  const Scenario& scenario_;
  const std::vector<ModelState> states_;
  const TemporaryFolder folder_;
};

}  // namespace instar::testing
