#pragma once

// Transactions and cursors over LMDB. A transaction keeps its environment open; its cursors may outlive it,
// but are of no use then: Error(fixCall).
//
// Invariants: a read transaction comes from the environment's pool and goes back to it; a write transaction
// holds the write locks, which are released when it ends, whichever way. After an error in a change nothing
// but the end is possible, and commit() throws that error again. Threads: as storage.h says; ending a write
// transaction on a thread that did not begin it leaves it to its own thread to abort.

#include <memory>
#include <optional>
#include <thread>

#include "instar/engine/internal/storage/fork_guard.h"
#include "instar/engine/internal/storage/lmdb_binding.h"
#include "instar/engine/storage.h"
#include "instar/format/error.h"

namespace instar::storage {

class LmdbCursor;
class LmdbEnvironment;

class LmdbTransaction final : public Transaction {
 public:
  LmdbTransaction(std::shared_ptr<LmdbEnvironment> environment, MDB_txn* transaction, Access access);
  LmdbTransaction(const LmdbTransaction&) = delete;
  LmdbTransaction& operator=(const LmdbTransaction&) = delete;
  ~LmdbTransaction() override;

  std::uint64_t id() const override { return id_; }
  std::optional<Bytes> get(TreeId tree, Bytes key) override;
  std::span<std::byte> reserve(TreeId tree, Bytes key, std::size_t size) override;
  bool erase(TreeId tree, Bytes key) override;
  std::unique_ptr<Cursor> cursor(TreeId tree) override;
  TreeStatistics statistics(TreeId tree) override;
  std::uint64_t countTrees() override;
  bool canBeOverwritten() const noexcept override { return lockless_; }
  void checkIntact() const override { checkUsable(); }
  void commit() override;

  std::uint64_t countFreePages();  // in the whole file
  std::uint64_t countFreePages(std::uint64_t from,
                               std::uint64_t to);  // that commits `from` up to `to` have freed

 private:
  friend class LmdbCursor;

  void checkUsable() const {
    if (transaction_ == nullptr || isSpecial_ || generation_ != forkGeneration()) [[unlikely]]
      lookCloser();
  }
  void lookCloser() const;  // throws if it is not usable
  void checkWritable() const;
  void note(int code, const char* call, std::size_t size = 0);  // a failure, for every call from now on
  [[noreturn]] void fail(int code, const char* call, std::size_t size = 0);
  void finish() noexcept;
  void closeCursors() noexcept;

  std::shared_ptr<LmdbEnvironment> environment_;
  MDB_txn* transaction_;  // null once it has ended
  std::uint64_t id_;
  const EntryCheck check_;
  std::uint64_t changes_ = 0;  // counts them, so that cursors know that they are out of date
  std::unique_ptr<Error> failure_;
  LmdbCursor* cursors_ = nullptr;  // a list of those that are open
  std::thread::id owner_;
  std::uint32_t generation_;
  Access access_;
  bool lockless_;
  bool isSpecial_;  // has failed or is lockless: what an ordinary transaction need not ask for one by one
};

class LmdbCursor final : public Cursor {
 public:
  LmdbCursor(LmdbTransaction& transaction, MDB_cursor* cursor) noexcept;
  LmdbCursor(const LmdbCursor&) = delete;
  LmdbCursor& operator=(const LmdbCursor&) = delete;
  ~LmdbCursor() override;

  bool first() override { return move(lmdb::Move::first); }
  bool last() override { return move(lmdb::Move::last); }
  bool seek(Bytes key) override;
  bool next() override { return isPositioned() && move(lmdb::Move::next); }
  bool previous() override { return isPositioned() && move(lmdb::Move::previous); }
  std::size_t next(std::span<Entry> entries) override { return moveOn(lmdb::Move::next, entries); }
  std::size_t previous(std::span<Entry> entries) override { return moveOn(lmdb::Move::previous, entries); }
  Bytes key() const override { return key_; }
  Bytes value() const override { return value_; }

 private:
  friend class LmdbTransaction;

  bool move(lmdb::Move how);  // a seek is for key_
  std::size_t moveOn(lmdb::Move how, std::span<Entry> entries);
  bool isPositioned() const {
    if (transaction_ == nullptr || changes_ != transaction_->changes_) [[unlikely]]
      return lookCloser();
    return positioned_;
  }
  bool lookCloser() const;    // throws where the position is out of date
  bool hasNoEntry(int code);  // throws unless that is all
  void detach() noexcept;     // closes, leaves the list

  LmdbTransaction* transaction_;  // null once that has ended
  MDB_cursor* cursor_;
  LmdbCursor* nextOpen_;
  LmdbCursor* previousOpen_ = nullptr;
  std::uint64_t changes_ = 0;
  bool positioned_ = false;
  Bytes key_;
  Bytes value_;
};

// Begun by LMDB, and not yet anybody's: where there is no memory for the owner it must not stay open, as a
// writer would keep LMDB's mutex for good.
template <class Abort>
std::unique_ptr<LmdbTransaction> own(std::shared_ptr<LmdbEnvironment> environment, MDB_txn* transaction,
                                     Access access, Abort abort) {
  try {
    return std::make_unique<LmdbTransaction>(std::move(environment), transaction, access);
  } catch (...) {
    abort();
    throw;
  }
}

}  // namespace instar::storage
