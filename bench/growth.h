#pragma once

// Whether opening a file and adding a version depend on how much is stored: the same, in a small and in a
// large file.

#include <iosfwd>

#include "instar/bench/workspace.h"

namespace instar::bench {

struct GrowthSizes {
  std::uint64_t smallRows = 10'000;
  std::uint64_t rows = 10'000'000;
  unsigned repetitions = 9;
};

// Fills both files, which takes most of the time, and prints a table of medians. One thread.
void measureGrowth(const Workspace& workspace, const GrowthSizes& sizes, std::ostream& out);

}  // namespace instar::bench
