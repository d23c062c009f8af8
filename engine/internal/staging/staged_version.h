#pragma once

// What a handle goes by that was opened to try its version: which keys are served the new way, and how rows
// are read and put under the others. Any thread; what is seen of the catalog is set by one at a time.

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

  bool serves(Bytes key) const {
    const VersionState now = state();
    if (now != VersionState::staged) return instar::isDependedUpon(now);
    if (isShadowOnly_) return false;
    return served_ ? served_(key) : share_.of(key) < percent_.load(std::memory_order_relaxed);
  }

  // A row that the program reads.
  void note(Bytes key, const RowView& stored) const {
    if (state() != VersionState::staged) return;
    if (share_.of(key) < shadow_.load(std::memory_order_relaxed) || serves(key)) trial_->read(key, stored);
  }

 private:
  // Aborted as soon as the trial has tripped, before the file says so.
  VersionState state() const noexcept {
    const VersionState seen = state_.load(std::memory_order_acquire);
    return seen == VersionState::staged && trial_->isTripped() ? VersionState::aborted : seen;
  }

  const KeyShare share_;
  const Plans below_;
  const std::uint16_t version_;
  const std::uint16_t versionBelow_;
  const bool isShadowOnly_;
  const std::function<bool(Bytes key)> served_;
  const std::shared_ptr<CanaryTrial> trial_;
  std::atomic<VersionState> state_{VersionState::staged};
  std::atomic<double> percent_{0};
  std::atomic<double> shadow_{0};
};

}  // namespace instar
