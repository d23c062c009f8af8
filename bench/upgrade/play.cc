#include "instar/bench/upgrade/play.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <exception>
#include <stdexcept>
#include <thread>

#include "instar/bench/process_account.h"
#include "instar/bench/upgrade/disturbance.h"
#include "instar/bench/upgrade/load.h"
#include "instar/bench/upgrade/model.h"
#include "instar/bench/upgrade/resources.h"
#include "instar/bench/workspace.h"

namespace instar::bench {
namespace {

using Clock = Series::Clock;

constexpr std::chrono::milliseconds kLookEvery{2};

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string nowAsText() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string hexadecimal(std::uint64_t number) {
  char text[20];
  std::snprintf(text, sizeof text, "%016" PRIx64, number);
  return text;
}

void forgetFiles(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) dropFromMemory(entry.path());
  }
}

// What goes on beside the load: the migration, and who says when all is over.
class Beside {
 public:
  Beside(const Scenario& scenario, Subject& subject, MigrationProgress& progress, Clock::time_point start)
      : scenario_(scenario),
        start_(start),
        migration_([this, &subject, &progress] { migrate(subject, progress); }),
        timer_([this] { awaitEnd(); }) {}
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;
  ~Beside() { join(); }

  const LoadEnd& end() const noexcept { return end_; }
  // For the load to count what it has done.
  std::atomic<std::uint64_t>& operations() noexcept { return operations_; }

  // Waits until it is over. Throws what the migration has thrown.
  void finish() {
    join();
    if (failure_) std::rethrow_exception(failure_);
  }
  // When the migration was complete, in seconds from the start; 0: it was not.
  double completeAfter() const noexcept { return completeAfter_; }
  // Operations that had ended then; -1: it was not.
  std::int64_t operationsUntilComplete() const noexcept { return operationsUntilComplete_; }

 private:
  void join() {
    stopped_ = true;
    if (timer_.joinable()) timer_.join();
    if (migration_.joinable()) migration_.join();
  }

  void migrate(Subject& subject, MigrationProgress& progress) {
    try {
      subject.migrate(progress, stopped_);
      if (progress.complete) {
        operationsUntilComplete_ = static_cast<std::int64_t>(operations_.load());
        completeAfter_ = secondsSince(start_);
      }
    } catch (...) {
      failure_ = std::current_exception();
      end_.set(start_);  // nothing more is due
    }
    hasReturned_ = true;
  }

  void awaitEnd() {
    const auto answered = Clock::now();
    const bool waits = comesToAnEnd(scenario_.strategy);
    while (!stopped_ && !end_.isSet()) {
      const double loaded = secondsSince(answered);
      if (loaded >= longestOf(scenario_) || (loaded >= scenario_.seconds && (hasReturned_ || !waits)))
        end_.set(Clock::now());
      std::this_thread::sleep_for(kLookEvery);
    }
  }

  const Scenario& scenario_;
  const Clock::time_point start_;
  std::atomic<bool> stopped_ = false;  // the migration is to end
  LoadEnd end_;                        // of the load
  std::atomic<bool> hasReturned_ = false;
  std::atomic<std::uint64_t> operations_ = 0;
  double completeAfter_ = 0;
  std::int64_t operationsUntilComplete_ = -1;
  std::exception_ptr failure_;
  std::thread migration_;
  std::thread timer_;
};

void describeScenario(const Scenario& scenario, Run::Builder run) {
  const auto text = [](std::string_view word) { return kj::StringPtr(word.data(), word.size()); };
  run.setName(nameOf(scenario));
  run.setSystem(text(textOf(scenario.system)));
  run.setStrategy(text(textOf(scenario.strategy)));
  run.setChange(text(textOf(scenario.change)));
  run.setMix(text(textOf(scenario.mix)));
  run.setAccess(text(textOf(scenario.access)));
  run.setDurability(text(textOf(scenario.durability)));
  run.setRows(scenario.rows);
  run.setRate(scenario.rate);
  run.setPerSecond(scenario.perSecond);
  run.setAt(nowAsText());
  run.setLostByKill(-1);
}

void describeSeconds(const LoadResult& load, const ResourceWatch& watch, Run::Builder run) {
  const auto& reads = load.reads.seconds();
  const auto& writes = load.writes.seconds();
  const auto& watched = watch.seconds();
  const std::size_t count = std::max({reads.size(), writes.size(), watched.size()});
  auto seconds = run.initSeconds(static_cast<unsigned>(count));
  ResourceWatch::Second before;
  for (std::size_t i = 0; i < count; ++i) {
    auto second = seconds[static_cast<unsigned>(i)];
    second.setFrom(static_cast<double>(i));
    if (i < reads.size()) reads[i].describe(second.initReads());
    if (i < writes.size()) writes[i].describe(second.initWrites());
    const ResourceWatch::Second now = i < watched.size() ? watched[i] : before;
    second.setMigrated(now.migrated);
    second.setWritten(now.written - before.written);
    before = now;
  }
}

double bytesOfRow(const Stage& stage) {
  return stage.own ? stage.own->bytesOfRow : bytesOfOldRow(stage.scenario.rows);
}

