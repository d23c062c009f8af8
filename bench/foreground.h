#pragma once

// What an application feels while all its rows are rewritten beside it: by compaction, in one big
// transaction, and in SQLite.

#include <iosfwd>

#include "instar/bench/workspace.h"

namespace instar::bench {

struct ForegroundOptions {
  std::uint64_t rows = 1'000'000;
  std::uint64_t rate = 8;  // of compaction, MiB a second
  unsigned seconds = 15;   // without anything else
  unsigned gets = 2000;    // a second
  unsigned puts = 200;     // a second, each in a durable transaction of its own
};

// Prints a line for each. Starts threads; nobody else may use SQLite meanwhile.
void measureForeground(const Workspace& workspace, const ForegroundOptions& options, std::ostream& out);

}  // namespace instar::bench
