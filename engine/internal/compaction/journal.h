#pragma once

// What the compaction thread writes into the file about itself: entries of the audit, and the record of what
// it does. Neither holds it up. What happens is noted with its time and stored, in order, when the lock of
// writers can be had; the work's own entries may overtake it. What there is no room for, or no lock by the
// end, is lost, and counted.
//
// One thread, which has the file's lock of compaction; lost() any.

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "instar/engine/compaction.h"

namespace instar {

class StoreState;

class CompactorJournal {
 public:
  using Clock = std::chrono::steady_clock;

  explicit CompactorJournal(std::shared_ptr<StoreState> store) : store_(std::move(store)) {}

  // Makes the tree of the audit where the file has none. Throws Error(retry) where somebody else is writing.
  void open();

  void note(AuditEntry entry);

  // Whether it is stored; after a failure nothing is tried for a while.
  bool store();                               // the notes
  bool store(const CompactorReport& record);  // and what the thread does
  std::chrono::nanoseconds untilNextTry() const;

  // The last time, for which it waits a little longer.
  void close(const CompactorReport& record);

  std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

 private:
  bool tryToStore(const CompactorReport* record, std::chrono::milliseconds wait);

  const std::shared_ptr<StoreState> store_;
  bool isOpen_ = false;
  std::vector<AuditEntry> notes_;
  Clock::time_point nextTry_{};
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace instar
