#include "instar/engine/internal/staging/canary_keeper.h"

#include <kj/common.h>

#include <algorithm>
#include <new>
#include <utility>

#include "instar/engine/internal/staging/canary_record.h"
#include "instar/engine/internal/staging/stage_changes.h"

namespace instar {
namespace {

constexpr std::chrono::nanoseconds kLookAgain = std::chrono::seconds(1);
// Rows come by ones and twos, and are looked at together.
constexpr std::chrono::nanoseconds kGather = std::chrono::milliseconds(20);
constexpr std::chrono::nanoseconds kRound = std::chrono::milliseconds(50);
constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds(1);

// What the file says of a trial, and what follows from all that was counted.
struct Standing {
  VersionState state = VersionState::aborted;
  Catalog::StagingRecord record;
  GuardDecision decision;

  void judge(const CanaryStatistics& whole) {
    decision = decide(record.guardRails, whole, std::chrono::nanoseconds(now() - record.stagedAt));
  }
  bool isBroken() const noexcept { return decision.verdict == GuardVerdict::breach; }
  bool isSatisfied() const noexcept { return decision.verdict == GuardVerdict::satisfied && record.promotes; }
};

Standing standingOf(TransactionState& transaction, const CanaryTrial& trial) {
  const Catalog catalog(transaction);
  Standing standing;
  standing.state = catalog.versionState(trial.collection(), trial.version()).value_or(VersionState::aborted);
  standing.record = catalog.staging(trial.collection()).value_or(Catalog::StagingRecord());
  return standing;
}

}  // namespace

std::shared_ptr<CanaryTrial> CanaryKeeper::open(std::shared_ptr<CanaryTrial> trial,
                                                std::function<void(const StagingEnd&)> ended) {
  const std::lock_guard lock(mutex_);
  const auto known = std::ranges::find_if(trials_, [&](const auto& one) {
    return one->collection() == trial->collection() && one->version() == trial->version();
  });
  if (known != trials_.end()) return (*known)->open(std::move(ended));
  if (!thread_.joinable() && !stopping_) thread_ = std::thread([this] { run(); });
  trial->onRead([this](CanaryTrial::Wake when) { wake(when); });
  trials_.push_back(trial);
  return trial->open(std::move(ended));
}

std::string CanaryKeeper::problem(std::string_view collection) {
  const std::lock_guard lock(mutex_);
  for (const auto& trial : trials_) {
    if (trial->collection() != collection) continue;
    if (auto problem = trial->problem(); !problem.empty()) return problem;
  }
  return {};
}

void CanaryKeeper::wake(CanaryTrial::Wake when) {
  const std::lock_guard lock(mutex_);
  (when == CanaryTrial::Wake::now ? isTime_ : hasRows_) = true;
  wake_->notify_all();
}

void CanaryKeeper::stop() {
  if (forkGeneration_ == storage::forkGeneration()) {  // in a child the mutex may be locked for ever
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_->notify_all();
  }
  const std::lock_guard joining(joinMutex_);
  if (!thread_.joinable()) return;
  if (forkGeneration_ != storage::forkGeneration())  // the child of a fork has no such thread
    thread_.detach();
  else
    thread_.join();
}

void CanaryKeeper::run() {
  store_->setKeepingThread(std::this_thread::get_id());
  KJ_DEFER(store_->setKeepingThread({}));  // the system gives the id to the next thread
  for (auto nextLook = Clock::now() + kLookAgain; !isLast_;) {
    waitForRows(nextLook);
    try {
      if (!examine() && !isLast_ && Clock::now() < nextLook) continue;
      look();
    } catch (const std::bad_alloc&) {  // not even for saying so; what was counted is there at the next look
    }
    nextLook = Clock::now() + kLookAgain;
  }
}

void CanaryKeeper::waitForRows(Clock::time_point nextLook) {
  std::unique_lock lock(mutex_);
  if (!isBehind_) {
    wake_->wait_until(lock, nextLook, [this] { return stopping_ || isTime_ || hasRows_; });
    if (hasRows_) wake_->wait_for(lock, kGather, [this] { return stopping_ || isTime_; });
  }
  hasRows_ = false;
  isTime_ = false;
  isLast_ = stopping_;
}

std::vector<std::shared_ptr<CanaryTrial>> CanaryKeeper::trials() {
  const std::lock_guard lock(mutex_);
  return trials_;
}

// Whether a trial has tripped.
bool CanaryKeeper::examine() {
  bool trips = false;
  isBehind_ = false;
  const auto end = Clock::now() + kPatience;
  for (const auto& trial : trials()) {
    trips = trial->examine(isLast_ ? end : Clock::now() + kRound) || trips;
    isBehind_ = isBehind_ || trial->hasRows();
  }
  return trips;
}

void CanaryKeeper::look() {
  patience_ = Clock::now() + kPatience;
  for (const auto& trial : trials()) keep(*trial);
  const std::lock_guard lock(mutex_);  // nobody opens another handle meanwhile
  std::erase_if(trials_, [](const auto& trial) { return trial->isDone(); });
}

void CanaryKeeper::keep(CanaryTrial& trial) {
  try {
    auto pending = trial.take();
    try {
      if (!isUnchanged(trial, pending)) store(trial, pending);
    } catch (...) {
      trial.giveBack(std::move(pending));
      throw;
    }
    endIfOver(trial);
    trial.setProblem({});
  } catch (const std::exception& exception) {  // a long writer, a full disk: the next look will do it
    trial.setProblem(exception.what());
  }
}

bool CanaryKeeper::isUnchanged(CanaryTrial& trial, const CanaryTrial::Pending& pending) {
  TransactionState transaction(store_, storage::Access::read);
  Standing standing = standingOf(transaction, trial);
  if (standing.state != VersionState::staged) return true;
  CanaryStatistics whole =
      readCanaryRecord(transaction, trial.collection(), trial.version()).value_or(CanaryStatistics());
  whole.merge(pending.statistics);
  standing.judge(whole);
  if (standing.isBroken()) trial.trip();  // before the file says so, which may take a while
  if (!pending.isEmpty() || standing.isBroken() || standing.isSatisfied()) return false;
  trial.see(whole, false);
  return true;
}

// Ends the wait for others early where the store is being closed: then there is one more look.
std::unique_ptr<TransactionState> CanaryKeeper::write() {
  constexpr std::chrono::milliseconds kListen(50);
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(patience_ - Clock::now());
    try {
      return std::make_unique<TransactionState>(store_, storage::Access::write,
                                                std::clamp(left, std::chrono::milliseconds(0), kListen));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::retry || left <= kListen) throw;
      const std::lock_guard lock(mutex_);
      if (stopping_ && !isLast_) throw;
    }
  }
}

void CanaryKeeper::store(CanaryTrial& trial, const CanaryTrial::Pending& pending) {
  const auto transaction = write();
  Standing standing = standingOf(*transaction, trial);
  if (standing.state != VersionState::staged) return;
  const CanaryStatistics whole =
      addToCanaryRecord(*transaction, trial.collection(), trial.version(), pending.statistics);
  standing.judge(whole);
  logDivergences(*transaction, trial.collection(), trial.version(), pending.diverged);
  if (standing.isBroken())
    abort(*transaction, trial.collection(), trial.version(), standing.decision.reason);
  else if (standing.isSatisfied())
    promote(*transaction, trial.collection(), trial.version(), standing.decision.reason);
  transaction->commit();
  trial.see(whole, standing.isBroken());
}

void CanaryKeeper::endIfOver(CanaryTrial& trial) {
  TransactionState transaction(store_, storage::Access::read);
  const Standing standing = standingOf(transaction, trial);
  if (standing.state == VersionState::staged) return;
  // The record is perhaps of a version that was staged since.
  const bool isOurs = standing.record.version == trial.version();
  trial.end(standing.state, isOurs ? standing.record.endReason : std::string());
}

}  // namespace instar
