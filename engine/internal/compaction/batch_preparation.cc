#include "instar/engine/internal/compaction/batch_preparation.h"

#include <algorithm>

#include "instar/engine/internal/failed_row.h"
#include "instar/engine/internal/upgraded_record.h"

namespace instar {
namespace {

// Bounds how long the snapshot is held where there is nothing to do.
constexpr std::uint64_t kMostRowsLookedAt = 16384;
constexpr std::size_t kMostBytesLookedAt = std::size_t{8} << 20;

// Of rows between two blocks: fewer are not worth a block of their own.
constexpr std::size_t kSmallRun = 8192;  // bytes, unpacked

}  // namespace

bool startBehind(storage::Cursor& cursor, const Key& position, const Key& lower) {
  const Key& from = position.empty() ? lower : position;
  const bool found = from.empty() ? cursor.first() : cursor.seek(from.bytes());
  return found && !position.empty() && compareBytes(cursor.key(), position.bytes()) == 0 ? cursor.next()
                                                                                         : found;
}

Batch::Preparation::Preparation(const Batch& batch, Part& part, TransactionState& transaction,
                                const Range& range)
    : batch_(batch),
      part_(part),
      range_(range),
      transaction_(transaction),
      collection_(batch.collection_),
      version_(collection_.schema().version()),
      completeFrom_(collection_.schema().completeFrom()),
      packs_(batch.mode_ == CompactionMode::compress),
      hot_(transaction.storage().cursor(collection_.tree())),
      nextNumber_(readTiers(transaction, collection_.name()).nextBlock + range.firstNumber) {
  if (batch.cold_) blocks_ = transaction.storage().cursor(batch.cold_->tree());
}

void Batch::Preparation::run() {
  begin();
  while ((hasHot_ || hasBlock_) && !isFull()) {
    const bool blockBegins = hasBlock_ && (!hasHot_ || compareBytes(hot_->key(), header_.firstKey) >= 0);
    const bool blockEnds = hasBlock_ && (!hasHot_ || compareBytes(hot_->key(), blocks_->key()) > 0);
    if (blockBegins && absorbs()) {
      absorbBlock();
    } else if (blockEnds) {
      keepBlock();
    } else {
      takeHot(-1, nullptr);
    }
  }
  part_.reachesEnd = !cutsBlock_ && !hasHot_ && !hasBlock_;
  if (!rest_.empty()) {
    part_.nextKey = Key(rest_.front().key);
  } else if (!part_.reachesEnd) {
    const bool hotIsNext = hasHot_ && (!hasBlock_ || compareBytes(hot_->key(), header_.firstKey) < 0);
    part_.nextKey = Key(hotIsNext ? hot_->key() : header_.firstKey);
  }
  endsInsideBlock_ = hasBlock_ && !items_.empty() && compareBytes(header_.firstKey, items_.back().key) <= 0;
  pack();
  formGroups();
  part_.mayCut = !endsInsideBlock_;
}

void Batch::Preparation::begin() {
  const Key& lower = batch_.partition_.lower;
  stepHot(startBehind(*hot_, range_.position, lower));
  if (blocks_) stepBlock(startBehind(*blocks_, range_.position, lower));
}

bool Batch::Preparation::isInRange(Bytes key) const {
  if (range_.last != nullptr) return compareBytes(key, range_.last->bytes()) <= 0;
  return isBelow(key, range_.upper);
}

void Batch::Preparation::stepHot(bool found) { hasHot_ = found && isInRange(hot_->key()); }

void Batch::Preparation::stepBlock(bool found) {
  coverOfBlock_ = 0;
  hasBlock_ = found && isInRange(blocks_->key());
  if (!hasBlock_) return;
  if (decodeBlockHeader(blocks_->value(), header_) != BlockDamage::none)
    batch_.cold_->read(transaction_, blocks_->key(), blocks_->value());  // says what is wrong
}

bool Batch::Preparation::isFull() const {
  if (range_.last != nullptr) return false;
  return changes_ >= batch_.rows_ || bytes_ >= batch_.limits_.bytes || looked_ >= kMostRowsLookedAt ||
         lookedBytes_ >= kMostBytesLookedAt;
}

// Whether the block is made anew: because its rows are old, entries of the hot tree belong into it, or its
// neighbours are few or it is small itself. One of a version that was given up has no rows for another block.
bool Batch::Preparation::absorbs() const {
  if (header_.version < completeFrom_) return true;
  if (!packs_) return false;
  if (hasHot_ && compareBytes(hot_->key(), blocks_->key()) <= 0) return true;
  if (header_.version > version_) return false;
  const bool isSmall = blocks_->value().size() < kBlockTarget * 3 / 4;
  return pendingBytes_ != 0 && (pendingBytes_ < kSmallRun || isSmall);
}

std::shared_ptr<const UnpackedBlock> Batch::Preparation::unpack() {
  const Bytes lastKey = blocks_->key();
  const Bytes value = blocks_->value();
  auto block = batch_.cold_->read(transaction_, lastKey, value);  // leaves the cache to readers
  part_.oldBlocks.push_back({part_.arena.copy(lastKey), block->number(), totalsOf(*block, value.size())});
  return block;
}

void Batch::Preparation::keepBlock() {
  const auto block = unpack();
  part_.oldBlocks.back().stays = true;
  looked_ += block->rows();
  lookedBytes_ += block->bytes();
  items_.push_back({.key = part_.oldBlocks.back().lastKey,
                    .endsBlock = true,
                    .rows = block->rows() - std::min<std::uint64_t>(coverOfBlock_, block->rows()),
                    .version = block->version()});
  pendingBytes_ = 0;
  stepBlock(blocks_->next());
}

void Batch::Preparation::absorbBlock() {
  const auto block = unpack();
  unpacked_.push_back(block);
  const auto index = static_cast<std::ptrdiff_t>(part_.oldBlocks.size()) - 1;
  for (std::size_t row = 0; row < block->rows(); ++row) {
    const Bytes key = block->key(row);
    while (hasHot_ && compareBytes(hot_->key(), key) < 0) {
      if (isFull() && row != 0) return takeRest(*block, row);
      takeHot(index, nullptr);
    }
    const RowView view{block->version(), RowFlags::none, block->payload(row)};
    if (hasHot_ && compareBytes(hot_->key(), key) == 0) {
      takeHot(index, &view);
    } else {
      takeCold(index, key, view);
    }
  }
  stepBlock(blocks_->next());
}

// What a block has behind the end of the batch becomes a block again, but for rows that no block can have.
void Batch::Preparation::takeRest(const UnpackedBlock& block, std::size_t from) {
  cutsBlock_ = true;
  for (std::size_t row = from; row < block.rows(); ++row) {
    const Bytes key = block.key(row);
    const RowView view{block.version(), RowFlags::none, block.payload(row)};
    const auto payload = upgraded(key, view, false);  // the next batch says so
    if (isPackable(view, payload))
      rest_.push_back({key, *payload});
    else
      uncover(key, view, payload);
  }
}

// A row of a block that goes, and that no new block has: it becomes one of the hot tree, unless one there
// covers it.
void Batch::Preparation::uncover(Bytes key, const RowView& row, const std::optional<Bytes>& payload) {
  HotEntry entry{.key = part_.arena.copy(key),
                 .payload = part_.arena.copy(payload ? *payload : row.payload),
                 .version = payload ? std::max(version_, row.version) : row.version,
                 .then = Then::uncovered};
  if (const auto stored = transaction_.storage().get(collection_.tree(), key)) {
    RowView covering;
    entry.before = part_.arena.copy(*stored);
    if (decodeRow(key, entry.before, Verify::yes, covering) != RowDamage::none) return;
    entry.payload = covering.payload;
    entry.version = covering.version;
    if (covering.isTombstone()) entry.then = Then::gone;
  }
  part_.hot.push_back(entry);
}

// A row of this version's schema; nothing where it cannot be upgraded. Borrowed from the row where it needs
// no upgrade.
std::optional<Bytes> Batch::Preparation::upgraded(Bytes key, const RowView& row, bool reports) {
  if (row.version >= completeFrom_) return row.payload;
  try {
    return part_.arena.copy(UpgradedRecord(collection_.plans(), key, row).compact());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::fixRow) throw;
    if (collection_.plans().from(row.version).isForLackOfFunction(error)) part_.lacksFunctions = true;
    if (reports) failures_.emplace_back(items_.size(), failedRow(key, row.version, error));
    return std::nullopt;
  }
}

