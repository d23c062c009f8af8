#pragma once

// Which errors belong to which faults. No state; any thread.

#include <span>
#include <string>

#include "instar/tests/faults/fault_calls.h"

namespace instar::testing {

struct Failure {
  std::string text = {};
  std::string wrong = {};   // why it must not be; empty: it may
  bool isReadBack = false;  // whether it was stored is unknown
  bool isRetry = false;
};

// The exception that is being handled, where these faults may have caused it: readBack only where a commit
// page could not be written (hasCommitPageFailed). Lifts the faults where they are such that nothing can be
// said with them.
Failure describeCurrent(std::span<const Fault> faults);

// Whether reading may fail as well.
bool mayKeepFromReading(std::span<const Fault> faults);

}  // namespace instar::testing
