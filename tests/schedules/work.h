#pragma once

// What rounds have to have done between them, so that their verdict proves something. What makes a store and
// what looks at it in the end counts for nothing. One thread.

#include <chrono>
#include <string>
#include <vector>

#include "instar/tests/schedules/schedule.h"

namespace instar::schedules {

// In less, all of it is not to be expected.
inline constexpr std::chrono::seconds kEnoughForAllWork(15);

// Adds the work of a round to that of others.
void add(ScheduleResult& all, const ScheduleResult& round);

// A line for each work that was not done, or was refused more often than done; empty where all is well.
std::vector<std::string> missingWork(const ScheduleResult& all);

}  // namespace instar::schedules
