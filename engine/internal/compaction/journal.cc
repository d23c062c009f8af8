#include "instar/engine/internal/compaction/journal.h"

#include <algorithm>
#include <new>
#include <utility>

#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/compactor_record.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostNotes = 100;  // somebody pauses and resumes behind a writer of minutes
constexpr milliseconds kWait(10);        // for the lock; who calls is not to feel it
constexpr milliseconds kLastWait(1000);
constexpr milliseconds kAfterWriters(100);
constexpr milliseconds kAfterFailure(1000);  // a full disk is not full for a moment only

}  // namespace

void CompactorJournal::open() {
  if (isOpen_) return;
  storage::Environment& environment = store_->environment();
  // Making the tree waits for the lock as long as any writer.
  if (!environment.openTree(kAuditTree, false)) {
    { const TransactionState probe(store_, storage::Access::write, kWait); }
    openAudit(environment);
  }
  isOpen_ = true;
}

void CompactorJournal::note(AuditEntry entry) {
  if (notes_.size() == kMostNotes) {
    ++lost_;
    return;
  }
  entry.time = now();
  try {
    notes_.push_back(std::move(entry));
  } catch (const std::bad_alloc&) {
    ++lost_;
  }
}

bool CompactorJournal::store() {
  if (notes_.empty()) return true;
  return Clock::now() >= nextTry_ && tryToStore(nullptr, kWait);
}

bool CompactorJournal::store(const CompactorReport& record) {
  return Clock::now() >= nextTry_ && tryToStore(&record, kWait);
}

std::chrono::nanoseconds CompactorJournal::untilNextTry() const {
  return std::max<std::chrono::nanoseconds>(nextTry_ - Clock::now(), milliseconds(1));
}

void CompactorJournal::close(const CompactorReport& record) {
  if (tryToStore(&record, std::min(kLastWait, store_->options().writeTimeout))) return;
  lost_ += notes_.size();
  notes_.clear();
}

bool CompactorJournal::tryToStore(const CompactorReport* record, milliseconds wait) {
  try {
    open();
    TransactionState transaction(store_, storage::Access::write, wait);
    for (const AuditEntry& note : notes_) appendAudit(transaction, note);
    if (record != nullptr) {
      CompactorReport said = *record;
      const auto stored = readCompactorRecord(transaction);
      said.stoppedByMismatch = stored && stored->stoppedByMismatch;
      writeCompactorRecord(transaction, said);
    }
    transaction.commit();
    notes_.clear();
    return true;
  } catch (const Error& error) {
    const bool isWriting = error.code() == ErrorCode::retry;
    nextTry_ = Clock::now() + (isWriting ? kAfterWriters : kAfterFailure);
    if (error.code() == ErrorCode::readBack) {  // they may be there: better not than twice
      lost_ += notes_.size();
      notes_.clear();
    }
  } catch (const std::exception&) {  // no memory
    nextTry_ = Clock::now() + kAfterFailure;
  }
  return false;
}

}  // namespace instar
