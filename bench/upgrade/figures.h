#pragma once
// Figures that follow from what a run has recorded: defined here alone, for tables and for the page. Unknown
// is NaN, which no median counts. Pure; any thread.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "instar/bench/upgrade/run.capnp.h"
#include "instar/bench/upgrade/scenario.h"

namespace instar::bench {

// The longest time in seconds for which a write (a read) was not answered: by a migration at open, or by one
// beside the load. Unknown where there were none.
double longestStall(Run::Reader run) noexcept;
double longestReadStall(Run::Reader run) noexcept;

// The longest write once the file was open, in seconds.
double longestOpenStall(Run::Reader run) noexcept;

// Bytes written per byte migrated, the load's own left out. 0 where nothing has to be rewritten, be it by
// design of the strategy or of the change.
double writtenPerMigrated(Run::Reader run) noexcept;

// Processor time in seconds, what the load alone takes in the same time left out.
double processorOfMigration(Run::Reader run) noexcept;

// Operations a second from opening until the migration was complete, as the load has counted them then; until
// the end where it was not or there was none. Of less than a second it says nothing, and a second is taken
// instead. Only of a closed loop: an open one does what it is asked for, and there an operation belongs to
// the second in which it was due.
double throughput(Run::Reader run) noexcept;
// Until `seconds` after opening, by the operations of each second; those of the last one are taken to be
// spread evenly over it, from the first answer on. For loads that nothing ends within.
double throughputUntil(Run::Reader run, double seconds) noexcept;
// throughput() of a run by that of others, their median, in as long.
double throughputShare(Run::Reader run, std::span<const Run::Reader> others);

// Operations that a percentile is of at least: one is to be expected beyond it.
inline constexpr std::uint64_t kLeastForP50 = 1;
inline constexpr std::uint64_t kLeastForP95 = 20;
inline constexpr std::uint64_t kLeastForP99 = 100;
inline constexpr std::uint64_t kLeastForP999 = 1000;

// In seconds. Unknown where there are fewer operations.
double p50Of(Latency::Reader latency) noexcept;
double p95Of(Latency::Reader latency) noexcept;
double p99Of(Latency::Reader latency) noexcept;
double p999Of(Latency::Reader latency) noexcept;

// Bytes read from the disk. Known only where the file was not in memory before.
double bytesReadFromDisk(Run::Reader run) noexcept;

// Seconds of work that a kill has cost. Known only where it was tried.
double lostByKill(Run::Reader run) noexcept;

// At its highest, in bytes, without the page cache and without files that are mapped.
double memoryOfItsOwn(Run::Reader run) noexcept;

double timeToCompletion(Run::Reader run) noexcept;
// Whether the load had to end before the migration was complete, of a strategy that brings all rows over by
// itself.
bool isUnfinished(Run::Reader run) noexcept;

// The names of the scenarios under the same conditions that `name` has: of another system or strategy,
// without any migration, and of what it is compared with: SQLite's eager strategy, and for a user's file
// Instar's. Empty where `name` is none of a scenario.
std::string counterpart(std::string_view name, System system, Strategy strategy);
std::string withoutMigration(std::string_view name);
std::string referenceName(std::string_view name);
// seriesOf() of the scenario; of what is none the name.
std::string seriesOf(std::string_view name);

// Those that were not disturbed; all, where there are no others.
std::vector<Run::Reader> countedRuns(std::span<const Run::Reader> runs);
bool isDisturbed(std::span<const Run::Reader> runs);  // all of them
// What makes runs comparable: all of machine and build but the memory, of which a kernel takes more or less.
std::string textOf(Machine::Reader machine);
// Whether they are of more than one machine or build.
bool isMixed(std::span<const Run::Reader> runs);
// Whether no run of the ones was made in a sitting (run.capnp) in which one of the others was. Where sittings
// are not known they are not shared.
bool isOfOtherSittings(std::span<const Run::Reader> runs, std::span<const Run::Reader> others);

std::vector<Run::Reader> runsNamed(std::span<const Run::Reader> runs, std::string_view name);

struct Spread {
  double median;
  double least;
  double most;
};
// Of the values that are known; NaN where none is.
Spread spreadOf(std::vector<double> values);
// Of one by the other, as far apart as they can lie.
Spread ratioOf(const Spread& one, const Spread& other) noexcept;
template <class Value>
Spread spreadOf(std::span<const Run::Reader> runs, const Value& value) {
  std::vector<double> values;
  for (const Run::Reader& run : runs) values.push_back(value(run));
  return spreadOf(std::move(values));
}

}  // namespace instar::bench
