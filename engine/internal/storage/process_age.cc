#include "instar/engine/internal/storage/process_age.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

namespace instar::storage {

std::optional<unsigned long long> startInStat(std::string_view stat) noexcept {
  constexpr int kFieldsBehindName = 20;  // the third to the 22nd
  const std::size_t name = stat.rfind(')');
  if (name == std::string_view::npos) return std::nullopt;
  stat.remove_prefix(name + 1);
  std::string_view field;
  for (int index = 0; index < kFieldsBehindName; ++index) {
    if (!stat.starts_with(' ')) return std::nullopt;
    stat.remove_prefix(1);
    field = stat.substr(0, stat.find(' '));
    stat.remove_prefix(field.size());
  }
  unsigned long long ticks = 0;
  const auto [end, failure] = std::from_chars(field.begin(), field.end(), ticks);
  if (failure != std::errc() || end != field.end()) return std::nullopt;
  return ticks;
}

std::optional<std::chrono::seconds> ageOfProcess(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  const auto start = startInStat(line);
  const long ticksPerSecond = ::sysconf(_SC_CLK_TCK);
  struct timespec now {};
  if (!start || ticksPerSecond <= 0 || ::clock_gettime(CLOCK_BOOTTIME, &now) != 0) return std::nullopt;
  const auto started = static_cast<long long>(*start / static_cast<unsigned long long>(ticksPerSecond));
  return std::chrono::seconds(std::max(0LL, static_cast<long long>(now.tv_sec) - started));
}

}  // namespace instar::storage
