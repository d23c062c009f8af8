#pragma once

// LMDB's calls as Instar uses them; lmdb_binding.cc alone includes <lmdb.h>. No policy: who may call what and
// when is for lmdb_environment.h and lmdb_transaction.h. Calls return LMDB's code (lmdb_error.h), 0 for
// success.
//
// Flags that are always set: MDB_NOSUBDIR, MDB_NOTLS. Never used: DUPSORT (limits values), WRITEMAP (a full
// disk is a signal there), nested transactions.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/internal/storage/entry_check.h"
#include "instar/engine/options.h"
#include "instar/engine/storage.h"
#include "instar/format/bytes.h"

struct MDB_cursor;
struct MDB_env;
struct MDB_txn;

namespace instar::storage {

inline constexpr unsigned kMaxReaders = 1024;
// 1,000 collections with two trees each, and ten of the store's own.
inline constexpr unsigned kMaxTrees = 2010;

// An open LMDB environment. Open one per file and process.
class LmdbHandle {
 public:
  struct Settings {
    std::filesystem::path path;
    bool readOnly = false;
    bool lockless = false;  // neither makes nor uses a lock file
    Durability durability = Durability::full;
    std::uint64_t mapSize = 0;  // bytes; 0 takes the most that can be had, up to 1 TiB
    mode_t lockFileMode = 0644;
  };

  // Throws Error. A file that does not exist is created, if not readOnly; an empty one gets LMDB's first two
  // pages.
  explicit LmdbHandle(const Settings& settings);
  LmdbHandle(const LmdbHandle&) = delete;
  LmdbHandle& operator=(const LmdbHandle&) = delete;
  ~LmdbHandle();                                    // all transactions are over
  void leak() noexcept { environment_ = nullptr; }  // what is open stays so

  struct State {
    std::uint64_t mapSize = 0;  // bytes
    std::uint64_t lastPage = 0;
    std::uint64_t lastTransaction = 0;
  };
  State state() const noexcept;
  std::uint32_t pageSize() const noexcept { return pageSize_; }
  EntryCheck checkOfSnapshots() const noexcept;

  // Renews a transaction that was reset, or begins one where it is null. On failure it is freed and null.
  // What it shows is the commit of its number.
  int beginRead(MDB_txn*& transaction) const noexcept;
  int beginWrite(MDB_txn*& transaction) const noexcept;

  // In a transaction of its own, and not while another thread does the same.
  int openTree(const std::string& name, bool create, TreeId& tree) const noexcept;

  // Moves the map; no transaction of this process may be active. After a failure the handle can only be
  // closed.
  int setMapSize(std::uint64_t size) const noexcept;

  int sync() const noexcept;
  int copy(int descriptor, bool compact) const noexcept;
  int clearStaleReaders(unsigned& count) const noexcept;
  std::vector<ReaderInfo> readers() const;

 private:
  bool isOfItsNumber(MDB_txn* transaction, int& code) const noexcept;

  MDB_env* environment_ = nullptr;
  std::uint32_t pageSize_ = 0;
  const bool lockless_;
  // A second snapshot, to compare with; null until it is needed first, and while a thread has it.
  mutable std::atomic<MDB_txn*> witness_{nullptr};
};

namespace lmdb {

struct Version {
  int major = 0;
  int minor = 0;
  int patch = 0;
};
Version version() noexcept;

std::uint64_t transactionId(MDB_txn* transaction) noexcept;
void reset(MDB_txn* transaction) noexcept;
void abort(MDB_txn* transaction) noexcept;
int commit(MDB_txn* transaction) noexcept;

// What is found and cannot be read, by `check`, is kCorrupted; so it is in move() and moveOn().
int get(MDB_txn* transaction, TreeId tree, Bytes key, const EntryCheck& check, Bytes& value) noexcept;
int reserve(MDB_txn* transaction, TreeId tree, Bytes key, std::size_t size,
            std::span<std::byte>& value) noexcept;
int erase(MDB_txn* transaction, TreeId tree, Bytes key) noexcept;
int statistics(MDB_txn* transaction, TreeId tree, TreeStatistics& statistics) noexcept;
// LMDB's list of free pages: the commits that have freed some, in order, each with how many; and their sum.
// `visit` must not throw.
using FreedVisitor = const std::function<void(std::uint64_t freedBy, std::uint64_t pages)>&;
int forEachFreed(MDB_txn* transaction, FreedVisitor visit);
int countFreePages(MDB_txn* transaction, std::uint64_t& pages);

// The named trees of the file, as the transaction sees them, opened or not.
int countTrees(MDB_txn* transaction, std::uint64_t& count) noexcept;
int listTrees(MDB_txn* transaction, std::vector<std::string>& names) noexcept;

enum class Move : std::uint8_t {
  first = 0,
  last = 6,
  next = 8,
  previous = 12,
  seek = 17
};  // as LMDB numbers them
int openCursor(MDB_txn* transaction, TreeId tree, MDB_cursor*& cursor) noexcept;
void closeCursor(MDB_cursor* cursor) noexcept;
// Move::seek reads `key`; every move that succeeds sets both.
int move(MDB_cursor* cursor, Move move, const EntryCheck& check, Bytes& key, Bytes& value) noexcept;
// The same again and again until `entries` is full; `count` is how many it was before what the code says.
int moveOn(MDB_cursor* cursor, Move move, const EntryCheck& check, std::span<Entry> entries,
           std::size_t& count) noexcept;

}  // namespace lmdb
}  // namespace instar::storage
