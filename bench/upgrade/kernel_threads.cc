#include "instar/bench/upgrade/kernel_threads.h"

#include <dirent.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>

namespace instar::bench {
namespace {

constexpr std::uint64_t kIsOfKernel = 0x00200000;  // PF_KTHREAD among the flags of a process

std::set<pid_t> processes() {
  std::set<pid_t> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), ::closedir);
  while (const dirent* const entry = folder ? ::readdir(folder.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    pid_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) found.insert(number);
  }
  return found;
}

}  // namespace

std::optional<std::uint64_t> kernelTicksOf(std::string_view line) {
  const std::size_t name = line.rfind(')');  // a name may have spaces and brackets in it
  if (name == line.npos) return std::nullopt;
  std::istringstream fields{std::string(line.substr(name + 1))};
  std::string skipped;
  for (int i = 0; i < 6; ++i) fields >> skipped;  // state, parent, group, session, terminal and its group
  std::uint64_t flags = 0;
  fields >> flags;
  for (int i = 0; i < 4; ++i) fields >> skipped;  // page faults
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  fields >> user >> system;
  if (!fields || (flags & kIsOfKernel) == 0) return std::nullopt;
  return user + system;
}

KernelThreads::KernelThreads() {
  look();
  taken_ = 0;
}

void KernelThreads::look() {
  const std::set<pid_t> there = processes();
  std::erase_if(ticks_, [&](const auto& one) { return !there.contains(one.first); });
  for (const pid_t process : there) {
    const auto known = ticks_.find(process);
    if (known != ticks_.end() && !known->second) continue;
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    std::string line;
    std::getline(file, line);
    const auto now = kernelTicksOf(line);
    const std::uint64_t before = known == ticks_.end() ? 0 : *known->second;
    if (now && *now > before) taken_ += *now - before;
    ticks_[process] = now;
  }
}

double KernelThreads::seconds() {
  look();
  return static_cast<double>(taken_) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace instar::bench
