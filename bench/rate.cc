#include "instar/bench/rate.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "instar/bench/lmdb_reference.h"
#include "instar/bench/order.capnp.h"
#include "instar/bench/order_history.h"
#include "instar/bench/process_account.h"
#include "instar/bench/sample.h"
#include "instar/engine/migration.h"

namespace instar::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kSampleEvery{100};

// What the process that compacts says about itself, in memory that both share.
struct Report {
  std::uint64_t written = 0;       // bytes, from when the store was open
  std::uint64_t largestBatch = 0;  // of these, between two pauses
  double seconds = 0;
};

class SharedReport {
 public:
  SharedReport()
      : place_(::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (place_ == MAP_FAILED) throw std::bad_alloc();
  }
  SharedReport(const SharedReport&) = delete;
  SharedReport& operator=(const SharedReport&) = delete;
  ~SharedReport() { ::munmap(place_, sizeof(Report)); }
  Report& operator*() const noexcept { return *static_cast<Report*>(place_); }

 private:
  void* const place_;
};

// A copy of this process that does the work and ends.
pid_t begin(const std::function<void()>& work) {
  const pid_t process = ::fork();
  if (process < 0) throw std::runtime_error("fork failed");
  if (process != 0) return process;
  try {
    work();
  } catch (const std::exception& exception) {
    std::cerr << "instar_bench: " << exception.what() << std::endl;
    ::_exit(1);
  }
  ::_exit(0);
}

// Whether it has ended. Throws where it has failed.
bool hasEnded(pid_t process, bool wait) {
  int status = 0;
  if (::waitpid(process, &status, wait ? 0 : WNOHANG) == 0) return false;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error("the process has failed");
  return true;
}

void compactAt(const std::filesystem::path& path, std::uint64_t rate, Report& report) {
  const Store store = Store::open(path, {.mapSize = kMapSize});
  const auto start = Clock::now();
  const std::uint64_t before = bytesWritten();
  std::uint64_t seen = before;
  MigrationOptions options{.mode = CompactionMode::compress, .rate = rate};
  options.progress = [&](const Progress&) {
    const std::uint64_t now = bytesWritten();
    report.largestBatch = std::max(report.largestBatch, now - seen);
    seen = now;
  };
  migrate(store, "orders", options);
  report.written = bytesWritten() - before;
  report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
}

struct Reading {
  double seconds;
  std::uint64_t written;
};

// The most bytes in any second, from samples some of which are a little late: scaled to a second.
double worstSecond(const std::vector<Reading>& samples) {
  double worst = 0;
  for (std::size_t from = 0, to = 0; to < samples.size(); ++to) {
    while (samples[to].seconds - samples[from].seconds > 1.0 + 0.05) ++from;
    const double span = std::max(samples[to].seconds - samples[from].seconds, 1.0);
    worst = std::max(worst, static_cast<double>(samples[to].written - samples[from].written) / span);
  }
  return worst;
}

std::vector<Reading> watch(pid_t process) {
  std::vector<Reading> samples;
  const auto start = Clock::now();
  for (auto next = start; !hasEnded(process, false); std::this_thread::sleep_until(next += kSampleEvery)) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    try {
      samples.push_back({seconds, bytesWritten(process)});
    } catch (const std::runtime_error&) {  // it has ended meanwhile
    }
  }
  return samples;
}

}  // namespace

void measureRate(const Workspace& workspace, const RateOptions& options, std::ostream& out) {
  const auto filled = workspace.file("filled.instar");
  const auto path = workspace.file("paced.instar");
  hasEnded(begin([&] {
             putOrders(Store::open(filled, {.durability = Durability::off, .mapSize = kMapSize}),
                       RecordSchema::fromStruct(capnp::Schema::from<Order>()), shuffled(options.rows));
           }),
           true);
  out << "MiB/s   seconds   written MiB   overall/rate   worst second/rate   largest batch/rate   worst "
         "second less "
         "that\n";
  for (const std::uint64_t mebibytes : options.rates) {
    copyDurably(filled, path);
    const double rate = static_cast<double>(mebibytes) * (1 << 20);
    const SharedReport shared;
    Report& report = *shared;
    const auto samples = watch(begin([&] { compactAt(path, mebibytes << 20, report); }));
    const double worst = worstSecond(samples);
    char line[200];
    std::snprintf(line, sizeof line, "%5llu %9.1f %13.1f %14.2f %19.2f %20.3f %24.2f\n",
                  static_cast<unsigned long long>(mebibytes), report.seconds,
                  static_cast<double>(report.written) / (1 << 20),
                  static_cast<double>(report.written) / report.seconds / rate, worst / rate,
                  static_cast<double>(report.largestBatch) / rate,
                  (worst - static_cast<double>(report.largestBatch)) / rate);
    out << line << std::flush;
  }
}

}  // namespace instar::bench