// Newer rows, of a version that is staged or was given up, keep their stamp, and a block has one for all.
bool Batch::Preparation::isPackable(const RowView& row, const std::optional<Bytes>& payload) const {
  return payload && payload->size() <= kMostColdPayload && row.version <= version_;
}

void Batch::Preparation::addItem(Item item, Bytes payload) {
  item.payload = payload;
  pendingBytes_ += payload.size();
  items_.push_back(item);
}

void Batch::Preparation::addHot(Item item, HotEntry entry) {
  item.isHot = true;
  ++changes_;
  bytes_ += entry.payload.size() + item.payload.size();
  part_.hot.push_back(entry);
  addItem(item, item.payload);
}

void Batch::Preparation::takeHot(std::ptrdiff_t block, const RowView* covered) {
  ++looked_;
  const Bytes stored = hot_->value();
  lookedBytes_ += stored.size();
  const Bytes key = part_.arena.copy(hot_->key());
  Item item{.key = key, .block = block};
  HotEntry entry{.key = key, .then = covered != nullptr ? Then::uncovered : Then::hot};
  RowView row;
  const RowDamage damage = decodeRow(key, stored, Verify::yes, row);
  if (has(rowFlags(stored), RowFlags::coversCold)) ++coverOfBlock_;
  if (damage != RowDamage::none) {
    failures_.emplace_back(items_.size(),
                           FailedRow{.key = {key.begin(), key.end()}, .reason = describe(damage)});
    item.isFailed = true;
    item.version = batch_.partition_.floor;  // nobody knows
    // It covers what it covered.
    if (covered != nullptr)
      if (const auto payload = upgraded(key, *covered)) item.payload = *payload;
    addItem(item, item.payload);
  } else if (row.isTombstone()) {
    if (covered != nullptr) {
      entry.before = part_.arena.copy(stored);
      entry.then = Then::gone;
      addHot(item, entry);
    }
  } else {
    item.rows = 1;
    const auto payload = upgraded(key, row);
    item.isFailed = !payload;
    const bool mayPack = isPackable(row, payload);
    item.isLarge = payload && !mayPack;
    item.version = payload && row.version < completeFrom_ ? version_ : row.version;
    if (packs_ && mayPack) {
      item.version = version_;
      item.payload = *payload;
      entry.then = Then::cold;
      entry.before = part_.arena.copy(stored);
      addHot(item, entry);
    } else if (covered != nullptr || (payload && row.version < completeFrom_)) {
      entry.before = part_.arena.copy(stored);
      entry.payload = payload && row.version < completeFrom_ ? *payload : part_.arena.copy(row.payload);
      entry.version = item.version;
      addHot(item, entry);
    } else {
      addItem(item);
    }
  }
  stepHot(hot_->next());
}

