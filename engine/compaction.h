#pragma once

// Compaction: the thread that upgrades and packs what is cold (StoreOptions::compaction), and what it leaves
// behind for those who look: how far it is, why it waits, what it has done.
//
//     auto store = instar::Store::open("contacts.instar",
//                                      {.compaction = {.mode = CompactionMode::compress}});
//     auto contacts = store.collection<Contact>("contacts");   // compaction knows it from here on
//     auto compaction = store.compaction();
//     compaction.setRate(1 << 20);

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/compaction_options.h"
#include "instar/engine/failed_row.h"
#include "instar/engine/options.h"
#include "instar/format/key.h"

namespace instar {

class Compactor;
class Store;
class Transaction;

// What compaction does at this moment. Counts are of this program, since it opened the store.
struct CompactionStatus {
  WaitReason wait = WaitReason::idle;  // none: it works
  std::string detail{};                // of the last failure; empty: there was none
  std::string collection{};            // that it is in
  std::uint64_t rate = 0;              // bytes a second that it may write and read; 0: no limit
  std::uint64_t bytesPerSecond = 0;    // that it has written lately
  std::uint64_t rowsPerSecond = 0;
  std::uint64_t rows = 0;             // that it has been over
  std::uint64_t rewritten = 0;        // of older versions
  std::uint64_t packed = 0;           // from rows into blocks
  std::uint64_t failed = 0;           // that cannot be upgraded and stay as they are
  std::vector<FailedRow> failures{};  // the first of these in `collection`
  std::uint64_t batches = 0;
  std::uint64_t bytesWritten = 0;
  std::uint64_t bytesRead = 0;               // from the device
  std::chrono::microseconds longestLock{0};  // from the lock of writers to the commit, which is left out
  // Entries that are missing in the audit, because others wrote or the disk failed for too long; they may be
  // there nevertheless where it is unknown what a commit has stored.
  std::uint64_t unsaid = 0;
};

// A handle of the thread; any thread may use it, as long as the store is open. What it changes counts from
// the next transaction on, and is not held up by others who write. The audit has it with the time when it
// came to be, as soon as it can be written.
class Compaction {
 public:
  explicit Compaction(std::shared_ptr<Compactor> compactor) : compactor_(std::move(compactor)) {}

  void pause() const;
  void resume() const;  // also after it has failed too often; after a mismatch see resumeCompaction()
  void stop() const;    // waits for the batch in progress, unless it is the thread's callback; for good
  void setRate(std::uint64_t bytesPerSecond) const;
  CompactionStatus status() const;
  // Called by the thread when it has said in the file what it does: every two seconds while it works, and
  // when it begins to wait for something else than its rate. Must not wait for the thread, nor throw, nor be
  // who closes the store.
  void onReport(std::function<void(const CompactionStatus&)> callback) const;

 private:
  std::shared_ptr<Compactor> compactor_;
};

// --- What the file says, for programs that do not compact themselves.

struct ColdTotals {
  std::uint64_t rows = 0;
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0;     // of blocks, as they are stored
  std::uint64_t checksum = 0;  // sum of rowSum() over their rows, modulo 2^64 (format/checksum.h)

  ColdTotals& operator+=(const ColdTotals& other) noexcept;
  ColdTotals& operator-=(const ColdTotals& other) noexcept;
  friend bool operator==(const ColdTotals&, const ColdTotals&) = default;
};

struct PartitionInfo {
  Key lower{};                  // where it begins; empty: at the beginning
  std::uint16_t floor = 0;      // no row of a lower version is in it
  std::uint16_t passedFor = 0;  // version that it was last gone through for; 0: never
  bool inProgress = false;
  std::uint64_t rows = 0;        // when it was last gone through; in progress: so far
  std::uint64_t failedRows = 0;  // that could not be upgraded then
  ColdTotals cold{};
  double heat = 0;                // accesses a second, now
  std::int64_t lastPassedAt = 0;  // nanoseconds since 1970, UTC; 0: never
};

struct CollectionProgress {
  std::string name;
  std::uint16_t version = 0;       // the newest
  std::uint16_t completeFrom = 0;  // rows of earlier ones have to be upgraded
  std::uint64_t rows = 0;
  // In partitions where no row has to be upgraded, and behind the passes in progress; of partitions as they
  // were when they were gone through. All of `rows` where the collection is settled.
  std::uint64_t doneRows = 0;
  std::uint64_t coldRows = 0;   // among `rows`, those that only a cold block has
  std::uint64_t coldBytes = 0;  // of blocks, as they are stored
  std::uint64_t hotPages = 0;
  std::uint64_t coldPages = 0;
  std::vector<PartitionInfo> partitions;

