#pragma once

// Programs that share a store, and somebody who stops them, lets them go on, kills them, starts them anew and
// sets the clock, all by a seed; then the verdict on what they have done and seen. The seed decides what is
// done to whom, and what each thread chooses; how they interleave is the system's. One thread, in a process
// that has no store open and no other threads, because it forks.

#include <chrono>
#include <filesystem>

#include "instar/tests/schedules/judge.h"
#include "instar/tests/schedules/program.h"

namespace instar::schedules {

struct ScheduleOptions {
  unsigned seed = 1;
  std::chrono::milliseconds length{5000};
  Plant plant = Plant::none;
  std::filesystem::path folder;  // is made; the store and the logs stay in it
};

struct ScheduleResult {
  Verdict verdict;
  std::map<std::string, std::uint64_t> counts{};  // of the history
  unsigned starts = 0;
  unsigned kills = 0;
  unsigned stops = 0;
  unsigned clockJumps = 0;
};

// Every one is found, and for what it is.
struct PlantedBug {
  const char* name;
  Plant plant;
  Fault fault;
};
inline constexpr PlantedBug kPlantedBugs[] = {
    {"KeptSnapshot", Plant::keptSnapshot, Fault::staleSnapshot},
    {"SecondTransaction", Plant::secondTransaction, Fault::tornSnapshot},
    {"ForgottenCommit", Plant::forgottenCommit, Fault::lostUpdate},
    {"ForgottenPut", Plant::forgottenPut, Fault::tornSnapshot},
};
bool isFound(const PlantedBug& bug, const Verdict& verdict);

ScheduleResult runSchedule(const ScheduleOptions& options);

// Figures, and the first violations, a line each.
std::string describe(const ScheduleResult& result, std::size_t mostListed = 20);

}  // namespace instar::schedules
