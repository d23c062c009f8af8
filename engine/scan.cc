#include "instar/engine/collection.h"
#include "instar/engine/internal/collection_state.h"

namespace instar {

ScanBase::ScanBase(std::shared_ptr<CollectionState> collection, const Transaction& transaction,
                   ScanOptions options)
    : collection_(std::move(collection)), options_(std::move(options)) {
  TransactionState& state = transaction.state();
  collection_->admitReading(state);
  if (options_.prefix) {
    const Key& prefix = *options_.prefix;
    if (!options_.from || *options_.from < prefix) options_.from = prefix;
    Key end;
    if (nextAfterPrefix(prefix.bytes(), end) && (!options_.to || end < *options_.to)) options_.to = end;
  }
  cursor_ = std::make_unique<ScanCursor>(state, collection_->tree());
}

ScanBase::ScanBase(ScanBase&&) noexcept = default;
ScanBase::~ScanBase() = default;

bool ScanBase::start() {
  storage::Cursor& cursor = cursor_->get();
  if (!options_.reverse) return options_.from ? cursor.seek(options_.from->bytes()) : cursor.first();
  if (options_.to && cursor.seek(options_.to->bytes())) return cursor.previous();
  return cursor.last();
}

bool ScanBase::step() {
  storage::Cursor& cursor = cursor_->get();
  TransactionState& transaction = cursor_->transaction();
  if (seenChanges_ == transaction.changes()) return options_.reverse ? cursor.previous() : cursor.next();
  // Something was changed through this transaction since: find the place again by its key.
  const bool found = cursor.seek(current_.bytes());
  if (options_.reverse) return found ? cursor.previous() : cursor.last();
  if (found && compareBytes(cursor.key(), current_.bytes()) == 0) return cursor.next();
  return found;
}

bool ScanBase::inRange() const {
  const Bytes key = cursor_->get().key();
  if (options_.reverse) return !options_.from || compareBytes(key, options_.from->bytes()) >= 0;
  return !options_.to || compareBytes(key, options_.to->bytes()) < 0;
}

bool ScanBase::next() {
  TransactionState& transaction = cursor_->transaction();
  if (options_.limit == 0) return false;
  const bool found = started_ ? step() : start();
  started_ = true;
  if (!found || !inRange()) {
    options_.limit = 0;
    return false;
  }
  --options_.limit;
  seenChanges_ = transaction.changes();
  if (transaction.writable()) current_ = Key(cursor_->get().key());
  return true;
}

Bytes ScanBase::key() const {
  return cursor_->transaction().writable() ? current_.bytes() : cursor_->get().key();
}

Bytes ScanBase::value() const { return cursor_->get().value(); }

void ScanBase::load(internal::RowBytes& row) const {
  TransactionState& transaction = cursor_->transaction();
  if (seenChanges_ == transaction.changes()) {
    const storage::Cursor& cursor = cursor_->get();
    return collection_->load(transaction, cursor.key(), cursor.value(), row);
  }
  const auto value = transaction.storage().get(collection_->tree(), current_.bytes());
  if (value) collection_->load(transaction, current_.bytes(), *value, row);
}

}  // namespace instar
