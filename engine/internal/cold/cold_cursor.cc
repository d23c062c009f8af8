#include "instar/engine/internal/cold/cold_cursor.h"

namespace instar {

ColdCursor::ColdCursor(ColdTier& tier, TransactionState& transaction)
    : tier_(tier),
      transaction_(transaction),
      cursor_(transaction.storage().cursor(tier.tree())),
      seenChanges_(transaction.changes()) {}

// The block that cursor_ has been moved to.
bool ColdCursor::enter(bool found, bool atEnd) {
  seenChanges_ = transaction_.changes();
  place_.block = nullptr;
  if (!found) return false;
  lastKey_ = Key(cursor_->key());
  place_.block = tier_.unpack(transaction_, lastKey_.bytes(), cursor_->value());
  place_.row = atEnd ? place_.block->rows() - 1 : 0;
  return true;
}

bool ColdCursor::seek(Bytes key) {
  const Key wanted(key);  // which may be one of ours
  if (!enter(cursor_->seek(wanted.bytes()), false)) return false;
  place_.row = place_.block->lowerBound(wanted.bytes());
  return true;
}

// Brings cursor_ back to the block, after which it can be moved on.
void ColdCursor::stepBlock() {
  if (seenChanges_ == transaction_.changes()) return;
  cursor_->seek(lastKey_.bytes());
  seenChanges_ = transaction_.changes();
}

bool ColdCursor::next() {
  if (place_.block && ++place_.row < place_.block->rows()) return true;
  stepBlock();
  return enter(cursor_->next(), false);
}

bool ColdCursor::previous() {
  if (place_.block && place_.row-- > 0) return true;
  stepBlock();
  return enter(cursor_->previous(), true);
}

TieredCursor::TieredCursor(storage::TreeId hot, ColdTier& cold, TransactionState& transaction)
    : hot_(transaction.storage().cursor(hot)), cold_(cold, transaction) {}

template <class Move>
void TieredCursor::moveCold(Move&& move) {
  coldFailed_ = true;
  hasCold_ = move();
  coldFailed_ = false;
}

bool TieredCursor::first() {
  reverse_ = false;
  hasHot_ = hot_->first();
  moveCold([&] { return cold_.first(); });
  return settle();
}

bool TieredCursor::last() {
  reverse_ = true;
  hasHot_ = hot_->last();
  moveCold([&] { return cold_.last(); });
  return settle();
}

bool TieredCursor::seek(Bytes key) {
  const Key wanted(key);
  reverse_ = false;
  hasHot_ = hot_->seek(wanted.bytes());
  moveCold([&] { return cold_.seek(wanted.bytes()); });
  return settle();
}

bool TieredCursor::seekBehind(Bytes key) {
  const Key wanted(key);
  reverse_ = false;
  hasHot_ = hot_->seek(wanted.bytes());
  if (hasHot_ && compareBytes(hot_->key(), wanted.bytes()) == 0) hasHot_ = hot_->next();
  moveCold([&] {
    const bool found = cold_.seek(wanted.bytes());
    return found && compareBytes(cold_.place().key(), wanted.bytes()) == 0 ? cold_.next() : found;
  });
  return settle();
}

bool TieredCursor::seekBefore(Bytes key) {
  const Key wanted(key);
  reverse_ = true;
  hasHot_ = hot_->seek(wanted.bytes()) ? hot_->previous() : hot_->last();
  moveCold([&] { return cold_.seek(wanted.bytes()) ? cold_.previous() : cold_.last(); });
  return settle();
}

// Finds the row among what both trees have next: the nearer one, where they have the same key the hot one.
bool TieredCursor::settle() {
  for (;;) {
    if (!hasHot_ && !hasCold_) return false;
    auto order = std::strong_ordering::less;  // the hot one comes first
    if (!hasHot_) {
      order = std::strong_ordering::greater;
    } else if (hasCold_) {
      order = compareBytes(hot_->key(), cold_.place().key());
      if (reverse_ && order != 0)
        order = order < 0 ? std::strong_ordering::greater : std::strong_ordering::less;
    }
    isCold_ = order > 0;
    if (isCold_) return true;
    if (order == 0) moveCold([&] { return reverse_ ? cold_.previous() : cold_.next(); });
    if (!has(rowFlags(hot_->value()), RowFlags::tombstone)) return true;
    hasHot_ = reverse_ ? hot_->previous() : hot_->next();
  }
}

bool TieredCursor::next() {
  if (isCold_ || coldFailed_) {
    moveCold([&] { return reverse_ ? cold_.previous() : cold_.next(); });
  } else {
    hasHot_ = reverse_ ? hot_->previous() : hot_->next();
  }
  return settle();
}

}  // namespace instar
