#pragma once

// What a handle goes by that was opened to try its version: which keys are served the new way, and how rows
// are read and put under the others. Any thread; what is seen of the catalog is set by one at a time.
//
// What is put goes by the file alone, which stays as it is during a write transaction. A trial that has
// tripped concerns what is handed out: that may change at any time.

#include <atomic>
#include <functional>
#include <optional>
#include <string_view>

#include "instar/engine/internal/staging/canary_trial.h"
#include "instar/engine/internal/staging/key_share.h"
#include "instar/evolve/plan.h"

namespace instar {

class StagedVersion {
 public:
  // `below`: of the version that programs depend on. `served` as in StagingOptions, or empty. A version that
  // raises a floor is only tried in the shadow.
  StagedVersion(std::string_view collection, std::uint16_t version, Plans below, bool isShadowOnly,
                std::function<bool(Bytes key)> served, std::shared_ptr<CanaryTrial> trial);
  StagedVersion(const StagedVersion&) = delete;
  StagedVersion& operator=(const StagedVersion&) = delete;

  // What the catalog says. `record` belongs to the version that was staged last.
  void see(VersionState state, const std::optional<Catalog::StagingRecord>& record);

  const Plans& plansBelow() const noexcept { return below_; }
  std::uint16_t versionBelow() const noexcept { return versionBelow_; }

  // Promoted: everything is served the new way. Over: aborted, nothing is.
  bool isDependedUpon() const noexcept { return instar::isDependedUpon(state()); }
  bool isOver() const noexcept { return state() == VersionState::aborted; }

  // Whether a new record under the key is one of the version.
  bool serves(Bytes key) const {
    const VersionState now = state();
    return now == VersionState::staged ? servesShare(key, placeOf(key)) : instar::isDependedUpon(now);
  }

  // Whether the row that the program reads is handed out as one of the version, where it can be. On the share
  // that is tried it is handed to the trial, too.
  bool read(Bytes key, const RowView& stored) const {
    const VersionState now = state();
    if (now != VersionState::staged) return instar::isDependedUpon(now);
    if (trial_->isTripped()) return false;
    const double place = placeOf(key);
    const bool isServed = servesShare(key, place);
    if (isServed || place < shadow_.load(std::memory_order_relaxed)) trial_->read(key, stored);
    return isServed;
  }

  const std::shared_ptr<CanaryTrial>& trial() const noexcept { return trial_; }
  // With other handles; before anybody reads.
  void share(std::shared_ptr<CanaryTrial> trial) noexcept { trial_ = std::move(trial); }

 private:
  // As the file has it.
  VersionState state() const noexcept { return state_.load(std::memory_order_acquire); }

  // Of a key in the shares; nobody asks where there are none.
  double placeOf(Bytes key) const noexcept {
    return hasShares_.load(std::memory_order_relaxed) ? share_.of(key) : 100;
  }
  bool servesShare(Bytes key, double place) const {
    if (isShadowOnly_) return false;
    return served_ ? served_(key) : place < percent_.load(std::memory_order_relaxed);
  }

  const KeyShare share_;
  const Plans below_;
  const std::uint16_t version_;
  const std::uint16_t versionBelow_;
  const bool isShadowOnly_;
  const std::function<bool(Bytes key)> served_;
  std::shared_ptr<CanaryTrial> trial_;
  std::atomic<VersionState> state_{VersionState::staged};
  std::atomic<double> percent_{0};
  std::atomic<double> shadow_{0};
  std::atomic<bool> hasShares_{false};  // other than 0
};

}  // namespace instar
