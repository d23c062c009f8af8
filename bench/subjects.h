#pragma once

// What is compared, holding the same rows: a store, an LMDB environment and an SQLite database. Each is made
// when a benchmark first asks for it. One thread.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "instar/bench/lmdb_reference.h"
#include "instar/bench/order.capnp.h"
#include "instar/bench/sample.h"
#include "instar/bench/sqlite_reference.h"
#include "instar/bench/workspace.h"
#include "instar/engine/instar.h"

namespace instar::bench {

// A store with its collection of orders.
struct InstarSubject {
  InstarSubject(const std::filesystem::path& path, Durability durability)
      : store(Store::open(path, {.durability = durability, .mapSize = kMapSize})),
        orders(store.collection<Order>("orders")) {}

  Store store;
  Collection<Order> orders;
};

class Subjects {
 public:
  Subjects(const Workspace& workspace, const Sizes& sizes) : workspace_(workspace), sizes_(sizes) {}

  const Workspace& workspace() const noexcept { return workspace_; }
  const Sizes& sizes() const noexcept { return sizes_; }

  // Files with all rows, put in random order, that nobody has open: to be copied.
  const std::filesystem::path& instarFile();
  const std::filesystem::path& lmdbFile();
  const std::filesystem::path& sqliteFile();

  // The same, open and in memory. Not to be changed.
  InstarSubject& instar();
  LmdbReference& lmdb();
  SqliteReference& sqlite();

  // The ids of all rows in the order in which they are read.
  const std::vector<std::uint64_t>& ids();

 private:
  const Workspace& workspace_;
  const Sizes sizes_;
  std::filesystem::path instarFile_;
  std::filesystem::path lmdbFile_;
  std::filesystem::path sqliteFile_;
  std::optional<InstarSubject> instar_;
  std::optional<LmdbReference> lmdb_;
  std::optional<SqliteReference> sqlite_;
  std::vector<std::uint64_t> ids_;
};

// Goes round a list for ever.
class Rotation {
 public:
  explicit Rotation(std::span<const std::uint64_t> ids) noexcept : ids_(ids) {}
  std::uint64_t next() noexcept {
    const std::uint64_t id = ids_[position_];
    if (++position_ == ids_.size()) position_ = 0;
    return id;
  }

 private:
  std::span<const std::uint64_t> ids_;
  std::size_t position_ = 0;
};

}  // namespace instar::bench
