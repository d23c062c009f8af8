#include "instar/engine/internal/cold/cold_cursor.h"

namespace instar {

ColdCursor::ColdCursor(ColdTier& tier, TransactionState& transaction)
    : tier_(tier),
      transaction_(transaction),
      cursor_(transaction.storage().cursor(tier.tree())),
      seenChanges_(transaction.changes()) {}

// The block that cursor_ has been moved to.
bool ColdCursor::enterBlock(bool found, End end) {
  seenChanges_ = transaction_.changes();
  place_.section = nullptr;
  if (!found) return false;
  lastKey_ = Key(cursor_->key());
  return enterSection(end == End::first ? 0 : kMaxBlockSections, end);
}

bool ColdCursor::enterSection(std::size_t index, End end) {
  place_.section = nullptr;
  place_.section = tier_.section(transaction_, lastKey_.bytes(), cursor_->value(), index);
  place_.row = end == End::first ? 0 : place_.section->rows() - 1;
  return true;
}

bool ColdCursor::seek(Bytes key) {
  const Key wanted(key);  // which may be one of ours
  seenChanges_ = transaction_.changes();
  place_.section = nullptr;
  if (!cursor_->seek(wanted.bytes())) return false;
  lastKey_ = Key(cursor_->key());
  place_ = tier_.seek(transaction_, lastKey_.bytes(), cursor_->value(), wanted.bytes());
  return true;
}

// Brings cursor_ back to the block, after which it can be moved on.
void ColdCursor::returnToBlock() {
  if (seenChanges_ == transaction_.changes()) return;
  cursor_->seek(lastKey_.bytes());
  seenChanges_ = transaction_.changes();
}

bool ColdCursor::next() {
  if (place_.section && ++place_.row < place_.section->rows()) return true;
  returnToBlock();
  if (place_.section && !place_.section->isLast())
    return enterSection(place_.section->section() + 1, End::first);
  return enterBlock(cursor_->next(), End::first);
}

bool ColdCursor::previous() {
  if (place_.section && place_.row-- > 0) return true;
  returnToBlock();
  if (place_.section && place_.section->section() != 0)
    return enterSection(place_.section->section() - 1, End::last);
  return enterBlock(cursor_->previous(), End::last);
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