void Batch::Preparation::takeCold(std::ptrdiff_t block, Bytes key, const RowView& row) {
  ++looked_;
  ++changes_;
  lookedBytes_ += row.payload.size();
  Item item{.key = key, .block = block, .rows = 1, .version = version_};
  const auto payload = upgraded(key, row);
  if (isPackable(row, payload)) {
    bytes_ += payload->size();
    return addItem(item, *payload);
  }
  item.isFailed = !payload;
  item.isLarge = payload.has_value();
  item.version = payload ? std::max(version_, row.version) : row.version;
  addHot(item, {.key = part_.arena.copy(key),
                .payload = part_.arena.copy(payload ? *payload : row.payload),
                .version = item.version,
                .then = Then::uncovered});
}

// Rows between two blocks that stay are packed by themselves. What is left over where the batch ends, too
// little for a block, is left to the next one.
void Batch::Preparation::pack() {
  std::size_t begin = 0;
  for (std::size_t end = 0; end < items_.size(); ++end) {
    if (!items_[end].endsBlock) continue;
    packSegment(begin, end, true);
    begin = end + 1;
  }
  packSegment(begin, items_.size(), part_.reachesEnd || cutsBlock_);
  for (auto left = std::span<const ColdRow>(rest_); !left.empty();)
    left = left.subspan(packBlock(left, true));
}

