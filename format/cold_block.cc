#include "instar/format/cold_block.h"

#include <algorithm>
#include <bit>

#include "instar/format/checksum.h"
#include "instar/format/internal/block_header.h"
#include "instar/format/key.h"

namespace instar {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers in blocks are read in place");

bool isZero(const BlockHeaderBytes& header) noexcept {
  return header.zero == 0 && std::ranges::all_of(header.zeros, [](std::uint8_t byte) { return byte == 0; });
}

// A row takes at least its lengths, one word of payload and one byte of key.
constexpr std::size_t kLeastRowLength = kRowLengthsLength + 8 + 1;

BlockDamage judgeForm(const BlockHeaderBytes& header) noexcept {
  if (header.format != kBlockFormat) return BlockDamage::unknownFormat;
  if (!isZero(header)) return BlockDamage::reserved;
  if (header.version == 0) return BlockDamage::version;
  if (header.rows == 0 || header.rows > kMaxBlockRows) return BlockDamage::rowCount;
  if (header.number == 0) return BlockDamage::number;
  if (header.unpackedLength > kMaxUnpackedLength || header.unpackedLength < header.rows * kLeastRowLength)
    return BlockDamage::unpackedLength;
  if (header.firstKeyLength == 0 || header.firstKeyLength > kMaxKeyLength) return BlockDamage::firstKeyLength;
  return BlockDamage::none;
}

constexpr std::size_t kPrefetched = 2048;  // bytes, when a row is looked for

}  // namespace

const char* describe(BlockDamage damage) noexcept {
  switch (damage) {
    case BlockDamage::none:
      return "nothing is wrong";
    case BlockDamage::truncated:
      return "the block is shorter than its header";
    case BlockDamage::unknownFormat:
      return "the block format is unknown";
    case BlockDamage::reserved:
      return "reserved bytes are not zero";
    case BlockDamage::version:
      return "the schema version is 0";
    case BlockDamage::rowCount:
      return "the number of rows is out of range";
    case BlockDamage::number:
      return "the number of the block is 0";
    case BlockDamage::unpackedLength:
      return "the unpacked length is out of range";
    case BlockDamage::firstKeyLength:
      return "the length of the first key is out of range";
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
      return "the first or the last key is not the one that is named";
  }
  return "unknown damage";
}

BlockDamage decodeBlockHeader(Bytes value, ColdBlockHeader& header) noexcept {
  if (value.size() < kBlockHeaderLength) return BlockDamage::truncated;
  BlockHeaderBytes bytes;
  std::memcpy(&bytes, value.data(), sizeof bytes);
  const BlockDamage damage = judgeForm(bytes);
  if (damage != BlockDamage::none) return damage;
  if (value.size() - kBlockHeaderLength <= bytes.firstKeyLength) return BlockDamage::truncated;
  header = {.version = bytes.version,
            .rows = bytes.rows,
            .number = bytes.number,
            .unpackedLength = bytes.unpackedLength,
            .dictionary = bytes.dictionary,
            .firstKey = value.subspan(kBlockHeaderLength, bytes.firstKeyLength),
            .frame = value.subspan(kBlockHeaderLength + bytes.firstKeyLength)};
  return BlockDamage::none;
}

bool blockIsIntact(Bytes lastKey, Bytes value) noexcept {
  std::uint64_t start;
  std::uint64_t checksum;
  std::memcpy(&start, value.data(), sizeof start);
  std::memcpy(&checksum, value.data() + kChecksumOffset, sizeof checksum);
  return blockChecksum(lastKey, start, value.subspan(kChecksummedOffset)) == checksum;
}

std::shared_ptr<const UnpackedBlock> UnpackedBlock::unpack(Bytes lastKey, Bytes value,
                                                           const Dictionary* dictionary,
                                                           BlockDamage& damage) {
  ColdBlockHeader header;
  damage = decodeBlockHeader(value, header);
  if (damage != BlockDamage::none) return nullptr;
  const auto refuse = [&damage](BlockDamage reason) {
    damage = reason;
    return nullptr;
  };
  if (!blockIsIntact(lastKey, value)) return refuse(BlockDamage::checksum);
  if (header.dictionary != (dictionary == nullptr ? 0 : dictionary->id()))
    return refuse(BlockDamage::dictionary);

  const auto block = std::make_shared<UnpackedBlock>(Private{});
  block->version_ = header.version;
  block->number_ = header.number;
  block->rows_ = header.rows;
  block->unpacked_ = std::make_unique_for_overwrite<std::byte[]>(header.unpackedLength);
  if (!decompress(header.frame, {block->unpacked_.get(), header.unpackedLength}, dictionary))
    return refuse(BlockDamage::frame);
  damage = block->readRows(header.firstKey, lastKey, header.unpackedLength);
  if (damage != BlockDamage::none) return nullptr;
  return block;
}

// 1. Adds up the lengths, so that nothing below can lead out of the block.
// 2. Makes the index: where each payload and each key begins.
// 3. Restores the keys, each from the one before, and checks that they ascend: the first byte that a key does
//    not share is larger than the other's, or the other has none there.
BlockDamage UnpackedBlock::readRows(Bytes firstKey, Bytes lastKey, std::size_t length) {
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
  constexpr std::size_t kOwner = 2 * sizeof(void*);  // what make_shared puts before the block
  bytes_ = kOwner + sizeof(*this) + length + indexLength + keysLength;
  const bool areNamed =
      compareBytes(this->key(0), firstKey) == 0 && compareBytes(this->key(rows_ - 1), lastKey) == 0;
  return areNamed ? BlockDamage::none : BlockDamage::boundaries;
}

std::size_t UnpackedBlock::lowerBound(Bytes key) const noexcept {
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

}  // namespace instar