  bool isSettled() const noexcept { return floor() >= completeFrom; }
  std::uint16_t floor() const noexcept;  // the lowest of all
};

// What the program that compacts said of itself last.
struct CompactorReport {
  std::int64_t updatedAt = 0;  // nanoseconds since 1970, UTC
  std::uint32_t process = 0;
  std::string program;
  CompactionMode mode = CompactionMode::off;
  bool stoppedByMismatch = false;
  std::int64_t since = 0;  // when it began to wait for this, or to work
  CompactionStatus status;
};

struct CompactionProgress {
  std::vector<CollectionProgress> collections;
  std::optional<CompactorReport> compactor{};  // nothing: nobody has compacted the file yet
};

// O(partitions). Throws Error(restoreFromBackup) for a damaged catalog.
CompactionProgress compactionProgress(const Store& store, const Transaction& transaction);

enum class AuditEvent : std::uint8_t {
  passEnded = 1,  // a partition is done; what was stored has been read back
  partitionCut,
  partitionsMerged,
  dictionaryTrained,
  mismatch,       // what was read back is not what was stored: compaction has stopped
  failed,         // a batch has failed, and is tried again
  circuitOpened,  // too many failures in a row: compaction waits for resume()
  circuitClosed,
  started,  // a program compacts from here on
  stopped,
  paused,
  resumed,
  rateChanged,
  estimated,       // what there is to do
  finished,        // what was to do is done, beside the estimate
  versionGone,     // no row of these versions is left
  staged,          // toVersion is tried from here on
  percentChanged,  // of the keys on which it is tried
  promoted,        // toVersion is the current one
  aborted,         // fromVersion is no longer tried, or no longer the current one
  settled,         // no row is left that has to be upgraded to toVersion
  retired,         // fromVersion and all below
  reconciled,      // mirrored fields and what they are made from, or it has begun
  unsettled,       // toVersion is active again: there may be rows that have to be upgraded to it
};
std::string_view auditEventName(AuditEvent event) noexcept;

struct AuditEntry {
  std::uint64_t number = 0;
  std::int64_t time = 0;  // nanoseconds since 1970, UTC
  AuditEvent event = AuditEvent::started;
  std::string collection{};
  std::optional<Key> partition{};  // its lower bound
  std::uint16_t fromVersion = 0;   // floor before
  std::uint16_t toVersion = 0;     // and after
  std::uint64_t rows = 0;
  std::uint64_t failedRows = 0;
  std::vector<FailedRow> failures{};  // the first of these, where all is done
  ColdTotals cold{};
  std::uint64_t bytes = 0;             // written; of an estimate: to be written
  std::chrono::milliseconds taken{0};  // of an estimate: that it will take
  std::string reason{};
  std::string program{};
};

struct AuditTrail {
  std::vector<AuditEntry> entries;
  std::string damage;  // where the chain is broken, or empty
};

// Entries behind number `after`, in order, at most `limit`; the chain is checked from the first of them on.
AuditTrail readAudit(const Store& store, const Transaction& transaction, std::uint64_t after = 0,
                     std::uint64_t limit = UINT64_MAX);

// --- Verification: reads every cold row back, without the application.

struct VerifiedPartition {
  std::string collection;
  Key lower;
  ColdTotals expected;
  ColdTotals found;
  std::string problem;  // empty: there is none
};

// What compaction has replaced and not yet verified (CompactionOptions::keepPreimages), or what was there
// when a mismatch stopped it; to be read with scanPreimages().
struct KeptPreimages {
  std::string collection{};
  std::uint64_t rows = 0;    // entries of the hot tree, tombstones among them
  std::uint64_t blocks = 0;  // with the rows that they hold
};
// "12 rows and 3 blocks are kept as they were: instar dump FILE contacts --preimages"
std::string describe(const KeptPreimages& kept);

struct Verification {
  std::vector<VerifiedPartition> partitions;
  std::vector<KeptPreimages> kept;  // of the collections of which there are some
  std::uint64_t rows = 0;
  std::uint64_t problems = 0;
};

Verification verify(const Store& store, const ProgressCallback& progress = {});

// Lets programs compact a file again where compaction was stopped by a mismatch; to be called after a
// verification without problems. Returns whether it was stopped. Throws as Store::write() and commit() do.
bool resumeCompaction(const Store& store);

// --- Capacity: what there is to do, from a sample of a few thousand rows.

struct Estimate {
  std::uint64_t rows = 0;         // that would be looked at
  std::uint64_t changedRows = 0;  // that would be rewritten or packed
  std::uint64_t sampledRows = 0;
  std::uint64_t bytesToWrite = 0;  // in whole pages
  std::uint64_t bytesBefore = 0;   // of the pages of the collection
  std::uint64_t bytesAfter = 0;
  std::chrono::milliseconds time{0};  // at the rate, or what preparing takes where that is longer
};

// What migrate() would do with the whole collection; `rate` in bytes a second, 0: no limit. Reads some rows
// at a few places, and the list of free pages. Throws as migrate() does, except that the store may be
// read-only.
Estimate estimate(const Store& store, std::string_view collection, CompactionMode mode, std::uint64_t rate);

}  // namespace instar
