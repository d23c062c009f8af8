#include "instar/engine/internal/compaction/settlement.h"

#include <algorithm>
#include <utility>

#include "instar/engine/internal/compaction/batch_preparation.h"

namespace instar {

using Clock = std::chrono::steady_clock;

Settlement::Settlement(std::shared_ptr<StoreState> store, CollectionState& collection,
                       const Preimages& preimages, const Key& lower, BatchLimits limits)
    : store_(std::move(store)), collection_(collection), preimages_(preimages), limits_(std::move(limits)) {
  if (const auto tree = store_->environment().openTree(coldTreeName(collection_.name()), false))
    cold_ = std::make_unique<ColdTier>(*store_, collection_.name(), *tree);
  TransactionState transaction(store_, storage::Access::read);
  const Partitions partitions(transaction, collection_.name());
  partition_ = partitions.of(lower);
  upper_ = partitions.upperOf(partition_);
}

std::optional<Mismatch> Settlement::step() {
  if (stage_ == Stage::erasing) {
    erase();
    return std::nullopt;
  }
  TransactionState transaction(store_, storage::Access::read);
  return stage_ == Stage::blocks ? readBlocks(transaction) : readRows(transaction);
}

// A block that a pass in progress has not come to was damaged before: that is an error, and no mismatch.
std::optional<Mismatch> Settlement::readBlocks(TransactionState& transaction) {
  std::size_t bytes = 0;
  if (cold_) {
    const auto cursor = transaction.storage().cursor(cold_->tree());
    for (bool more = startBehind(*cursor, position_, partition_.lower);
         more && isBelow(cursor->key(), upper_); more = cursor->next()) {
      if (bytes >= limits_.bytes) return std::nullopt;
      position_ = Key(cursor->key());
      std::string damage;
      const bool isOld = partition_.pass && position_ > partition_.pass->position;
      const auto block = isOld ? cold_->read(transaction, position_.bytes(), cursor->value())
                               : cold_->unpack(transaction, position_.bytes(), cursor->value(), damage);
      if (!block) return Mismatch{position_, position_, damage};
      found_ += totalsOf(*block, cursor->value().size());
      bytes += block->bytes();
    }
  }
  if (found_ != partition_.allCold()) {
    return Mismatch{partition_.lower, position_, "the blocks of the partition are not those that it counts"};
  }
  position_ = Key();
  stage_ = Stage::rows;
  return std::nullopt;
}

// A row that was damaged before compaction came is not its own.
std::optional<Mismatch> Settlement::readRows(TransactionState& transaction) {
  std::size_t bytes = 0;
  const auto cursor = transaction.storage().cursor(collection_.tree());
  for (bool more = startBehind(*cursor, position_, partition_.lower); more && isBelow(cursor->key(), upper_);
       more = cursor->next()) {
    if (bytes >= limits_.bytes) return std::nullopt;
    position_ = Key(cursor->key());
    bytes += cursor->value().size();
    RowView row;
    const RowDamage damage = decodeRow(position_.bytes(), cursor->value(), Verify::yes, row);
    if (damage != RowDamage::none && wasReplaced(transaction, position_.bytes()))
      return Mismatch{position_, position_, describe(damage)};
  }
  stage_ = Stage::erasing;
  if (limits_.probe) limits_.probe("partitionVerified");
  return std::nullopt;
}

bool Settlement::wasReplaced(TransactionState& transaction, Bytes key) {
  if (transaction.storage().get(preimages_.rows(), key)) return true;
  return ColdTier(*store_, collection_.name(), preimages_.blocks()).find(transaction, key).has_value();
}

void Settlement::erase() {
  TransactionState transaction(store_, storage::Access::write);
  const auto start = Clock::now();
  const bool isLast = preimages_.erase(transaction, partition_.lower, upper_, start + limits_.lockTime);
  ++result_.transactions;
  result_.longestLock = std::max(result_.longestLock,
                                 std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start));
  transaction.commit();
  if (limits_.probe) limits_.probe("preimagesErased");
  if (isLast) stage_ = Stage::done;
}

std::optional<Key> partitionToSettle(TransactionState& transaction, const CollectionState& collection,
                                     const Preimages& preimages, const std::set<Key>& asides) {
  const Partitions partitions(transaction, collection.name());
  for (auto kept = preimages.next(transaction, Key()); kept;) {
    const Partition partition = partitions.of(*kept);
    const bool goesOn = partition.pass && partition.pass->version == collection.schema().version();
    if (!goesOn && !asides.contains(partition.lower)) return partition.lower;
    const auto upper = partitions.upperOf(partition);
    if (!upper) break;
    kept = preimages.next(transaction, *upper);
  }
  return std::nullopt;
}

}  // namespace instar
