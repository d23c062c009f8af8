#pragma once

// The canary reads of one version in one store, of all handles together. Rows that the program reads are
// copied; some milliseconds later the thread that keeps trials (canary_keeper.h) looks at them through the
// staged version too, counts in memory, and adds the counts to the file now and then. So a program waits for
// nothing but the copy. Where the guard rails are broken the trial trips, and no handle serves anything from
// then on.

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "instar/engine/internal/staging/canary_queue.h"
#include "instar/engine/internal/staging/divergence_log.h"
#include "instar/engine/staging_options.h"
#include "instar/evolve/canary.h"

namespace instar {

class CanaryTrial : public std::enable_shared_from_this<CanaryTrial> {
 public:
  CanaryTrial(std::string collection, const Plans& active, const Plans& staged);

  const std::string& collection() const noexcept { return collection_; }
  std::uint16_t version() const noexcept { return version_; }

  // ---- any thread

  // What one more handle has; the handle is gone with it. `ended` as in StagingOptions.
  std::shared_ptr<CanaryTrial> open(std::function<void(const StagingEnd&)> ended);

  // A row that the program reads. Changes nothing for it, and never throws.
  void read(Bytes key, const RowView& stored) noexcept;

  bool isTripped() const noexcept { return tripped_.load(std::memory_order_acquire); }
  void setGuardRails(const GuardRails& rails);

  // `wake` is called where there are rows to look at, and where it is time for it; before anybody reads.
  enum class Wake : std::uint8_t { soon, now };
  void onRead(std::function<void(Wake)> wake) { wake_ = std::move(wake); }

  // What has kept the version from being judged, the last time; empty: nothing.
  std::string problem();

  // ---- the thread that keeps it

  // Looks at the rows that were read since, up to the one over which the trial trips, or until it is time.
  // Whether it has tripped.
  bool examine(std::chrono::steady_clock::time_point until);
  bool hasRows() noexcept { return !rows_.isAtEnd() || !queue_.isEmpty(); }
  void trip() noexcept { tripped_.store(true, std::memory_order_release); }

  // What is not in the file yet, and back again where it could not be stored.
  struct Pending {
    CanaryStatistics statistics;
    DivergedRows diverged;

    bool isEmpty() const noexcept { return statistics.samples == 0 && statistics.passedOver == 0; }
  };
  Pending take();
  void giveBack(Pending&& pending) noexcept;  // nothing was examined meanwhile

  // What the file has; whether the guard rails are broken by it.
  void see(const CanaryStatistics& stored, bool isBroken);
  // Tells the handles that do not know it yet.
  void end(VersionState state, const std::string& reason);
  // Nobody is left to count for, nor to tell, and nothing to store.
  bool isDone();

  void setProblem(std::string problem);

 private:
  struct Handle {
    std::shared_ptr<CanaryTrial> trial;
    std::function<void(const StagingEnd&)> ended;
  };
  struct Opened {
    std::weak_ptr<Handle> handle;
    bool isTold = false;  // that the trial has ended
  };

  void examine(Bytes key, const RowView& stored, const GuardRails& rails);
  CanaryCounts counts() const;
  std::shared_ptr<Handle> nextUntold();
  GuardRails guardRails();

  const std::string collection_;
  const std::uint16_t version_;
  const Plans active_;
  const Plans staged_;
  const Canary canary_;
  std::function<void(Wake)> wake_;  // set before anybody reads; empty where nobody keeps it

  std::atomic<bool> tripped_{false};
  CanaryQueue queue_;
  std::atomic<std::uint64_t> passedOver_{0};  // since they were taken

  // Of the thread that keeps it.
  CanaryQueue::Rows rows_;
  CanaryCounts stored_;  // of all programs, when it was last looked at
  Pending pending_;

  std::mutex mutex_;
  // Protected by mutex_.
  GuardRails rails_;
  std::vector<Opened> handles_;
  bool hasEnded_ = false;
  std::string problem_;
};

}  // namespace instar
