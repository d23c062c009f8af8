#pragma once

// Upgrades the stored rows of a collection in the foreground, a batch after another, while others read
// and write: what writing back does for rows that were read, for all of them. At any moment the
// collection holds the same rows for its readers, some of them rewritten; so it may end at any time, by
// a crash too, and be called again.

#include <chrono>
#include <cstdint>
#include <string_view>

#include "instar/engine/options.h"
#include "instar/engine/rehearsal.h"
#include "instar/engine/store.h"

namespace instar {

struct MigrationOptions {
  // Bytes that the calling thread may write in a second, whole pages, and as many that it may read from the
  // device; 0: as fast as possible.
  std::uint64_t rate = 0;
  // After this time under the lock of writers a batch is committed and the lock is given up; the sync
  // comes on top.
  std::chrono::microseconds lockTime = std::chrono::milliseconds(2);
  std::uint64_t maxFailures = 100;  // more are counted, not listed
  // Rows that were looked at. Called at least every tenth of a second, while it waits too; may throw to
  // end it: what was committed until then stays.
  ProgressCallback progress = {};
};

struct Migration {
  std::uint64_t rows = 0;       // that were looked at
  std::uint64_t rewritten = 0;  // that were of older versions and now are of the newest
  std::uint64_t changed = 0;    // that somebody put or erased while they were prepared, and are left to him
  std::uint64_t failed = 0;     // that cannot be upgraded and stay as they are
  std::vector<FailedRow> failures{};
  std::uint64_t batches = 0;
  std::uint64_t bytesWritten = 0;            // by the thread, in whole pages; 0 where the kernel does not say
  std::chrono::microseconds longestLock{0};  // from the lock to the commit, which is left out
  std::chrono::microseconds waited{0};       // for the rate
};

// Rewrites every row of the collection that has to be upgraded when it is read, as a reader would see
// it: mirrors are not computed anew. Rows go by the newest schema in the file. Throws Error(fixCall)
// where there is no such collection or the store is read-only, Error(retry) where other writers do not
// give way, Error(upgradeProgram) where a newer program has come meanwhile and shut this one out; as
// WriteTransaction::commit() does.
Migration migrate(const Store& store, std::string_view collection, const MigrationOptions& options = {});

}  // namespace instar
