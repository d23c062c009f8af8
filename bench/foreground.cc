#include "instar/bench/foreground.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <ostream>
#include <random>
#include <thread>
#include <vector>

#include "instar/bench/evolved_order.capnp.h"
#include "instar/bench/lmdb_reference.h"
#include "instar/bench/order_history.h"
#include "instar/bench/sample.h"
#include "instar/bench/sqlite_reference.h"
#include "instar/engine/migration.h"

namespace instar::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

// Times of what was due at fixed moments, at least one of them. What begins late because the one before took
// long counts from when it was due; what begins late because the system woke the thread late does not.
class PacedThread {
 public:
  PacedThread(unsigned perSecond, std::function<void(std::uint64_t)> work)
      : thread_([this, perSecond, work = std::move(work)] { run(perSecond, work); }) {}
  PacedThread(const PacedThread&) = delete;
  PacedThread& operator=(const PacedThread&) = delete;
  ~PacedThread() { stop(); }

  // Microseconds, ascending. Throws what the work has thrown.
  const std::vector<double>& times() {
    stop();
    if (failure_) std::rethrow_exception(failure_);
    std::ranges::sort(times_);
    return times_;
  }

 private:
  void stop() {
    ended_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void run(unsigned perSecond, const std::function<void(std::uint64_t)>& work) {
    try {
      std::mt19937_64 random(perSecond);
      const auto period = std::chrono::nanoseconds(std::chrono::seconds(1)) / perSecond;
      for (auto due = Clock::now() + period; !ended_ || times_.empty(); due += period) {
        const bool late = Clock::now() > due;
        std::this_thread::sleep_until(due);
        const auto begin = late ? due : Clock::now();
        work(random());
        times_.push_back(Microseconds(Clock::now() - begin).count());
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  std::atomic<bool> ended_{false};
  std::vector<double> times_;
  std::exception_ptr failure_;
  std::thread thread_;
};

double quantile(const std::vector<double>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

// One side of the comparison: its two kinds of work, each for a thread of its own, and what goes on beside.
struct Scene {
  const char* name;
  std::function<void(std::uint64_t)> get;
  std::function<void(std::uint64_t)> put;
  std::function<void()> beside;
};

void play(const Scene& scene, const ForegroundOptions& options, std::ostream& out) {
  PacedThread reader(options.gets, scene.get);
  PacedThread writer(options.puts, scene.put);
  const auto start = Clock::now();
  scene.beside();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const std::vector<double>& gets = reader.times();
  const std::vector<double>& puts = writer.times();
  char line[200];
  std::snprintf(line, sizeof line, "%-42s %8.1f %9.1f %9.1f %9.2f %11.0f %9.0f %9.2f\n", scene.name, seconds,
                quantile(gets, 0.5), quantile(gets, 0.99), gets.back() / 1e3, quantile(puts, 0.5),
                quantile(puts, 0.99), puts.back() / 1e3);
  out << line << std::flush;
}

class InstarScenes {
 public:
  InstarScenes(const std::filesystem::path& path, std::uint64_t rows,
               const CompactionOptions& compaction = {})
      : store_(Store::open(path, {.mapSize = kMapSize, .compaction = compaction})),
        orders_(store_.collection<SplitOrder>("orders")),
        rows_(rows) {}

  Scene scene(const char* name, std::function<void()> beside) const {
    return {name,
            [this](std::uint64_t random) {
              const auto snapshot = store_.read();
              const auto row = orders_.get(snapshot, random % rows_);
              if (!row || row->getGivenName().size() > row->getRecipient().size())
                throw std::runtime_error("a row is missing");
            },
            [this](std::uint64_t random) {
              auto order = orders_.create();
              fill(*order, sampleOf(random % rows_));
              order->setGivenName("somebody");
              auto transaction = store_.write();
              orders_.put(transaction, order);
              transaction.commit();
            },
            std::move(beside)};
  }

  void compact(std::uint64_t rate, CompactionMode mode) const {
    migrate(store_, "orders", {.mode = mode, .rate = rate});
  }

  // Until the thread has nothing left to do.
  void letThreadCompact() const {
    const auto isDone = [&] {
      return store_.compaction().status().wait == WaitReason::idle &&
             compactionProgress(store_, store_.read()).collections.at(0).isSettled();
    };
    while (!isDone()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }

  void rewriteInOneTransaction() const {
    const auto snapshot = store_.read();
    auto transaction = store_.write();
    for (const auto& row : orders_.scan(snapshot)) orders_.put(transaction, *row);
    transaction.commit();
  }

 private:
  const Store store_;
  const Collection<SplitOrder> orders_;
  const std::uint64_t rows_;
};

// A connection for each thread, as SQLite's documentation advises for them.
class SqliteScenes {
 public:
  SqliteScenes(const std::filesystem::path& path, std::uint64_t rows)
      : changer_(path, Durability::full, SqliteSharing::shared),
        reader_(path, Durability::full, SqliteSharing::shared),
        writer_(path, Durability::full, SqliteSharing::shared),
        rows_(rows) {
    changer_.execute("BEGIN");
    SqliteInsert insert(changer_);
    for (std::uint64_t id = 0; id < rows; ++id) insert.insert(sampleOf(id));
    changer_.execute("COMMIT");
    changer_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    select_.emplace(reader_.connection(), kSelectThree);
    update_.emplace(writer_.connection(), "UPDATE orders SET priceCents = ? WHERE id = ?");
  }

  Scene scene(const char* name, std::function<void()> beside) {
    return {name,
            [this](std::uint64_t random) {
              sqlite3_bind_int64(select_->get(), 1, static_cast<sqlite3_int64>(random % rows_));
              if (!select_->step()) throw std::runtime_error("a row is missing");
              select_->reset();
            },
            [this](std::uint64_t random) {
              sqlite3_bind_int64(update_->get(), 1, static_cast<sqlite3_int64>(random >> 32));
              sqlite3_bind_int64(update_->get(), 2, static_cast<sqlite3_int64>(random % rows_));
              update_->run();
            },
            std::move(beside)};
  }

  void alterAndUpdate() {
    changer_.execute("BEGIN IMMEDIATE");
    changer_.execute("ALTER TABLE orders ADD COLUMN givenName TEXT");
    changer_.execute("UPDATE orders SET givenName = substr(recipient, 1, instr(recipient || ' ', ' ') - 1)");
    changer_.execute("COMMIT");
  }

 private:
  SqliteReference changer_;
  SqliteReference reader_;
  SqliteReference writer_;
  std::optional<SqliteStatement> select_;
  std::optional<SqliteStatement> update_;
  const std::uint64_t rows_;
};

}  // namespace

void measureForeground(const Workspace& workspace, const ForegroundOptions& options, std::ostream& out) {
  const auto filled = workspace.file("filled.instar");
  {
    std::vector<std::uint64_t> ids = shuffled(options.rows);
    putOrders(Store::open(filled, {.durability = Durability::off, .mapSize = kMapSize}),
              versionBefore(capnp::Schema::from<SplitOrder>(), 1, 1), ids);
  }
  const auto nothing = [&] { std::this_thread::sleep_for(std::chrono::seconds(options.seconds)); };
  out << "                                                     gets, us:                       puts, us:\n"
         "                                            seconds       p50       p99  longest ms      p50       "
         "p99  "
         "longest ms\n";
  const auto path = workspace.file("foreground.instar");
  copyDurably(filled, path);
  {
    const InstarScenes instar(path, options.rows);
    play(instar.scene("nothing beside", nothing), options, out);
    play(instar.scene("compaction, rate bounded",
                      [&] { instar.compact(options.rate << 20, CompactionMode::compress); }),
         options, out);
    play(instar.scene("nothing beside, rows cold", nothing), options, out);
  }
  copyDurably(filled, path);
  {
    const InstarScenes instar(
        path, options.rows,
        {.mode = CompactionMode::compress, .rate = options.rate << 20, .minFreeDisk = 0, .coldBelow = 1e9});
    play(instar.scene("compaction thread, rate bounded", [&] { instar.letThreadCompact(); }), options, out);
  }
  copyDurably(filled, path);
  {
    const InstarScenes instar(path, options.rows);
    play(instar.scene("upgrade alone, rate bounded",
                      [&] { instar.compact(options.rate << 20, CompactionMode::upgrade); }),
         options, out);
    play(instar.scene("nothing beside", nothing), options, out);
  }
  copyDurably(filled, path);
  {
    const InstarScenes instar(path, options.rows);
    play(instar.scene("all rows in one transaction", [&] { instar.rewriteInOneTransaction(); }), options,
         out);
  }
  SqliteScenes sqlite(workspace.file("foreground.sqlite"), options.rows);
  play(sqlite.scene("SQLite, nothing beside", nothing), options, out);
  play(sqlite.scene("SQLite, ALTER TABLE and UPDATE", [&] { sqlite.alterAndUpdate(); }), options, out);
}

}  // namespace instar::bench
