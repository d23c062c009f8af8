#include "instar/engine/internal/compaction/compactor.h"

#include <kj/common.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <utility>

#include "instar/engine/internal/compaction/compactor_record.h"
#include "instar/engine/internal/compaction/heat_keeper.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds kLookAgain = 1s;  // at what changes without notice
constexpr std::chrono::nanoseconds kRecordWhileWorking = 2s;
constexpr std::chrono::nanoseconds kLongEnoughToSay = 500ms;
constexpr std::chrono::nanoseconds kGiveWay = 100ms;

// Gives way to everything else on the machine, where the system lets it; nothing depends on it.
void lowerPriority() noexcept {
  constexpr int kNice = 10;
  constexpr long kWhoProcess = 1;
  constexpr long kBestEffortLast = 2L << 13 | 7;  // IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7)
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  ::setpriority(PRIO_PROCESS, thread, kNice);
  ::syscall(SYS_ioprio_set, kWhoProcess, 0L, kBestEffortLast);
}

// What may be otherwise some time later, though nobody has changed the file.
bool mayPass(ErrorCode code) noexcept {
  return code == ErrorCode::freeSpace || code == ErrorCode::fixEnvironment || code == ErrorCode::readBack;
}

int minuteOfDay() noexcept {
  const std::time_t time = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&time, &local);
  return local.tm_hour * 60 + local.tm_min;
}

}  // namespace

Compactor::Compactor(std::shared_ptr<StoreState> store)
    : store_(std::move(store)),
      options_(store_->options().compaction),
      journal_(store_),
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
  OpenedCollections one;
  one.try_emplace(name, Opened{plans, tree});
  const std::lock_guard lock(mutex_);
  addNewer(opened_, one);
  wake_->notify_all();
}

void Compactor::addNewer(OpenedCollections& collections, OpenedCollections::node_type opened) noexcept {
  const auto added = collections.insert(std::move(opened));
  if (added.inserted) return;
  Opened& known = added.position->second;
  if (known.plans.schema().version() < added.node.mapped().plans.schema().version())
    known = std::move(added.node.mapped());
}

void Compactor::addNewer(OpenedCollections& collections, OpenedCollections& others) noexcept {
  while (!others.empty()) addNewer(collections, others.extract(others.begin()));
}

void Compactor::setRate(std::uint64_t bytesPerSecond) {
  command({.event = AuditEvent::rateChanged, .bytes = bytesPerSecond});
}

void Compactor::command(AuditEntry entry) {
  const std::lock_guard lock(mutex_);
  commands_.push_back(std::move(entry));
  store_->callCompaction(true);
  wake_->notify_all();
}

void Compactor::stop() {
  if (forkGeneration_ == storage::forkGeneration()) {  // in a child the mutex may be locked for ever
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      store_->callCompaction(true);
      wake_->notify_all();
    }
    if (store_->isCompactingThread()) return;  // that does not wait for itself, nor for who waits for it
  }
  const std::lock_guard joining(joinMutex_);
  if (!thread_.joinable()) return;
  if (forkGeneration_ != storage::forkGeneration())  // the child of a fork has no such thread
    thread_.detach();
  else
    thread_.join();
}

void Compactor::run() {
  if (options_.lowPriority) lowerPriority();
  store_->setCompactingThread(std::this_thread::get_id());
  KJ_DEFER(store_->setCompactingThread({}));  // the system gives the id to the next thread
  account_.emplace();
  for (bool isStopped = false; !isStopped;) {
    try {
      work();
    } catch (const Stopped&) {
      isStopped = true;
    } catch (...) {  // what is no Error, nor can be said as one
      waitForMemory();
    }
  }
  say(WaitReason::stopped);
  if (isCompactor_) close();
}

void Compactor::close() noexcept {
  try {
    {
      const std::lock_guard lock(mutex_);  // what it was told and has not come to
      for (AuditEntry& command : commands_) journal_.note(std::move(command));
      commands_.clear();
    }
    journal_.note({.event = AuditEvent::stopped});
    const CompactorReport last = report();
    journal_.close(last);
    tell(last.status);
  } catch (const std::exception&) {  // no memory: the last words are missing
  }
  store_->environment().unlockCompaction();
}

