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

// More than these, and a run is marked: of a whole run, of one second of it, and how many times longer a
// sync takes after it than before, or the other way round.
constexpr double kStolenBearable = 0.02;
constexpr double kOthersBearable = 0.15;
constexpr double kStolenInASecond = 0.1;
constexpr double kOthersInASecond = 0.4;
constexpr double kSyncBearable = 4;
constexpr double kShortestPiece = 0.5;  // seconds; the kernel counts in hundredths
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

// Shares of the processors.
struct Taken {
  double stolen = 0;
  double others = 0;
};

Taken takenBetween(const MachineLook& before, const MachineLook& after) {
  const ProcessorTimes& now = after.processors;
  const double all = std::max(now.all - before.processors.all, 0.01);
  const double known = after.own - before.own + after.kernel - before.kernel;
  return {.stolen = (now.stolen - before.processors.stolen) / all,
          .others = std::max((now.busy - before.processors.busy - known) / all, 0.0)};
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

MachineLook lookAtMachine(KernelThreads& kernel) {
  MachineLook look;
  look.at = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  look.processors = processorTimes();
  look.own = ownProcessorSeconds();
  look.kernel = kernel.seconds();
  return look;
}

DisturbanceWatch::DisturbanceWatch(const std::filesystem::path& folder) : folder_(folder) {
  const double sync = measureSync(folder);
  looks_.push_back(lookAtMachine(kernel_));
  looks_.back().sync = sync;
  thread_ = std::thread([this] { run(); });
}

void DisturbanceWatch::run() {
  std::unique_lock lock(mutex_);
  for (auto next = std::chrono::steady_clock::now(); !ended_;) {
    next += std::chrono::seconds(1);
    if (isEnded_.wait_until(lock, next, [this] { return ended_; })) return;
    looks_.push_back(lookAtMachine(kernel_));
  }
}

void DisturbanceWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  isEnded_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void DisturbanceWatch::describe(Disturbance::Builder disturbance) {
  stop();
  looks_.push_back(lookAtMachine(kernel_));
  looks_.back().sync = measureSync(folder_);
  describeDisturbance(looks_, disturbance);
}

void describeDisturbance(std::span<const MachineLook> looks, Disturbance::Builder disturbance) {
  const Taken all = takenBetween(looks.front(), looks.back());
  Taken worst;
  for (std::size_t i = 1; i < looks.size(); ++i) {
    if (looks[i].at - looks[i - 1].at < kShortestPiece) continue;
    const Taken piece = takenBetween(looks[i - 1], looks[i]);
    worst.stolen = std::max(worst.stolen, piece.stolen);
    worst.others = std::max(worst.others, piece.others);
  }
  const double before = looks.front().sync;
  const double after = looks.back().sync;
  std::string reason;
  const auto add = [&](bool isToo, const std::string& what) {
    if (isToo) reason += (reason.empty() ? "" : "; ") + what;
  };
  const auto ofProcessors = [](double share) { return percent(share) + " of the processors"; };
  add(all.stolen > kStolenBearable, "the host took " + ofProcessors(all.stolen));
  add(all.others > kOthersBearable, "other processes took " + ofProcessors(all.others));
  add(worst.stolen > kStolenInASecond,
      "the host took " + ofProcessors(worst.stolen) + " in the worst second");
  add(worst.others > kOthersInASecond,
      "other processes took " + ofProcessors(worst.others) + " in the worst second");
  add(std::max(after / before, before / after) > kSyncBearable,
      "a sync took " + std::to_string(before) + " ms before and " + std::to_string(after) + " ms after");
  disturbance.setStolen(all.stolen);
  disturbance.setOthers(all.others);
  disturbance.setWorstStolen(worst.stolen);
  disturbance.setWorstOthers(worst.others);
  disturbance.setSyncBefore(before);
  disturbance.setSyncAfter(after);
  disturbance.setDisturbed(!reason.empty());
  disturbance.setReason(reason);
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
