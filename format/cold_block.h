#pragma once

// A cold block: rows of one schema version in key order, the value that LMDB holds under the last of their
// keys. It fills a page and has sections, each compressed and unpacked by itself: who reads one row unpacks
// one section.
//
//     0  u8   block format, now 2; 0 is never valid
//     1  u8   number of sections s, 1..64
//     2  u16  schema version of all its rows, never 0
//     4  u32  id of the dictionary, 0 for none
//     8  u64  checksum (checksum.h) over last key and block
//    16  u64  number of the block: unique in the file, never used again, never 0
//    24  s entries of 12 bytes, each with four ends, counted from where the first section begins:
//         u32  of its frame
//         u32  of its unpacked bytes, at most kMaxUnpackedLength in all
//         u16  of its rows, at most 65535 in all
//         u16  of its bound
//        bounds, 1..511 bytes each, ascending: the first key of the block; of each other section as much of
//        its first key as makes that greater than all keys before it
//        frames (compression.h), to the end of the block
//
// A section, unpacked, with n rows, column by column, because like compresses well beside like:
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

inline constexpr std::uint8_t kBlockFormat = 2;
inline constexpr std::size_t kBlockHeaderLength = 24;
inline constexpr std::size_t kSectionEntryLength = 12;
inline constexpr std::size_t kMaxBlockSections = 64;  // a block that was made for one page has some five
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
  truncated,       // shorter than its header says
  unknownFormat,   // the block format is not one of ours
  version,         // schema version 0
  number,          // the block's number is 0
  sections,        // their number is outside 1..64, or their ends do not ascend to the end of the block
  rowCount,        // a section without rows
  unpackedLength,  // too large, or too small for the rows
  bounds,          // of sections: too short or too long, or they do not ascend
  checksum,        // does not match
  dictionary,      // another than the given one is needed
  frame,           // zstd refuses it, or it has another length
  lengths,         // of rows or keys: they do not add up
  keyOrder,        // the keys do not ascend, or share more than is said
  boundaries,  // the keys of a section are not between its bounds, or the last is not the one that is named
};

// What is wrong, for messages: "the checksum does not match".
const char* describe(BlockDamage damage) noexcept;

// An entry of the table, as it lies in the file.
struct SectionEnds {
  std::uint32_t frame = 0;
  std::uint32_t unpacked = 0;
  std::uint16_t rows = 0;
  std::uint16_t bound = 0;
};
static_assert(sizeof(SectionEnds) == kSectionEntryLength);

struct StoredSection {
  std::size_t rows = 0;
  std::size_t unpackedLength = 0;
  Bytes bound;
  Bytes frame;
};

// Borrows the value that it was decoded from.
struct ColdBlockHeader {
  std::uint16_t version = 0;
  std::uint32_t sections = 0;
  std::uint32_t rows = 0;
  std::uint64_t number = 0;
  std::uint64_t checksum = 0;
  std::uint32_t unpackedLength = 0;
  std::uint32_t dictionary = 0;  // id; 0 for none
  Bytes firstKey;
  Bytes value;

  StoredSection section(std::size_t index) const noexcept;  // less than `sections`
  // The one that has `key` if the block has it; the first where the key lies before the block.
  std::size_t sectionOf(Bytes key) const noexcept;
};

// Fills `header` and returns BlockDamage::none, or says what is wrong and leaves `header` alone. Looks at the
// form of header and table only, not at the checksum: cheap, for finding the section that may hold a key.
BlockDamage decodeBlockHeader(Bytes value, ColdBlockHeader& header) noexcept;

// Whether the checksum matches, so that the header may be believed too.
bool blockIsIntact(Bytes lastKey, const ColdBlockHeader& header) noexcept;

// The rows of one section. Never changes; shared by threads.
class UnpackedSection {
  struct Private {
    explicit Private() = default;
  };

 public:
  // Checks everything that the block promises of it: checksum, frame, lengths, order of the keys. Null where
  // it is damaged, and `damage` says how. `dictionary` is the one that the header names, null where it names
  // none. Borrows nothing. std::bad_alloc where there is no memory.
  static std::shared_ptr<const UnpackedSection> unpack(Bytes lastKey, const ColdBlockHeader& header,
                                                       std::size_t section, const Dictionary* dictionary,
                                                       BlockDamage& damage);

  // Whether it is one of that very block, as far as that one's first bytes say.
  bool isOf(const ColdBlockHeader& header) const noexcept {
    return number_ == header.number && checksum_ == header.checksum && sections_ == header.sections;
  }

  std::size_t rows() const noexcept { return rows_; }
  std::uint16_t version() const noexcept { return version_; }
  std::uint64_t number() const noexcept { return number_; }  // of the block
  std::size_t section() const noexcept { return section_; }  // of the block's, the first is 0
  bool isLast() const noexcept { return section_ + 1 == sections_; }

