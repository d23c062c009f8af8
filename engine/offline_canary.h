#pragma once

// A version tried on the rows of a file before any program has it: what canary reads (evolve/canary.h) would
// show, of a share of the rows or of all, in one snapshot. Nothing is stored, and no program notices; so this
// also tries what a running program cannot, another record struct ($Instar.replaces). Any thread.

#include <cstdint>
#include <string_view>
#include <vector>

#include "instar/engine/options.h"
#include "instar/engine/staging.h"
#include "instar/engine/store.h"

namespace instar {

struct OfflineCanaryOptions {
  // Of the keys, by a hash: the same ones as are in that share where the version is staged.
  double percent = 100;
  GuardRails guardRails = {};          // but for `holdFor`
  std::uint64_t maxDivergences = 100;  // more are counted, not listed
  ProgressCallback progress = {};      // rows; may throw to end it
};

struct OfflineCanary {
  std::uint16_t activeVersion = 0;  // beside which it was tried
  std::uint64_t rows = 0;           // of the collection
  std::uint64_t sampledRows = 0;    // of the share
  // Among these: damaged, or the active version cannot make a record of them. They are no canary reads.
  std::uint64_t unreadableRows = 0;
  // Not tried in full, for lack of a function. Those that cannot be made without it are no canary reads.
  std::uint64_t unjudgedRows = 0;
  CanaryStatistics canary{};
  // decideOnAll() where all rows were tried in full. Never satisfied where a row could not be judged.
  GuardDecision decision{};
  std::vector<Divergence> divergences{};
};

// Looks at every key and reads the rows of the share. Throws Error(fixCall) where there is no such
// collection, for a version that is not above the current one, and for a share or a guard rail that cannot
// be; Error(fixSchema) where the version could not be added, with the safe way; Error(restoreFromBackup) for
// a damaged block.
OfflineCanary tryOffline(const Store& store, std::string_view collection, const RecordSchema& schema,
                         const OfflineCanaryOptions& options = {});

}  // namespace instar
