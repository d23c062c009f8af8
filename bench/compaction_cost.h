#pragma once

// What it costs to compact a collection as fast as possible, and whether a row of a large one costs more than
// a row of a small one.

#include <iosfwd>
#include <vector>

#include "instar/bench/workspace.h"
#include "instar/engine/options.h"

namespace instar::bench {

struct CompactionSizes {
  std::vector<std::uint64_t> rows = {100'000, 1'000'000};
  Durability durability = Durability::off;
  unsigned threads = 1;  // that prepare, at most
};

// Fills a file of each size and compacts copies of it; prints a line for each.
void measureCompaction(const Workspace& workspace, const CompactionSizes& sizes, std::ostream& out);

}  // namespace instar::bench
