#include "instar/bench/upgrade/disturbance.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef INSTAR_BENCH_ROCKSDB
#include <rocksdb/version.h>
#endif

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>

#include "instar/bench/upgrade/commit.h"

namespace instar::bench {
namespace {

// More than these, and a run is marked. The last is how many times longer a sync takes after it than before,
// or the other way round.
constexpr double kStolenBearable = 0.02;
constexpr double kOthersBearable = 0.15;
constexpr double kSyncBearable = 4;
constexpr unsigned kSyncs = 15;

double secondsOf(const timeval& time) noexcept {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double processorSecondsOf(int whom) {
  rusage usage{};
  ::getrusage(whom, &usage);
  return secondsOf(usage.ru_utime) + secondsOf(usage.ru_stime);
}

std::string firstLineWith(const char* path, std::string_view word) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(word)) return line;
  }
  return {};
}

std::string behindColon(const std::string& line) {
  const std::size_t colon = line.find(": ");
  return colon == std::string::npos ? "unknown" : line.substr(colon + 2);
}

// The file system of the deepest mount point that holds the folder.
std::string fileSystemOf(const std::filesystem::path& folder) {
  const std::string path = std::filesystem::weakly_canonical(folder).string() + "/";
  std::ifstream mounts("/proc/self/mounts");
  std::string best = "unknown";
  std::size_t longest = 0;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device;
    std::string point;
    std::string type;
    words >> device >> point >> type;
    if (!point.ends_with('/')) point += '/';
    if (!path.starts_with(point) || point.size() < longest) continue;
    longest = point.size();
    best = type;
  }
  return best;
}

std::string percent(double share) { return std::to_string(static_cast<int>(share * 100 + 0.5)) + " %"; }

std::string buildText() {
  std::string text = std::string(kCommit) + ", compiler " + __VERSION__ + ", LMDB " +
                     std::to_string(MDB_VERSION_MAJOR) + "." + std::to_string(MDB_VERSION_MINOR) + "." +
                     std::to_string(MDB_VERSION_PATCH) + ", SQLite " + sqlite3_libversion();
#ifdef INSTAR_BENCH_ROCKSDB
  text += ", RocksDB " + std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
          std::to_string(ROCKSDB_PATCH);
#endif
#ifndef NDEBUG
  text += ", not optimized";
#endif
  return text;
}

}  // namespace

ProcessorTimes processorTimes() {
  std::ifstream file("/proc/stat");
  std::string name;
  std::array<double, 8> ticks{};  // user, nice, system, idle, iowait, irq, softirq, steal
  file >> name;
  for (double& one : ticks) file >> one;
  const auto perSecond = static_cast<double>(::sysconf(_SC_CLK_TCK));
  ProcessorTimes times;
  for (const double one : ticks) times.all += one / perSecond;
  times.stolen = ticks[7] / perSecond;
  times.busy = times.all - (ticks[3] + ticks[4] + ticks[7]) / perSecond;
  return times;
}

double ownProcessorSeconds() { return processorSecondsOf(RUSAGE_SELF); }
double endedProcessorSeconds() { return processorSecondsOf(RUSAGE_CHILDREN); }

double measureSync(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ("sync-" + std::to_string(::getpid()));
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) throw std::system_error(errno, std::generic_category(), path.string());
  std::array<double, kSyncs> times{};
  const std::string page(4096, 'x');
  bool isWritten = true;
  for (double& time : times) {
    const auto begin = std::chrono::steady_clock::now();
    isWritten = isWritten &&
                ::pwrite(file, page.data(), page.size(), 0) == static_cast<ssize_t>(page.size()) &&
                ::fdatasync(file) == 0;
    time = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  }
  ::close(file);
  std::filesystem::remove(path);
  if (!isWritten) throw std::runtime_error("cannot write to " + folder.string());
  std::ranges::sort(times);
  return times[kSyncs / 2];
}

DisturbanceWatch::DisturbanceWatch(const std::filesystem::path& folder) : folder_(folder) {
  before_.sync = measureSync(folder);
  before_.processors = processorTimes();
  before_.own = ownProcessorSeconds();
}

void DisturbanceWatch::describe(Disturbance::Builder disturbance) const {
  MachineLook after{.processors = processorTimes(), .own = ownProcessorSeconds()};
  after.sync = measureSync(folder_);
  describeDisturbance(before_, after, disturbance);
}

void describeDisturbance(const MachineLook& before, const MachineLook& after,
                         Disturbance::Builder disturbance) {
  const ProcessorTimes& now = after.processors;
  const double all = std::max(now.all - before.processors.all, 0.01);
  const double own = after.own - before.own;
  const double stolen = (now.stolen - before.processors.stolen) / all;
  const double others = std::max((now.busy - before.processors.busy - own) / all, 0.0);
  const double syncs = std::max(after.sync / before.sync, before.sync / after.sync);
  std::string reason;
  const auto add = [&](bool isToo, const std::string& what) {
    if (isToo) reason += (reason.empty() ? "" : "; ") + what;
  };
  add(stolen > kStolenBearable, "the host took " + percent(stolen) + " of the processors");
  add(others > kOthersBearable, "other processes took " + percent(others) + " of the processors");
  add(syncs > kSyncBearable, "a sync took " + std::to_string(before.sync) + " ms before and " +
                                 std::to_string(after.sync) + " ms after");
  disturbance.setStolen(stolen);
  disturbance.setOthers(others);
  disturbance.setSyncBefore(before.sync);
  disturbance.setSyncAfter(after.sync);
  disturbance.setDisturbed(!reason.empty());
  disturbance.setReason(reason);
}

std::string textOf(Machine::Reader machine) {
  return std::string(machine.getBuild().cStr()) + "; " + machine.getProcessor().cStr() + ", " +
         std::to_string(machine.getProcessors()) + " processors, " + machine.getSystem().cStr() + ", " +
         machine.getFileSystem().cStr();
}

void describeMachine(const std::filesystem::path& folder, Machine::Builder machine) {
  utsname system{};
  ::uname(&system);
  std::istringstream memory(behindColon(firstLineWith("/proc/meminfo", "MemTotal")));
  std::uint64_t kibibytes = 0;
  memory >> kibibytes;
  machine.setProcessor(behindColon(firstLineWith("/proc/cpuinfo", "model name")));
  machine.setProcessors(std::thread::hardware_concurrency());
  machine.setMemory(kibibytes << 10);
  machine.setSystem(std::string(system.sysname) + " " + system.release);
  machine.setFileSystem(fileSystemOf(folder));
  machine.setBuild(buildText());
}

}  // namespace instar::bench