void Batch::Preparation::packSegment(std::size_t begin, std::size_t end, bool isLast) {
  rows_.clear();
  places_.clear();
  for (std::size_t i = begin; i < end; ++i) {
    if (items_[i].payload.empty()) continue;
    rows_.push_back({items_[i].key, items_[i].payload});
    places_.push_back(i);
  }
  for (std::size_t done = 0; done < rows_.size();) {
    const std::span<const ColdRow> left = std::span<const ColdRow>(rows_).subspan(done);
    const std::size_t blocksBefore = part_.newBlocks.size();
    const std::size_t count = packBlock(left, false);
    const std::size_t first = places_[done];
    const bool canWait = !isLast && count == left.size() && first != 0 &&
                         (items_[first].block == -1 || items_[first].block != items_[first - 1].block);
    if (canWait) {
      part_.newBlocks.resize(blocksBefore);
      return dropFrom(first);
    }
    done += count;
    blockEnds_.push_back(places_[done - 1]);
  }
}

// Returns how many of the first rows it holds.
std::size_t Batch::Preparation::packBlock(std::span<const ColdRow> rows, bool isRest) {
  const std::size_t count = part_.packer->pack(rows, nextNumber_++, part_.block);
  NewBlock block{.lastKey = part_.arena.copy(rows[count - 1].key),
                 .value = part_.arena.copy(part_.block),
                 .totals = {count, 1, part_.block.size(), 0},
                 .isRest = isRest};
  for (const ColdRow& row : rows.first(count)) block.totals.checksum += rowSum(row.key, row.payload);
  part_.newBlocks.push_back(block);
  return count;
}

void Batch::Preparation::dropFrom(std::size_t item) {
  std::size_t hot = part_.hot.size();
  std::size_t blocks = part_.oldBlocks.size();
  for (std::size_t i = items_.size(); i-- > item;) {
    if (items_[i].isHot) --hot;
    if (items_[i].block != -1) blocks = std::min(blocks, static_cast<std::size_t>(items_[i].block));
  }
  part_.nextKey = Key(items_[item].key);
  part_.hot.resize(hot);
  part_.oldBlocks.resize(blocks);
  items_.resize(item);
  part_.reachesEnd = false;
  endsInsideBlock_ = false;
}

// Between two items a group can end unless one block, that goes or that comes, has rows on both sides.
void Batch::Preparation::formGroups() {
  Group group;
  std::size_t newBlock = 0;
  bool isInsideNew = false;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const Item& item = items_[i];
    if (item.isHot) ++group.hotEnd;
    if (item.block != -1) group.oldEnd = std::max(group.oldEnd, static_cast<std::size_t>(item.block) + 1);
    if (item.endsBlock) ++group.oldEnd;
    if (newBlock < blockEnds_.size() && blockEnds_[newBlock] == i) {
      group.newEnd = ++newBlock;
      isInsideNew = false;
    } else if (!item.payload.empty()) {
      isInsideNew = true;
    }
    group.rows += item.rows;
    group.failedRows += item.isFailed ? 1 : 0;
    group.largeRows += item.isLarge ? 1 : 0;
    if (item.version != 0 && (group.floor == 0 || item.version < group.floor)) group.floor = item.version;
    const bool isLast = i + 1 == items_.size();
    if (!isLast && (isInsideNew || (item.block != -1 && item.block == items_[i + 1].block))) continue;
    if (isLast) {  // with the rest of a block
      group.hotEnd = part_.hot.size();
      group.newEnd = part_.newBlocks.size();
    }
    group.position = part_.arena.copy(item.key);
    part_.groups.push_back(group);
    group.rows = group.failedRows = group.largeRows = 0;
    group.floor = 0;
  }
  for (auto& [item, failure] : failures_) {
    if (item < items_.size()) part_.failures.push_back(std::move(failure));
  }
}

}  // namespace instar
