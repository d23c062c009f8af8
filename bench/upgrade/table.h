#pragma once
// Runs as a table for a terminal: medians over repetitions with their spread, beside a reference.

#include <iosfwd>
#include <string>
#include <vector>

#include "instar/bench/upgrade/figures.h"
#include "instar/bench/upgrade/results.h"

namespace instar::bench {

// Of the scenarios named, in this order, what there is of them, and what all runs say of the aims. The
// reference is SQLite's eager strategy under the same load, and for a file of the user's Instar's. Disturbed
// runs count only where a scenario has no others.
void printTable(std::ostream& out, const std::vector<RunRecord>& runs, const std::vector<std::string>& names);

}  // namespace instar::bench
