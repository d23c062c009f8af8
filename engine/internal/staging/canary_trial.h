#pragma once

// The canary reads of one handle: rows that its program reads are looked at through the staged version too,
// beside what the program gets. Counted in memory, until the thread that keeps them (canary_keeper.h) adds
// them to the file. Where the guard rails are broken the trial trips, and the handle serves nothing from then
// on. Any thread.

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

#include "instar/engine/internal/staging/divergence_log.h"
#include "instar/engine/staging_options.h"
#include "instar/evolve/canary.h"

namespace instar {

class CanaryTrial {
 public:
  CanaryTrial(std::string collection, const Plans& active, const Plans& staged,
              std::function<void(const StagingEnd&)> ended);

  const std::string& collection() const noexcept { return collection_; }
  std::uint16_t version() const noexcept { return version_; }

  // A row that the program reads. Changes nothing for it, and never throws.
  void read(Bytes key, const RowView& stored) noexcept;

  bool isTripped() const noexcept { return tripped_.load(std::memory_order_acquire); }

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

  // `wake` is called where the trial trips, as long as there is a handle.
  void onTrip(std::function<void()> wake) { wake_ = std::move(wake); }

  // The last handle is gone.
  void close() noexcept { closed_.store(true, std::memory_order_release); }
  bool isClosed() const noexcept { return closed_.load(std::memory_order_acquire); }

  void end(VersionState state, const std::string& reason) const noexcept;

 private:
  void count(const CanaryRead& read, const CanaryFindings& findings, Bytes key);

  const std::string collection_;
  const std::uint16_t version_;
  const Plans active_;
  const Plans staged_;
  const Canary canary_;
  const std::function<void(const StagingEnd&)> ended_;
  std::function<void()> wake_;  // set before anybody reads

  std::atomic<bool> tripped_{false};
  std::atomic<bool> closed_{false};

  std::mutex mutex_;
  // Protected by mutex_.
  CanaryStatistics stored_;  // of all programs, when it was last looked at
  Pending pending_;
  GuardRails rails_;
};

}  // namespace instar
