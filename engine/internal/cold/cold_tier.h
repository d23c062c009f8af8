#pragma once

// The rows of a collection that lie in cold blocks: a tree of blocks, each under the last key that it holds.
// A row of the hot tree covers the one that a block has under the same key; who reads asks the hot tree
// first. Any thread; a transaction as it says.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/transaction_state.h"
#include "instar/format/cold_block.h"

namespace instar {

class StoreState;

// A row in a block.
struct ColdPlace {
  std::shared_ptr<const UnpackedSection> section;
  std::size_t row = 0;

  Bytes key() const noexcept { return section->key(row); }
  RowView view() const noexcept { return {section->version(), RowFlags::none, section->payload(row)}; }
};

class ColdTier {
 public:
  ColdTier(StoreState& store, std::string collection, storage::TreeId tree);
  ColdTier(const ColdTier&) = delete;
  ColdTier& operator=(const ColdTier&) = delete;

  storage::TreeId tree() const noexcept { return tree_; }

  // Nothing where no block has the key. Throws Error(restoreFromBackup) where the block is damaged.
  std::optional<ColdPlace> find(TransactionState& transaction, Bytes key);

  // Of a stored block, each through the cache. They throw Error(restoreFromBackup), with the key of its last
  // row.
  //
  // A section, at most the last one.
  std::shared_ptr<const UnpackedSection> section(TransactionState& transaction, Bytes lastKey, Bytes value,
                                                 std::size_t index);
  // The first row that is not less than `key`, which is not greater than `lastKey`.
  ColdPlace seek(TransactionState& transaction, Bytes lastKey, Bytes value, Bytes key);

  // All of it, past the cache, which is left to readers of rows. Throws as those.
  std::shared_ptr<const UnpackedBlock> read(TransactionState& transaction, Bytes lastKey, Bytes value);
  // And without an error: for those who want to know what is wrong.
  std::shared_ptr<const UnpackedBlock> unpack(TransactionState& transaction, Bytes lastKey, Bytes value,
                                              std::string& damage);

  // Null where the catalog does not have it.
  std::shared_ptr<const Dictionary> dictionary(TransactionState& transaction, std::uint32_t number);

 private:
  ColdBlockHeader headerOf(Bytes lastKey, Bytes value) const;
  std::shared_ptr<const UnpackedSection> unpacked(TransactionState& transaction, Bytes lastKey,
                                                  const ColdBlockHeader& header, std::size_t index);
  ColdPlace placeOf(TransactionState& transaction, Bytes lastKey, const ColdBlockHeader& header, Bytes key);
  void requireIntact(Bytes lastKey, const ColdBlockHeader& header) const;
  std::shared_ptr<const Dictionary> dictionaryOf(TransactionState& transaction, const ColdBlockHeader& header,
                                                 std::string& damage);
  [[noreturn]] void refuseBlock(Bytes lastKey, const std::string& damage) const;

  StoreState& store_;
  const std::string collection_;
  const storage::TreeId tree_;
  std::mutex mutex_;
  std::map<std::uint32_t, std::shared_ptr<const Dictionary>> dictionaries_;  // protected by mutex_
};

// The tree of a collection that has cold blocks. Throws Error(restoreFromBackup) where it is missing.
storage::TreeId openColdTree(StoreState& store, const std::string& collection);

// What a collection with cold blocks counts by (format/catalog.capnp).
struct Tiers {
  std::uint64_t coldRows = 0;
  std::uint64_t coldBlocks = 0;
  std::uint64_t coldBytes = 0;
  std::uint64_t coveredRows = 0;
  std::uint64_t tombstones = 0;
  std::uint64_t nextBlock = 1;
  std::uint16_t dictionaryFor = 0;  // version that the choice of a dictionary was made for; 0: none was made
  std::uint32_t dictionary = 0;     // that new blocks have; 0: none
  std::uint32_t dictionaries = 0;   // that were ever made
};
// All zero where the collection has none. With what the transaction itself has changed.
Tiers readTiers(TransactionState& transaction, std::string_view collection);
void writeTiers(TransactionState& transaction, std::string_view collection, const Tiers& tiers);

void putDictionary(TransactionState& transaction, std::string_view collection, const Dictionary& dictionary,
                   std::uint16_t version);

}  // namespace instar
