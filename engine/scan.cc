#include <algorithm>

#include "instar/engine/collection.h"
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

}  // namespace

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
  return options_.reverse ? cursor.previous() : cursor.next();
}

bool ScanBase::stepAfterChange() {
  storage::Cursor& cursor = cursor_->get();
  const bool found = cursor.seek(current_.bytes());
  if (options_.reverse) return found ? cursor.previous() : cursor.last();
  if (found && compareBytes(cursor.key(), current_.bytes()) == 0) return cursor.next();
  return found;
}

bool ScanBase::inRange() const {
  if (options_.reverse)
    return !options_.from || compareBytes(cursor_->get().key(), options_.from->bytes()) >= 0;
  return !options_.to || compareBytes(cursor_->get().key(), options_.to->bytes()) < 0;
}

void ScanBase::lookAhead() {
  const storage::Cursor& cursor = cursor_->get();
  key_ = cursor.key();
  value_ = cursor.value();
  try {
    found_ = options_.limit != 0 && step();
  } catch (const Error&) {
    found_ = false;
    stepFailed_ = true;  // this row is sound: the next call to next() says it
  }
  if (found_) prefetch(cursor.value());
}

bool ScanBase::next() {
  TransactionState& transaction = cursor_->transaction();
  if (options_.limit == 0) return false;
  if (!started_) {
    found_ = start();
    started_ = true;
  } else if (transaction.writable()) {
    found_ = seenChanges_ == transaction.changes() ? step() : stepAfterChange();
  } else if (stepFailed_) {
    found_ = step();  // fails again
  }
  if (!found_ || !inRange()) {
    options_.limit = 0;
    return false;
  }
  --options_.limit;
  if (transaction.writable()) {
    seenChanges_ = transaction.changes();
    current_ = Key(cursor_->get().key());
  } else {
    lookAhead();
  }
  return true;
}

Bytes ScanBase::key() const { return cursor_->transaction().writable() ? current_.bytes() : key_; }

Bytes ScanBase::value() const {
  TransactionState& transaction = cursor_->transaction();
  return transaction.steady(transaction.writable() ? cursor_->get().value() : value_, steadyValue_);
}

void ScanBase::load(internal::RowBytes& row) const {
  TransactionState& transaction = cursor_->transaction();
  if (!transaction.writable()) return collection_->load(transaction, key_, value_, row);
  if (seenChanges_ == transaction.changes()) {
    const storage::Cursor& cursor = cursor_->get();
    return collection_->load(transaction, cursor.key(), cursor.value(), row);
  }
  const auto value = transaction.storage().get(collection_->tree(), current_.bytes());
  if (value) collection_->load(transaction, current_.bytes(), *value, row);
}

}  // namespace instar
