// Arbitrary bytes as a cold block: refused, or rows in the order of their keys. The same bytes as what zstd
// would unpack, under a header and a checksum that are right. And rows made of them come back.

#include <array>
#include <cstdint>
#include <vector>

#include "instar/format/checksum.h"
#include "instar/format/cold_block.h"
#include "instar/format/internal/block_header.h"
#include "instar/tests/fuzz/fuzzers.h"

namespace {

using namespace instar;

constexpr std::size_t kKeyLength = 3;

void checkBlock(Bytes lastKey, Bytes value) {
  BlockDamage damage;
  const auto block = UnpackedBlock::unpack(lastKey, value, nullptr, damage);
  fuzz::require((block == nullptr) == (damage != BlockDamage::none), "no block without a reason");
  if (block == nullptr) return;
  fuzz::require(compareBytes(block->key(block->rows() - 1), lastKey) == 0, "the last key is the one named");
  unsigned sum = 0;
  for (std::size_t i = 0; i < block->rows(); ++i) {
    fuzz::require(i == 0 || compareBytes(block->key(i - 1), block->key(i)) < 0, "keys ascend");
    for (const std::byte byte : block->payload(i)) sum += static_cast<unsigned>(byte);
  }
  fuzz::require(sum < 0xffff'ffff, "payloads can be read");
  ColdBlockHeader header;
  fuzz::require(decodeBlockHeader(value, header) == BlockDamage::none, "its header has been read");
  for (std::size_t i = 0; i < block->rows(); ++i) {
    const Bytes key = block->key(i);
    const auto section = UnpackedSection::unpack(lastKey, header, header.sectionOf(key), nullptr, damage);
    const std::size_t row = section->lowerBound(key);
    fuzz::require(row < section->rows() && compareBytes(section->key(row), key) == 0,
                  "a row is found by its key");
  }
}

// Gets past the checksum, which random bytes never do. The first three bytes say how many rows are in each of
// two sections, how long the first key is, and where the second section begins; its bound is the fourth.
void checkUnpacked(Bytes lastKey, Bytes input) {
  if (input.size() < 4 + kKeyLength) return;
  const Bytes firstKey = input.subspan(4, 1 + static_cast<std::size_t>(input[1]) % kKeyLength);
  const Bytes rest = input.subspan(4 + kKeyLength);
  const std::size_t cut = static_cast<std::size_t>(input[2]) * 8;
  BlockHeaderBytes header;
  header.sections = cut < rest.size() ? 2 : 1;
  header.version = 1;
  header.number = 1;
  static Compressor compressor;
  std::vector<SectionEnds> table;
  std::vector<std::byte> frames;
  SectionEnds ends;
  for (std::size_t i = 0; i < header.sections; ++i) {
    const Bytes unpacked = header.sections == 1 ? rest : i == 0 ? rest.first(cut) : rest.subspan(cut);
    std::vector<std::byte> frame(Compressor::boundOf(unpacked.size()));
    frame.resize(compressor.compress(unpacked, frame));
    frames.insert(frames.end(), frame.begin(), frame.end());
    ends.frame = static_cast<std::uint32_t>(frames.size());
    ends.unpacked += static_cast<std::uint32_t>(unpacked.size());
    ends.rows = static_cast<std::uint16_t>(ends.rows + 1 + (static_cast<unsigned>(input[0]) >> (4 * i)) % 8);
    ends.bound = static_cast<std::uint16_t>(i == 0 ? firstKey.size() : firstKey.size() + 1);
    table.push_back(ends);
  }
  std::vector<std::byte> block;
  const Bytes secondBound = input.subspan(3, header.sections - std::size_t{1});
  for (const Bytes part : {Bytes(std::as_bytes(std::span(&header, 1))),
                           Bytes(std::as_bytes(std::span(table))), firstKey, secondBound, Bytes(frames)})
    block.insert(block.end(), part.begin(), part.end());
  std::uint64_t start;
  std::memcpy(&start, block.data(), sizeof start);
  const std::uint64_t checksum = blockChecksum(lastKey, start, Bytes(block).subspan(kChecksummedOffset));
  std::memcpy(block.data() + kChecksumOffset, &checksum, sizeof checksum);
  checkBlock(lastKey, block);
}

// The input as payloads of one to four words under keys that count up.
void checkRoundTrip(Bytes input) {
  std::vector<std::array<std::byte, 2>> keys;
  std::vector<Bytes> payloads;
  for (Bytes rest = input; rest.size() >= 32 && keys.size() < 200;) {
    const std::size_t length = (1 + static_cast<std::size_t>(rest[0]) % 4) * 8;
    keys.push_back({static_cast<std::byte>(keys.size()), rest[1]});
    payloads.push_back(rest.first(length));
    rest = rest.subspan(length);
  }
  if (keys.empty()) return;
  std::vector<ColdRow> rows;
  for (std::size_t i = 0; i < keys.size(); ++i) rows.push_back({keys[i], payloads[i]});
  BlockPacker packer(1, nullptr, {.section = 64 + static_cast<std::size_t>(input[2])});
  std::vector<std::byte> value;
  const std::size_t count = packer.pack(rows, 1, value);
  BlockDamage damage;
  const auto block = UnpackedBlock::unpack(rows[count - 1].key, value, nullptr, damage);
  fuzz::require(block != nullptr && block->rows() == count, "what was packed is unpacked");
  for (std::size_t i = 0; i < count; ++i) {
    fuzz::require(compareBytes(block->key(i), rows[i].key) == 0, "keys come back");
    fuzz::require(compareBytes(block->payload(i), rows[i].payload) == 0, "and payloads");
  }
  value[static_cast<std::size_t>(input[0]) * 31 % value.size()] ^= std::byte{0x10};
  fuzz::require(UnpackedBlock::unpack(rows[count - 1].key, value, nullptr, damage) == nullptr,
                "a flipped bit is noticed");
}

}  // namespace

void instar::fuzz::fuzzBlock(Bytes bytes) {
  if (bytes.size() <= kKeyLength) return;
  checkBlock(bytes.first(kKeyLength), bytes.subspan(kKeyLength));
  checkUnpacked(bytes.first(kKeyLength), bytes.subspan(kKeyLength));
  checkRoundTrip(bytes);
}
