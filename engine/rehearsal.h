#pragma once

// What would become of the rows of a collection under a schema that it does not have yet: every row is
// upgraded as a reader would upgrade it, in one snapshot, and nothing is stored.

#include <cstdint>
#include <string>
#include <vector>

#include "instar/engine/failed_row.h"
#include "instar/engine/options.h"
#include "instar/engine/store.h"

namespace instar {

struct RehearsalOptions {
  std::uint64_t maxFailures = 100;  // rows, and kinds of failures; more are counted, not listed
  ProgressCallback progress = {};   // rows
};

// Rows that fail, or break a rule, for the same reason.
struct FailureKind {
  FailedRow example{};
  std::uint64_t rows = 0;
};

struct Rehearsal {
  std::uint64_t rows = 0;
  std::uint64_t older = 0;     // rows that have to be upgraded when they are read
  std::uint64_t failed = 0;    // rows that cannot be
  std::uint64_t broken = 0;    // rows that break a rule of the schema ($Instar.validated), once upgraded
  std::uint64_t unjudged = 0;  // rows that need a function which this program does not have
  std::vector<FailedRow> failures{};
  std::vector<FailureKind> kinds{};  // of all that fail or break a rule, the most frequent first
};

// Throws Error(fixCall) where there is no such collection.
Rehearsal rehearse(const Store& store, std::string_view collection, const RecordSchema& schema,
                   const RehearsalOptions& options = {});

}  // namespace instar