// One round: what comes next, or a wait.
void Compactor::work() {
  try {
    becomeCompactor();
    obey();
    if (!isCompactor_) return waitFor(kLookAgain, WaitReason::standby);
    if (journalFailed_ && !mayGo()) return;
    journalFailed_ = true;
    journal_.open();
    journalFailed_ = false;
    journal_.store();
    if (isMismatched_) isMismatched_ = wasStopped();  // somebody may have verified the file
    if (isMismatched_) return waitFor(kLookAgain, WaitReason::circuitOpen);
    openCollections();
    if (!mayGo()) return;
    if (const auto next = pick()) {
      if (begin(next->worker->collection().name())) return;
      step(*next);
      pacer_.succeeded();
    } else if (!openOneAgain()) {
      idle();
    }
  } catch (const Error& error) {
    failed(error);
  } catch (const std::exception& exception) {  // no memory, or a function of the application
    failed(Error(ErrorCode::fixEnvironment, "compaction has failed", {{"reason", exception.what()}}));
  }
}

void Compactor::becomeCompactor() {
  if (isCompactor_ || !store_->environment().tryLockCompaction()) return;
  isCompactor_ = true;
  isMismatched_ = true;  // until the file says otherwise
  journal_.note(
      {.event = AuditEvent::started,
       .bytes = options_.rate,
       .reason = options_.mode == CompactionMode::compress ? "upgrade and compress" : "upgrade only"});
}

void Compactor::obey() {
  std::vector<AuditEntry> commands;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) throw Stopped();
    commands.swap(commands_);
    store_->callCompaction(false);
    addNewer(toOpen_, opened_);
  }
  bool closesCircuit = false;
  for (AuditEntry& command : commands) {
    if (command.event == AuditEvent::paused) pacer_.pause();
    if (command.event == AuditEvent::resumed) {
      closesCircuit = pacer_.circuitIsOpen();
      pacer_.resume();
      pacer_.closeCircuit();
      asides_.clear();
      for (auto& [name, worker] : workers_) worker->takeBack();
    }
    if (command.event == AuditEvent::rateChanged) {
      pacer_.setRate(command.bytes);
      for (auto& [name, worker] : workers_) worker->setRate(command.bytes);
      const std::lock_guard lock(mutex_);
      status_.rate = command.bytes;
    }
  }
  if (closesCircuit) commands.push_back({.event = AuditEvent::circuitClosed, .reason = "it was resumed"});
  for (AuditEntry& command : commands) {
    if (isCompactor_) journal_.note(std::move(command));
  }
}

// By a mismatch; only a verification takes that back.
bool Compactor::wasStopped() const {
  TransactionState transaction(store_, storage::Access::read);
  const auto record = readCompactorRecord(transaction);
  return record && record->stoppedByMismatch;
}

void Compactor::openCollections() {
  while (!toOpen_.empty()) open(toOpen_.extract(toOpen_.begin()));
}

// In turn, so that none waits for another that can never be opened. Returns whether there was one.
bool Compactor::openOneAgain() {
  if (toOpenAgain_.empty()) return false;
  auto next = toOpenAgain_.upper_bound(lastOpenedAgain_);
  if (next == toOpenAgain_.end()) next = toOpenAgain_.begin();
  lastOpenedAgain_ = next->first;
  open(toOpenAgain_.extract(next));
  return true;
}

// One that cannot be opened, and will not be later, is not tried for ever. What is no Error comes from want
// of memory, in one of the words that libraries have for it.
void Compactor::open(OpenedCollections::node_type opened) {
  try {
    openCollection(opened.key(), opened.mapped());
  } catch (const Error& error) {
    if (error.code() == ErrorCode::retry)
      addNewer(toOpen_, std::move(opened));
    else if (mayPass(error.code()))
      addNewer(toOpenAgain_, std::move(opened));
    throw;
  } catch (...) {
    addNewer(toOpenAgain_, std::move(opened));
    throw;
  }
}

