#pragma once
// What is measured, as a value: which system migrates how, which change, under which load, how many rows.
// Immutable; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/options.h"

namespace instar::bench {

enum class System : std::uint8_t { instar, sqlite, lmdb, rocksdb };

enum class Strategy : std::uint8_t {
  none,        // the rows are in the new form already: what the load takes without any migration
  eager,       // everything in one transaction, before the first answer (SQLite: ALTER TABLE and UPDATE)
  eagerLater,  // the same beside the load, after the first answer
  rebuild,     // SQLite: a new table is filled and renamed, in one transaction, before the first answer
  batches,     // transactions of 1,000 rows, one after the other, beside the load
  lazy,        // on reading; nothing is stored by that (others: the pattern that people write by hand)
  writeBack,   // on reading, and stored then
  background,  // a thread beside the load, without limit (Instar: compaction, rate 0)
  paced,       // the same at a rate in bytes a second
  standard,    // Instar's thread with nothing set but that it runs
};

enum class Change : std::uint8_t {
  additive,  // a field with a default
  derived,   // a text split into a new field
  replaced,  // another record type, all of whose fields are made from the old ones
  history,   // ten versions, four of which derive something
  own,       // a file of the user's under its next schema (own.h)
};

// YCSB's core workloads: A half reads, half updates; B 95 % reads; C reads only; D 95 % reads, 5 % inserts,
// the latest most; E 95 % short scans, 5 % inserts; F half reads, half read-modify-write.
enum class Mix : std::uint8_t { a, b, c, d, e, f };
enum class Access : std::uint8_t { uniform, zipf, latest };

// Bytes a second where a strategy is paced and nothing else is said.
inline constexpr std::uint64_t kStandardRate = std::uint64_t{4} << 20;

struct Scenario {
  System system = System::instar;
  Strategy strategy = Strategy::standard;
  Change change = Change::derived;
  Mix mix = Mix::b;
  Access access = Access::zipf;
  std::uint64_t rows = 100'000;
  // full: a commit is on the disk when it returns. normal: a power cut may undo the last commits, but never
  // half of one. Instar and LMDB sync the data and not the page that points to it (MDB_NOMETASYNC); SQLite
  // syncs at a checkpoint only (synchronous = NORMAL); RocksDB writes its log without syncing (sync = false).
  // off: whatever the system writes; RocksDB as with normal, since it has nothing less.
  Durability durability = Durability::full;
  std::uint64_t rate = 0;      // bytes a second where the strategy is paced
  std::uint64_t lockTime = 0;  // us under the lock of writers, of Instar's thread; 0: as by default
  // Operations a second of an open loop, where latency counts from when an operation was due; 0: a closed
  // loop, each as soon as the one before has ended.
  unsigned perSecond = 0;
  double seconds = 5;  // of load after the first answer, at least: it goes on until the migration is complete
  double longest = 0;  // it ends then, however far the migration is; 0: see longestOf()
  bool cold = false;   // the file is dropped from the system's cache before it is opened
  bool packs = false;  // Instar: rows are packed as well as upgraded
  bool kill = false;   // the process is killed halfway through the migration
  std::string collection{};  // of Change::own: names the scenario, without '/'

  bool operator==(const Scenario&) const = default;
};

// Seconds of load at most: ten minutes, and where the migration keeps to a rate as many for each million of
// rows.
double longestOf(const Scenario& scenario) noexcept;

// The same conditions for another system and strategy, without what was the other strategy's own: rate, time
// under the lock, packing, how long it is waited for. A kill stays where something can be lost by it.
Scenario counterpart(Scenario scenario, System system, Strategy strategy);

// The same load with Strategy::none.
Scenario loadAlone(const Scenario& scenario);

// What competes under the same conditions: system, strategy, and what is the strategy's own
// ("instar/standard/lock=700"). Two scenarios that have the same counterpart() differ in it.
std::string seriesOf(const Scenario& scenario);

// Whether the strategy brings all rows over by itself, so that its end can be waited for.
bool comesToAnEnd(Strategy strategy) noexcept;

// Whether the system has this strategy, in this build, and a use for each option; and why it does not.
bool isOffered(const Scenario& scenario);
std::string whyNotOffered(const Scenario& scenario);  // empty: it does

// "instar/standard/derived/b/zipf/100000", with what differs from the default behind; what `run` takes. Of
// the six the last ones may be missing, and are what a Scenario has then.
std::string nameOf(const Scenario& scenario);
// Throws std::invalid_argument that says what is wrong and what is known.
Scenario scenarioOf(std::string_view name);

std::string_view textOf(System system) noexcept;
std::string_view textOf(Strategy strategy) noexcept;
std::string_view textOf(Change change) noexcept;
std::string_view textOf(Mix mix) noexcept;
std::string_view textOf(Access access) noexcept;
std::string_view textOf(Durability durability) noexcept;

}  // namespace instar::bench
