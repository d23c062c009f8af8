#pragma once

// One bounded step of a pass over a partition. Three parts, none of which waits for anything but the lock:
//
// 1. prepare() reads what follows in a snapshot, without the lock of writers: upgrades rows of older
//    versions as a reader would see them, and packs them where the pass is one that packs.
// 2. install() stores it in a short transaction, as much as the time under the lock allows, with the
//    position and the totals of the partition: a crash loses what is not yet installed and nothing else. A
//    hot row that somebody has changed since the snapshot stays as he left it, and covers the packed one.
//    Call it until isInstalled().
// 3. verify() reads back from the file what was installed and compares it with what was prepared.
//
// What is packed moves in groups: the blocks that go, the rows that they and the hot tree had between two
// keys, and the blocks that come. A group is installed whole; groups can be installed one by one.
//
// One thread at a time. Only the compactor of the file may use it: nobody else changes blocks.

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "instar/engine/compaction_options.h"
#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/compaction/picker.h"
#include "instar/engine/internal/compaction/preimages.h"
#include "instar/engine/rehearsal.h"

namespace instar {

struct BatchLimits {
  std::uint64_t rows = 4096;                 // that are rewritten or packed, at most
  std::size_t bytes = std::size_t{1} << 20;  // of these
  std::chrono::microseconds lockTime = std::chrono::milliseconds(2);
  std::uint64_t partitionRows = kPartitionRows;  // after which a partition is cut
  unsigned threads = 1;                          // that prepare at the same time
  bool keepPreimages = false;                    // of what is replaced (preimages.h)
  // Told where the batch is, by name, so that a test can end the process there.
  std::function<void(const char* point)> probe = {};
};

// What happened, from prepare() to now; adds up over batches.
struct BatchResult {
  std::uint64_t rows = 0;       // that were looked at
  std::uint64_t rewritten = 0;  // in the hot tree
  std::uint64_t packed = 0;     // from the hot tree into blocks
  std::uint64_t repacked = 0;   // from blocks into blocks
  std::uint64_t changed = 0;    // by others, between the snapshot and the lock
  std::uint64_t failed = 0;     // that cannot be upgraded
  std::vector<FailedRow> failures{};
  std::uint64_t transactions = 0;
  std::uint64_t bytes = 0;      // of the rows and blocks that were stored: at the least what was written
  std::uint64_t bytesRead = 0;  // from the device, by other threads than the one that calls
  std::uint64_t verified = 0;   // rows that were read back
  std::chrono::microseconds longestLock{0};  // from the lock to the commit, which is left out
};

// Rows whose read-back is not what was to be stored.
struct Mismatch {
  Key first;  // of the block or row
  Key last;
  std::string what;
};

// What a preparation has taken, all its threads together.
struct PreparationTime {
  std::chrono::nanoseconds processor{0};
  std::chrono::nanoseconds passed{0};
};

class Batch {
 public:
  Batch(std::shared_ptr<StoreState> store, CollectionState& collection, CompactionMode mode,
        BatchLimits limits, std::uint64_t mostFailures);
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  // Begins or goes on with a pass over the partition that begins at `lower`. Several threads each prepare a
  // batch's worth of rows, one behind another's. Throws Error(restoreFromBackup) for a damaged block; a
  // damaged hot row is a failed one.
  void prepare(const Key& lower);
  const PreparationTime& preparationTime() const noexcept { return preparationTime_; }
  bool isInstalled() const noexcept { return isInstalled_; }

  // Throws Error(upgradeProgram) where a newer release has added a version: its rows are not ours to make.
  void install();

  // The first that is wrong. After the last install().
  std::optional<Mismatch> verify();

  // For the batches to come.
  void setBytes(std::size_t bytes) noexcept { limits_.bytes = bytes; }
  void setThreads(unsigned threads) noexcept { limits_.threads = threads; }

