#include "instar/engine/internal/compaction/preimages.h"

#include <algorithm>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/row_writer.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/error.h"

namespace instar {
namespace {

void copyTo(TransactionState& transaction, storage::TreeId tree, Bytes key, Bytes stored) {
  transaction.changed();
  std::ranges::copy(stored, transaction.storage().reserve(tree, key, stored.size()).begin());
}

// Whether a block of the tree has the range that the block ends in: it is the rest of that one.
bool isRest(TransactionState& transaction, storage::TreeId blocks, Bytes lastKey) {
  const auto cursor = transaction.storage().cursor(blocks);
  ColdBlockHeader header;
  return cursor->seek(lastKey) && decodeBlockHeader(cursor->value(), header) == BlockDamage::none &&
         compareBytes(header.firstKey, lastKey) <= 0;
}

bool moveTo(storage::Cursor& cursor, const Key& from) {
  return from.empty() ? cursor.first() : cursor.seek(from.bytes());
}

}  // namespace

std::optional<Preimages> Preimages::find(StoreState& store, const std::string& collection) {
  const auto rows = store.environment().openTree(preimageRowTreeName(collection), false);
  const auto blocks = store.environment().openTree(preimageColdTreeName(collection), false);
  if (!rows || !blocks) return std::nullopt;
  return Preimages(*rows, *blocks);
}

std::optional<Preimages> Preimages::find(TransactionState& transaction, const std::string& collection) {
  const auto found = find(transaction.store(), collection);
  try {
    if (found) found->count(transaction);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::fixCall) throw;
    return std::nullopt;  // they were made after it began
  }
  return found;
}

Preimages Preimages::make(const std::shared_ptr<StoreState>& store, const std::string& collection) {
  return {openOrMakeTree(store, preimageRowTreeName(collection)),
          openOrMakeTree(store, preimageColdTreeName(collection))};
}

void Preimages::keepRow(TransactionState& transaction, Bytes key, Bytes stored) const {
  copyTo(transaction, rows_, key, stored);
}

std::size_t Preimages::keepBlock(TransactionState& transaction, storage::TreeId hot, Bytes lastKey,
                                 const ColdBlockHeader& header, Bytes stored) const {
  const std::uint16_t version = header.version;
  std::vector<Key> covering;
  const auto cursor = transaction.storage().cursor(hot);
  for (bool more = cursor->seek(header.firstKey); more && compareBytes(cursor->key(), lastKey) <= 0;
       more = cursor->next()) {
    if (has(rowFlags(cursor->value()), RowFlags::coversCold)) covering.emplace_back(cursor->key());
  }
  const std::vector<std::byte> copy(stored.begin(), stored.end());  // which goes with the next change
  std::size_t written = 0;
  if (!isRest(transaction, blocks_, lastKey)) {
    copyTo(transaction, blocks_, lastKey, copy);
    written = copy.size();
  }
  for (const Key& key : covering) writeRow(transaction, rows_, key, version, {}, kTombstoneFlags);
  return written;
}

std::optional<Key> Preimages::next(TransactionState& transaction, const Key& from) const {
  std::optional<Key> first;
  for (const storage::TreeId tree : {rows_, blocks_}) {
    const auto cursor = transaction.storage().cursor(tree);
    if (moveTo(*cursor, from) && isBelow(cursor->key(), first)) first = Key(cursor->key());
  }
  return first;
}

bool Preimages::hasAny(TransactionState& transaction, const Key& lower,
                       const std::optional<Key>& upper) const {
  const auto first = next(transaction, lower);
  return first && isBelow(first->bytes(), upper);
}

KeptPreimages Preimages::count(TransactionState& transaction) const {
  return {.collection = {},
          .rows = transaction.storage().statistics(rows_).entries,
          .blocks = transaction.storage().statistics(blocks_).entries};
}

// Blocks first: without the rows and tombstones over them they would show what was out of date.
bool Preimages::erase(TransactionState& transaction, const Key& lower, const std::optional<Key>& upper,
                      std::chrono::steady_clock::time_point until) const {
  for (const storage::TreeId tree : {blocks_, rows_}) {
    const auto cursor = transaction.storage().cursor(tree);
    while (moveTo(*cursor, lower) && isBelow(cursor->key(), upper)) {
      const Key key(cursor->key());
      transaction.changed();
      transaction.storage().erase(tree, key.bytes());
      if (std::chrono::steady_clock::now() >= until) return !hasAny(transaction, lower, upper);
    }
  }
  return true;
}

}  // namespace instar
