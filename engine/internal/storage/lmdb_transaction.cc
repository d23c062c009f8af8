#include "instar/engine/internal/storage/lmdb_transaction.h"

#include <array>
#include <cstring>
#include <utility>

#include "instar/engine/internal/storage/fork_guard.h"
#include "instar/engine/internal/storage/lmdb_environment.h"
#include "instar/engine/internal/storage/lmdb_error.h"
#include "instar/engine/internal/storage/storage_checks.h"

namespace instar::storage {
namespace {

// A copy of a key. LMDB moves what is on a page while it changes the page, and the key may lie there: a
// cursor's key, for example.
class KeyCopy {
 public:
  explicit KeyCopy(Bytes key) noexcept : size_(key.size()) { std::memcpy(bytes_.data(), key.data(), size_); }
  Bytes bytes() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::size_t size_;
  std::array<std::byte, kMaxKeyLength> bytes_;
};

}  // namespace

LmdbTransaction::LmdbTransaction(std::shared_ptr<LmdbEnvironment> environment, MDB_txn* transaction,
                                 Access access)
    : environment_(std::move(environment)),
      transaction_(transaction),
      id_(lmdb::transactionId(transaction)),
      check_(access == Access::read ? environment_->checkOfSnapshots() : EntryCheck()),
      owner_(std::this_thread::get_id()),
      generation_(forkGeneration()),
      access_(access),
      lockless_(environment_->lockless()),
      isSpecial_(lockless_) {}

LmdbTransaction::~LmdbTransaction() {
  if (transaction_ != nullptr) finish();
}

void LmdbTransaction::lookCloser() const {
  if (transaction_ == nullptr) throwTransactionEnded();
  if (generation_ != forkGeneration()) throwForked();
  if (failure_) throw Error(*failure_);
  if (lockless_) environment_->checkSnapshotIsIntact(id_);
}

void LmdbTransaction::checkWritable() const {
  checkUsable();
  if (access_ != Access::write) throwNotWritable();
}

void LmdbTransaction::note(int code, const char* call, std::size_t size) {
  if (code == lmdb::kMapFull) environment_->requestLargerMap(size);
  failure_ = std::make_unique<Error>(lmdb::error(code, call, environment_->path()));
  ++changes_;  // no cursor has a position any more
  isSpecial_ = true;
}

void LmdbTransaction::fail(int code, const char* call, std::size_t size) {
  note(code, call, size);
  throw Error(*failure_);
}

std::optional<Bytes> LmdbTransaction::get(TreeId tree, Bytes key) {
  checkUsable();
  checkKey(key);
  Bytes value;
  const int code = lmdb::get(transaction_, tree, key, check_, value);
  if (lockless_) environment_->checkSnapshotIsIntact(id_);
  if (code == 0) [[likely]]
    return value;
  if (code == lmdb::kNotFound) return std::nullopt;
  if (code == EINVAL) throwUnknownTree();
  fail(code, "mdb_get");
}

std::span<std::byte> LmdbTransaction::reserve(TreeId tree, Bytes key, std::size_t size) {
  checkWritable();
  checkKey(key);
  checkValueSize(size);
  ++changes_;
  std::span<std::byte> value;
  const int code = lmdb::reserve(transaction_, tree, KeyCopy(key).bytes(), size, value);
  if (code == 0) [[likely]]
    return value;
  if (code == EINVAL) throwUnknownTree();
  fail(code, "mdb_put", size);
}

bool LmdbTransaction::erase(TreeId tree, Bytes key) {
  checkWritable();
  checkKey(key);
  ++changes_;
  const int code = lmdb::erase(transaction_, tree, KeyCopy(key).bytes());
  if (code == 0) return true;
  if (code == lmdb::kNotFound) return false;
  if (code == EINVAL) throwUnknownTree();
  fail(code, "mdb_del");
}

std::unique_ptr<Cursor> LmdbTransaction::cursor(TreeId tree) {
  checkUsable();
  MDB_cursor* cursor = nullptr;
  const int code = lmdb::openCursor(transaction_, tree, cursor);
  if (code == EINVAL) throwUnknownTree();
  if (code != 0) fail(code, "mdb_cursor_open");
  return std::make_unique<LmdbCursor>(*this, cursor);
}

TreeStatistics LmdbTransaction::statistics(TreeId tree) {
  checkUsable();
  TreeStatistics statistics;
  const int code = lmdb::statistics(transaction_, tree, statistics);
  if (code == EINVAL) throwUnknownTree();
  if (code != 0) fail(code, "mdb_stat");
  return statistics;
}

std::uint64_t LmdbTransaction::countTrees() {
  checkUsable();
  std::uint64_t trees = 0;
  const int code = lmdb::countTrees(transaction_, trees);
  if (code != 0) fail(code, "mdb_stat");
  return trees;
}

std::uint64_t LmdbTransaction::countFreePages() { return countFreePages(0, UINT64_MAX); }

std::uint64_t LmdbTransaction::countFreePages(std::uint64_t from, std::uint64_t to) {
  checkUsable();
  std::uint64_t sum = 0;
  const int code = lmdb::forEachFreed(transaction_, [&](std::uint64_t freedBy, std::uint64_t pages) {
    if (freedBy >= from && freedBy < to) sum += pages;
  });
  if (code != 0) fail(code, "mdb_cursor_get");
  return sum;
}

void LmdbTransaction::commit() {
  if (transaction_ == nullptr) throwTransactionEnded();
  if (generation_ != forkGeneration()) throwForked();
  if (access_ == Access::write && owner_ != std::this_thread::get_id()) throwOtherThread();
  if (failure_) {
    finish();
    throw Error(*failure_);
  }
  if (access_ == Access::read) {
    finish();
    return;
  }
  closeCursors();
  environment_->commitWrite(std::exchange(transaction_, nullptr));
}

void LmdbTransaction::finish() noexcept {
  MDB_txn* const transaction = std::exchange(transaction_, nullptr);
  const bool isOwner = owner_ == std::this_thread::get_id();
  if (generation_ != forkGeneration()) {
    closeCursors();  // and no more: the locks and LMDB's memory are the parent's
  } else if (access_ == Access::read) {
    closeCursors();
    environment_->endRead(transaction);
  } else if (isOwner) {
    closeCursors();
    environment_->abortWrite(transaction);
  } else {
    // LMDB will close the cursors with the transaction.
    for (LmdbCursor* cursor = cursors_; cursor != nullptr; cursor = cursor->nextOpen_)
      cursor->transaction_ = nullptr;
    environment_->abandonWrite(transaction);
  }
}

void LmdbTransaction::closeCursors() noexcept {
  while (cursors_ != nullptr) cursors_->detach();
}

LmdbCursor::LmdbCursor(LmdbTransaction& transaction, MDB_cursor* cursor) noexcept
    : transaction_(&transaction), cursor_(cursor), nextOpen_(transaction.cursors_) {
  if (nextOpen_ != nullptr) nextOpen_->previousOpen_ = this;
  transaction.cursors_ = this;
}

LmdbCursor::~LmdbCursor() {
  if (transaction_ != nullptr) detach();
}

void LmdbCursor::detach() noexcept {
  if (transaction_->generation_ == forkGeneration()) lmdb::closeCursor(cursor_);
  (previousOpen_ != nullptr ? previousOpen_->nextOpen_ : transaction_->cursors_) = nextOpen_;
  if (nextOpen_ != nullptr) nextOpen_->previousOpen_ = previousOpen_;
  transaction_ = nullptr;
  positioned_ = false;
}

bool LmdbCursor::lookCloser() const {
  if (transaction_ == nullptr) throwTransactionEnded();
  if (changes_ == transaction_->changes_) return positioned_;
  transaction_->checkUsable();
  if (positioned_) throwCursorUnpositioned();
  return false;
}

bool LmdbCursor::seek(Bytes key) {
  if (key.empty()) return first();
  key_ = key;
  return move(lmdb::Move::seek);
}

bool LmdbCursor::move(lmdb::Move how) {
  LmdbTransaction* const transaction = transaction_;
  if (transaction == nullptr) throwTransactionEnded();
  transaction->checkUsable();
  const int code = lmdb::move(cursor_, how, transaction->check_, key_, value_);
  if (transaction->lockless_) transaction->environment_->checkSnapshotIsIntact(transaction->id_);
  changes_ = transaction->changes_;
  positioned_ = code == 0;
  return positioned_ || hasNoEntry(code);
}

std::size_t LmdbCursor::moveOn(lmdb::Move how, std::span<Entry> entries) {
  if (!isPositioned()) return 0;
  LmdbTransaction* const transaction = transaction_;
  transaction->checkUsable();
  std::size_t count = 0;
  const int code = lmdb::moveOn(cursor_, how, transaction->check_, entries, count);
  if (transaction->lockless_) transaction->environment_->checkSnapshotIsIntact(transaction->id_);
  positioned_ = code == 0;
  if (count != 0) {
    key_ = entries[count - 1].key;
    value_ = entries[count - 1].value;
  }
  if (code == 0 || code == lmdb::kNotFound) return count;
  transaction->note(code, "mdb_cursor_get");
  if (count == 0) transaction->checkUsable();  // throws it
  return count;
}

bool LmdbCursor::hasNoEntry(int code) {
  if (code == lmdb::kNotFound) return false;
  transaction_->fail(code, "mdb_cursor_get");
}

}  // namespace instar::storage
