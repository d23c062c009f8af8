#include "instar/engine/internal/staging/canary_keeper.h"

#include <algorithm>

#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/staging/canary_record.h"
#include "instar/engine/internal/staging/stage_changes.h"

namespace instar {
namespace {

constexpr std::chrono::nanoseconds kLookAgain = std::chrono::seconds(1);

// What the file says of a trial, with what is not in it yet.
struct Standing {
  VersionState state = VersionState::aborted;
  Catalog::StagingRecord record;
  CanaryStatistics statistics;
  GuardDecision decision;

  bool isBroken() const noexcept { return decision.verdict == GuardVerdict::breach; }
  bool isSatisfied() const noexcept { return decision.verdict == GuardVerdict::satisfied && record.promotes; }
};

Standing standingOf(TransactionState& transaction, const CanaryTrial& trial,
                    const CanaryStatistics& pending) {
  const Catalog catalog(transaction);
  Standing standing;
  standing.state = catalog.versionState(trial.collection(), trial.version()).value_or(VersionState::aborted);
  standing.record = catalog.staging(trial.collection()).value_or(Catalog::StagingRecord());
  if (standing.state != VersionState::staged) return standing;
  standing.statistics =
      readCanaryRecord(transaction, trial.collection(), trial.version()).value_or(CanaryStatistics());
  standing.statistics.merge(pending);
  standing.decision = decide(standing.record.guardRails, standing.statistics,
                             std::chrono::nanoseconds(now() - standing.record.stagedAt));
  return standing;
}

}  // namespace

void CanaryKeeper::add(std::shared_ptr<CanaryTrial> trial) {
  trial->onTrip([this] { wake(); });
  const std::lock_guard lock(mutex_);
  trials_.push_back(std::move(trial));
  if (!thread_.joinable() && !stopping_) thread_ = std::thread([this] { run(); });
}

void CanaryKeeper::wake() {
  const std::lock_guard lock(mutex_);
  isWoken_ = true;
  wake_.notify_all();
}

void CanaryKeeper::stop() {
  if (forkGeneration_ == storage::forkGeneration()) {  // in a child the mutex may be locked for ever
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  const std::lock_guard joining(joinMutex_);
  if (!thread_.joinable()) return;
  if (forkGeneration_ != storage::forkGeneration())  // the child of a fork has no such thread
    thread_.detach();
  else
    thread_.join();
}

void CanaryKeeper::run() {
  for (bool isLast = false; !isLast;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kLookAgain, [this] { return stopping_ || isWoken_; });
      isWoken_ = false;
      isLast = stopping_;
    }
    look();
  }
}

void CanaryKeeper::look() {
  std::vector<std::shared_ptr<CanaryTrial>> trials;
  {
    const std::lock_guard lock(mutex_);
    trials = trials_;
  }
  std::erase_if(trials, [this](const auto& trial) { return !keep(*trial); });
  const std::lock_guard lock(mutex_);
  std::erase_if(trials_, [&](const auto& trial) { return std::ranges::count(trials, trial) != 0; });
}

// Returns whether that was the last time.
bool CanaryKeeper::keep(CanaryTrial& trial) {
  const bool isClosed = trial.isClosed();  // before what it has counted last is taken
  try {
    const auto pending = trial.take();
    try {
      if (!isUnchanged(trial, pending)) store(trial, pending);
    } catch (...) {
      trial.giveBack(pending);
      throw;
    }
    return endIfOver(trial) || isClosed;
  } catch (const std::exception&) {  // a long writer, a full disk: the next look will do it
    return false;
  }
}

bool CanaryKeeper::isUnchanged(CanaryTrial& trial, const CanaryTrial::Pending& pending) {
  TransactionState transaction(store_, storage::Access::read);
  const Standing standing = standingOf(transaction, trial, pending.statistics);
  if (standing.state != VersionState::staged) return true;
  if (pending.statistics.samples != 0 || standing.isBroken() || standing.isSatisfied()) return false;
  trial.see(standing.statistics, false);
  return true;
}

void CanaryKeeper::store(CanaryTrial& trial, const CanaryTrial::Pending& pending) {
  openAudit(store_->environment());
  TransactionState transaction(store_, storage::Access::write);
  const Standing standing = standingOf(transaction, trial, pending.statistics);
  if (standing.state != VersionState::staged) return;
  addToCanaryRecord(transaction, trial.collection(), trial.version(), pending.statistics);
  logDivergences(transaction, trial.collection(), trial.version(), pending.diverged);
  if (standing.isBroken())
    abort(transaction, trial.collection(), trial.version(), standing.decision.reason);
  else if (standing.isSatisfied())
    promote(transaction, trial.collection(), trial.version(), standing.decision.reason);
  transaction.commit();
  trial.see(standing.statistics, standing.isBroken());
}

bool CanaryKeeper::endIfOver(const CanaryTrial& trial) {
  TransactionState transaction(store_, storage::Access::read);
  const Standing standing = standingOf(transaction, trial, {});
  if (standing.state == VersionState::staged) return false;
  trial.end(standing.state, standing.record.endReason);
  return true;
}

}  // namespace instar