// Compares with the model; the run is worth nothing where they differ.
void takeCensus(const Stage& stage, Subject& subject, std::span<const Operation> written,
                const MigrationProgress& progress, Run::Builder run) {
  const Subject::Census found = subject.census();
  std::uint64_t rows = stage.scenario.rows;
  std::string digest = stage.expectedDigest;
  if (!stage.own) {
    const Subject::Census expected = expectedCensus(stage.scenario, written);
    rows = expected.rows;
    digest = hexadecimal(expected.digest);
  }
  run.setRowsLeft(found.old);
  run.setDigest(hexadecimal(found.digest));
  if (progress.complete && found.old != 0)
    throw std::runtime_error(nameOf(stage.scenario) + ": the migration was complete, it is said, but " +
                             std::to_string(found.old) + " rows are left in the old form");
  if (found.rows == rows && (digest.empty() || digest == run.getDigest().cStr())) return;
  throw std::runtime_error(nameOf(stage.scenario) + ": wrong rows are stored: " + std::to_string(found.rows) +
                           " with digest " + run.getDigest().cStr() + " instead of " + std::to_string(rows) +
                           " with " + digest);
}

struct Ending {
  std::atomic<bool>& isOver;
  ~Ending() { isOver = true; }
};

}  // namespace

std::unique_ptr<Subject> subjectOf(const Stage& stage, const std::filesystem::path& folder) {
  return stage.own ? makeOwnSubject(stage.scenario, *stage.own, folder) : makeSubject(stage.scenario, folder);
}

void fillFolder(const Stage& stage, const std::filesystem::path& folder) { subjectOf(stage, folder)->fill(); }

void play(const Stage& stage, Subject& subject, const std::filesystem::path& folder, Run::Builder run) {
  const Scenario& scenario = stage.scenario;
  describeScenario(scenario, run);
  describeMachine(folder, run.initMachine());
  run.setFileBefore(bytesOnDisk(folder));
  if (scenario.cold) forgetFiles(folder);
  MigrationProgress progress;
  DisturbanceWatch disturbance(folder.parent_path());
  const double processorBefore = ownProcessorSeconds();
  const std::uint64_t readBefore = bytesReadFromDevice();
  const std::uint64_t writtenBefore = bytesWritten();

  const auto start = Clock::now();
  ResourceWatch watch(folder, progress, start);
  subject.open(progress);
  const bool isComplete = progress.complete;
  auto reader = subject.session();
  reader->read(scenario.rows / 2);
  run.setOpenToFirstAnswer(secondsSince(start));
  auto writer = subject.session();
  run.setChangeAt(isComplete ? 0 : secondsSince(start));
  Beside beside(scenario, subject, progress, start);
  const LoadResult load = runLoad(scenario, *reader, *writer, start, beside.end(),
                                  {.seed = stage.seed, .ended = &beside.operations()});
  beside.finish();
  run.setDuration(secondsSince(start));
  watch.endSeconds();
  run.setCompleteAfter(isComplete ? run.getOpenToFirstAnswer() : beside.completeAfter());
  run.setOperationsUntilComplete(isComplete ? 0 : beside.operationsUntilComplete());
  run.setBytesRead(bytesReadFromDevice() - readBefore);
  run.setIsCold(scenario.cold);

  reader.reset();
  writer.reset();
  subject.settle();
  watch.stop();
  run.setFileAfter(bytesOnDisk(folder));
  run.setProcessorSeconds(ownProcessorSeconds() - processorBefore);
  run.setBytesWritten(bytesWritten() - writtenBefore);
  run.setBytesPutOff(run.getBytesWritten() - std::min(watch.written(), run.getBytesWritten()));
  run.setRowsMigrated(progress.rows);
  run.setBytesMigrated(static_cast<std::uint64_t>(bytesOfRow(stage) * static_cast<double>(progress.rows)));
  run.setFileHighest(watch.highestOnDisk());
  run.setMemoryHighest(watch.highestMemory());
  load.reads.all().describe(run.initReads());
  load.writes.all().describe(run.initWrites());
  describeSeconds(load, watch, run);
  disturbance.describe(run.initDisturbance());
  takeCensus(stage, subject, load.written, progress, run);
}

void migrateAlone(const Stage& stage, Subject& subject, Attempt& attempt, double killAfter,
                  Run::Builder run) {
  const Scenario& scenario = stage.scenario;
  describeScenario(scenario, run);
  MigrationProgress& progress = attempt.progress;
  const std::atomic<bool> never = false;
  const auto isOver = std::make_shared<std::atomic<bool>>(false);
  const Ending ending{*isOver};  // also where something is thrown
  const auto start = Clock::now();
  attempt.began = steadyNanoseconds();
  if (killAfter > 0) {
    std::thread([killAfter, isOver, &attempt] {  // which is there for as long as it is not over
      std::this_thread::sleep_for(std::chrono::duration<double>(killAfter));
      if (*isOver) return;
      attempt.killed = steadyNanoseconds();
      ::raise(SIGKILL);
    })
        .detach();
  }
  subject.open(progress);
  subject.migrate(progress, never);
  *isOver = true;
  run.setCompleteAfter(secondsSince(start));
  run.setRowsMigrated(progress.rows);
  if (comesToAnEnd(scenario.strategy) && !progress.complete)
    throw std::runtime_error(nameOf(scenario) + ": the migration has ended and is not complete");
  takeCensus(stage, subject, {}, progress, run);
}

void countOld(const Stage& stage, Subject& subject, Run::Builder run) {
  describeScenario(stage.scenario, run);
  MigrationProgress progress;
  subject.open(progress);
  takeCensus(stage, subject, {}, progress, run);
}

}  // namespace instar::bench
