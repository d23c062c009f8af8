#pragma once

// When a staged version is stopped and when it may be promoted, from what its canary reads have shown
// (canary.h). Pure; any thread.
//
// Shares are judged with Wilson's interval (E. B. Wilson, 1927), which holds for small shares too:
//
//   breach      even the lower bound of a share is above its limit, with 4 deviations, because it is asked
//               again with every new read: with 3, one in some thousand versions whose errors are at half of
//               the limit would be stopped, with 4 one in some ten thousand
//   satisfied   the upper bounds are within the limits, with 2 deviations. Without any error that takes
//               4 (1 / limit - 1) reads: 3,996 with the defaults
//
// An error in a share p of the reads is found, but for one in 30,000 lives, within n reads, L the limit:
//
//   n = ((4 √(p (1 - p)) + 4 √(L (1 - L))) / (p - L))²     10,433 for p = 0.5 %, L = 0.1 %

#include <chrono>
#include <cstdint>
#include <string>

#include "instar/evolve/canary_statistics.h"

namespace instar {

struct GuardRails {
  // Canary reads before anything is decided. Below some 2,000 a share of a few in a thousand is a matter of
  // one or two reads.
  std::uint64_t minimumSamples = 2000;
  // Of reads that fail or break a rule: 0 to 1, 1 for any. A row that fails is one that nobody can read after
  // the promotion.
  double maxErrorShare = 0.001;
  // Of reads that diverge, likewise. Where they do, older programs will read something else.
  double maxDivergenceShare = 0.001;
  // Of the median that the staged way takes to that of the active one. 0: not looked at, since a row that is
  // made when it is read takes several times as long as one that is handed out as it is, until it is
  // compacted.
  double maxLatencyRatio = 0;
  // Staged for at least that long before it is promoted: what programs do every hour has been done once.
  std::chrono::seconds holdFor = std::chrono::hours(1);

  friend bool operator==(const GuardRails&, const GuardRails&) = default;
};

// Throws Error(fixCall) naming the value that cannot be: shares beyond 0 to 1, a negative ratio or time.
void checkGuardRails(const GuardRails& rails);

enum class GuardVerdict : std::uint8_t {
  undecided = 1,
  breach,
  satisfied,
};

struct GuardDecision {
  GuardVerdict verdict = GuardVerdict::undecided;
  // In words and figures: what is broken, what is missing yet, or how it has done.
  std::string reason;
};

// The shares of a trial, without what a reason is made of.
struct CanaryCounts {
  std::uint64_t samples = 0;
  std::uint64_t errors = 0;
  std::uint64_t diverged = 0;

  CanaryCounts& operator+=(const CanaryCounts& other) noexcept;
};
CanaryCounts countsOf(const CanaryStatistics& statistics) noexcept;

// Whether decide() finds that one of the shares breaks its limit. Cheap enough to be asked after a read.
bool isBreach(const GuardRails& rails, const CanaryCounts& counts) noexcept;

// `staged`: for how long the version has been.
GuardDecision decide(const GuardRails& rails, const CanaryStatistics& statistics,
                     std::chrono::nanoseconds staged);

// Of a trial on all rows that there are: shares are what they are, so that no number of reads is needed, nor
// any time. Undecided where there is none, or where the latency cannot be told.
GuardDecision decideOnAll(const GuardRails& rails, const CanaryStatistics& statistics);

}  // namespace instar
