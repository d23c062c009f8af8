#include "instar/engine/internal/compaction/compactor.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <utility>

#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/compactor_record.h"
#include "instar/engine/internal/compaction/heat_keeper.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds kLookAgain = 1s;  // at what changes without notice
constexpr std::chrono::nanoseconds kRecordWhileWorking = 2s;
constexpr std::chrono::nanoseconds kLongEnoughToSay = 500ms;
constexpr std::uint64_t kMostFailures = 100;

// Gives way to everything else on the machine, where the system lets it; nothing depends on it.
void lowerPriority() noexcept {
  constexpr int kNice = 10;
  constexpr long kWhoProcess = 1;
  constexpr long kBestEffortLast = 2L << 13 | 7;  // IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7)
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  ::setpriority(PRIO_PROCESS, thread, kNice);
  ::syscall(SYS_ioprio_set, kWhoProcess, 0L, kBestEffortLast);
}

int minuteOfDay() noexcept {
  const std::time_t time = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&time, &local);
  return local.tm_hour * 60 + local.tm_min;
}

bool isWorking(WaitReason reason) noexcept {
  return reason == WaitReason::none || reason == WaitReason::rate;
}

}  // namespace

Compactor::Compactor(std::shared_ptr<StoreState> store)
    : store_(std::move(store)),
      options_(store_->options().compaction),
      pacer_(options_, Clock::now(), static_cast<std::uint64_t>(now())),
      meter_(Clock::now()),
      recorded_(Clock::now()),
      heatKept_(Clock::now()) {
  status_.rate = options_.rate;
  since_ = now();
  thread_ = std::thread([this] { run(); });
}

Compactor::~Compactor() { stop(); }

void Compactor::collectionOpened(const std::string& name, const Plans& plans, storage::TreeId tree) {
  const std::lock_guard lock(mutex_);
  opened_.insert_or_assign(name, Opened{plans, tree});
  wake_.notify_all();
}

void Compactor::setRate(std::uint64_t bytesPerSecond) {
  command({.event = AuditEvent::rateChanged, .bytes = bytesPerSecond});
}

void Compactor::command(AuditEntry entry) {
  const std::lock_guard lock(mutex_);
  commands_.push_back(std::move(entry));
  wake_.notify_all();
}

void Compactor::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

CompactionStatus Compactor::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void Compactor::onReport(std::function<void(const CompactionStatus&)> callback) {
  const std::lock_guard lock(mutex_);
  report_ = std::move(callback);
}

void Compactor::run() {
  if (options_.lowPriority) lowerPriority();
  store_->setCompactingThread(std::this_thread::get_id());
  account_ = std::make_unique<IoAccount>();
  try {
    for (;;) work();
  } catch (const Stopped&) {
    say(WaitReason::stopped);
  }
  if (isCompactor_) {
    try {
      record();
      note({.event = AuditEvent::stopped});
    } catch (const std::exception&) {  // as with everything else, the file says how far it is
    }
    store_->environment().unlockCompaction();
  }
}

// One round: what comes next, or a wait.
void Compactor::work() {
  try {
    becomeCompactor();
    obey();
    if (!isCompactor_) return waitFor(kLookAgain, WaitReason::standby);
    if (isMismatched_) return waitFor(kLookAgain, WaitReason::circuitOpen);
    openCollections();
    if (!mayGo()) return;
    if (const auto next = pick()) {
      step(*next);
      pacer_.succeeded();
    } else {
      idle();
    }
  } catch (const Error& error) {
    failed(error);
  } catch (const std::exception& exception) {  // no memory, or a function of the application
    failed(Error(ErrorCode::retry, "compaction has failed", {{"reason", exception.what()}}));
  }
}

void Compactor::becomeCompactor() {
  if (isCompactor_ || !store_->environment().tryLockCompaction()) return;
  isCompactor_ = true;
  openAudit(store_->environment());
  {
    TransactionState transaction(store_, storage::Access::read);
    const auto record = readCompactorRecord(transaction);
    isMismatched_ = record && record->stoppedByMismatch;
  }
  note({.event = AuditEvent::started,
        .bytes = options_.rate,
        .reason = options_.mode == CompactionMode::compress ? "upgrade and compress" : "upgrade only"});
}

void Compactor::obey() {
  std::vector<AuditEntry> commands;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) throw Stopped();
    commands.swap(commands_);
  }
  for (AuditEntry& command : commands) {
    if (command.event == AuditEvent::paused) pacer_.pause();
    if (command.event == AuditEvent::resumed) {
      pacer_.resume();
      pacer_.closeCircuit();
      TransactionState transaction(store_, storage::Access::read);
      const auto record = readCompactorRecord(transaction);
      isMismatched_ = record && record->stoppedByMismatch;  // that only a verification takes back
    }
    if (command.event == AuditEvent::rateChanged) {
      pacer_.setRate(command.bytes);
      for (auto& [name, worker] : workers_) worker->setRate(command.bytes);
      const std::lock_guard lock(mutex_);
      status_.rate = command.bytes;
    }
    if (isCompactor_) note(std::move(command));
  }
}

void Compactor::openCollections() {
  std::map<std::string, Opened> opened;
  {
    const std::lock_guard lock(mutex_);
    opened.swap(opened_);
  }
  for (const auto& [name, collection] : opened) {
    const std::uint16_t version = collection.plans.schema().version();
    const auto known = workers_.find(name);
    if (known != workers_.end() && known->second->collection().schema().version() >= version) continue;
    TransactionState transaction(store_, storage::Access::read);
    const auto record = Catalog(transaction).collection(name);
    if (!record || record->currentVersion > version) continue;  // a newer release's to compact
    auto state =
        std::make_shared<CollectionState>(store_, collection.plans, collection.tree, *record, transaction);
    workers_[name] = std::make_unique<Worker>(store_, std::move(state), options_.mode, options_.lockTime,
                                              pacer_.rate(), kMostFailures);
    keepHeat(*workers_[name]);
  }
}

