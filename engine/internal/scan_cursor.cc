#include "instar/engine/internal/scan_cursor.h"

#include <algorithm>

#include "instar/engine/internal/collection_state.h"

namespace instar {
namespace {

// Asks the processor for the bytes of a row that will be read soon; of a large row only for the beginning.
void prefetch(Bytes value) noexcept {
  constexpr std::size_t kCacheLine = 64;
  constexpr std::size_t kMostBytes = 512;
  const std::byte* const end = value.data() + std::min(value.size(), kMostBytes);
  for (const std::byte* line = value.data(); line < end; line += kCacheLine) __builtin_prefetch(line);
  __builtin_prefetch(end - 1);
}

ScanOptions withoutPrefix(ScanOptions options) {
  if (!options.prefix) return options;
  const Key& prefix = *options.prefix;
  if (!options.from || *options.from < prefix) options.from = prefix;
  Key end;
  if (nextAfterPrefix(prefix.bytes(), end) && (!options.to || end < *options.to)) options.to = end;
  return options;
}

}  // namespace

ScanCursor::ScanCursor(CollectionState& collection, TransactionState& transaction, ScanOptions options)
    : collection_(collection),
      transaction_(&transaction),
      cursor_(transaction.storage().cursor(collection.tree())),
      options_(withoutPrefix(std::move(options))),
      left_(options_.limit) {
  const std::optional<Key>& end = options_.reverse ? options_.from : options_.to;
  end_ = end ? &*end : nullptr;
  transaction.attach(*this);
}

ScanCursor::~ScanCursor() {
  if (transaction_ != nullptr) transaction_->detach(*this);
}

void ScanCursor::detach() noexcept {
  cursor_.reset();
  transaction_ = nullptr;
}

void ScanCursor::throwEnded() {
  throw Error(ErrorCode::fixCall,
              "the transaction of this scan has ended: begin a new scan in a new transaction");
}

bool ScanCursor::next() {
  TransactionState& transaction = this->transaction();
  if (left_ == 0) return false;
  if (!(transaction.copiesRows() ? stepInPlace(transaction) : stepAhead()) || !inRange()) {
    left_ = 0;
    return false;
  }
  --left_;
  return true;
}

bool ScanCursor::start() {
  started_ = true;
  if (!options_.reverse) return options_.from ? cursor_->seek(options_.from->bytes()) : cursor_->first();
  if (options_.to && cursor_->seek(options_.to->bytes())) return cursor_->previous();
  return cursor_->last();
}

bool ScanCursor::readAhead() {
  position_ = 0;
  count_ = 0;  // what was there must not be used again after an error
  if (!started_) {
    if (!start()) return false;
    ahead_[0] = {cursor_->key(), cursor_->value()};
    count_ = 1;
    return true;
  }
  toRead_ = std::min(toRead_ * 2, kMostAhead);
  const std::span<storage::Entry> room(ahead_.data(), std::min<std::uint64_t>(toRead_, left_));
  count_ = options_.reverse ? cursor_->previous(room) : cursor_->next(room);
  for (const storage::Entry& entry : room.first(count_)) prefetch(entry.value);
  return count_ != 0;
}

bool ScanCursor::stepInPlace(TransactionState& transaction) {
  const bool found = !started_                               ? start()
                     : seenChanges_ != transaction.changes() ? stepAfterChange()
                     : options_.reverse                      ? cursor_->previous()
                                                             : cursor_->next();
  if (!found) return false;
  seenChanges_ = transaction.changes();
  current_ = Key(cursor_->key());
  transaction.storage().checkIntact();
  here_ = {current_.bytes(), cursor_->value()};
  return true;
}

bool ScanCursor::stepAfterChange() {
  const bool found = cursor_->seek(current_.bytes());
  if (options_.reverse) return found ? cursor_->previous() : cursor_->last();
  if (found && compareBytes(cursor_->key(), current_.bytes()) == 0) return cursor_->next();
  return found;
}

// The value of the row that next() went to; nothing where it has been erased since.
std::optional<Bytes> ScanCursor::stored() const {
  if (seenChanges_ == transaction().changes()) return here_.value;
  return transaction().storage().get(collection_.tree(), current_.bytes());
}

Bytes ScanCursor::key() const {
  transaction();
  return here_.key;
}

Bytes ScanCursor::value() const { return transaction().steady(stored().value_or(Bytes()), steadyValue_); }

void ScanCursor::load(internal::RowBytes& row) const {
  TransactionState& transaction = this->transaction();
  if (!transaction.copiesRows()) return collection_.load(transaction, here_.key, here_.value, row);
  if (const auto value = stored()) collection_.load(transaction, here_.key, *value, row);
}

}  // namespace instar
