#pragma once
// Figures that follow from what a run has recorded: defined here alone, for tables and for the page. Unknown
// is NaN, which no median counts. Pure; any thread.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "instar/bench/upgrade/run.capnp.h"

namespace instar::bench {

// The longest time in seconds for which a write (a read) was not answered: by a migration at open, or by one
// beside the load. Unknown where there were none.
double longestStall(Run::Reader run) noexcept;
double longestReadStall(Run::Reader run) noexcept;

// The longest write once the file was open, in seconds.
double longestOpenStall(Run::Reader run) noexcept;

// Bytes written per byte migrated, the load's own left out. 0 where a strategy stores nothing by design.
double writtenPerMigrated(Run::Reader run) noexcept;

// Processor time in seconds, what the load alone takes in the same time left out.
double processorOfMigration(Run::Reader run) noexcept;

// Operations a second from opening to the end. Only of a closed loop, as an open one does what it is asked
// for.
double throughput(Run::Reader run) noexcept;

// Bytes read from the disk. Known only where the file was not in memory before.
double bytesReadFromDisk(Run::Reader run) noexcept;

double timeToCompletion(Run::Reader run) noexcept;

// The name of the scenario under the same conditions that `name` has, of another system or strategy.
std::string counterpart(std::string_view name, std::string_view system, std::string_view strategy);
std::string withoutMigration(std::string_view name);

// Those that were not disturbed; all, where there are no others.
std::vector<Run::Reader> countedRuns(std::span<const Run::Reader> runs);
bool isDisturbed(std::span<const Run::Reader> runs);  // all of them
// Whether they are of more than one machine or build.
bool isMixed(std::span<const Run::Reader> runs);

std::vector<Run::Reader> runsNamed(std::span<const Run::Reader> runs, std::string_view name);

struct Spread {
  double median;
  double least;
  double most;
};
// Of the values that are known; NaN where none is.
Spread spreadOf(std::vector<double> values);
template <class Value>
Spread spreadOf(std::span<const Run::Reader> runs, const Value& value) {
  std::vector<double> values;
  for (const Run::Reader& run : runs) values.push_back(value(run));
  return spreadOf(std::move(values));
}

}  // namespace instar::bench
