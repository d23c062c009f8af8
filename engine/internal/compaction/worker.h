#pragma once

// What compaction does to one collection, whoever paces it: takes a partition, a batch after another, reads
// back what each has stored, and stops for good where that is not what it should be. One thread, which has
// the file's lock of compaction.

#include <functional>
#include <memory>
#include <vector>

#include "instar/engine/internal/compaction/batch.h"
#include "instar/engine/internal/compaction/heat.h"
#include "instar/engine/internal/compaction/picker.h"

namespace instar {

class Worker {
 public:
  // `rate` in bytes a second makes small batches for a small rate; 0: no limit.
  Worker(std::shared_ptr<StoreState> store, std::shared_ptr<CollectionState> collection, CompactionMode mode,
         std::chrono::microseconds lockTime, std::uint64_t rate, std::uint64_t mostFailures,
         std::function<void(const char* point)> probe = {});

  CollectionState& collection() const noexcept { return *collection_; }

  // Which partition comes next, in the background; nothing where there is nothing to do.
  std::optional<Key> pick(PickPolicy policy, double coldBelow) const;

  // One batch, with as many transactions as it needs; `between` is called after each. Returns whether the
  // pass over the partition has ended. Throws Error(restoreFromBackup) where what was read back is not what
  // was stored, and says so in the file: then nobody compacts it until it was verified.
  bool step(const Key& lower, const std::function<void()>& between);

  // Behind the partition that the last step was in; nothing: that was the last.
  std::optional<Key> nextLower() const;

  // Neighbours that have become small become one.
  void mergePartitions();

  void setRate(std::uint64_t rate);  // for the batches to come

  BatchResult takeResult() { return batch_.takeResult(); }

 private:
  [[noreturn]] void refuse(const Mismatch& mismatch);

  const std::shared_ptr<StoreState> store_;
  const std::shared_ptr<CollectionState> collection_;
  const CompactionMode mode_;
  Batch batch_;
};

// Holds the lock of compaction. Throws Error(retry) where another program has it, Error(restoreFromBackup)
// where compaction was stopped by a mismatch.
class CompactionLock {
 public:
  explicit CompactionLock(std::shared_ptr<StoreState> store);
  CompactionLock(const CompactionLock&) = delete;
  CompactionLock& operator=(const CompactionLock&) = delete;
  ~CompactionLock();

 private:
  const std::shared_ptr<StoreState> store_;
};

PartitionInfo describe(const Partition& partition);

}  // namespace instar