std::optional<Compactor::Next> Compactor::pick() {
  if (Clock::now() - heatKept_ >= kHeatKeeping) {
    for (auto& [name, worker] : workers_) keepHeat(*worker);
    heatKept_ = Clock::now();
  }
  for (auto& [name, worker] : workers_) {
    if (const auto choice = worker->pick(options_.policy, options_.coldBelow))
      return Next{worker.get(), *choice};
  }
  return std::nullopt;
}

void Compactor::step(const Next& next) {
  {
    const std::lock_guard lock(mutex_);
    status_.collection = next.worker->collection().name();
  }
  hasWorked_ = true;
  const bool ended = next.worker->step(next.choice, [this, &next] {
    take(*next.worker);
    settle();
  });
  if (ended) keepHeat(*next.worker);
}

void Compactor::take(Worker& worker) {
  const BatchResult done = worker.takeResult();
  const IoBytes total = account_->total();
  const auto time = Clock::now();
  meter_.add(time, total.written - settled_.written, done.rows);
  pacer_.spent(time, std::max(total.written - settled_.written, done.bytes), total.read - settled_.read);
  settled_ = total;
  const RateMeter::Rates rates = meter_.rates(time);
  const std::lock_guard lock(mutex_);
  status_.bytesPerSecond = static_cast<std::uint64_t>(rates.bytesPerSecond);
  status_.rowsPerSecond = static_cast<std::uint64_t>(rates.rowsPerSecond);
  status_.rows += done.rows;
  status_.rewritten += done.rewritten;
  status_.packed += done.packed;
  status_.failed += done.failed;
  status_.batches += done.transactions;
  status_.bytesWritten = total.written;
  status_.bytesRead = total.read;
  status_.longestLock = std::max(status_.longestLock, done.longestLock);
}

Load Compactor::load() const {
  const storage::Pressure pressure = store_->environment().pressure();
  return {.writersWaiting = pressure.writersWaiting,
          .foregroundLatency = store_->foregroundLatency(),
          .freeDiskBytes = pressure.freeDisk,
          .minuteOfDay = minuteOfDay()};
}

bool Compactor::mayGo() {
  const Answer answer = pacer_.ask(Clock::now(), load());
  if (answer.go) {
    say(WaitReason::none);
    if (Clock::now() - recorded_ >= kRecordWhileWorking && hasWorked_) record();
    return true;
  }
  waitFor(answer.wait, answer.reason);
  return false;
}

// Between the transactions of a batch.
void Compactor::settle() {
  do {
    obey();
  } while (!mayGo());
}

void Compactor::failed(const Error& error) {
  if (error.code() == ErrorCode::upgradeProgram) {
    // A newer release has come: what it has changed is its to compact.
    std::erase_if(workers_, [&](const auto& entry) { return entry.first == error.fact("collection"); });
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    status_.detail = error.what();
  }
  try {
    TransactionState transaction(store_, storage::Access::read);
    const auto stored = readCompactorRecord(transaction);
    isMismatched_ = stored && stored->stoppedByMismatch;
    if (isMismatched_) return;
  } catch (const Error&) {  // the file cannot be read either
  }
  pacer_.failed(Clock::now(), error.what());
  try {
    if (isCompactor_) note({.event = AuditEvent::failed, .reason = error.what()});
    if (isCompactor_ && pacer_.failuresInARow() == options_.maxFailuresInARow)
      note({.event = AuditEvent::circuitOpened, .reason = error.what()});
  } catch (const Error&) {  // nor be written
  }
}

void Compactor::idle() {
  for (auto& [name, worker] : workers_) worker->mergePartitions();
  if (std::exchange(hasWorked_, false)) {
    const CompactionStatus done = status();
    note({.event = AuditEvent::finished,
          .rows = done.rows,
          .failedRows = done.failed,
          .bytes = done.bytesWritten});
  }
  waitFor(kLookAgain, WaitReason::idle);
}

void Compactor::say(WaitReason reason) {
  const std::lock_guard lock(mutex_);
  if (status_.wait == reason) return;
  if (isWorking(status_.wait) != isWorking(reason) || !isWorking(reason)) since_ = now();
  status_.wait = reason;
}

// Others in this process are told at once, those who look at the file when it is worth a commit.
void Compactor::waitFor(std::chrono::nanoseconds time, WaitReason reason) {
  say(reason);
  if (isCompactor_ && !isWorking(reason) && reason != recordedReason_ && time >= kLongEnoughToSay) record();
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, time, [this] { return stopping_ || !commands_.empty() || !opened_.empty(); });
}

void Compactor::record() {
  CompactorRecord said;
  std::function<void(const CompactionStatus&)> report;
  {
    const std::lock_guard lock(mutex_);
    said.status = status_;
    said.since = since_;
    report = report_;
  }
  said.mode = options_.mode;
  said.stoppedByMismatch = isMismatched_;
  TransactionState transaction(store_, storage::Access::write);
  writeCompactorRecord(transaction, said);
  transaction.commit();
  recorded_ = Clock::now();
  recordedReason_ = said.status.wait;
  if (report) report(said.status);
}

void Compactor::note(AuditEntry entry) {
  TransactionState transaction(store_, storage::Access::write);
  appendAudit(transaction, std::move(entry));
  transaction.commit();
}

void Compactor::keepHeat(Worker& worker) {
  if (const auto heat = store_->heatOf(worker.collection().name())) heat->keep(store_);
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
