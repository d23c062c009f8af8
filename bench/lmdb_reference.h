#pragma once

// LMDB without Instar: what the same bytes cost on their own. Owns its environment; one thread.

#include <lmdb.h>

#include <filesystem>

#include "instar/engine/options.h"
#include "instar/format/bytes.h"

namespace instar::bench {

// Throws std::runtime_error naming the call.
void checkLmdb(int code, const char* call);

// Address space of every environment that is compared, Instar's too: 32 GiB.
inline constexpr std::size_t kMapSize = std::size_t{1} << 35;

class LmdbReference {
 public:
  // With the flags that Instar uses at this durability.
  LmdbReference(const std::filesystem::path& path, Durability durability, const char* tree = "rows");
  LmdbReference(const LmdbReference&) = delete;
  LmdbReference& operator=(const LmdbReference&) = delete;
  ~LmdbReference() { mdb_env_close(environment_); }

  MDB_env* environment() const noexcept { return environment_; }
  MDB_dbi tree() const noexcept { return tree_; }

 private:
  MDB_env* environment_ = nullptr;
  MDB_dbi tree_ = 0;
};

// Aborts unless committed.
class LmdbTransaction {
 public:
  LmdbTransaction(const LmdbReference& reference, unsigned flags) {
    checkLmdb(mdb_txn_begin(reference.environment(), nullptr, flags, &transaction_), "mdb_txn_begin");
  }
  LmdbTransaction(const LmdbTransaction&) = delete;
  LmdbTransaction& operator=(const LmdbTransaction&) = delete;
  ~LmdbTransaction() {
    if (transaction_ != nullptr) mdb_txn_abort(transaction_);
  }

  MDB_txn* get() const noexcept { return transaction_; }
  void commit() {
    MDB_txn* const ended = transaction_;
    transaction_ = nullptr;
    checkLmdb(mdb_txn_commit(ended), "mdb_txn_commit");
  }

 private:
  MDB_txn* transaction_ = nullptr;
};

inline MDB_val toValue(Bytes bytes) noexcept { return {bytes.size(), const_cast<std::byte*>(bytes.data())}; }

// Reads every byte of a value.
inline std::uint64_t sumWords(const MDB_val& value) noexcept {
  const auto* bytes = static_cast<const char*>(value.mv_data);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + sizeof sum <= value.mv_size; i += sizeof sum) {
    std::uint64_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    sum += word;
  }
  return sum;
}

}  // namespace instar::bench
