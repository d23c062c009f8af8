#pragma once

// The seam below the engine: an ordered key-value contract that LMDB fulfils
// (internal/storage/lmdb_storage.h) and that an in-memory model fulfils too
// (internal/storage/memory_storage.h), as an oracle and for injected faults.
//
// Invariants: one writer at a time; a transaction sees the state at its begin and, if it writes, its own
// changes; commit is atomic. Threads: an Environment may be used by all; a Transaction and its cursors by one
// thread at a time, a write transaction only by the thread that began it. Bytes that are handed out are
// borrowed until the next change through the same transaction, or until its end. Failures are thrown as
// instar::Error with the failing call's name.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/options.h"
#include "instar/format/bytes.h"
#include "instar/format/row.h"

namespace instar::storage {

// A tree of the environment, opened once and valid as long as it.
using TreeId = std::uint32_t;

enum class Access : std::uint8_t { read, write };

struct TreeStatistics {
  std::uint64_t entries = 0;
  std::uint64_t leafPages = 0;
  std::uint64_t branchPages = 0;
  std::uint64_t overflowPages = 0;
  std::uint32_t depth = 0;
};

struct Entry {
  Bytes key;
  Bytes value;
};

// A position in a tree. After a change through the same transaction it must be positioned again:
// Error(fixCall). Where there is no position, before the first move or after one that found nothing, next()
// and previous() find nothing.
class Cursor {
 public:
  virtual ~Cursor() = default;
  // Each returns whether there is an entry; key() and value() are valid only then.
  virtual bool first() = 0;
  virtual bool last() = 0;
  virtual bool seek(Bytes key) = 0;  // the first entry that is not less than `key`
  virtual bool next() = 0;
  virtual bool previous() = 0;
  // As many as there are and `entries` has room for, in the order of the walk; stands on the last of them.
  // How many: fewer than room means the end. An error behind the first of them is thrown by the next call.
  virtual std::size_t next(std::span<Entry> entries) = 0;
  virtual std::size_t previous(std::span<Entry> entries) = 0;
  virtual Bytes key() const = 0;
  virtual Bytes value() const = 0;
};

class Transaction {
 public:
  virtual ~Transaction() = default;  // aborts what was not committed
  // Number of the state that is seen; a write transaction's is the number that its commit will have.
  virtual std::uint64_t id() const = 0;
  virtual std::optional<Bytes> get(TreeId tree, Bytes key) = 0;
  // Inserts or replaces; the caller fills the returned bytes before the next call.
  virtual std::span<std::byte> reserve(TreeId tree, Bytes key, std::size_t size) = 0;
  virtual bool erase(TreeId tree, Bytes key) = 0;  // whether there was such an entry
  virtual std::unique_ptr<Cursor> cursor(TreeId tree) = 0;
  virtual TreeStatistics statistics(TreeId tree) = 0;
  virtual std::uint64_t countTrees() = 0;  // in the whole file, opened or not
  // Whether a writer may overwrite bytes that were handed out, because nothing tells it that they are being
  // read: copy them, then checkIntact(), then use the copy.
  virtual bool canBeOverwritten() const noexcept = 0;
  virtual void checkIntact() const = 0;  // Error(retry) where that may have happened
  // Ends the transaction. Error(readBack): whether the commit is stored is unknown. Every other error: it is
  // not.
  virtual void commit() = 0;
};

// What work in the background gives way to.
struct Pressure {
  unsigned writersWaiting = 0;  // threads of this process that wait for their turn to write
  std::uint64_t freeDisk = 0;   // bytes that the file can still grow by; UINT64_MAX: unknown
};

class Environment {
 public:
  virtual ~Environment() = default;
  virtual bool readOnly() const = 0;
  // `wait` bounds the wait for the write lock: Error(retry) when it is over. Ignored for Access::read.
  virtual std::unique_ptr<Transaction> begin(Access access, std::chrono::milliseconds wait) = 0;
  // Nothing where the tree does not exist and `create` is false. Creating commits a small transaction of its
  // own. What is not open yet cannot be opened while the calling thread has a write transaction:
  // Error(fixCall).
  virtual std::optional<TreeId> openTree(std::string_view name, bool create) = 0;
  virtual RowPlacement placement(std::size_t keyLength, std::size_t valueLength) const noexcept = 0;
  virtual void sync() = 0;  // makes every commit so far durable, at every durability level
  virtual EnvironmentInfo info() = 0;
  virtual std::vector<ReaderInfo> readers() = 0;
  virtual unsigned clearStaleReaders() = 0;  // how many there were
  // Whether the caller may compact from here on: one at a time for a file, over all processes. The lock ends
  // with its process.
  virtual bool tryLockCompaction() = 0;
  virtual void unlockCompaction() noexcept = 0;
  virtual Pressure pressure() = 0;
  // A consistent copy while others read and write: written beside `target`, synced, renamed.
  virtual void copyTo(const std::filesystem::path& target, CopyOptions options) = 0;
};

}  // namespace instar::storage
