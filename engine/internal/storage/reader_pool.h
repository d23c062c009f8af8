#pragma once

// Read transactions that were reset and keep their reader slot. Lock-free; any thread.

#include <array>
#include <atomic>
#include <cstddef>

#include "instar/engine/internal/storage/lmdb_binding.h"

namespace instar::storage {

class ReaderPool {
 public:
  MDB_txn* take() noexcept;                 // null where there is none
  void put(MDB_txn* transaction) noexcept;  // frees it where there is no room
  void drain() noexcept;

 private:
  static constexpr std::size_t kPlaces = 32;  // as many threads read at once without looking for a slot
  std::array<std::atomic<MDB_txn*>, kPlaces> places_{};
};

}  // namespace instar::storage
