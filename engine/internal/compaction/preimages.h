#pragma once

// What compaction has replaced in a collection, as it was stored: a pair of trees like the collection's own,
// one for entries of its hot tree, one for its blocks. Written in the transaction that replaces, and erased
// when what took its place has been verified (settlement.h).
//
// Together they show what a pass has met: a row under a key covers the one of a block, and a tombstone says
// that the block's row was out of date; it is made where what covered it was not replaced, because somebody
// has changed it since it was read. The rest of a block that a batch ended inside of is not kept again; of a
// row that is replaced twice the last state is, as somebody may have put it in between.
//
// A value; one thread, as the transaction.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "instar/engine/compaction.h"
#include "instar/engine/internal/transaction_state.h"
#include "instar/format/cold_block.h"
#include "instar/format/key.h"

namespace instar {

class Preimages {
 public:
  // Nothing where none were ever kept of the collection, or, with a transaction, none that it sees.
  static std::optional<Preimages> find(StoreState& store, const std::string& collection);
  static std::optional<Preimages> find(TransactionState& transaction, const std::string& collection);
  // Makes the trees where there are none.
  static Preimages make(const std::shared_ptr<StoreState>& store, const std::string& collection);

  storage::TreeId rows() const noexcept { return rows_; }
  storage::TreeId blocks() const noexcept { return blocks_; }

  void keepRow(TransactionState& transaction, Bytes key, Bytes stored) const;
  // While `hot` still has what covers its rows. Returns the bytes that were written.
  std::size_t keepBlock(TransactionState& transaction, storage::TreeId hot, Bytes lastKey,
                        const ColdBlockHeader& header, Bytes stored) const;

  // The first key from this one on under which something is kept.
  std::optional<Key> next(TransactionState& transaction, const Key& from) const;
  bool hasAny(TransactionState& transaction, const Key& lower, const std::optional<Key>& upper) const;
  KeptPreimages count(TransactionState& transaction) const;  // without the name of the collection

  // Until that moment, at least one. Returns whether nothing is left in the range.
  bool erase(TransactionState& transaction, const Key& lower, const std::optional<Key>& upper,
             std::chrono::steady_clock::time_point until) const;

 private:
  Preimages(storage::TreeId rows, storage::TreeId blocks) : rows_(rows), blocks_(blocks) {}

  storage::TreeId rows_;
  storage::TreeId blocks_;
};

}  // namespace instar
