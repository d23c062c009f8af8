#include "instar/format/cold_block.h"

#include <algorithm>
#include <bit>

#include "instar/format/checksum.h"
#include "instar/format/internal/block_header.h"
#include "instar/format/key.h"

namespace instar {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers in blocks are read in place");

// A row takes at least its lengths, one word of payload and one byte of key.
constexpr std::size_t kLeastRowLength = kRowLengthsLength + 8 + 1;

SectionEnds endsOf(Bytes value, std::size_t section) noexcept {
  SectionEnds ends;
  std::memcpy(&ends, value.data() + kBlockHeaderLength + section * kSectionEntryLength, sizeof ends);
  return ends;
}

BlockDamage judgeForm(const BlockHeaderBytes& header) noexcept {
  if (header.format != kBlockFormat) return BlockDamage::unknownFormat;
  if (header.version == 0) return BlockDamage::version;
  if (header.number == 0) return BlockDamage::number;
  if (header.sections == 0 || header.sections > kMaxBlockSections) return BlockDamage::sections;
  return BlockDamage::none;
}

// So that no section leads out of the block, nor asks for more memory than a block may.
BlockDamage judgeTable(Bytes value, std::size_t sections) noexcept {
  const std::size_t boundsBegin = kBlockHeaderLength + sections * kSectionEntryLength;
  if (value.size() < boundsBegin) return BlockDamage::truncated;
  const SectionEnds last = endsOf(value, sections - 1);
  if (value.size() - boundsBegin < std::uint64_t{last.bound} + last.frame) return BlockDamage::truncated;
  if (value.size() - boundsBegin != std::uint64_t{last.bound} + last.frame) return BlockDamage::sections;
  SectionEnds before;
  Bytes boundBefore;
  for (std::size_t i = 0; i < sections; ++i) {
    const SectionEnds ends = endsOf(value, i);
    if (ends.frame <= before.frame) return BlockDamage::sections;
    if (ends.rows <= before.rows) return BlockDamage::rowCount;
    const std::size_t rows = std::size_t{ends.rows} - before.rows;
    if (ends.unpacked > kMaxUnpackedLength || ends.unpacked < before.unpacked + rows * kLeastRowLength)
      return BlockDamage::unpackedLength;
    if (ends.bound <= before.bound || ends.bound > last.bound || ends.bound > before.bound + kMaxKeyLength)
      return BlockDamage::bounds;
    const Bytes bound = value.subspan(boundsBegin + before.bound, std::size_t{ends.bound} - before.bound);
    if (compareBytes(bound, boundBefore) <= 0) return BlockDamage::bounds;
    before = ends;
    boundBefore = bound;
  }
  return BlockDamage::none;
}

constexpr std::size_t kPrefetched = 2048;  // bytes, when a row is looked for

}  // namespace

const char* describe(BlockDamage damage) noexcept {
  switch (damage) {
    case BlockDamage::none:
      return "nothing is wrong";
    case BlockDamage::truncated:
      return "the block is shorter than its header says";
    case BlockDamage::unknownFormat:
      return "the block format is unknown";
    case BlockDamage::version:
      return "the schema version is 0";
    case BlockDamage::number:
      return "the number of the block is 0";
    case BlockDamage::sections:
      return "the sections do not fill the block";
    case BlockDamage::rowCount:
      return "the number of rows is out of range";
    case BlockDamage::unpackedLength:
      return "the unpacked length is out of range";
    case BlockDamage::bounds:
      return "the bounds of sections are out of range or out of order";
    case BlockDamage::checksum:
      return "the checksum does not match";
    case BlockDamage::dictionary:
      return "the block was made with another dictionary";
    case BlockDamage::frame:
      return "the compressed bytes cannot be unpacked";
    case BlockDamage::lengths:
      return "the lengths of rows or keys do not add up";
    case BlockDamage::keyOrder:
      return "the keys do not ascend";
    case BlockDamage::boundaries:
      return "the keys of a section are not the ones that are named";
  }
  return "unknown damage";
}

StoredSection ColdBlockHeader::section(std::size_t index) const noexcept {
  const std::size_t boundsBegin = kBlockHeaderLength + sections * kSectionEntryLength;
  const std::size_t framesBegin = boundsBegin + endsOf(value, sections - 1).bound;
  const SectionEnds before = index == 0 ? SectionEnds() : endsOf(value, index - 1);
  const SectionEnds ends = endsOf(value, index);
  return {.rows = std::size_t{ends.rows} - before.rows,
          .unpackedLength = ends.unpacked - before.unpacked,
          .bound = value.subspan(boundsBegin + before.bound, std::size_t{ends.bound} - before.bound),
          .frame = value.subspan(framesBegin + before.frame, ends.frame - before.frame)};
}

