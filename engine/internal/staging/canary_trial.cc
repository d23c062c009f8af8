#include "instar/engine/internal/staging/canary_trial.h"

#include "instar/engine/internal/upgraded_record.h"

namespace instar {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

CanaryTrial::CanaryTrial(std::string collection, const Plans& active, const Plans& staged,
                         std::function<void(const StagingEnd&)> ended)
    : collection_(std::move(collection)),
      version_(staged.schema().version()),
      active_(active),
      staged_(staged),
      canary_(active, staged),
      ended_(std::move(ended)) {}

void CanaryTrial::read(Bytes key, const RowView& stored) noexcept {
  try {
    const auto start = Clock::now();
    const RecordView active(active_, key, stored);  // an error of it says nothing about the staged version
    const auto middle = Clock::now();
    std::optional<RecordView> staged;
    try {
      staged.emplace(staged_, key, stored);
    } catch (const Error& error) {
      return count({}, Canary::failure(error), key);
    }
    const CanaryRead read{.version = stored.version,
                          .active = active.record(),
                          .staged = staged->record(),
                          .activeTime = middle - start,
                          .stagedTime = Clock::now() - middle};
    count(read, canary_.examine(read), key);
  } catch (const std::exception&) {  // no memory: a read that is not counted
  }
}

void CanaryTrial::count(const CanaryRead& read, const CanaryFindings& findings, Bytes key) {
  bool trips = false;
  {
    const std::lock_guard lock(mutex_);
    canary_.count(read, findings, pending_.statistics);
    if (!findings.diverged.empty() && pending_.diverged.size() < kMaxDivergences)
      pending_.diverged.try_emplace(Key(key), findings.diverged);
    if (findings.failure || !findings.brokenRules.empty() || !findings.diverged.empty()) {
      CanaryStatistics all = stored_;
      all.merge(pending_.statistics);
      trips = decide(rails_, all, {}).verdict == GuardVerdict::breach;
    }
  }
  if (trips && !tripped_.exchange(true) && wake_) wake_();
}

CanaryTrial::Pending CanaryTrial::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(pending_, Pending());
}

void CanaryTrial::giveBack(const Pending& pending) {
  const std::lock_guard lock(mutex_);
  pending_.statistics.merge(pending.statistics);
  pending_.diverged.insert(pending.diverged.begin(), pending.diverged.end());
}

void CanaryTrial::see(const CanaryStatistics& stored, bool isBroken) {
  const std::lock_guard lock(mutex_);
  stored_ = stored;
  if (!isBroken) tripped_.store(false, std::memory_order_release);
}

void CanaryTrial::setGuardRails(const GuardRails& rails) {
  const std::lock_guard lock(mutex_);
  rails_ = rails;
}

void CanaryTrial::end(VersionState state, const std::string& reason) const noexcept {
  try {
    if (ended_) ended_({collection_, version_, state, reason});
  } catch (...) {  // as it must not
  }
}

}  // namespace instar
