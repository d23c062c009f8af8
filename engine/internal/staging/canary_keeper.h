#pragma once

// The thread that adds what canary reads have shown to the file, at most once a second, and draws the
// conclusions: a version that has broken its guard rails is aborted, one that satisfies them is promoted
// where that was asked for. Begins with the first trial of a store and ends with the store.
//
// Any thread calls the public part.

#include <condition_variable>
#include <memory>
#include <mutex>
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

  // Kept until its last handle is gone, or it has ended.
  void add(std::shared_ptr<CanaryTrial> trial);
  void stop();  // behind a last look at all trials

 private:
  void wake();
  void run();
  void look();
  bool keep(CanaryTrial& trial);
  bool isUnchanged(CanaryTrial& trial, const CanaryTrial::Pending& pending);
  void store(CanaryTrial& trial, const CanaryTrial::Pending& pending);
  bool endIfOver(const CanaryTrial& trial);

  const std::shared_ptr<StoreState> store_;
  std::mutex mutex_;
  std::condition_variable wake_;
  // Protected by mutex_.
  bool stopping_ = false;
  bool isWoken_ = false;
  std::vector<std::shared_ptr<CanaryTrial>> trials_;

  const std::uint32_t forkGeneration_ = storage::forkGeneration();
  std::mutex joinMutex_;
  std::thread thread_;
};

}  // namespace instar