std::size_t ColdBlockHeader::sectionOf(Bytes key) const noexcept {
  std::size_t index = sections - 1;
  while (index != 0 && compareBytes(section(index).bound, key) > 0) --index;
  return index;
}

BlockDamage decodeBlockHeader(Bytes value, ColdBlockHeader& header) noexcept {
  if (value.size() < kBlockHeaderLength) return BlockDamage::truncated;
  BlockHeaderBytes bytes;
  std::memcpy(&bytes, value.data(), sizeof bytes);
  BlockDamage damage = judgeForm(bytes);
  if (damage == BlockDamage::none) damage = judgeTable(value, bytes.sections);
  if (damage != BlockDamage::none) return damage;
  const SectionEnds last = endsOf(value, bytes.sections - std::size_t{1});
  header = {.version = bytes.version,
            .sections = bytes.sections,
            .rows = last.rows,
            .number = bytes.number,
            .checksum = bytes.checksum,
            .unpackedLength = last.unpacked,
            .dictionary = bytes.dictionary,
            .firstKey = {},
            .value = value};
  header.firstKey = header.section(0).bound;
  return BlockDamage::none;
}

bool blockIsIntact(Bytes lastKey, const ColdBlockHeader& header) noexcept {
  std::uint64_t start;
  std::memcpy(&start, header.value.data(), sizeof start);
  return blockChecksum(lastKey, start, header.value.subspan(kChecksummedOffset)) == header.checksum;
}

std::shared_ptr<const UnpackedSection> UnpackedSection::unpack(Bytes lastKey, const ColdBlockHeader& header,
                                                               std::size_t section,
                                                               const Dictionary* dictionary,
                                                               BlockDamage& damage) {
  if (blockIsIntact(lastKey, header)) return unpackIntact(lastKey, header, section, dictionary, damage);
  damage = BlockDamage::checksum;
  return nullptr;
}

std::shared_ptr<const UnpackedSection> UnpackedSection::unpackIntact(Bytes lastKey,
                                                                     const ColdBlockHeader& header,
                                                                     std::size_t section,
                                                                     const Dictionary* dictionary,
                                                                     BlockDamage& damage) {
  const auto refuse = [&damage](BlockDamage reason) {
    damage = reason;
    return nullptr;
  };
  if (header.dictionary != (dictionary == nullptr ? 0 : dictionary->id()))
    return refuse(BlockDamage::dictionary);
  const StoredSection stored = header.section(section);
  const auto unpacked = std::make_shared<UnpackedSection>(Private{});
  unpacked->version_ = header.version;
  unpacked->section_ = static_cast<std::uint32_t>(section);
  unpacked->sections_ = header.sections;
  unpacked->number_ = header.number;
  unpacked->checksum_ = header.checksum;
  unpacked->rows_ = stored.rows;
  unpacked->unpacked_ = std::make_unique_for_overwrite<std::byte[]>(stored.unpackedLength);
  if (!decompress(stored.frame, {unpacked->unpacked_.get(), stored.unpackedLength}, dictionary))
    return refuse(BlockDamage::frame);
  damage = unpacked->readRows(stored.unpackedLength);
  if (damage != BlockDamage::none) return nullptr;

  const Bytes first = unpacked->key(0);
  const Bytes last = unpacked->key(stored.rows - 1);
  const bool beginsThere =
      section == 0 ? compareBytes(first, stored.bound) == 0 : startsWith(first, stored.bound);
  const bool endsThere = unpacked->isLast() ? compareBytes(last, lastKey) == 0
                                            : compareBytes(last, header.section(section + 1).bound) < 0;
  if (!beginsThere || !endsThere) return refuse(BlockDamage::boundaries);
  return unpacked;
}

