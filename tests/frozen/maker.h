#pragma once

// Fills a store for a frozen file: people of several versions, compaction that stops in the midst of its
// work, damage. One thread.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "instar/engine/internal/compaction/batch.h"
#include "instar/engine/store.h"

namespace instar::frozen {

using Rows = Collection<capnp::DynamicStruct>;

class Maker {
 public:
  // The file does not exist yet. It is closed, and rewritten without free pages, when the maker goes.
  explicit Maker(const std::filesystem::path& file, StoreOptions options = {});
  ~Maker();
  Maker(const Maker&) = delete;
  Maker& operator=(const Maker&) = delete;

  const Store& store() const { return *store_; }
  void reopen(StoreOptions options);

  Rows open(const std::string& program) const;
  Rows stage(const std::string& program, const StagingOptions& options) const;

  // People `first`, `first + step`, …, in one transaction.
  void fill(const Rows& rows, std::uint64_t first, std::uint64_t count, std::uint64_t step = 1) const;
  // The same with names of one word, whose parts do not give them back.
  void fillWithSingleNames(const Rows& rows, std::uint64_t first, std::uint64_t count) const;
  // Names of several words, alike enough for a dictionary.
  void fillWithPhrases(const Rows& rows, std::uint64_t count) const;
  // Gives those that are there another tier or name, as an application does that knows these fields only.
  void edit(const Rows& rows, std::uint64_t first, std::uint64_t count, std::uint64_t step = 1) const;
  void erase(const Rows& rows, std::uint64_t first, std::uint64_t count, std::uint64_t step = 1) const;
  void read(const Rows& rows, std::uint64_t first, std::uint64_t count) const;

  // So many batches of 20 rows, from the beginning, in partitions of 40; what was kept of a partition stays.
  void compact(const Rows& rows, CompactionMode mode, unsigned batches, bool keepPreimages = false) const;
  void compactAll(const Rows& rows, CompactionMode mode) const { compact(rows, mode, UINT32_MAX); }
  void mergePartitions(const Rows& rows) const;

 private:
  using Put = std::function<void(std::uint64_t id, WriteTransaction& transaction)>;
  void inOneTransaction(std::uint64_t first, std::uint64_t count, std::uint64_t step, const Put& put) const;

  std::filesystem::path file_;
  std::optional<Store> store_;
};

// Changes bytes behind everybody's back.
void flipBitOf(const std::filesystem::path& file, std::string_view text);  // where it occurs last
void flipBitAt(const std::filesystem::path& file, std::uint64_t offset);
void flipBitInFirstBlock(const std::filesystem::path& file);

}  // namespace instar::frozen
