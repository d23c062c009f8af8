#pragma once

// The compaction thread of an open store. It goes by policy (picker), arithmetic (pacer) and work (worker);
// here is only what concerns a thread: when it runs, what wakes it, how it ends. What it says is written by
// the journal.
//
// 1. It waits for the file's lock of compaction: one program compacts, others stand by.
// 2. Of the collections that this program has opened at their newest version it takes the partition that
//    comes next, as the picker says.
// 3. It asks the pacer before each batch and after each transaction, and waits for as long as that says.
// 4. A failure is told to the pacer and to the audit; a mismatch stops it until somebody has verified.
//
// What it says to others is in compactor_status.cc. Any thread calls the public part. The thread ends with
// stop(), at the latest with the store.

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "instar/engine/compaction.h"
#include "instar/engine/internal/compaction/io_account.h"
#include "instar/engine/internal/compaction/journal.h"
#include "instar/engine/internal/compaction/pacer.h"
#include "instar/engine/internal/compaction/rate_meter.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/internal/storage/fork_guard.h"

namespace instar {

class Compactor {
 public:
  explicit Compactor(std::shared_ptr<StoreState> store);
  Compactor(const Compactor&) = delete;
  Compactor& operator=(const Compactor&) = delete;
  ~Compactor();

  // A collection that this program has opened. Of several schemas the newest counts.
  void collectionOpened(const std::string& name, const Plans& plans, storage::TreeId tree);

  void pause() { command({.event = AuditEvent::paused}); }
  void resume() { command({.event = AuditEvent::resumed}); }
  void setRate(std::uint64_t bytesPerSecond);
  void stop();
  CompactionStatus status() const;
  void onReport(std::function<void(const CompactionStatus&)> callback);

 private:
  using Clock = Pacer::Clock;
  static constexpr std::uint64_t kMostNamed = 5;  // rows that cannot be upgraded
  struct Opened {
    Plans plans;
    storage::TreeId tree;
  };
  using OpenedCollections = std::map<std::string, Opened>;  // by name, each at the newest version
  // What this program knows of a collection that it has opened.
  struct Known {
    std::uint16_t version = 0;
    std::uint16_t completeFrom = 0;
    bool lacksFunctions = false;
  };
  // From the first batch in a collection until nothing is left to do there.
  struct Job {
    std::optional<Estimate> estimate;
    Clock::time_point startedAt;
    std::uint64_t rows = 0;
    std::uint64_t failed = 0;
    std::vector<FailedRow> failures{};  // the first of them
    std::uint64_t bytesWritten = 0;
  };
  struct Stopped {};  // thrown to leave a batch
  struct Next {
    Worker* worker;
    Worker::Choice choice;
  };

  void command(AuditEntry entry);
  void run();
  void work();
  void becomeCompactor();
  void obey();
  // Both take no memory, so nothing that was opened is lost where there is none.
  static void addNewer(OpenedCollections& collections, OpenedCollections::node_type opened) noexcept;
  static void addNewer(OpenedCollections& collections, OpenedCollections& others) noexcept;
  void openCollections();
  bool openOneAgain();
  void open(OpenedCollections::node_type opened);
  void openCollection(const std::string& name, const Opened& opened);
  template <class Do>
  void asideIfDamaged(const std::string& collection, Do&& act);
  template <class Do>
  void forEachReadable(Do&& act);
  std::optional<Next> pick();
  bool begin(const std::string& collection);
  void step(const Next& next);
  void failed(const Error& error);
  void idle();
  void end(const Worker& worker);
  WaitReason whyIdle() const;
  bool settle();
  bool mayGo();
  void waitFor(std::chrono::nanoseconds time, WaitReason reason);
  void waitForMemory() noexcept;
  void close() noexcept;
  void say(WaitReason reason);
  CompactorReport report() const;
  bool record();
  void tell(const CompactionStatus& status) const;
  bool wasStopped() const;
  IoBytes take(const BatchResult& done);
  void addFailures(Job& job, BatchResult& done);
  static bool isAtWork(WaitReason reason) noexcept {
    return reason == WaitReason::none || reason == WaitReason::rate;
  }
  void keepHeat(Worker& worker);
  Load load() const;

  const std::shared_ptr<StoreState> store_;
  const CompactionOptions options_;

  // Of the thread alone.
  std::map<std::string, std::unique_ptr<Worker>, std::less<>> workers_;  // by collection
  OpenedCollections toOpen_;                                             // as opened_, once it has been seen
  OpenedCollections toOpenAgain_;  // those that could not be: one at a time, where nothing else is to be done
  std::string lastOpenedAgain_;
  std::map<std::string, Known, std::less<>> known_;  // by collection, as what follows
  std::map<std::string, Job, std::less<>> jobs_;     // of those where something is left to do
  std::set<std::string, std::less<>> asides_;        // collections that cannot be read: others need not wait
  std::string lastDone_;                             // collection of the last pass
  CompactorJournal journal_;
  bool journalFailed_ = false;  // to be opened: the pacer says when it is tried again
  std::optional<IoAccount> account_;
  Pacer pacer_;
  RateMeter meter_;
  bool isCompactor_ = false;
  bool isMismatched_ = false;
  Clock::time_point recorded_;
  Clock::time_point heatKept_;
  WaitReason recordedReason_ = WaitReason::idle;

  mutable std::mutex mutex_;
  storage::ProcessCondition wake_;
  // Protected by mutex_.
  bool stopping_ = false;
  std::vector<AuditEntry> commands_;  // that the thread has not seen yet
  OpenedCollections opened_;
  CompactionStatus status_;
  std::function<void(const CompactionStatus&)> report_;
  std::int64_t since_ = 0;  // of status_.wait; nanoseconds since 1970

  const std::uint32_t forkGeneration_ = storage::forkGeneration();
  std::mutex joinMutex_;
  std::thread thread_;  // last, so that everything is there when it begins
};

}  // namespace instar
