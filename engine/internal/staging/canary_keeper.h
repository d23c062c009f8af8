#pragma once

// The thread that looks at the rows of canary reads, some milliseconds after a program has read them, adds
// what they have shown to the file, at most once a second, and draws the conclusions: a version that has
// broken its guard rails is aborted, one that satisfies them is promoted where that was asked for. Begins
// with the first trial of a store and ends with the store.
//
// Rows are looked at in short rounds, since functions of the program may take their time. For the lock of
// writers it waits a second in each look, and no longer: what it could not store is stored by the next one.
// So the end of a store waits a second for rows and another one for writers at the most; what was read and
// counted last is lost then.
//
// Any thread calls the public part.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "instar/engine/internal/staging/canary_trial.h"
#include "instar/engine/internal/storage/fork_guard.h"
#include "instar/engine/internal/store_state.h"

namespace instar {

class CanaryKeeper {
 public:
  explicit CanaryKeeper(std::shared_ptr<StoreState> store) : store_(std::move(store)) {}
  CanaryKeeper(const CanaryKeeper&) = delete;
  CanaryKeeper& operator=(const CanaryKeeper&) = delete;
  ~CanaryKeeper() { stop(); }

  // A handle of the trial that this store has of the version, or of this one where it has none yet. It is
  // kept until its last handle is gone, or it has ended and all know it.
  std::shared_ptr<CanaryTrial> open(std::shared_ptr<CanaryTrial> trial,
                                    std::function<void(const StagingEnd&)> ended);
  // What keeps a version of the collection from being judged; empty: nothing.
  std::string problem(std::string_view collection);
  void stop();  // behind a last look at all trials

 private:
  using Clock = std::chrono::steady_clock;

  void wake(CanaryTrial::Wake when);
  void run();
  void waitForRows(Clock::time_point nextLook);
  bool examine();
  void look();
  std::vector<std::shared_ptr<CanaryTrial>> trials();
  void keep(CanaryTrial& trial);
  bool isUnchanged(CanaryTrial& trial, const CanaryTrial::Pending& pending);
  void store(CanaryTrial& trial, const CanaryTrial::Pending& pending);
  void endIfOver(CanaryTrial& trial);
  std::unique_ptr<TransactionState> write();

  const std::shared_ptr<StoreState> store_;

  // Of the thread alone.
  Clock::time_point patience_;  // the end of it, in this look
  bool isBehind_ = false;       // rows are left from the last round
  bool isLast_ = false;

  std::mutex mutex_;
  storage::ProcessCondition wake_;
  // Protected by mutex_.
  bool stopping_ = false;
  bool hasRows_ = false;
  bool isTime_ = false;
  std::vector<std::shared_ptr<CanaryTrial>> trials_;

  const std::uint32_t forkGeneration_ = storage::forkGeneration();
  std::mutex joinMutex_;
  std::thread thread_;
};

}  // namespace instar
