// How a batch is prepared by several threads: each takes a part of what follows, one behind another's.

#include <time.h>

#include <system_error>
#include <thread>

#include "instar/engine/internal/compaction/batch_preparation.h"
#include "instar/engine/internal/compaction/io_account.h"

namespace instar {
namespace {

using Clock = std::chrono::steady_clock;

std::chrono::nanoseconds processorTime() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

void Batch::Part::clear() {
  arena.clear();
  hot.clear();
  newBlocks.clear();
  oldBlocks.clear();
  groups.clear();
  failures.clear();
  nextKey.reset();
  reachesEnd = mayCut = lacksFunctions = isOtherSnapshot = false;
  bytesRead = 0;
  failure = nullptr;
}

// Where the parts end of all threads but the last, each a batch's worth of rows. Between two parts no block
// has rows on both sides.
std::vector<Key> Batch::boundsOfParts(TransactionState& transaction, const Key* upper) const {
  std::vector<Key> bounds;
  if (limits_.threads <= 1) return bounds;
  const auto isInside = [&](const storage::Cursor& cursor) { return isBelow(cursor.key(), upper); };
  const Key& position = partition_.pass->position;
  const auto hot = transaction.storage().cursor(collection_.tree());
  bool hasHot = startBehind(*hot, position, partition_.lower) && isInside(*hot);
  const auto blocks = cold_ ? transaction.storage().cursor(cold_->tree()) : nullptr;
  bool hasBlock = blocks && startBehind(*blocks, position, partition_.lower) && isInside(*blocks);
  std::uint64_t rows = 0;
  std::size_t bytes = 0;
  const auto takeHot = [&] {
    ++rows;
    bytes += hot->value().size();
  };
  while (bounds.size() + 1 < limits_.threads && (hasHot || hasBlock)) {
    ColdBlockHeader header;
    if (hasBlock && decodeBlockHeader(blocks->value(), header) != BlockDamage::none) return bounds;
    const bool isBlock = hasBlock && (!hasHot || compareBytes(hot->key(), header.firstKey) >= 0);
    if (isBlock) {
      rows += header.rows;
      bytes += header.unpackedLength;
      for (; hasHot && compareBytes(hot->key(), blocks->key()) <= 0; hasHot = hot->next() && isInside(*hot))
        takeHot();
    } else {
      takeHot();
    }
    if (rows >= rows_ || bytes >= limits_.bytes) {
      bounds.emplace_back(isBlock ? blocks->key() : hot->key());
      rows = bytes = 0;
    }
    if (isBlock)
      hasBlock = blocks->next() && isInside(*blocks);
    else
      hasHot = hot->next() && isInside(*hot);
  }
  return bounds;
}

// The first part in this thread, the others in threads of their own, which inherit its priority.
void Batch::prepareParts(const Key& lower) {
  std::optional<TransactionState> transaction(std::in_place, store_, storage::Access::read);
  snapshot_ = transaction->snapshot();
  const Partitions partitions(*transaction, collection_.name());
  partition_ = partitions.of(lower);
  const std::optional<Key> end = partitions.upperOf(partition_);
  const Key* const upper = end ? &*end : nullptr;
  const std::vector<Key> bounds = boundsOfParts(*transaction, upper);
  partsPrepared_ = bounds.size() + 1;
  const auto run = [&](std::size_t number, TransactionState& seen) {
    Part& part = *parts_[number];
    const Key& position = number == 0 ? partition_.pass->position : bounds[number - 1];
    const auto start = Clock::now();
    const auto processorStart = processorTime();
    Preparation(*this, part, seen,
                {.position = position,
                 .upper = upper,
                 .last = number < bounds.size() ? &bounds[number] : nullptr,
                 .firstNumber = std::uint64_t{number} << 20})
        .run();
    part.time = {processorTime() - processorStart, Clock::now() - start};
  };
  const auto runElsewhere = [&](std::size_t number) {
    Part& part = *parts_[number];
    try {
      TransactionState seen(store_, storage::Access::read);
      // Somebody has committed meanwhile: each entry is looked at before it is replaced.
      part.isOtherSnapshot = seen.snapshot() != snapshot_;
      run(number, seen);
    } catch (...) {
      part.failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    std::size_t next = 1;
    try {
      for (; next < partsPrepared_; ++next) {
        threads.emplace_back([&, number = next] {
          const IoAccount account;
          runElsewhere(number);
          parts_[number]->bytesRead = account.total().read;
        });
      }
    } catch (const std::system_error&) {  // the system has no more threads
    }
    run(0, *transaction);
    // While it is open the map cannot grow, and where it has to the threads wait for that to begin theirs.
    transaction.reset();
    for (; next < partsPrepared_; ++next) runElsewhere(next);
  }
  preparationTime_ = {};
  bool isOther = false;
  for (std::size_t number = 0; number < partsPrepared_; ++number) {
    Part& part = *parts_[number];
    if (part.failure) std::rethrow_exception(part.failure);
    if (part.isOtherSnapshot) isOther = true;
    if (part.lacksFunctions) lacksFunctions_ = true;
    for (FailedRow& row : part.failures) list(std::move(row));
    result_.bytesRead += part.bytesRead;
    preparationTime_.processor += part.time.processor;
    preparationTime_.passed += part.time.passed;
  }
  if (isOther) snapshot_ = 0;
}

}  // namespace instar
