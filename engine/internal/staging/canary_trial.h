#pragma once

// The canary reads of one version in one store: rows that its program reads are looked at through the staged
// version too, beside what the program gets. All handles of the version share them. Counted in memory, until
// the thread that keeps them (canary_keeper.h) adds them to the file. Where the guard rails are broken the
// trial trips, and no handle serves anything from then on. Any thread.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "instar/engine/internal/staging/divergence_log.h"
#include "instar/engine/staging_options.h"
#include "instar/evolve/canary.h"

namespace instar {

class CanaryTrial : public std::enable_shared_from_this<CanaryTrial> {
 public:
  CanaryTrial(std::string collection, const Plans& active, const Plans& staged);

  const std::string& collection() const noexcept { return collection_; }
  std::uint16_t version() const noexcept { return version_; }

  // What one more handle has; the handle is gone with it. `ended` as in StagingOptions.
  std::shared_ptr<CanaryTrial> open(std::function<void(const StagingEnd&)> ended);

  // A row that the program reads. Changes nothing for it, and never throws.
  void read(Bytes key, const RowView& stored) noexcept;

  bool isTripped() const noexcept { return tripped_.load(std::memory_order_acquire); }
  void trip() noexcept { tripped_.store(true, std::memory_order_release); }

  // What is not in the file yet, and back again where it could not be stored.
  struct Pending {
    CanaryStatistics statistics;
    DivergedRows diverged;
  };
  Pending take();
  void giveBack(const Pending& pending);

  // What the file has; whether the guard rails are broken by it.
  void see(const CanaryStatistics& stored, bool isBroken);
  void setGuardRails(const GuardRails& rails);

  // `wake` is called where a read trips the trial, as long as there is a handle.
  void onTrip(std::function<void()> wake) { wake_ = std::move(wake); }

  // Tells the handles that do not know it yet.
  void end(VersionState state, const std::string& reason) noexcept;
  // Nobody is left to count for, nor to tell, and nothing to store.
  bool isDone();

  // What has kept the version from being judged, the last time; empty: nothing.
  void setProblem(std::string problem);
  std::string problem();

 private:
  struct Handle {
    std::shared_ptr<CanaryTrial> trial;
    std::function<void(const StagingEnd&)> ended;
  };
  struct Opened {
    std::weak_ptr<Handle> handle;
    bool isTold = false;  // that the trial has ended
  };

  void count(const CanaryRead& read, const CanaryFindings& findings, Bytes key);
  CanaryCounts counts() const;

  const std::string collection_;
  const std::uint16_t version_;
  const Plans active_;
  const Plans staged_;
  const Canary canary_;
  std::function<void()> wake_;  // set before anybody reads

  std::atomic<bool> tripped_{false};

  std::mutex mutex_;
  // Protected by mutex_.
  CanaryCounts stored_;  // of all programs, when it was last looked at
  Pending pending_;
  GuardRails rails_;
  std::vector<Opened> handles_;
  bool hasEnded_ = false;
  std::string problem_;
};

}  // namespace instar
