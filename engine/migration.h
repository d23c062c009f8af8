#pragma once

// Compacts a collection in the foreground, a batch after another, while others read and write: what the
// thread of StoreOptions::compaction does when it finds the time, for all partitions from the first to the
// last. At any moment the collection holds the same rows for its readers, some of them rewritten; so it may
// end at any time, by a crash too, and be called again.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "instar/engine/compaction.h"
#include "instar/engine/rehearsal.h"
#include "instar/engine/store.h"

namespace instar {

struct Migration;

struct MigrationOptions {
  // upgrade: rows that have to be upgraded when they are read are rewritten. compress: all rows are also
  // packed into blocks, however warm they are.
  CompactionMode mode = CompactionMode::upgrade;
  // Of the partitions that have nothing to be upgraded none is gone through, unless they are to be packed.
  // With this only the one that the key belongs to.
  std::optional<Key> partition = {};
  // Bytes that the calling thread may write in a second, and as many that it may read from the device; 0: as
  // fast as possible.
  std::uint64_t rate = 0;
  // After this time under the lock of writers a batch is committed and the lock is given up; the sync
  // comes on top.
  std::chrono::microseconds lockTime = std::chrono::milliseconds(2);
  unsigned threads = 1;  // that prepare at the same time, at most; see CompactionOptions::preparingThreads
  bool keepPreimages = false;       // likewise
  std::uint64_t maxFailures = 100;  // more are counted, not listed
  // Rows that were looked at. Called at least every tenth of a second while it waits, and after each batch;
  // may throw to end it: what was committed until then stays.
  ProgressCallback progress = {};
  // What was done so far, all of which is committed. Called after each batch; may throw as `progress` may.
  std::function<void(const Migration&)> committed = {};
};

struct Migration {
  std::uint64_t rows = 0;       // that were looked at
  std::uint64_t rewritten = 0;  // that were of older versions and now are of the newest
  std::uint64_t packed = 0;     // from the hot tree into blocks
  std::uint64_t repacked = 0;   // from blocks into blocks
  std::uint64_t verified = 0;   // that were read back from the file and found to be as they should
  std::uint64_t changed = 0;    // that somebody put or erased while they were prepared, and are left to him
  std::uint64_t failed = 0;     // that cannot be upgraded and stay as they are
  std::vector<FailedRow> failures{};
  std::uint64_t partitions = 0;              // that were gone through
  std::uint64_t batches = 0;                 // transactions
  std::uint64_t bytesWritten = 0;            // by the thread, in whole pages; 0 where the kernel does not say
  std::uint64_t bytesRead = 0;               // from the device, likewise
  std::chrono::microseconds longestLock{0};  // from the lock to the commit, which is left out
  std::chrono::microseconds waited{0};       // for the rate
};

// Rows are stored as a reader would see them: mirrors are not computed anew. They go by the newest schema in
// the file. Throws Error(fixCall) where there is no such collection or the store is read-only, Error(retry)
// where other writers do not give way or another program compacts the file, Error(upgradeProgram) where a
// newer program has come meanwhile and shut this one out, Error(restoreFromBackup) where a block is damaged
// or what was read back is not what was stored; as WriteTransaction::commit() does.
Migration migrate(const Store& store, std::string_view collection, const MigrationOptions& options = {});

}  // namespace instar