// 1. Adds up the lengths, so that nothing below can lead out of the section.
// 2. Makes the index: where each payload and each key begins.
// 3. Restores the keys, each from the one before, and checks that they ascend: the first byte that a key does
//    not share is larger than the other's, or the other has none there.
BlockDamage UnpackedSection::readRows(std::size_t length) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(unpacked_.get());
  const auto* shared = reinterpret_cast<const std::uint16_t*>(words + rows_);
  const auto* ends = shared + rows_;
  payloads_ = unpacked_.get() + rows_ * kRowLengthsLength;

  std::uint64_t allWords = 0;
  std::uint64_t sharedBytes = 0;
  std::uint64_t endBytes = 0;
  for (std::size_t row = 0; row < rows_; ++row) {
    if (words[row] == 0 || ends[row] == 0 || shared[row] + ends[row] > kMaxKeyLength)
      return BlockDamage::lengths;
    allWords += words[row];
    sharedBytes += shared[row];
    endBytes += ends[row];
  }
  if (rows_ * kRowLengthsLength + allWords * 8 + endBytes != length) return BlockDamage::lengths;

  const std::size_t indexLength = 2 * (rows_ + 1) * sizeof(std::uint32_t);
  const std::size_t keysLength = sharedBytes + endBytes;
  index_ = std::make_unique_for_overwrite<std::byte[]>(indexLength + keysLength);
  auto* payloadWords = reinterpret_cast<std::uint32_t*>(index_.get());
  auto* keyStarts = payloadWords + rows_ + 1;
  std::byte* const keys = index_.get() + indexLength;

  const std::byte* end = payloads_ + allWords * 8;
  const std::byte* previous = nullptr;
  std::size_t previousLength = 0;
  std::byte* key = keys;
  std::uint32_t word = 0;
  for (std::size_t row = 0; row < rows_; ++row) {
    payloadWords[row] = word;
    word += words[row];
    keyStarts[row] = static_cast<std::uint32_t>(key - keys);
    if (shared[row] > previousLength) return BlockDamage::lengths;
    if (shared[row] < previousLength && end[0] <= previous[shared[row]]) return BlockDamage::keyOrder;
    if (shared[row] != 0) std::memcpy(key, previous, shared[row]);
    std::memcpy(key + shared[row], end, ends[row]);
    end += ends[row];
    previous = key;
    previousLength = std::size_t{shared[row]} + ends[row];
    key += previousLength;
  }
  payloadWords[rows_] = word;
  keyStarts[rows_] = static_cast<std::uint32_t>(key - keys);

  payloadWords_ = payloadWords;
  keyStarts_ = keyStarts;
  keys_ = keys;
  constexpr std::size_t kOwner = 2 * sizeof(void*);  // what make_shared puts before the section
  bytes_ = kOwner + sizeof(*this) + length + indexLength + keysLength;
  return BlockDamage::none;
}

std::size_t UnpackedSection::lowerBound(Bytes key) const noexcept {
  // The search goes back and forth over these: asked for at once, they come while it begins.
  const std::byte* const index = index_.get();
  const std::size_t length =
      std::min(2 * (rows_ + 1) * sizeof(std::uint32_t) + keyStarts_[rows_], kPrefetched);
  for (std::size_t line = 0; line < length; line += 64) __builtin_prefetch(index + line);
  std::size_t begin = 0;
  std::size_t count = rows_;
  while (count > 0) {
    const std::size_t half = count / 2;
    if (compareBytes(this->key(begin + half), key) < 0) {
      begin += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return begin;
}

std::shared_ptr<const UnpackedBlock> UnpackedBlock::unpack(Bytes lastKey, Bytes value,
                                                           const Dictionary* dictionary,
                                                           BlockDamage& damage) {
  ColdBlockHeader header;
  damage = decodeBlockHeader(value, header);
  if (damage != BlockDamage::none) return nullptr;
  if (!blockIsIntact(lastKey, header)) {
    damage = BlockDamage::checksum;
    return nullptr;
  }
  const auto block = std::make_shared<UnpackedBlock>(Private{});
  block->rows_.reserve(header.rows);
  for (std::size_t i = 0; i < header.sections; ++i) {
    auto section = UnpackedSection::unpackIntact(lastKey, header, i, dictionary, damage);
    if (!section) return nullptr;
    for (std::size_t row = 0; row < section->rows(); ++row)
      block->rows_.push_back({section->key(row), section->payload(row)});
    block->sections_.push_back(std::move(section));
  }
  return block;
}

std::size_t UnpackedBlock::bytes() const noexcept {
  std::size_t bytes = 0;
  for (const auto& section : sections_) bytes += section->bytes();
  return bytes;
}

}  // namespace instar
