#pragma once

// What the command tells its caller when it ends. Part of its interface: scripts depend on the numbers.

#include "instar/format/error.h"

namespace instar::tools {

enum class ExitStatus : int {
  done = 0,
  problem = 1,  // something was found: an absent row, a refused change, a line that is not a row, a full disk
  usage = 2,    // the command line is wrong, or names what the file does not have
  cannotOpen = 3,  // missing, not ours, too new, in use
  damage = 4,      // bytes of the file are damaged
};

// Where a signal ended it: this and the signal's number, as shells have it.
inline constexpr int kSignalStatus = 128;

inline ExitStatus exitStatus(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::fixCall:
      return ExitStatus::usage;
    case ErrorCode::fixEnvironment:
    case ErrorCode::retry:
    case ErrorCode::upgradeProgram:
      return ExitStatus::cannotOpen;
    case ErrorCode::restoreFromBackup:
      return ExitStatus::damage;
    case ErrorCode::fixSchema:
    case ErrorCode::fixInput:
    case ErrorCode::freeSpace:
    case ErrorCode::readBack:
    case ErrorCode::fixRow:
      return ExitStatus::problem;
  }
  return ExitStatus::problem;
}

}  // namespace instar::tools