void Compactor::openCollection(const std::string& name, const Opened& opened) {
  const RecordSchema& schema = opened.plans.schema();
  const auto known = known_.find(name);
  if (known != known_.end() && known->second.version >= schema.version()) return;
  const bool lacksFunctions = !opened.plans.from(1).unusable().empty();
  std::shared_ptr<CollectionState> state;
  {
    TransactionState transaction(store_, storage::Access::read);
    const auto record = Catalog(transaction).collection(name);
    // Otherwise a newer release's to compact, or one's that has them.
    if (record && record->currentVersion <= schema.version() && !lacksFunctions)
      state = std::make_shared<CollectionState>(store_, opened.plans, opened.tree, *record, transaction);
  }
  if (state) {
    auto worker = std::make_unique<Worker>(store_, std::move(state),
                                           Worker::Settings{.mode = options_.mode,
                                                            .lockTime = options_.lockTime,
                                                            .rate = pacer_.rate(),
                                                            .threads = options_.preparingThreads,
                                                            .keepPreimages = options_.keepPreimages,
                                                            .mostFailures = kMostNamed});
    auto& place = workers_[name];
    place = std::move(worker);
    keepHeat(*place);
  }
  known_[name] = {schema.version(), schema.completeFrom(), lacksFunctions};
}

// Damage stays: the other collections need not wait for one that cannot be read.
template <class Do>
void Compactor::asideIfDamaged(const std::string& collection, Do&& act) {
  try {
    act();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::restoreFromBackup) asides_.insert(collection);
    throw;
  }
}

template <class Do>
void Compactor::forEachReadable(Do&& act) {
  for (auto& [name, worker] : workers_) {
    if (!asides_.contains(name)) asideIfDamaged(name, [&, &worker = worker] { act(*worker); });
  }
}

std::optional<Compactor::Next> Compactor::pick() {
  if (Clock::now() - heatKept_ >= kHeatKeeping) {
    heatKept_ = Clock::now();
    forEachReadable([this](Worker& worker) { keepHeat(worker); });
  }
  // In turn, from the one behind the last on, so that none waits for ever.
  auto next = workers_.upper_bound(lastDone_);
  for (std::size_t i = 0; i < workers_.size(); ++i, ++next) {
    if (next == workers_.end()) next = workers_.begin();
    if (asides_.contains(next->first)) continue;
    std::optional<Worker::Choice> choice;
    asideIfDamaged(next->first, [&] { choice = next->second->pick(options_.policy, options_.coldBelow); });
    if (choice) return Next{next->second.get(), *choice};
    end(*next->second);
  }
  return std::nullopt;
}

// Returns whether the collection had no job: then it has been estimated, which has to be paid for as well.
bool Compactor::begin(const std::string& collection) {
  const auto [job, isNew] = jobs_.try_emplace(collection);
  if (!isNew) return false;
  job->second.startedAt = Clock::now();
  try {
    const Estimate estimate = instar::estimate(Store(store_), collection, options_.mode, pacer_.rate());
    job->second.estimate = estimate;
    journal_.note({.event = AuditEvent::estimated,
                   .collection = collection,
                   .rows = estimate.rows,
                   .bytes = estimate.bytesToWrite,
                   .taken = estimate.time,
                   .reason = "from " + std::to_string(estimate.sampledRows) + " rows"});
  } catch (const Error&) {  // a damaged row, which the work itself will report
  }
  take({});
  return true;
}

void Compactor::step(const Next& next) {
  const std::string& collection = next.worker->collection().name();
  {
    const std::lock_guard lock(mutex_);
    status_.collection = collection;
    status_.failures = jobs_[collection].failures;
  }
  const bool ended = next.worker->step(next.choice, [&] {
    BatchResult done = next.worker->takeResult();
    Job& job = jobs_[collection];
    job.rows += done.rows;
    job.failed += done.failed;
    addFailures(job, done);
    job.bytesWritten += take(done).written;
    if (settle()) next.worker->waited();
  });
  if (!ended) return;
  keepHeat(*next.worker);
  lastDone_ = collection;
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
    if (Clock::now() - recorded_ >= kRecordWhileWorking && !jobs_.empty()) record();
    return true;
  }
  waitFor(answer.wait, answer.reason);
  return false;
}

// Between the transactions of a batch. Returns whether it has waited.
bool Compactor::settle() {
  bool waited = false;
  for (obey(); !mayGo(); obey()) waited = true;
  return waited;
}

