#include "instar/bench/compaction_cost.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <ostream>
#include <string>

#include "instar/bench/evolved_order.capnp.h"
#include "instar/bench/lmdb_reference.h"
#include "instar/bench/order_history.h"
#include "instar/bench/process_account.h"
#include "instar/engine/migration.h"

namespace instar::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Work {
  const char* name;
  bool evolves;  // the rows become old before
  CompactionMode mode;
};

constexpr Work kWorks[] = {
    {"packed as they are", false, CompactionMode::compress},
    {"gone through once more", false, CompactionMode::compress},
    {"a text split, in place", true, CompactionMode::upgrade},
    {"a text split, and packed", true, CompactionMode::compress},
};

struct Cost {
  Migration migration;
  double processor = 0;      // nanoseconds
  double real = 0;           // likewise
  std::uint64_t memory = 0;  // of the process, at most
};

Cost compact(const Store& store, CompactionMode mode, unsigned threads) {
  Cost cost;
  MigrationOptions options{.mode = mode, .threads = threads};
  std::uint64_t calls = 0;
  options.progress = [&](const Progress&) {
    if (++calls % 16 == 0) cost.memory = std::max(cost.memory, ownMemory());
  };
  const auto begin = Clock::now();
  const double processor = processorTime();
  cost.migration = migrate(store, "orders", options);
  cost.processor = processorTime() - processor;
  cost.real = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
  cost.memory = std::max(cost.memory, ownMemory());
  return cost;
}

void print(std::ostream& out, std::uint64_t rows, const Work& work, const Cost& cost) {
  const Migration& done = cost.migration;
  const auto count = static_cast<double>(rows);
  char line[256];
  std::snprintf(line, sizeof line, "%10llu  %-26s %8.0f %8.0f %10.0f %8llu %10.1f %9.1f %10.2f\n",
                static_cast<unsigned long long>(rows), work.name, cost.processor / count, cost.real / count,
                count / (cost.processor / 1e9), static_cast<unsigned long long>(done.batches),
                static_cast<double>(done.bytesWritten) / count, static_cast<double>(cost.memory) / (1 << 20),
                static_cast<double>(done.longestLock.count()) / 1e3);
  out << line << std::flush;
}

}  // namespace

void measureCompaction(const Workspace& workspace, const CompactionSizes& sizes, std::ostream& out) {
  out << "      rows  what becomes of them       ns a row:       rows/s and commits   written    memory    "
         "longest\n"
         "                                       processor   real      core            B a row       MiB  "
         "lock (ms)\n";
  for (const std::uint64_t rows : sizes.rows) {
    const auto filled = workspace.file("filled.instar");
    {
      std::vector<std::uint64_t> ids(rows);
      std::iota(ids.begin(), ids.end(), std::uint64_t{0});
      putOrders(Store::open(filled, {.durability = Durability::off, .mapSize = kMapSize}),
                versionBefore(capnp::Schema::from<SplitOrder>(), 1, 1), ids);
    }
    const auto path = workspace.file("compacted.instar");
    for (const Work& work : kWorks) {
      if (&work != &kWorks[1]) copyDurably(filled, path);
      const Store store = Store::open(path, {.durability = sizes.durability, .mapSize = kMapSize});
      if (work.evolves) store.collection<SplitOrder>("orders");
      print(out, rows, work, compact(store, work.mode, sizes.threads));
    }
    workspace.remove(filled);
    workspace.remove(path);
  }
}

}  // namespace instar::bench
