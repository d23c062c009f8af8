#pragma once

// What compaction does to one collection, whoever paces it: takes a partition, a batch after another, reads
// back what each has stored, and stops for good where that is not what it should be. One thread, which has
// the file's lock of compaction.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "instar/engine/internal/compaction/batch.h"
#include "instar/engine/internal/compaction/heat.h"
#include "instar/engine/internal/compaction/picker.h"
#include "instar/engine/internal/compaction/thread_count.h"

namespace instar {

class Worker {
 public:
  // `rate` in bytes a second makes small batches for a small rate; 0: no limit.
  struct Settings {
    CompactionMode mode = CompactionMode::upgrade;
    std::optional<std::chrono::microseconds> lockTime = {};
    std::uint64_t rate = 0;
    unsigned threads = 1;  // that prepare, at most
    bool keepPreimages = false;
    std::uint64_t mostFailures = 0;
  };
  Worker(std::shared_ptr<StoreState> store, std::shared_ptr<CollectionState> collection,
         const Settings& settings);

  CollectionState& collection() const noexcept { return *collection_; }

  struct Choice {
    Key lower;
    bool packs = false;    // rows into blocks; what is not cold enough is only upgraded
    bool settles = false;  // only: what was kept of it is no longer needed (settlement.h)
  };
  // Which partition comes next, in the background; nothing where there is nothing to do: then it settles.
  std::optional<Choice> pick(PickPolicy policy, double coldBelow);
  // What pick() puts before everything else: a partition whose pass has ended and left pre-images.
  std::optional<Choice> pickToSettle() const;

  // Where no row is left that has to be upgraded to the current version, and that is ours, it says so.
  void noteSettled();

  // One batch, with as many transactions as it needs; `between` is called after each. Returns whether the
  // pass over the partition has ended. To pack is only for a worker that compresses. Throws
  // Error(restoreFromBackup) where what was read back is not what was stored, and says so in the file: then
  // nobody compacts it until it was verified.
  bool step(const Choice& choice, const std::function<void()>& between);

  // Two neighbours that have become small become one.
  void mergePartitions();

  // The partition of the last step is damaged: it is not picked again, until it is taken back.
  void setAside() { asides_.insert(lastLower_); }
  void takeBack() { asides_.clear(); }
  bool hasAsides() const noexcept { return !asides_.empty(); }

  // For the batches to come.
  void setRate(std::uint64_t rate);
  void waited() noexcept { threads_.waited(); }  // for its rate or for others, between two batches

  BatchResult takeResult();  // of the steps since the last time

 private:
  std::optional<Choice> choose(PickPolicy policy, double coldBelow);
  std::optional<Choice> pickToSettle(TransactionState& transaction) const;
  bool hasToSettle(const Choice& choice) const;
  void settle(const Key& lower, const std::function<void()>& between);
  struct Found {
    Mismatch mismatch;
    Key lower;  // of the partition
  };
  bool isOurs(TransactionState& transaction) const;
  [[noreturn]] void refuse(const Found& found);
  void countHotRows(TransactionState& transaction, const std::vector<Partition>& partitions);

  const std::shared_ptr<StoreState> store_;
  const std::shared_ptr<CollectionState> collection_;
  const CompactionMode mode_;
  Batch upgrade_;
  const std::unique_ptr<Batch> pack_;  // null unless rows are packed
  Batch* current_ = &upgrade_;         // of the last step
  // Nothing where none were ever kept, and none are asked for.
  const std::optional<Preimages> preimages_;
  BatchLimits settling_;
  BatchResult settled_;
  std::optional<Found> unsaid_;  // in the file; nothing else comes before
  ThreadCount threads_;

  Key lastLower_;         // of the last step
  std::set<Key> asides_;  // bounds of partitions

  // How many rows of each partition are hot, by its bound; counted now and then.
  std::map<Key, std::uint64_t> hotRows_;
  std::uint64_t countedSnapshot_ = 0;
  std::chrono::steady_clock::time_point countAgain_{};
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
