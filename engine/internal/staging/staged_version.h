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
  ~StagedVersion() { trial_->close(); }

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
    if (now != VersionState::staged) return instar::isDependedUpon(now);
    if (isShadowOnly_) return false;
    return served_ ? served_(key) : share_.of(key) < percent_.load(std::memory_order_relaxed);
  }

  // Whether a row under it is handed out as one, where it can be.
  bool servesReads(Bytes key) const { return !hasTripped() && serves(key); }

  // A row that the program reads.
  void note(Bytes key, const RowView& stored) const {
    if (state() != VersionState::staged || hasTripped()) return;
    if (share_.of(key) < shadow_.load(std::memory_order_relaxed) || serves(key)) trial_->read(key, stored);
  }

  const std::shared_ptr<CanaryTrial>& trial() const noexcept { return trial_; }

 private:
  // As the file has it.
  VersionState state() const noexcept { return state_.load(std::memory_order_acquire); }
  bool hasTripped() const noexcept { return state() == VersionState::staged && trial_->isTripped(); }

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
