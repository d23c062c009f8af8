#include "instar/engine/internal/write_back_queue.h"

#include <new>

#include "instar/engine/internal/collection_state.h"

namespace instar {

void WriteBackQueue::offer(const std::shared_ptr<CollectionState>& collection, Bytes key) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || rows_.size() >= capacity_) return;
  try {
    rows_.insert_or_assign({collection.get(), std::string(asText(key))}, collection);
  } catch (const std::bad_alloc&) {
    // Reading goes on; the row is read again.
  }
}

bool WriteBackQueue::empty() {
  const std::lock_guard lock(mutex_);
  return rows_.empty();
}

std::size_t WriteBackQueue::rewrite(TransactionState& transaction, std::size_t most) {
  std::size_t rewritten = 0;
  for (const auto& [collection, key] : take(most)) {
    if (collection->mayWrite(transaction) && collection->rewriteUpgraded(transaction, key)) ++rewritten;
  }
  return rewritten;
}

std::vector<WriteBackQueue::Entry> WriteBackQueue::take(std::size_t most) {
  std::vector<Entry> taken;
  const std::lock_guard lock(mutex_);
  while (taken.size() < most && !rows_.empty()) {
    auto row = rows_.extract(rows_.begin());
    if (auto collection = row.mapped().lock())
      taken.push_back({std::move(collection), Key(row.key().second)});
  }
  return taken;
}

}  // namespace instar
