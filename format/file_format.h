#pragma once

// Versions of the file format. They only go up. Each constant says what code that knows only the one before
// would misread.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace instar {

// "INSTAR" and two bytes that text never contains, read as a little-endian number.
inline constexpr std::uint64_t kMagic = 0xff01'5241'5453'4e49;

// 1: rows with the header of row.h, the catalog of catalog.capnp, one tree of rows per collection.
inline constexpr std::uint16_t kFileFormat1 = 1;

inline constexpr std::uint16_t kFileFormat =
    kFileFormat1;  // what this code writes, and the newest that it reads

// Trees in the file.
inline constexpr std::string_view kCatalogTree = "catalog";
inline constexpr std::string_view kRowTreePrefix = "rows/";   // and the name of the collection
inline constexpr std::string_view kColdTreePrefix = "cold/";  // likewise: its cold blocks (cold_block.h)

// Keys in the catalog.
inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kGenerationKey = "generation";
inline constexpr std::string_view kCollectionKeyPrefix = "collection/";
inline constexpr std::string_view kVersionKeyPrefix = "version/";

inline constexpr std::size_t kMaxCollectionNameLength = 128;
inline constexpr std::size_t kMaxCollections = 1000;

// Throws Error(fixCall) unless the name has 1 to kMaxCollectionNameLength bytes of UTF-8 without slash
// and control characters.
void checkCollectionName(std::string_view name);

}  // namespace instar
