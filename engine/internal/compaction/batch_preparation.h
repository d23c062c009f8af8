#pragma once

// The first part of a batch: what follows in a partition, read in a snapshot, upgraded and packed. Made for
// one part of a batch, on the stack. One thread.

#include <exception>
#include <optional>
#include <string>

#include "instar/engine/internal/compaction/arena.h"
#include "instar/engine/internal/compaction/batch.h"

namespace instar {

struct Batch::Part {
  // Used again by the next batch.
  Arena arena;
  std::vector<std::byte> block;  // scratch
  std::unique_ptr<BlockPacker> packer;

  std::vector<HotEntry> hot;
  std::vector<NewBlock> newBlocks;
  std::vector<OldBlock> oldBlocks;
  std::vector<Group> groups;
  std::vector<FailedRow> failures;
  std::optional<Key> nextKey;   // the first behind the batch, where that is not the end
  bool reachesEnd = false;      // of the partition, or of what it was to prepare
  bool mayCut = false;          // the partition at its end
  bool lacksFunctions = false;  // to upgrade rows that somebody else can
  bool isOtherSnapshot = false;
  std::uint64_t bytesRead = 0;  // from the device, where a thread of its own has read them
  PreparationTime time;
  std::exception_ptr failure;  // of its thread

  void clear();
};

// Moves behind `position`, or to `lower` where that is empty. Returns whether there is something.
bool startBehind(storage::Cursor& cursor, const Key& position, const Key& lower);

class Batch::Preparation {
 public:
  struct Range {
    const Key& position;            // begins behind it; empty: where the partition begins
    const Key* upper = nullptr;     // of the partition; null: the end
    const Key* last = nullptr;      // goes to it and no further; null: until the batch is full
    std::uint64_t firstNumber = 0;  // of its blocks, above what the file counts
  };
  Preparation(const Batch& batch, Part& part, TransactionState& transaction, const Range& range);

  void run();

 private:
  // A place in key order: a row to be packed, an entry of the hot tree, or the end of a block that stays.
  // Those in the range of a block that goes are not to be parted.
  struct Item {
    Bytes key;
    Bytes payload = {};         // of a row that is to be packed; empty: it is not
    std::ptrdiff_t block = -1;  // that goes, and whose range it is in; in oldBlocks_
    bool isHot = false;         // has an entry in hot_
    bool endsBlock = false;     // that stays
    bool isFailed = false;
    bool isLarge = false;  // for a block, or too new
    std::uint64_t rows = 0;
    std::uint16_t version = 0;  // of what is left there; 0: nothing is
  };

  void begin();
  bool isInRange(Bytes key) const;
  void stepHot(bool found);
  void stepBlock(bool found);
  bool isFull() const;
  bool absorbs() const;
  void absorbBlock();
  void keepBlock();
  void takeHot(std::ptrdiff_t block, const RowView* covered);
  void takeCold(std::ptrdiff_t block, Bytes key, const RowView& row);
  void takeRest(const UnpackedBlock& block, std::size_t from);
  void addItem(Item item, Bytes payload = {});
  void addHot(Item item, HotEntry entry);
  void uncover(Bytes key, const RowView& row, const std::optional<Bytes>& payload);
  std::optional<Bytes> upgraded(Bytes key, const RowView& row, bool reports = true);
  bool isPackable(const RowView& row, const std::optional<Bytes>& payload) const;
  std::shared_ptr<const UnpackedBlock> unpack();

  void pack();
  void packSegment(std::size_t begin, std::size_t end, bool isLast);
  std::size_t packBlock(std::span<const ColdRow> rows, bool isRest);
  void dropFrom(std::size_t item);
  void formGroups();

  const Batch& batch_;
  Part& part_;
  const Range range_;
  TransactionState& transaction_;
  CollectionState& collection_;
  const std::uint16_t version_;
  const std::uint16_t completeFrom_;
  const bool packs_;

  std::unique_ptr<storage::Cursor> hot_;
  bool hasHot_ = false;
  std::unique_ptr<storage::Cursor> blocks_;  // null where there are none
  bool hasBlock_ = false;
  ColdBlockHeader header_;          // of the block that blocks_ is on
  std::uint64_t coverOfBlock_ = 0;  // entries of the hot tree in its range that cover a row of it

  std::vector<Item> items_;
  std::vector<ColdRow> rest_;
  std::vector<std::shared_ptr<const UnpackedBlock>> unpacked_;  // that payloads are borrowed from
  std::vector<std::size_t> blockEnds_;                          // the item of the last row of each new block
  std::vector<std::pair<std::size_t, FailedRow>> failures_;     // by item
  bool endsInsideBlock_ = false;
  bool cutsBlock_ = false;           // that goes: what it has behind is in rest_
  std::vector<ColdRow> rows_;        // scratch
  std::vector<std::size_t> places_;  // likewise: of these rows among the items
  std::uint64_t looked_ = 0;
  std::uint64_t changes_ = 0;
  std::size_t bytes_ = 0;         // of the changes
  std::size_t lookedBytes_ = 0;   // of all that was read
  std::size_t pendingBytes_ = 0;  // to be packed, since the last block that stays
  std::uint64_t nextNumber_;
};

}  // namespace instar