  bool endedPass() const noexcept { return endedPass_; }
  const Partition& partition() const noexcept { return partition_; }  // as it was stored last
  BatchResult takeResult() { return std::exchange(result_, {}); }

 private:
  // What becomes of an entry of the hot tree.
  enum class Then : std::uint8_t {
    hot,        // it stays, and what it covers stays as well
    uncovered,  // it stays, and the block that it covered goes
    cold,       // a new block has the row
    gone,       // nothing is left: the tombstone of a row that goes
  };
  struct HotEntry {
    Bytes key;
    Bytes before = {};          // as stored in the snapshot; empty: there was none
    Bytes payload = {};         // of what is to stand there, where it stays
    std::uint16_t version = 0;  // likewise
    Then then = Then::hot;
  };
  struct NewBlock {
    Bytes lastKey;
    Bytes value;
    ColdTotals totals;
    bool isRest = false;  // of a block that the batch has not come to the end of
  };
  struct OldBlock {
    Bytes lastKey;
    std::uint64_t number = 0;
    ColdTotals totals;
    bool stays = false;
  };
  // Indices into the lists below, each from where the group before ends.
  struct Group {
    std::size_t hotEnd = 0;
    std::size_t newEnd = 0;
    std::size_t oldEnd = 0;
    Bytes position;  // its last key
    std::uint64_t rows = 0;
    std::uint64_t failedRows = 0;
    std::uint64_t largeRows = 0;
    std::uint16_t floor = 0;  // 0: it leaves no row
  };
  // What one thread prepares.
  struct Part;
  class Preparation;

  void beginPass(const Key& lower);
  void openTrees();
  void preparePackers();
  std::vector<Key> boundsOfParts(TransactionState& transaction, const Key* upper) const;
  void prepareParts(const Key& lower);
  void admit(TransactionState& transaction);
  void installGroup(TransactionState& transaction, Tiers& tiers, const Part& part, bool isUnchanged);
  void installHot(TransactionState& transaction, const HotEntry& entry, bool isUnchanged);
  void setCover(TransactionState& transaction, const Key& key, std::optional<Bytes> now, bool covers);
  void adapt(std::chrono::nanoseconds locked);
  void endPass(TransactionState& transaction, Partitions& partitions);
  void noteVersionsGone(TransactionState& transaction, const Partitions& partitions,
                        std::uint16_t floorBefore);
  void list(FailedRow row);
  void at(const char* point) const {
    if (limits_.probe) limits_.probe(point);
  }
  std::optional<Mismatch> verifyHot(TransactionState& transaction, const HotEntry& entry, bool isAlone);
  std::optional<Mismatch> verifyBlock(TransactionState& transaction, const NewBlock& block);

  const std::shared_ptr<StoreState> store_;
  CollectionState& collection_;
  const CompactionMode mode_;
  BatchLimits limits_;
  std::uint64_t rows_;  // of the next batch: about what one transaction has time for
  const std::uint64_t mostFailures_;
  std::unique_ptr<ColdTier> cold_;      // null where there are no blocks and none are made
  std::optional<Preimages> preimages_;  // nothing where they are not asked for

  // Of the batch in progress.
  std::uint64_t snapshot_ = 0;  // that it was prepared in, or our last commit where nobody came between
  Partition partition_;
  std::vector<std::unique_ptr<Part>> parts_;  // of these the first ones, in the order of their keys
  std::size_t partsPrepared_ = 0;
  std::size_t part_ = 0;       // that is being installed, or was installed last
  std::size_t installed_ = 0;  // groups of it
  bool isInstalled_ = true;
  std::size_t verifiedBlocks_ = 0, verifiedHot_ = 0;  // likewise
  bool endedPass_ = false;
  bool lacksFunctions_ = false;  // to upgrade rows that somebody else can
  PreparationTime preparationTime_;
  std::optional<Mismatch> mismatch_;

  BatchResult result_;
};

}  // namespace instar
