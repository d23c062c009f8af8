#pragma once

// What is behind a Transaction: the storage transaction, and what borrows from it. One thread at a time.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/storage.h"

namespace instar {

class StoreState;
class ScanCursor;

class TransactionState {
 public:
  // A writer waits for the others: for `wait`, or for StoreOptions::writeTimeout, which in the compaction
  // thread ends as soon as it is told something. Then Error(retry).
  TransactionState(std::shared_ptr<StoreState> store, storage::Access access,
                   std::optional<std::chrono::milliseconds> wait = {});
  TransactionState(const TransactionState&) = delete;
  TransactionState& operator=(const TransactionState&) = delete;
  ~TransactionState();

  StoreState& store() const noexcept { return *store_; }
  const std::shared_ptr<StoreState>& sharedStore() const noexcept { return store_; }
  storage::Transaction& storage() const noexcept { return *storage_; }
  bool writable() const noexcept { return writable_; }
  std::uint64_t id() const { return storage_->id(); }

  // Number of the last commit that is seen, the own changes left aside.
  std::uint64_t snapshot() const noexcept { return snapshot_; }

  // Whether what is read must be copied, because it does not stay as it is until the transaction ends.
  bool copiesRows() const noexcept { return copiesRows_; }

  // `bytes` from the storage as they were read, or Error(retry); `copy` is where they are kept if they have
  // to be.
  Bytes steady(Bytes bytes, std::vector<std::byte>& copy) const {
    return storage_->canBeOverwritten() ? steadyCopy(bytes, copy) : bytes;
  }

  // For looking one thing up: a cursor that a reader keeps from one look to the next, because opening one
  // costs as much as moving it. Borrowed until the next call.
  storage::Cursor& lookupCursor(storage::TreeId tree) {
    if (!lookup_ || lookupTree_ != tree || writable_) {
      lookup_ = storage_->cursor(tree);
      lookupTree_ = tree;
    }
    return *lookup_;
  }

  // Goes up with every change, so that scans know when to position themselves again.
  std::uint64_t changes() const noexcept { return changes_; }
  void changed() noexcept { ++changes_; }

  void rowBorn() noexcept { ++livingRows_; }
  void rowGone() noexcept { --livingRows_; }

  // Scans that have to know when this transaction ends.
  void attach(ScanCursor& scan) { scans_.push_back(&scan); }
  void detach(ScanCursor& scan) noexcept { std::erase(scans_, &scan); }

  // How many rows of the hot tree cover cold ones, and how many of these are tombstones, changes with writes
  // to cold rows; stored with the commit.
  struct CoverChange {
    std::int64_t covered = 0;
    std::int64_t tombstones = 0;
  };
  void coverChanged(std::string_view collection, const CoverChange& change);
  CoverChange coverChange(std::string_view collection) const;
  void forgetCoverChange(std::string_view collection);  // because it is stored

  void commit();

 private:
  void closeScans() noexcept;
  Bytes steadyCopy(Bytes bytes, std::vector<std::byte>& copy) const;

  std::shared_ptr<StoreState> store_;
  std::unique_ptr<storage::Transaction> storage_;
  const bool writable_;
  const bool copiesRows_;
  const std::uint64_t snapshot_;
  std::unique_ptr<storage::Cursor> lookup_;  // null before the first look
  storage::TreeId lookupTree_ = 0;           // that it belongs to
  std::uint64_t changes_ = 0;
  std::uint64_t livingRows_ = 0;
  std::vector<ScanCursor*> scans_;
  std::map<std::string, CoverChange, std::less<>> coverChanges_;  // by collection
};

// Making a tree waits for the lock of writers, as a write transaction does: the compaction thread until it is
// told something. Throws as that does.
storage::TreeId openOrMakeTree(const std::shared_ptr<StoreState>& store, const std::string& name);

}  // namespace instar
