#pragma once
// An application that is upgraded: two releases of one program over one system (Instar, SQLite, LMDB,
// RocksDB), which migrate by one strategy. The old release fills a file; the new one opens it, answers, and
// brings the rows over. Each system implements the same interface over the same rows, at the same durability.
//
// fill() and open() are called by one thread, once each, in different processes. After open() each session
// belongs to one thread; migrate() runs in a thread of its own beside the sessions.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "instar/bench/upgrade/scenario.h"

namespace instar::bench {

// What one thread of the application does. Every change is a transaction of its own, durable as the scenario
// says when the call returns. Ids are 0 to rows - 1 and those that were inserted. Each throws
// std::runtime_error where a row is missing that must be there, or does not hold what it must.
class Session {
 public:
  virtual ~Session() = default;
  // A digest of the fields that the new release reads: digestOf() in change.h of the row.
  virtual std::uint64_t read(std::uint64_t id) = 0;
  // Sets the price of a row that is there; what the new release adds to a row is right afterwards.
  virtual void update(std::uint64_t id, std::int64_t priceCents) = 0;
  // A row of the new release, made from its id alone.
  virtual void insert(std::uint64_t id) = 0;
  // Reads up to `count` rows in the order of keys from `id` on; the sum of their digests.
  virtual std::uint64_t scan(std::uint64_t id, unsigned count) = 0;
  // Reads a row and sets its price from it, in one transaction.
  virtual void readModifyWrite(std::uint64_t id) = 0;
};

// Of the steady clock, which is one for all processes.
inline std::int64_t steadyNanoseconds() noexcept {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// How far the migration is; written by open(), migrate() and sessions, read by any thread.
struct MigrationProgress {
  std::atomic<std::uint64_t> rows =
      0;  // that are in the new form in a durable commit, brought over by this process
  std::atomic<bool> complete = false;         // no row of the old form is left that is going to be migrated
  std::atomic<std::int64_t> committedAt = 0;  // when `rows` has grown last, as steadyNanoseconds(); 0: never

  // So many rows more, or so many in all, are in a durable commit, as has just been seen.
  void add(std::uint64_t more) noexcept {
    if (more == 0) return;
    rows += more;
    committedAt = steadyNanoseconds();
  }
  void reach(std::uint64_t all) noexcept {
    if (const std::uint64_t before = rows; all > before) add(all - before);
  }
};

class Subject {
 public:
  virtual ~Subject() = default;
  // The old release puts `rows` rows in the order of their keys, without syncing each commit, and everything
  // is on the disk and closed when the process ends. With Strategy::none it is the new release that does so.
  virtual void fill() = 0;
  // The new release: everything that must be done before its first answer can be given. A strategy that
  // migrates at open does all of it here.
  virtual void open(MigrationProgress& progress) = 0;
  virtual std::unique_ptr<Session> session() = 0;
  // What goes on beside the sessions until nothing is left to do or `stop` is set; returns at once where the
  // strategy has nothing of that kind.
  virtual void migrate(MigrationProgress& progress, const std::atomic<bool>& stop) = 0;
  // Writes what it has put off, so that it can be counted. No session is left.
  virtual void settle() = 0;
  // Of all rows that are stored, read as the new release reads them: how many, how many of them are still
  // stored in the old form, and the sum of their digests, which is the same for every system and strategy.
  struct Census {
    std::uint64_t rows = 0;
    std::uint64_t old = 0;
    std::uint64_t digest = 0;
  };
  virtual Census census() = 0;
};

// The subject keeps its files, logs and all, in `folder`, which is there, is empty before fill(), and is
// copied as a whole between fill() and open(). Throws std::invalid_argument where isOffered() (scenario.h)
// says no.
std::unique_ptr<Subject> makeSubject(const Scenario& scenario, const std::filesystem::path& folder);

}  // namespace instar::bench
