// Arbitrary bytes as a cold block: refused, or rows in the order of their keys. The same bytes as what zstd
// would unpack, under a header and a checksum that are right. And rows made of them come back.

#include <array>
#include <cstdint>
#include <vector>

#include "instar/format/checksum.h"
#include "instar/format/cold_block.h"
#include "instar/format/internal/block_header.h"
#include "instar/tests/fuzz/fuzzing.h"

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
    fuzz::require(block->lowerBound(block->key(i)) == i, "a row is found by its key");
    for (const std::byte byte : block->payload(i)) sum += static_cast<unsigned>(byte);
  }
  fuzz::require(sum < 0xffff'ffff, "payloads can be read");
}

// Gets past the checksum, which random bytes never do. The first two bytes say how many rows and how long the
// first key is.
void checkUnpacked(Bytes lastKey, Bytes input) {
  if (input.size() < 2 + kKeyLength) return;
  const Bytes firstKey = input.subspan(2, 1 + static_cast<std::size_t>(input[1]) % kKeyLength);
  const Bytes unpacked = input.subspan(2 + kKeyLength);
  BlockHeaderBytes header;
  header.version = 1;
  header.rows = 1 + static_cast<std::uint32_t>(input[0]) % 8;
  header.number = 1;
  header.unpackedLength = static_cast<std::uint32_t>(unpacked.size());
  header.firstKeyLength = static_cast<std::uint16_t>(firstKey.size());
  static Compressor compressor;
  std::vector<std::byte> frame(Compressor::boundOf(unpacked.size()));
  frame.resize(compressor.compress(unpacked, frame));
  std::vector<std::byte> block(kBlockHeaderLength);
  std::memcpy(block.data(), &header, sizeof header);
  block.insert(block.end(), firstKey.begin(), firstKey.end());
  block.insert(block.end(), frame.begin(), frame.end());
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
  BlockPacker packer(1);
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

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = fuzz::inputBytes(data, size);
  if (size <= kKeyLength) return 0;
  checkBlock(bytes.first(kKeyLength), bytes.subspan(kKeyLength));
  checkUnpacked(bytes.first(kKeyLength), bytes.subspan(kKeyLength));
  checkRoundTrip(bytes);
  return 0;
}
