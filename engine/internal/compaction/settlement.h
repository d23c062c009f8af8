#pragma once

// The end of what was kept of a partition (preimages.h): the partition is read as it is now, its blocks
// against what its record counts and the rows of its hot tree by their checksums; where all is sound the
// pre-images are erased. In bounded steps: some bytes are read, or a transaction erases as much as the time
// under the lock allows. Who ends in between begins anew, with the reading. One thread, the compactor's.

#include <memory>
#include <optional>
#include <set>

#include "instar/engine/internal/compaction/batch.h"

namespace instar {

class Settlement {
 public:
  Settlement(std::shared_ptr<StoreState> store, CollectionState& collection, const Preimages& preimages,
             const Key& lower, BatchLimits limits);

  // Returns what is wrong: then everything stays as it is. Throws Error(restoreFromBackup) for what was
  // damaged before compaction came to it.
  std::optional<Mismatch> step();
  bool isDone() const noexcept { return stage_ == Stage::done; }
  BatchResult takeResult() { return std::exchange(result_, {}); }  // of the transactions that erase

 private:
  enum class Stage : std::uint8_t { blocks, rows, erasing, done };

  std::optional<Mismatch> readBlocks(TransactionState& transaction);
  std::optional<Mismatch> readRows(TransactionState& transaction);
  bool wasReplaced(TransactionState& transaction, Bytes key);
  void erase();

  const std::shared_ptr<StoreState> store_;
  CollectionState& collection_;
  const Preimages preimages_;
  const BatchLimits limits_;
  Partition partition_;
  std::optional<Key> upper_;
  std::unique_ptr<ColdTier> cold_;  // null where the collection has none
  Stage stage_ = Stage::blocks;
  Key position_;  // the last key that was read
  ColdTotals found_;
  BatchResult result_;
};

// The first partition of which something is kept although no pass for this version is in progress: what a
// process has left that ended between a pass and its settlement. `asides`: bounds of partitions to pass over.
std::optional<Key> partitionToSettle(TransactionState& transaction, const CollectionState& collection,
                                     const Preimages& preimages, const std::set<Key>& asides = {});

}  // namespace instar