  // Borrowed from the section; payloads are 8-byte aligned. `row` is less than rows().
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

  explicit UnpackedSection(Private) noexcept {}

 private:
  friend class UnpackedBlock;
  static std::shared_ptr<const UnpackedSection> unpackIntact(Bytes lastKey, const ColdBlockHeader& header,
                                                             std::size_t section,
                                                             const Dictionary* dictionary,
                                                             BlockDamage& damage);
  BlockDamage readRows(std::size_t length);

  std::uint16_t version_ = 0;
  std::uint32_t section_ = 0;
  std::uint32_t sections_ = 0;
  std::uint64_t number_ = 0;
  std::uint64_t checksum_ = 0;
  std::size_t rows_ = 0;
  std::size_t bytes_ = 0;
  const std::byte* payloads_ = nullptr;
  const std::byte* keys_ = nullptr;
  const std::uint32_t* payloadWords_ = nullptr;  // where each payload begins, and the end of the last
  const std::uint32_t* keyStarts_ = nullptr;     // likewise
  std::unique_ptr<std::byte[]> unpacked_;        // as zstd made it
  std::unique_ptr<std::byte[]> index_;           // the two columns above, then whole keys
};

// All sections of a block one behind another, for who goes over all of its rows. Never changes.
class UnpackedBlock {
  struct Private {
    explicit Private() = default;
  };

 public:
  // As UnpackedSection::unpack(); `value` is the block as it is stored.
  static std::shared_ptr<const UnpackedBlock> unpack(Bytes lastKey, Bytes value, const Dictionary* dictionary,
                                                     BlockDamage& damage);

  std::size_t rows() const noexcept { return rows_.size(); }
  std::uint16_t version() const noexcept { return sections_.front()->version(); }
  std::uint64_t number() const noexcept { return sections_.front()->number(); }

  // Borrowed from the block. `row` is less than rows().
  Bytes key(std::size_t row) const noexcept { return rows_[row].key; }
  Bytes payload(std::size_t row) const noexcept { return rows_[row].payload; }

  // The memory of its sections.
  std::size_t bytes() const noexcept;

  explicit UnpackedBlock(Private) noexcept {}

 private:
  std::vector<std::shared_ptr<const UnpackedSection>> sections_;
  std::vector<ColdRow> rows_;
};

// How blocks are made; a section is unpacked the sooner the smaller it is.
struct BlockSettings {
  int level = kCompressionLevel;
  Literals literals = Literals::packed;
  std::size_t section = SIZE_MAX;     // unpacked bytes that a section should have, more or less by half
  std::size_t target = kBlockTarget;  // bytes of a block
};
// Makes blocks of about one size from rows of one version. Learns from each section how far rows can be
// compressed, so keep one for all blocks of a collection. One thread at a time.
class BlockPacker {
 public:
  // With a dictionary sections are small, without one a block is one section.
  explicit BlockPacker(std::uint16_t version, std::shared_ptr<const Dictionary> dictionary = nullptr);
  BlockPacker(std::uint16_t version, std::shared_ptr<const Dictionary> dictionary,
              const BlockSettings& settings);

  // Packs as many of the first rows as fit in the target, at least one even where it is larger, into `block`,
  // which is stored under the key of the last of them. Returns how many.
  //
  // `rows`: one or more, keys of 1..511 bytes strictly ascending, payloads of at most kMostColdPayload bytes.
  // Give more than a block will hold, some hundred, and offer the rest again. `number` is never 0. Keeps
  // nothing of `rows`.
  std::size_t pack(std::span<const ColdRow> rows, std::uint64_t number, std::vector<std::byte>& block);

 private:
  std::size_t packSection(std::span<const ColdRow> rows, Bytes bound);
  std::size_t fittingRows(std::span<const ColdRow> rows, double unpackedLength);
  Bytes compressRows(std::span<const ColdRow> rows);
  void writeBlock(Bytes lastKey, std::uint64_t number, std::vector<std::byte>& block) const;

  std::uint16_t version_;
  BlockSettings settings_;
  Compressor compressor_;
  double ratio_;                   // bytes of frame per unpacked byte, as seen so far
  std::vector<SectionEnds> ends_;  // of the block that is being made, as are the next two
  std::vector<std::byte> bounds_;
  std::vector<std::byte> frames_;
  std::vector<std::uint16_t> shared_;        // of the rows measured for this section: what keys share
  std::vector<std::uint32_t> unpackedEnds_;  // likewise: bytes up to the end of each row
  std::vector<std::byte> laidOut_;           // scratch: what is compressed, and its frame
  std::vector<std::byte> frame_;
};

}  // namespace instar
