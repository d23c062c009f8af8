#pragma once

// RocksDB without Instar, where it is installed: rows written once in key order, compressed by zstd, all of
// them compacted. One thread.

#include <cstdint>
#include <filesystem>

#include "instar/engine/store.h"

namespace instar::bench {

// Copies the rows of a collection, each as key and stored payload, into a new database in the folder; returns
// the bytes of its tables. `blockSize` is in bytes, before compression. Throws std::runtime_error.
std::uint64_t copyToRocksDb(const Store& store, std::string_view collection,
                            const std::filesystem::path& folder, std::size_t blockSize);

}  // namespace instar::bench
