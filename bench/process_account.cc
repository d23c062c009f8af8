#include "instar/bench/process_account.h"

#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>

namespace instar::bench {
namespace {

std::uint64_t valueIn(const std::string& path, const std::string& wanted) {
  std::ifstream file(path);
  for (std::string name; file >> name;) {
    if (name != wanted) continue;
    std::uint64_t value = 0;
    file >> value;
    return value;
  }
  throw std::runtime_error(path + " does not have " + wanted);
}

}  // namespace

std::uint64_t bytesWritten(pid_t process) {
  return valueIn("/proc/" + (process == 0 ? "self" : std::to_string(process)) + "/io", "wchar:");
}

std::uint64_t bytesReadFromDevice() { return valueIn("/proc/self/io", "read_bytes:"); }

std::uint64_t ownMemory() { return valueIn("/proc/self/status", "RssAnon:") * 1024; }

double processorTime() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

}  // namespace instar::bench
