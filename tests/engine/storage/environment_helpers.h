#pragma once

// Sentences for tests of storage::Environment. No state; any thread.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/storage.h"

namespace instar::storage {

using namespace std::chrono_literals;

inline constexpr std::chrono::milliseconds kLong = 60s;  // never reached by a test that passes
inline constexpr std::chrono::milliseconds kShort = 20ms;

inline std::unique_ptr<Transaction> beginRead(Environment& environment) {
  return environment.begin(Access::read, {});
}
inline std::unique_ptr<Transaction> beginWrite(Environment& environment,
                                               std::chrono::milliseconds wait = kLong) {
  return environment.begin(Access::write, wait);
}

inline void put(Transaction& transaction, TreeId tree, std::string_view key, std::string_view value) {
  const std::span<std::byte> room = transaction.reserve(tree, asBytes(key), value.size());
  std::copy_n(asBytes(value).begin(), value.size(), room.begin());
}

inline std::optional<std::string> get(Transaction& transaction, TreeId tree, std::string_view key) {
  const auto value = transaction.get(tree, asBytes(key));
  if (!value) return std::nullopt;
  return std::string(asText(*value));
}

// In transactions of their own.
inline void put(Environment& environment, TreeId tree, std::string_view key, std::string_view value) {
  const auto transaction = beginWrite(environment);
  put(*transaction, tree, key, value);
  transaction->commit();
}
inline std::optional<std::string> get(Environment& environment, TreeId tree, std::string_view key) {
  return get(*beginRead(environment), tree, key);
}

inline TreeId openTree(Environment& environment, std::string_view name = "tree") {
  return environment.openTree(name, true).value();
}

inline std::map<std::string, std::string> contents(Transaction& transaction, TreeId tree) {
  std::map<std::string, std::string> rows;
  const auto cursor = transaction.cursor(tree);
  for (bool found = cursor->first(); found; found = cursor->next()) {
    rows.emplace(asText(cursor->key()), asText(cursor->value()));
  }
  return rows;
}

inline std::shared_ptr<Environment> open(const std::filesystem::path& path,
                                         const StoreOptions& options = {}) {
  return openLmdb(path, options);
}
inline StoreOptions withMode(OpenMode mode) {
  StoreOptions options;
  options.mode = mode;
  return options;
}
inline StoreOptions withMapSize(std::uint64_t bytes) {
  StoreOptions options;
  options.mapSize = bytes;
  return options;
}

// For tests of what has nothing to do with durability.
inline StoreOptions unsynced() {
  StoreOptions options;
  options.durability = Durability::off;
  return options;
}

inline void writeFile(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}
inline std::string readFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline mode_t permissions(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777U : 0;
}

}  // namespace instar::storage
