#pragma once

// A cold block: rows of one schema version in key order, compressed together; the value that LMDB holds under
// the last of their keys.
//
//     0  u8   block format, now 1; 0 is never valid
//     1  u8   zero
//     2  u16  schema version of all its rows, never 0
//     4  u32  number of rows n, 1..65535
//     8  u64  checksum (checksum.h) over last key and block
//    16  u64  number of the block: unique in the file, never used again, never 0
//    24  u32  bytes of the unpacked block, at most kMaxUnpackedLength
//    28  u32  id of the dictionary, 0 for none
//    32  u16  length of the first key, 1..511
//    34  6 bytes of zero
//    40  first key, then one zstd frame (compression.h) to the end
//
// Unpacked, column by column, because like compresses well beside like:
//
//     u32  words of the payload          [n]   each 1 or more
//     u16  bytes of the key that it shares with the key before, as many as there are   [n]   0 in the first
//     u16  bytes of the key after those  [n]   1 or more
//     payloads                           whole words, so that each is 8-byte aligned
//     ends of the keys                   what they do not share
//
// Numbers are little-endian. Pure functions over memory; thread rules are named at each class.

#include <cstdint>
#include <memory>
#include <vector>

#include "instar/format/bytes.h"
#include "instar/format/compression.h"

namespace instar {

inline constexpr std::uint8_t kBlockFormat = 1;
inline constexpr std::size_t kBlockHeaderLength = 40;
inline constexpr std::size_t kMaxBlockRows = 65'535;
// LMDB's page of 4096 bytes less its header of 16: a larger value needs neighbouring free pages.
inline constexpr std::size_t kBlockTarget = 4080;
// Larger payloads gain little from being packed with others, and make a block costly to unpack.
inline constexpr std::size_t kMostColdPayload = std::size_t{64} << 10;
// So that a damaged header cannot ask for much memory; a block that was made for one page needs a
// hundredth of it.
inline constexpr std::size_t kMaxUnpackedLength = std::size_t{16} << 20;

struct ColdRow {
  Bytes key;
  Bytes payload;  // as in a Row: whole words, one or more
};

enum class BlockDamage : std::uint8_t {
  none = 0,
  truncated,       // shorter than its header and first key
  unknownFormat,   // the block format is not one of ours
  reserved,        // bytes that must be zero are not
  version,         // schema version 0
  rowCount,        // outside 1..65535
  number,          // the block's number is 0
  unpackedLength,  // too large, or too small for the rows
  firstKeyLength,  // outside 1..511
  checksum,        // does not match
  dictionary,      // another than the given one is needed
  frame,           // zstd refuses it, or it has another length
  lengths,         // of rows or keys: they do not add up
  keyOrder,        // the keys do not ascend, or share more than is said
  boundaries,      // first or last key is not the one that is named
};

// What is wrong, for messages: "the checksum does not match".
const char* describe(BlockDamage damage) noexcept;

struct ColdBlockHeader {
  std::uint16_t version = 0;
  std::uint32_t rows = 0;
  std::uint64_t number = 0;
  std::uint32_t unpackedLength = 0;
  std::uint32_t dictionary = 0;  // id; 0 for none
  Bytes firstKey;                // borrowed from the value that was decoded, as is the frame
  Bytes frame;
};

// Fills `header` and returns BlockDamage::none, or says what is wrong and leaves `header` alone. Looks at the
// header's form only, not at the checksum: cheap, for finding the block that may hold a key.
BlockDamage decodeBlockHeader(Bytes value, ColdBlockHeader& header) noexcept;

// Whether the checksum matches, so that the header may be believed too. `value` has passed decodeBlockHeader().
bool blockIsIntact(Bytes lastKey, Bytes value) noexcept;

// The rows of a block. Never changes; shared by threads.
class UnpackedBlock {
  struct Private {
    explicit Private() = default;
  };

 public:
  // Checks everything that the block promises: checksum, frame, lengths, order of the keys. Null where it is
  // damaged, and `damage` says how. `dictionary` is the one that the header names, null where it names none.
  // Borrows nothing. std::bad_alloc where there is no memory.
  static std::shared_ptr<const UnpackedBlock> unpack(Bytes lastKey, Bytes value, const Dictionary* dictionary,
                                                     BlockDamage& damage);

  std::size_t rows() const noexcept { return rows_; }
  std::uint16_t version() const noexcept { return version_; }
  std::uint64_t number() const noexcept { return number_; }

  // Borrowed from the block; payloads are 8-byte aligned. `row` is less than rows().
  Bytes key(std::size_t row) const noexcept {
    return {keys_ + keyStarts_[row], keyStarts_[row + 1] - keyStarts_[row]};
  }
  Bytes payload(std::size_t row) const noexcept {
    return {payloads_ + payloadWords_[row] * std::size_t{8},
            (payloadWords_[row + 1] - payloadWords_[row]) * std::size_t{8}};
  }

  // The first row whose key is not less than `key`; rows() where there is none.
  std::size_t lowerBound(Bytes key) const noexcept;

  // The memory that it takes, all of it: what a cache counts.
  std::size_t bytes() const noexcept { return bytes_; }

  explicit UnpackedBlock(Private) noexcept {}

 private:
  BlockDamage readRows(Bytes firstKey, Bytes lastKey, std::size_t length);

  std::uint16_t version_ = 0;
  std::uint64_t number_ = 0;
  std::size_t rows_ = 0;
  std::size_t bytes_ = 0;
  const std::byte* payloads_ = nullptr;
  const std::byte* keys_ = nullptr;
  const std::uint32_t* payloadWords_ = nullptr;  // where each payload begins, and the end of the last
  const std::uint32_t* keyStarts_ = nullptr;     // likewise
  std::unique_ptr<std::byte[]> unpacked_;        // as zstd made it
  std::unique_ptr<std::byte[]> index_;           // the two columns above, then whole keys
};

// Makes blocks of about one size from rows of one version. Learns from each block how far rows can be
// compressed, so keep one for all blocks of a collection. One thread at a time.
class BlockPacker {
 public:
  explicit BlockPacker(std::uint16_t version, int level = kCompressionLevel,
                       std::shared_ptr<const Dictionary> dictionary = nullptr,
                       std::size_t target = kBlockTarget);

  // Packs as many of the first rows as fit in `target` bytes, at least one even where it is larger, into
  // `block`, which is stored under the key of the last of them. Returns how many.
  //
  // `rows`: one or more, keys of 1..511 bytes strictly ascending, payloads of at most kMostColdPayload bytes.
  // Give more than a block will hold, some hundred, and offer the rest again. `number` is never 0. Keeps
  // nothing of `rows`.
  std::size_t pack(std::span<const ColdRow> rows, std::uint64_t number, std::vector<std::byte>& block);

 private:
  std::size_t fittingRows(std::span<const ColdRow> rows, double unpackedLength);
  Bytes compressRows(std::span<const ColdRow> rows);
  void writeBlock(std::span<const ColdRow> rows, std::uint64_t number, Bytes frame,
                  std::vector<std::byte>& block) const;

  std::uint16_t version_;
  std::size_t target_;
  Compressor compressor_;
  double ratio_;                             // bytes of frame per unpacked byte, as seen so far
  std::vector<std::uint16_t> shared_;        // of the rows measured in this call: what keys share
  std::vector<std::uint32_t> unpackedEnds_;  // likewise: bytes up to the end of each row
  std::vector<std::byte> laidOut_;           // scratch: what is compressed, and its frame
  std::vector<std::byte> frame_;
};

}  // namespace instar
