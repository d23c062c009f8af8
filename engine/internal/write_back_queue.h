#pragma once

// Rows that were upgraded when they were read, for Store::writeBack to rewrite. Bounded, and no reader
// ever waits for it: a row that finds it full or held by another thread is left out, and comes again
// with its next reading. Any thread.

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "instar/format/key.h"

namespace instar {

class CollectionState;
class TransactionState;

class WriteBackQueue {
 public:
  explicit WriteBackQueue(std::size_t capacity) : capacity_(capacity) {}

  bool isOpen() const noexcept { return capacity_ != 0; }

  void offer(const std::shared_ptr<CollectionState>& collection, Bytes key) noexcept;

  bool empty();

  // Takes at most so many, those of a collection in the order of their keys, and stores them as they are
  // read; those whose handles are gone are left out. Returns how many it has stored.
  std::size_t rewrite(TransactionState& transaction, std::size_t most);

 private:
  struct Entry {
    std::shared_ptr<CollectionState> collection;
    Key key;
  };
  std::vector<Entry> take(std::size_t most);

  const std::size_t capacity_;  // rows; 0: nothing is queued
  std::mutex mutex_;
  // By collection and key. The address is for comparing only: the collection may be gone.
  std::map<std::pair<const CollectionState*, std::string>, std::weak_ptr<CollectionState>> rows_;
};

}  // namespace instar
