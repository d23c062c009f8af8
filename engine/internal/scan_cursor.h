#pragma once

// The walk of a scan over a collection. Three ways, one result:
//
// - In a snapshot the cursor reads some rows ahead, and the processor is asked for their bytes before they
//   are used.
// - Where bytes do not stay as they are (a write transaction, a file without locks) it stands on the row, and
//   finds the way back by key after a change.
// - Where the collection has cold blocks, two cursors go side by side (cold/cold_cursor.h).
//
// One thread at a time. Closed when its transaction ends, whichever of the two goes first: then
// Error(fixCall).

#include <array>

#include "instar/engine/collection.h"
#include "instar/engine/internal/cold/cold_cursor.h"
#include "instar/engine/internal/transaction_state.h"

namespace instar {

class ScanCursor {
 public:
  ScanCursor(CollectionState& collection, TransactionState& transaction, ScanOptions options);
  ScanCursor(const ScanCursor&) = delete;
  ScanCursor& operator=(const ScanCursor&) = delete;
  ~ScanCursor();

  // As ScanBase has it, and the others too.
  bool next();
  Bytes key() const;
  Bytes value() const;
  void load(internal::RowBytes& row) const;

  void detach() noexcept;  // for the transaction, when it ends

 private:
  static constexpr std::size_t kMostAhead = 16;

  [[noreturn]] static void throwEnded();
  TransactionState& transaction() const {
    if (transaction_ == nullptr) throwEnded();
    return *transaction_;
  }
  bool start(storage::Cursor& cursor);
  bool start(TieredCursor& cursor);
  bool stepAfterChange(storage::Cursor& cursor);
  bool stepAfterChange(TieredCursor& cursor);
  bool stepAhead() {
    if (++position_ >= count_ && !readAhead()) return false;
    here_ = ahead_[position_];
    return true;
  }
  bool readAhead();
  bool stepInPlace(TransactionState& transaction);
  bool stepTiered(TransactionState& transaction);
  bool inRange() const {
    return end_ == nullptr || (compareBytes(here_.key, end_->bytes()) < 0) != options_.reverse;
  }
  bool isOutdated() const;
  Bytes encode(const RowView& row) const;

  CollectionState& collection_;
  TransactionState* transaction_;            // null once it has ended
  std::unique_ptr<storage::Cursor> cursor_;  // null where there are cold blocks
  std::unique_ptr<TieredCursor> tiered_;     // null where there are none
  ScanOptions options_;                      // prefix is folded into from and to
  const Key* end_;                           // where to stop, null for the end of the tree
  std::uint64_t left_;                       // rows that may still follow
  bool started_ = false;

  storage::Entry here_;  // the row that next() went to
  std::array<storage::Entry, kMostAhead> ahead_;
  std::size_t position_ = 0;  // of here_ in ahead_
  std::size_t count_ = 0;     // in ahead_
  std::size_t toRead_ = 1;    // a short scan reads little that is not used

  Key current_;     // here_.key, where it does not stay as it is
  ColdPlace cold_;  // the row, where it is one of a block
  std::uint64_t seenChanges_ = 0;
  mutable std::vector<std::byte> steadyValue_;
};

}  // namespace instar
