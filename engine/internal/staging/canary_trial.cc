#include "instar/engine/internal/staging/canary_trial.h"

#include <algorithm>

#include "instar/engine/internal/staging/canary_reading.h"

namespace instar {

CanaryTrial::CanaryTrial(std::string collection, const Plans& active, const Plans& staged)
    : collection_(std::move(collection)),
      version_(staged.schema().version()),
      active_(active),
      staged_(staged),
      canary_(active, staged) {}

std::shared_ptr<CanaryTrial> CanaryTrial::open(std::function<void(const StagingEnd&)> ended) {
  auto handle = std::make_shared<Handle>(Handle{shared_from_this(), std::move(ended)});
  const std::lock_guard lock(mutex_);
  std::erase_if(handles_, [](const Opened& one) { return one.handle.expired(); });
  handles_.push_back({handle});
  return {std::move(handle), this};
}

void CanaryTrial::read(Bytes key, const RowView& stored) noexcept {
  if (!wake_) return;
  try {
    const CanaryQueue::Put put = queue_.put(key, stored);
    if (put == CanaryQueue::Put::first) wake_(Wake::soon);
    if (put == CanaryQueue::Put::much) wake_(Wake::now);
    if (put == CanaryQueue::Put::passedOver) passedOver_.fetch_add(1, std::memory_order_relaxed);
  } catch (const std::exception&) {  // no memory: a read that is not counted
  }
}

bool CanaryTrial::examine(std::chrono::steady_clock::time_point until) {
  const GuardRails rails = guardRails();
  if (rows_.isAtEnd() || isTripped()) rows_ = queue_.take();
  if (isTripped()) {
    rows_ = {};
    return false;
  }
  Bytes key;
  RowView row;
  while (!isTripped() && rows_.next(key, row)) {
    examine(key, row, rails);
    if (std::chrono::steady_clock::now() > until) break;
  }
  return isTripped();
}

// A breach can begin with an error, and with the first read of which anything is decided.
void CanaryTrial::examine(Bytes key, const RowView& stored, const GuardRails& rails) {
  try {
    // Whoever comes second finds the row in the processor's cache.
    const auto first =
        pending_.statistics.samples % 2 == 0 ? CanaryReading::First::active : CanaryReading::First::staged;
    const CanaryReading reading(active_, staged_, key, stored, first);
    const CanaryFindings findings = reading.examine(canary_);
    canary_.count(reading.read(), findings, pending_.statistics);
    if (!findings.diverged.empty() && pending_.diverged.size() < kMaxDivergences)
      pending_.diverged.try_emplace(Key(key), findings.diverged);
    const std::uint64_t samples = stored_.samples + pending_.statistics.samples;
    const bool isWrong = findings.failure || !findings.brokenRules.empty() || !findings.diverged.empty();
    if (samples == rails.minimumSamples || (samples > rails.minimumSamples && isWrong)) {
      if (isBreach(rails, counts())) trip();
    }
  } catch (const std::exception&) {  // of the active way, which says nothing about the staged one; no memory
  }
}

CanaryCounts CanaryTrial::counts() const {
  CanaryCounts all = stored_;
  return all += countsOf(pending_.statistics);
}

CanaryTrial::Pending CanaryTrial::take() {
  pending_.statistics.passedOver += passedOver_.exchange(0, std::memory_order_relaxed);
  return std::exchange(pending_, Pending());
}

void CanaryTrial::giveBack(Pending&& pending) noexcept { pending_ = std::move(pending); }

void CanaryTrial::see(const CanaryStatistics& stored, bool isBroken) {
  stored_ = countsOf(stored);
  if (!isBroken) tripped_.store(false, std::memory_order_release);
}

GuardRails CanaryTrial::guardRails() {
  const std::lock_guard lock(mutex_);
  return rails_;
}

void CanaryTrial::setGuardRails(const GuardRails& rails) {
  const std::lock_guard lock(mutex_);
  rails_ = rails;
}

void CanaryTrial::end(VersionState state, const std::string& reason) {
  const StagingEnd end{collection_, version_, state, reason};  // first: whoever counts as told is told
  while (const auto handle = nextUntold()) {
    try {
      if (handle->ended) handle->ended(end);
    } catch (...) {  // as it must not
    }
  }
}

std::shared_ptr<CanaryTrial::Handle> CanaryTrial::nextUntold() {
  const std::lock_guard lock(mutex_);
  hasEnded_ = true;
  for (Opened& one : handles_) {
    auto handle = one.handle.lock();
    if (handle && !std::exchange(one.isTold, true)) return handle;
  }
  return nullptr;
}

bool CanaryTrial::isDone() {
  const std::lock_guard lock(mutex_);
  const auto isOver = [](const Opened& one) { return one.isTold || one.handle.expired(); };
  return std::ranges::all_of(handles_, isOver) &&
         (hasEnded_ ||
          (!hasRows() && pending_.isEmpty() && passedOver_.load(std::memory_order_relaxed) == 0));
}

void CanaryTrial::setProblem(std::string problem) {
  const std::lock_guard lock(mutex_);
  problem_ = std::move(problem);
}

std::string CanaryTrial::problem() {
  const std::lock_guard lock(mutex_);
  return problem_;
}

}  // namespace instar
