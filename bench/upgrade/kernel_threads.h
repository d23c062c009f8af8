#pragma once
// What the threads of the kernel take of the processors, as far as this process sees them: among other things
// they write to the disk what processes have put into files. One thread.

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

namespace instar::bench {

// Ticks that a thread of the kernel has taken, by its line in /proc/PID/stat; nothing for processes.
std::optional<std::uint64_t> kernelTicksOf(std::string_view line);

class KernelThreads {
 public:
  KernelThreads();

  // Seconds that they have taken since this was made. What one takes between a call and its end is missed.
  double seconds();

 private:
  void look();

  std::map<pid_t, std::optional<std::uint64_t>> ticks_;  // nothing: a process
  std::uint64_t taken_ = 0;
};

}  // namespace instar::bench
