// What the compaction thread says: to who asks, to who is called, and in the file.

#include <algorithm>
#include <utility>

#include "instar/engine/internal/compaction/compactor.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
CompactionStatus Compactor::status() const {
  const std::lock_guard lock(mutex_);
  CompactionStatus status = status_;
  status.unsaid = journal_.lost();
  return status;
}

void Compactor::onReport(std::function<void(const CompactionStatus&)> callback) {
  const std::lock_guard lock(mutex_);
  report_ = std::move(callback);
}

// The first few are named, each once: a row fails again where a second pass meets it.
void Compactor::addFailures(Job& job, BatchResult& done) {
  if (done.failures.empty()) return;
  for (FailedRow& row : done.failures) {
    const auto isThis = [&](const FailedRow& known) { return known.key == row.key; };
    if (job.failures.size() < kMostNamed && std::ranges::none_of(job.failures, isThis))
      job.failures.push_back(std::move(row));
  }
  const std::lock_guard lock(mutex_);
  status_.failures = job.failures;
}

// Tells the pacer and those who look; returns what it has cost.
IoBytes Compactor::take(const BatchResult& done) {
  IoBytes spent = account_->take();
  spent.written = std::max(spent.written, done.bytes);  // where the kernel does not say
  spent.read += done.bytesRead;
  const auto time = Clock::now();
  meter_.add(time, spent.written, done.rows);
  pacer_.spent(time, spent.written, spent.read);
  const RateMeter::Rates rates = meter_.rates(time);
  const std::lock_guard lock(mutex_);
  status_.bytesPerSecond = static_cast<std::uint64_t>(rates.bytesPerSecond);
  status_.rowsPerSecond = static_cast<std::uint64_t>(rates.rowsPerSecond);
  status_.rows += done.rows;
  status_.rewritten += done.rewritten;
  status_.packed += done.packed;
  status_.failed += done.failed;
  status_.batches += done.transactions;
  status_.bytesWritten += spent.written;
  status_.bytesRead += spent.read;
  status_.longestLock = std::max(status_.longestLock, done.longestLock);
  return spent;
}

void Compactor::say(WaitReason reason) {
  const std::lock_guard lock(mutex_);
  if (status_.wait == reason) return;
  if (isAtWork(status_.wait) != isAtWork(reason) || !isAtWork(reason)) since_ = now();
  status_.wait = reason;
}

CompactorReport Compactor::report() const {
  CompactorReport report;
  report.mode = options_.mode;
  const std::lock_guard lock(mutex_);
  report.since = since_;
  report.status = status_;
  report.status.unsaid = journal_.lost();
  return report;
}

bool Compactor::record() {
  const CompactorReport said = report();
  if (!journal_.store(said)) return false;
  recorded_ = Clock::now();
  recordedReason_ = said.status.wait;
  tell(said.status);
  return true;
}

void Compactor::tell(const CompactionStatus& status) const {
  std::function<void(const CompactionStatus&)> callback;
  {
    const std::lock_guard lock(mutex_);
    callback = report_;
  }
  try {
    if (callback) callback(status);
  } catch (...) {  // as it must not
  }
}

void Compaction::pause() const { compactor_->pause(); }
void Compaction::resume() const { compactor_->resume(); }
void Compaction::stop() const { compactor_->stop(); }
void Compaction::setRate(std::uint64_t bytesPerSecond) const { compactor_->setRate(bytesPerSecond); }
CompactionStatus Compaction::status() const { return compactor_->status(); }
void Compaction::onReport(std::function<void(const CompactionStatus&)> callback) const {
  compactor_->onReport(std::move(callback));
}

}  // namespace instar
