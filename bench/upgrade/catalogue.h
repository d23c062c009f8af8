#pragma once
// Which scenarios are measured together. Pure.

#include <vector>

#include "instar/bench/upgrade/scenario.h"

namespace instar::bench {

// A few that answer the question in under two minutes where the load lasts two seconds.
std::vector<Scenario> quickScenarios(std::uint64_t rows, double seconds = 2);

// All strategies of all systems around a middle (derived, mix B, Zipf, 1,000,000 rows, full durability), from
// which one thing at a time is changed: the change, the mix, the access, the rows, the durability, the loop;
// what is packed, cold or killed. In the order in which they are run: those that use the same filled files
// behind one another, systems in turn.
std::vector<Scenario> matrixScenarios(std::uint64_t rows);

// Before those that need it, loadAlone() of each where it is missing and can be run: what they take beyond
// the load is known only then.
std::vector<Scenario> withLoads(const std::vector<Scenario>& scenarios);

// Instar's strategies over a collection of a file of the user's: that of `middle`, with its rows and load.
std::vector<Scenario> ownScenarios(Scenario middle);

// Operations a second of an open loop that every system keeps up with where nothing goes on beside.
unsigned bearable(Mix mix) noexcept;

}  // namespace instar::bench
