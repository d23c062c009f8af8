#include "instar/engine/transaction.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "instar/engine/internal/cold/cold_tier.h"
#include "instar/engine/internal/scan_cursor.h"
#include "instar/engine/internal/store_state.h"
#include "instar/engine/internal/transaction_state.h"
#include "instar/format/error.h"

namespace instar {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Behind a writer who holds on the compaction thread would hear too late what it is told.
std::unique_ptr<storage::Transaction> beginUnlessCalled(StoreState& store) {
  constexpr milliseconds kListen(50);
  const auto end = Clock::now() + store.options().writeTimeout;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
    try {
      return store.environment().begin(storage::Access::write, std::clamp(left, milliseconds(0), kListen));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::retry || left <= kListen || store.isCompactionCalled()) throw;
    }
  }
}

// Waiting for others to write is what a writer feels of compaction.
std::unique_ptr<storage::Transaction> begin(StoreState& store, storage::Access access,
                                            std::optional<milliseconds> wait) {
  const bool isWriter = access == storage::Access::write;
  if (isWriter && !wait && store.isCompactingThread()) return beginUnlessCalled(store);
  const auto start = Clock::now();
  auto transaction = store.environment().begin(access, wait.value_or(store.options().writeTimeout));
  if (isWriter && store.measuresLatency()) store.noteLatency(Clock::now() - start);
  return transaction;
}

}  // namespace

TransactionState::TransactionState(std::shared_ptr<StoreState> store, storage::Access access,
                                   std::optional<milliseconds> wait)
    : store_(std::move(store)),
      storage_(begin(*store_, access, wait)),
      writable_(access == storage::Access::write),
      copiesRows_(writable_ || storage_->canBeOverwritten()),
      snapshot_(storage_->id() - (writable_ ? 1 : 0)) {}

storage::TreeId openOrMakeTree(const std::shared_ptr<StoreState>& store, const std::string& name) {
  storage::Environment& environment = store->environment();
  if (const auto tree = environment.openTree(name, false)) return *tree;
  if (store->isCompactingThread()) TransactionState(store, storage::Access::write);
  return *environment.openTree(name, true);
}

TransactionState::~TransactionState() {
  closeScans();
  if (livingRows_ != 0) {
    // Going on would let the rows show other rows' bytes.
    std::fputs("instar: a transaction ended while rows of it were still in use: destroy rows first\n",
               stderr);
    std::abort();
  }
}

void TransactionState::closeScans() noexcept {
  for (ScanCursor* scan : scans_) scan->detach();
  scans_.clear();
}

Bytes TransactionState::steadyCopy(Bytes bytes, std::vector<std::byte>& copy) const {
  copy.assign(bytes.begin(), bytes.end());
  storage_->checkIntact();
  return copy;
}

void TransactionState::coverChanged(std::string_view collection, const CoverChange& change) {
  CoverChange& sum = coverChanges_[std::string(collection)];
  sum.covered += change.covered;
  sum.tombstones += change.tombstones;
}

TransactionState::CoverChange TransactionState::coverChange(std::string_view collection) const {
  const auto found = coverChanges_.find(collection);
  return found == coverChanges_.end() ? CoverChange() : found->second;
}

void TransactionState::forgetCoverChange(std::string_view collection) {
  if (const auto found = coverChanges_.find(collection); found != coverChanges_.end())
    coverChanges_.erase(found);
}

void TransactionState::commit() {
  closeScans();
  const auto start = Clock::now();
  while (!coverChanges_.empty()) {
    const std::string collection = coverChanges_.begin()->first;
    writeTiers(*this, collection, readTiers(*this, collection));
  }
  storage_->commit();
  if (store_->measuresLatency()) store_->noteLatency(Clock::now() - start);
}

Transaction::Transaction(std::unique_ptr<TransactionState> state) : state_(std::move(state)) {}
Transaction::Transaction(Transaction&&) noexcept = default;
Transaction& Transaction::operator=(Transaction&&) noexcept = default;
Transaction::~Transaction() = default;

TransactionState& Transaction::state() const {
  if (state_ == nullptr) throw Error(ErrorCode::fixCall, "the transaction has ended: begin a new one");
  return *state_;
}

std::uint64_t Transaction::id() const { return state().id(); }

void WriteTransaction::commit() {
  state();
  const std::unique_ptr<TransactionState> ended = std::move(state_);
  ended->commit();
}

void WriteTransaction::abort() {
  state();
  state_.reset();
}

}  // namespace instar
