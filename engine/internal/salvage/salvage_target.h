#pragma once

// The file that salvage fills. Entries are put once: who comes second with a key is turned away. Commits from
// time to time. One thread.

#include <cstdint>
#include <optional>
#include <string>

#include "instar/engine/internal/transaction_state.h"
#include "instar/engine/store.h"
#include "instar/format/bytes.h"
#include "instar/format/row.h"

namespace instar {

class SalvageTarget {
 public:
  explicit SalvageTarget(const Store& store) : store_(store) {}

  storage::TreeId openTree(const std::string& name);  // makes it
  bool has(storage::TreeId tree, Bytes key);
  // False where the key is taken.
  bool put(storage::TreeId tree, Bytes key, Bytes value);
  // A row without flags. `value` is as it was stored, or empty; its bytes are kept where that is possible.
  bool putRow(storage::TreeId tree, Bytes key, const RowView& row, Bytes value);
  TransactionState& state();  // of the transaction that is open
  void commit();

 private:
  void count(std::size_t bytes);
  std::span<std::byte> reserve(storage::TreeId tree, Bytes key, std::size_t size);

  const Store& store_;
  std::optional<WriteTransaction> transaction_;
  std::size_t entries_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace instar
