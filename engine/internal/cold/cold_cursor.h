#pragma once

// A walk over the rows in the blocks of a collection, and one over both trees of it: the hot tree's rows,
// and those in blocks that it does not cover. One thread, as the transaction; after a change through it the
// place is kept, but what was handed out before is not.

#include "instar/engine/internal/cold/cold_tier.h"

namespace instar {

class ColdCursor {
 public:
  ColdCursor(ColdTier& tier, TransactionState& transaction);

  // Each returns whether there is a row. Throws Error(restoreFromBackup) for a damaged block; the next step
  // goes on behind it.
  bool first() { return enterBlock(cursor_->first(), End::first); }
  bool last() { return enterBlock(cursor_->last(), End::last); }
  bool seek(Bytes key);  // the first row that is not less than `key`
  bool next();
  bool previous();

  // Valid where there is a row.
  const ColdPlace& place() const noexcept { return place_; }

 private:
  enum class End : std::uint8_t { first, last };

  bool enterBlock(bool found, End end);
  bool enterSection(std::size_t index, End end);
  void returnToBlock();

  ColdTier& tier_;
  TransactionState& transaction_;
  std::unique_ptr<storage::Cursor> cursor_;  // on the block of place_, unless there were changes since
  std::uint64_t seenChanges_;
  Key lastKey_;  // of the block
  ColdPlace place_;
};

// Walks in one direction, which the first move decides. After Error(restoreFromBackup) about a block, from
// that move too, next() goes on behind the block.
class TieredCursor {
 public:
  TieredCursor(storage::TreeId hot, ColdTier& cold, TransactionState& transaction);

  bool first();
  bool seek(Bytes key);        // the first row that is not less than `key`
  bool seekBehind(Bytes key);  // the first that is greater
  // These walk backwards.
  bool last();
  bool seekBefore(Bytes key);  // the last row that is less than `key`
  bool next();                 // only where there is a row, or after an error

  // Of the row; borrowed until the next step or change.
  bool isCold() const noexcept { return isCold_; }
  Bytes key() const noexcept { return isCold_ ? cold_.place().key() : hot_->key(); }
  Bytes hotValue() const { return hot_->value(); }
  const ColdPlace& coldPlace() const noexcept { return cold_.place(); }

 private:
  template <class Move>
  void moveCold(Move&& move);
  bool settle();

  std::unique_ptr<storage::Cursor> hot_;
  ColdCursor cold_;
  bool reverse_ = false;
  bool hasHot_ = false;      // whether hot_ stands on what comes next of its tree
  bool hasCold_ = false;     // likewise
  bool isCold_ = false;      // which of them is the row
  bool coldFailed_ = false;  // a damaged block: cold_ is to go on behind it
};

}  // namespace instar
