#pragma once

// The programs that share a store, each a process of several threads. A program goes on until it is told to
// end, or killed. Whatever it meets that it should not is in its log.

#include <atomic>
#include <cstdint>
#include <filesystem>

#include "instar/tests/schedules/client.h"

namespace instar::schedules {

// Memory that all processes share.
struct Board {
  std::atomic<bool> isOver{false};
  std::atomic<std::int64_t> clockOffset{0};  // of the clock on the wall, in nanoseconds
};

struct Setting {
  std::filesystem::path folder;
  unsigned seed = 0;
  Plant plant = Plant::none;
  Board* board = nullptr;
  bool isOneProcess = false;  // which then has one durability

  std::filesystem::path store() const { return folder / "store.instar"; }
  std::filesystem::path logs() const { return folder / "logs"; }
};

enum class ProgramKind : std::uint8_t {
  oldest,   // version 1: writes and looks
  split,    // version 2, which splits the text: writes, scans, and has the thread that compacts
  newest,   // version 3: writes, scans, and compacts in the foreground
  stager,   // tries versions, promotes, aborts and retires them; writes through the version that it tries
  copier,   // makes copies and reads them
  visitor,  // opens for reading only, looks, and closes, again and again
};
inline constexpr unsigned kProgramKinds = 6;
const char* nameOf(ProgramKind kind) noexcept;

// Makes the store: version 1, and all rows.
void prepareStore(const Setting& setting);

void runProgram(ProgramKind kind, unsigned incarnation, const Setting& setting);

// When all others are gone: the thread that compacts comes to an end, the file is sound, and what it holds is
// in the log.
void inspectStore(unsigned incarnation, const Setting& setting);

// All programs as threads of this process (which the setting says too), one store, until so many milliseconds
// are over.
void runThreads(const Setting& setting, unsigned milliseconds);

}  // namespace instar::schedules
