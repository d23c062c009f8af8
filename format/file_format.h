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

// 2: flags in the headers of rows, trees of cold blocks (cold_block.h). To code that knows only 1, a row with
// flags is damaged and a row in a block is not there. A file gets this number with its first block.
inline constexpr std::uint16_t kFileFormat2 = 2;

// 3: versions that are staged or aborted. Code that knows only 2 would take them for active. A file gets this
// number with the first of them.
inline constexpr std::uint16_t kFileFormat3 = 3;

inline constexpr std::uint16_t kFileFormat = kFileFormat3;  // the newest that this code reads

// Trees in the file.
inline constexpr std::string_view kCatalogTree = "catalog";
inline constexpr std::string_view kAuditTree = "audit";
inline constexpr std::string_view kRowTreePrefix = "rows/";   // and the name of the collection
inline constexpr std::string_view kColdTreePrefix = "cold/";  // likewise: its cold blocks (cold_block.h)
// Likewise: what compaction has replaced of both, until what took its place is verified. Code that does not
// know these trees leaves them as they are.
inline constexpr std::string_view kPreimageRowTreePrefix = "preimages/rows/";
inline constexpr std::string_view kPreimageColdTreePrefix = "preimages/cold/";

// Keys in the catalog.
inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kGenerationKey = "generation";
inline constexpr std::string_view kCollectionKeyPrefix = "collection/";
inline constexpr std::string_view kVersionKeyPrefix = "version/";
inline constexpr std::string_view kStagingKeyPrefix = "staging/";
inline constexpr std::string_view kDivergenceKeyPrefix = "divergence/";
inline constexpr std::string_view kTiersKeyPrefix = "tiers/";
inline constexpr std::string_view kDictionaryKeyPrefix = "dictionary/";
inline constexpr std::string_view kPartitionKeyPrefix = "partition/";
inline constexpr std::string_view kCompactionKey = "compaction";
inline constexpr std::string_view kAuditKey = "audit";
inline constexpr std::string_view kCanaryKeyPrefix = "canary/";

inline constexpr std::size_t kMaxCollectionNameLength = 128;
inline constexpr std::size_t kMaxCollections = 1000;

// Throws Error(fixCall) unless the name has 1 to kMaxCollectionNameLength bytes of UTF-8 without slash
// and control characters.
void checkCollectionName(std::string_view name);

}  // namespace instar
