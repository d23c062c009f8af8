#pragma once
// Runs as a table for a terminal: medians over repetitions with their spread, beside a reference.

#include <iosfwd>
#include <string>
#include <vector>

#include "instar/bench/upgrade/results.h"

namespace instar::bench {

// The longest time in seconds for which a write was not answered: by a migration at open, or by one beside
// the load.
double longestStall(Run::Reader run) noexcept;

// Bytes written per byte migrated, the load's own left out; negative where that is not known.
double writtenPerMigrated(Run::Reader run) noexcept;

// Of the scenarios named, in this order, what there is of them. The reference is SQLite's eager strategy
// under the same load, and for a
// file of the user's Instar's.
void printTable(std::ostream& out, const std::vector<RunRecord>& runs, const std::vector<std::string>& names);

}  // namespace instar::bench