void Compactor::failed(const Error& error) {
  if (error.code() == ErrorCode::upgradeProgram) {
    // A newer release has come: what it has changed is its to compact, and to say when it is done.
    const auto isMeant = [&](const auto& entry) { return entry.first == error.fact("collection"); };
    std::erase_if(workers_, isMeant);
    std::erase_if(jobs_, isMeant);
    return;
  }
  // Somebody writes for longer than one waits for him.
  if (error.code() == ErrorCode::retry) return waitFor(kGiveWay, WaitReason::writersWaiting);
  try {
    {
      const std::lock_guard lock(mutex_);
      status_.detail = error.what();
    }
    const bool wasOpen = pacer_.circuitIsOpen();
    pacer_.failed(Clock::now());
    isMismatched_ = wasStopped();
    if (isMismatched_ || !isCompactor_) return;
    // Damage stays: the rest of the file need not wait for it.
    const auto worker = workers_.find(error.fact("collection"));
    if (error.code() == ErrorCode::restoreFromBackup && worker != workers_.end()) worker->second->setAside();
    journal_.note({.event = AuditEvent::failed, .reason = error.what()});
    if (pacer_.circuitIsOpen() && !wasOpen)
      journal_.note({.event = AuditEvent::circuitOpened, .reason = error.what()});
  } catch (const std::exception&) {  // the file cannot be read either, or there is no memory
    waitFor(kLookAgain, WaitReason::backoff);
  }
}

void Compactor::idle() {
  forEachReadable([](Worker& worker) { worker.mergePartitions(); });
  waitFor(kLookAgain, whyIdle());
}

// Nothing is left to do in the collection.
void Compactor::end(const Worker& worker) {
  const std::string& collection = worker.collection().name();
  const auto found = jobs_.find(collection);
  if (found == jobs_.end()) return;
  if (worker.collection().isOlderProgram() || worker.collection().isGivenUp()) {  // others do the rest
    jobs_.erase(found);
    return;
  }
  const Job& job = found->second;
  std::string reason;
  if (const auto& estimate = job.estimate) {
    reason = "estimated: " + std::to_string(estimate->rows) + " rows, " +
             std::to_string(estimate->bytesToWrite) + " bytes, " + std::to_string(estimate->time.count()) +
             " ms";
  }
  if (worker.hasAsides())
    reason += reason.empty() ? "damaged partitions are left" : "; damaged partitions are left";
  journal_.note({.event = AuditEvent::finished,
                 .collection = collection,
                 .rows = job.rows,
                 .failedRows = job.failed,
                 .failures = job.failures,
                 .bytes = job.bytesWritten,
                 .taken = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - job.startedAt),
                 .reason = std::move(reason)});
  jobs_.erase(found);
}

WaitReason Compactor::whyIdle() const {
  TransactionState transaction(store_, storage::Access::read);
  const Catalog catalog(transaction);
  WaitReason why = WaitReason::idle;
  for (const auto& [name, known] : known_) {
    const auto record = catalog.collection(name);
    if (record && record->currentVersion > known.version) return WaitReason::newerRelease;
    if (catalog.versionState(name, known.version) == VersionState::aborted) why = WaitReason::abortedVersion;
    const auto partitions =
        known.lacksFunctions ? Partitions(transaction, name).all() : std::vector<Partition>();
    const auto isPending = [&known = known](const Partition& partition) {
      return partition.floor < known.completeFrom;
    };
    if (std::ranges::any_of(partitions, isPending)) why = WaitReason::missingFunctions;
  }
  return why;
}

// Others in this process are told at once, those who look at the file when it is worth a commit.
void Compactor::waitFor(std::chrono::nanoseconds time, WaitReason reason) {
  say(reason);
  if (!isAtWork(reason) && time >= kLongEnoughToSay) {
    const std::lock_guard lock(mutex_);
    status_.bytesPerSecond = status_.rowsPerSecond = 0;
  }
  const bool isNews =
      isCompactor_ && !isAtWork(reason) && reason != recordedReason_ && time >= kLongEnoughToSay;
  const bool isSaid = isNews ? record() : journal_.store();
  if (!isSaid) time = std::min(time, journal_.untilNextTry());
  std::unique_lock lock(mutex_);
  wake_->wait_for(lock, time, [this] { return stopping_ || !commands_.empty() || !opened_.empty(); });
}

void Compactor::waitForMemory() noexcept {
  say(WaitReason::backoff);
  std::unique_lock lock(mutex_);
  wake_->wait_for(lock, kLookAgain, [this] { return stopping_; });
}

void Compactor::keepHeat(Worker& worker) {
  if (const auto heat = store_->heatOf(worker.collection().name())) heat->keep(store_);
}

}  // namespace instar
