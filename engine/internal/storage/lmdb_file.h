#pragma once

// What can be told about an LMDB data file without opening it through LMDB, which maps whatever it is given
// and would end in a signal on a file that is not one, or is cut short. LMDB's layout (data version 1) as of
// 0.9.24's mdb.c.
//
// Pure functions over a descriptor or over numbers; any thread.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "instar/format/row.h"

namespace instar::storage {

// Throws Error(fixEnvironment) where the file is empty, is not an LMDB file or is one of another data
// version, and Error(restoreFromBackup) where only its beginning is left.
void checkLooksLikeLmdb(int descriptor, const std::filesystem::path& path);

// Throws Error(restoreFromBackup) where pages that are in use lie beyond the end of the file. A file may
// rightly end before its last page number: pages that were never written are listed as free. Only a file of
// that kind is looked into, and then only its list of free pages is read.
//
// The state of `transaction` must not change meanwhile: hold a read transaction of that number. False where
// the file has no longer that state: take a new one.
bool checkIsWhole(int descriptor, const std::filesystem::path& path, std::uint64_t transaction);

// Where LMDB puts a value, given its page size in bytes.
constexpr RowPlacement placementOf(std::size_t pageSize, std::size_t keyLength,
                                   std::size_t valueLength) noexcept {
  constexpr std::size_t kPageHeader = 16;
  constexpr std::size_t kNodeHeader = 8;
  constexpr std::size_t kMinNodesInPage = 2;
  const std::size_t largestNode = ((pageSize - kPageHeader) / kMinNodesInPage & ~std::size_t{1}) - 2;
  return kNodeHeader + keyLength + valueLength > largestNode ? RowPlacement::overflow : RowPlacement::leaf;
}

// What is known to be wrong with a release of LMDB; nothing for most.
std::optional<std::string> warningAboutLmdb(int major, int minor, int patch);

}  // namespace instar::storage
