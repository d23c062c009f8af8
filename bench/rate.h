#pragma once

// Whether compaction keeps to its rate, seen from outside: by what the kernel says that its process writes.

#include <iosfwd>
#include <vector>

#include "instar/bench/workspace.h"

namespace instar::bench {

struct RateOptions {
  std::uint64_t rows = 1'000'000;
  std::vector<std::uint64_t> rates = {1, 4, 16};  // MiB a second
};

// Fills a file, and compacts a copy of it at each rate, durably, in a process of its own; prints a line for
// each. Must be called before the process opens a store. One thread.
void measureRate(const Workspace& workspace, const RateOptions& options, std::ostream& out);

}  // namespace instar::bench
