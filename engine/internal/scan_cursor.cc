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
      options_(withoutPrefix(std::move(options))),
      left_(options_.limit) {
  const std::optional<Key>& end = options_.reverse ? options_.from : options_.to;
  end_ = end ? &*end : nullptr;
  if (ColdTier* const cold = collection.coldTier(transaction)) {
    tiered_ = std::make_unique<TieredCursor>(collection.tree(), *cold, transaction);
  } else {
    cursor_ = transaction.storage().cursor(collection.tree());
  }
  transaction.attach(*this);
}

ScanCursor::~ScanCursor() {
  if (transaction_ != nullptr) transaction_->detach(*this);
}

void ScanCursor::detach() noexcept {
  cursor_.reset();
  tiered_.reset();
  transaction_ = nullptr;
}

void ScanCursor::throwEnded() {
  throw Error(ErrorCode::fixCall,
              "the transaction of this scan has ended: begin a new scan in a new transaction");
}

bool ScanCursor::next() {
  TransactionState& transaction = this->transaction();
  if (left_ == 0) return false;
  const bool found = tiered_                    ? stepTiered(transaction)
                     : transaction.copiesRows() ? stepInPlace(transaction)
                                                : stepAhead();
  if (!found || !inRange()) {
    left_ = 0;
    return false;
  }
  --left_;
  return true;
}

bool ScanCursor::start(storage::Cursor& cursor) {
  started_ = true;
  if (!options_.reverse) return options_.from ? cursor.seek(options_.from->bytes()) : cursor.first();
  if (options_.to && cursor.seek(options_.to->bytes())) return cursor.previous();
  return cursor.last();
}

bool ScanCursor::start(TieredCursor& cursor) {
  started_ = true;
  if (!options_.reverse) return options_.from ? cursor.seek(options_.from->bytes()) : cursor.first();
  return options_.to ? cursor.seekBefore(options_.to->bytes()) : cursor.last();
}

bool ScanCursor::readAhead() {
  position_ = 0;
  count_ = 0;  // what was there must not be used again after an error
  if (!started_) {
    if (!start(*cursor_)) return false;
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
  const bool found = !started_                               ? start(*cursor_)
                     : seenChanges_ != transaction.changes() ? stepAfterChange(*cursor_)
                     : options_.reverse                      ? cursor_->previous()
                                                             : cursor_->next();
  if (!found) return false;
  seenChanges_ = transaction.changes();
  current_ = Key(cursor_->key());
  transaction.storage().checkIntact();
  here_ = {current_.bytes(), cursor_->value()};
  return true;
}

bool ScanCursor::stepAfterChange(storage::Cursor& cursor) {
  const bool found = cursor.seek(current_.bytes());
  if (options_.reverse) return found ? cursor.previous() : cursor.last();
  if (found && compareBytes(cursor.key(), current_.bytes()) == 0) return cursor.next();
  return found;
}

bool ScanCursor::stepAfterChange(TieredCursor& cursor) {
  return options_.reverse ? cursor.seekBefore(current_.bytes()) : cursor.seekBehind(current_.bytes());
}

bool ScanCursor::stepTiered(TransactionState& transaction) {
  cold_ = {};
  const bool hasChanged = seenChanges_ != transaction.changes();
  seenChanges_ = transaction.changes();  // now: after an error about a block the walk goes on behind it
  const bool found = !started_ ? start(*tiered_) : hasChanged ? stepAfterChange(*tiered_) : tiered_->next();
  if (!found) return false;
  if (tiered_->isCold()) {
    cold_ = tiered_->coldPlace();
    here_ = {cold_.key(), {}};
  } else {
    here_ = {tiered_->key(), tiered_->hotValue()};
  }
  if (transaction.copiesRows()) {
    current_ = Key(here_.key);
    transaction.storage().checkIntact();
    here_.key = current_.bytes();
  }
  return true;
}

Bytes ScanCursor::key() const {
  transaction();
  return here_.key;
}

// Whether the row is no longer what next() went to, because this transaction has changed something since.
bool ScanCursor::isOutdated() const { return seenChanges_ != transaction().changes(); }

Bytes ScanCursor::value() const {
  if (isOutdated()) {
    internal::RowBytes row;
    collection_.findStored(transaction(), here_.key, row);
    if (!row.found()) return {};
    return encode({row.version(), RowFlags::none, row.payload()});
  }
  if (cold_.section) return encode(cold_.view());
  return transaction().steady(here_.value, steadyValue_);
}

// As it would stand in the hot tree.
Bytes ScanCursor::encode(const RowView& row) const {
  const std::size_t length = rowHeaderLength(here_.key.size(), RowPlacement::leaf);
  steadyValue_.resize(length + row.payload.size());
  encodeRow(steadyValue_, here_.key, row.version, row.payload, RowPlacement::leaf);
  return steadyValue_;
}

void ScanCursor::load(internal::RowBytes& row) const {
  TransactionState& transaction = this->transaction();
  if (isOutdated()) return collection_.find(transaction, here_.key, row);
  if (cold_.section) return collection_.loadCold(transaction, cold_, row);
  collection_.load(transaction, here_.key, here_.value, row);
  // What covers a cold row is passed over where there are any.
  if (!row.found()) collection_.refuseRow(here_.key, "it is erased, but the catalog knows of no cold rows");
}

}  // namespace instar
