#pragma once

// Makes the two sides of mirrored fields ($Instar.mirrored) agree again. A row has diverged where such a
// field holds something else than it is made from: programs of older versions read something else than newer
// ones. That comes of rows that were put before the field was mirrored, of a function that makes something
// else than it did, and of values that a mirror does not give back as they were ("Ada" becomes "Ada ").
//
//     reconcile(store, "contacts", Follow::newer, {.dryRun = true});   // how many, which fields
//     reconcile(store, "contacts", Follow::newer, {.rate = 4 << 20});
//
// It goes by the collection's current version; one that is staged is not looked at. Others read and write
// meanwhile. It may end at any time, by a crash too, and be called again: what is right is not touched.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/failed_row.h"
#include "instar/engine/options.h"
#include "instar/engine/store.h"

namespace instar {

// Which side follows.
enum class Follow : std::uint8_t {
  // The mirrors: made again from the newer fields, as whenever the row is put.
  newer,
  // The derived fields that are made from a mirror which has diverged, directly or through others: made again
  // ($Instar.derived), as where a program of an older version has put the row. What newer programs have put
  // into them is lost. Where they do not give the mirror back even so, the row stays apart. A row whose newer
  // value does not fit the mirror at all (1000 into an UInt8) fails, whoever follows, and stays: correct it.
  older,
};

struct ReconciliationOptions {
  bool dryRun = false;  // counts only; the store may be read-only
  // Bytes that the calling thread may write in a second, and as many that it may read from the device; 0: as
  // fast as possible.
  std::uint64_t rate = 0;
  // After this time under the lock of writers a batch is committed and the lock is given up; the sync
  // comes on top.
  std::chrono::microseconds lockTime = std::chrono::milliseconds(2);
  std::uint64_t maxListed = 100;  // rows that have diverged, and rows that fail; more are counted, not listed
  // Rows that were looked at. Called after each batch, and at least every tenth of a second while it waits
  // for the rate; not while it waits for other writers, as long as StoreOptions::writeTimeout. May throw to
  // end it: what was committed until then stays.
  ProgressCallback progress = {};
};

struct DivergedRow {
  Key key;
  std::uint16_t version = 0;        // that it was stamped with
  std::vector<std::string> fields;  // the mirrors that have diverged: "name", "address.city"
};

struct Reconciliation {
  std::uint16_t version = 0;     // of the schema that it went by
  std::uint64_t rows = 0;        // that were looked at
  std::uint64_t diverged = 0;    // among these
  std::uint64_t reconciled = 0;  // that were put again; of a dry run: that would be
  std::uint64_t apart = 0;       // that still diverge: the derived fields do not give the mirrors back
  std::uint64_t changed = 0;     // that somebody put or erased meanwhile, and are left to him
  std::uint64_t newer = 0;       // of a newer version, staged or aborted, and left as they are
  std::uint64_t failed = 0;      // that cannot be upgraded or put, and stay as they are
  std::uint64_t forgotten = 0;   // taken out of the log (divergences() of staging.h): right again, or gone
  std::map<std::string, std::uint64_t> fields{};  // how many rows have diverged in each
  std::vector<DivergedRow> listed{};              // the first of them
  std::vector<FailedRow> failures{};
  std::uint64_t batches = 0;                 // transactions
  std::uint64_t bytesWritten = 0;            // by the thread, in whole pages; 0 where the kernel does not say
  std::uint64_t bytesRead = 0;               // from the device, likewise
  std::chrono::microseconds longestLock{0};  // from the lock to the commit, which is left out
  std::chrono::microseconds waited{0};       // for the rate
};

// Rows are stamped with the current version. The first batch leaves an entry in the audit, and the end
// another one. Any thread; several at once, and compaction, do not disturb one another.
//
// Throws Error(fixCall) where there is no such collection, where its current version mirrors no field, or
// calls a function for it that this program does not have, and where the store is read-only; Error(retry)
// where other writers do not give way, or the collection has another current version meanwhile, a newer one
// or again an older one; Error(restoreFromBackup) where a block is damaged; as WriteTransaction::commit()
// does.
Reconciliation reconcile(const Store& store, std::string_view collection, Follow follow,
                         const ReconciliationOptions& options = {});

}  // namespace instar
