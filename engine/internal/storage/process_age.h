#pragma once

// For how long a process has been running, as the system accounts it; what somebody does to the clock on the
// wall does not change it. No state; any thread.

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string_view>

namespace instar::storage {

// Nothing where there is no such process, or the system does not show it.
std::optional<std::chrono::seconds> ageOfProcess(pid_t process);

// When a process was started, in clock ticks since the system was: the 22nd field of /proc/PID/stat, whose
// second one is a name that may hold anything. Nothing where the text is not of that form.
std::optional<unsigned long long> startInStat(std::string_view stat) noexcept;

}  // namespace instar::storage
