#include "instar/engine/internal/storage/reader_pool.h"

namespace instar::storage {

MDB_txn* ReaderPool::take() noexcept {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t start = threads.fetch_add(1, std::memory_order_relaxed);
  for (std::size_t step = 0; step < kPlaces; ++step) {
    std::atomic<MDB_txn*>& place = places_[(start + step) % kPlaces];
    if (place.load(std::memory_order_relaxed) == nullptr) continue;
    if (MDB_txn* const transaction = place.exchange(nullptr, std::memory_order_acquire)) return transaction;
  }
  return nullptr;
}

void ReaderPool::put(MDB_txn* transaction) noexcept {
  for (std::atomic<MDB_txn*>& place : places_) {
    MDB_txn* none = nullptr;
    if (place.compare_exchange_strong(none, transaction, std::memory_order_release,
                                      std::memory_order_relaxed))
      return;
  }
  lmdb::abort(transaction);
}

void ReaderPool::drain() noexcept {
  for (std::atomic<MDB_txn*>& place : places_)
    lmdb::abort(place.exchange(nullptr, std::memory_order_acquire));
}

}  // namespace instar::storage
