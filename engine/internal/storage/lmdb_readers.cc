// The readers of a file: who holds what, and what becomes of those whose programs have died.

#include <algorithm>

#include "instar/engine/internal/storage/lmdb_environment.h"
#include "instar/engine/internal/storage/lmdb_error.h"
#include "instar/engine/internal/storage/lmdb_transaction.h"
#include "instar/engine/internal/storage/process_age.h"

namespace instar::storage {

std::vector<ReaderInfo> LmdbEnvironment::readers() {
  checkNotForked();
  std::vector<ReaderInfo> readers;
  {
    const Activity activity(gate_);
    if (lmdb_) readers = lmdb_->readers();
  }
  if (lockFile_) {
    for (ReaderInfo& reader : readers) {
      const std::optional<pid_t> user = lockFile_->userNumbered(reader.process);
      reader.alive = user.has_value();
      if (user == reader.process) reader.programAge = ageOfProcess(reader.process);
    }
  }
  const auto holdsSnapshot = [](const ReaderInfo& reader) { return reader.transaction != 0; };
  if (std::ranges::any_of(readers, holdsSnapshot)) notePinned(readers);
  return readers;
}

// A writer uses a page again where all snapshots are newer than the commit that has freed it; those that the
// newest commit has freed it leaves alone in any case.
void LmdbEnvironment::notePinned(std::vector<ReaderInfo>& readers) {
  std::unique_ptr<LmdbTransaction> transaction;
  try {
    transaction = beginRead();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::retry) throw;
  }
  const std::uint64_t newest = transaction ? transaction->id() : mapState().lastTransaction;
  for (ReaderInfo& reader : readers) {
    if (reader.transaction == 0 || reader.transaction >= newest) continue;
    reader.commitsBehind = newest - reader.transaction;
    reader.pinnedPages.reset();
    if (transaction) reader.pinnedPages = transaction->countFreePages(reader.transaction, newest);
  }
}

// A snapshot in which no tree is opened.
std::shared_ptr<const void> LmdbEnvironment::holdPages() {
  checkNotForked();
  if (lockless()) {
    throw Error(ErrorCode::retry, "a store that is read without a lock file can change at any time",
                {{"path", path().string()}});
  }
  Activity activity(gate_);
  MDB_txn* transaction = pool_.take();
  const int code = lmdb_ ? lmdb_->beginRead(transaction) : lmdb::kPanic;
  if (code != 0) throw lmdb::error(code, "mdb_txn_begin", path());
  std::shared_ptr<const void> held = own(shared_from_this(), transaction, Access::read, [&] {
    lmdb::reset(transaction);
    pool_.put(transaction);
  });
  activity.handOver();
  return held;
}

unsigned LmdbEnvironment::clearStaleReaders() {
  checkNotForked();
  const Activity activity(gate_);
  unsigned count = 0;
  const int code = lmdb_ ? lmdb_->clearStaleReaders(count) : lmdb::kPanic;
  if (code != 0) throw lmdb::error(code, "mdb_reader_check", path());
  return count;
}

void LmdbEnvironment::reclaimReaders() {
  if (clearStaleReaders() > 0) return;
  throw lmdb::error(lmdb::kReadersFull, "mdb_txn_begin", path());
}

// Otherwise the snapshot of a program that has died would let the file grow until somebody opens it anew.
void LmdbEnvironment::clearStaleReadersNowAndThen() noexcept {
  constexpr std::uint64_t kWritesPerLook = 256;
  if ((writesBegun_.fetch_add(1, std::memory_order_relaxed) + 1) % kWritesPerLook != 0 || !lmdb_) return;
  unsigned ignored = 0;
  lmdb_->clearStaleReaders(ignored);
}

}  // namespace instar::storage
