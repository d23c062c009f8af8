#include "instar/format/row.h"

#include <bit>
#include <cassert>
namespace instar {

static_assert(std::endian::native == std::endian::little, "Cap'n Proto and LMDB files are read in place");

void encodeRow(std::span<std::byte> out, Bytes key, std::uint16_t version, Bytes payload,
               RowPlacement placement, RowFlags flags) noexcept {
  const std::size_t headerLength = rowHeaderLength(key.size(), placement);
  assert(version != 0 && payload.size() % 8 == 0 && payload.size() <= kMaxPayloadLength);
  assert(payload.empty() == has(flags, RowFlags::tombstone));
  assert(out.size() == headerLength + payload.size());
  const std::uint32_t start = kRowFormat | static_cast<std::uint32_t>(flags) |
                              static_cast<std::uint32_t>(headerLength) << 8 |
                              static_cast<std::uint32_t>(version) << 16;
  const std::uint32_t checksum = rowChecksum(key, start, payload);
  std::memcpy(out.data(), &start, 4);
  std::memcpy(out.data() + 4, &checksum, 4);
  std::memset(out.data() + 8, 0, headerLength - 8);
  if (!payload.empty()) std::memcpy(out.data() + headerLength, payload.data(), payload.size());
}

const char* describe(RowDamage damage) noexcept {
  switch (damage) {
    case RowDamage::none:
      return "nothing is wrong";
    case RowDamage::truncated:
      return "the row is shorter than its header";
    case RowDamage::unknownFormat:
      return "the row format is unknown";
    case RowDamage::headerLength:
      return "the header length is out of range";
    case RowDamage::version:
      return "the schema version is 0";
    case RowDamage::padding:
      return "the header's padding is not zero";
    case RowDamage::payloadLength:
      return "the payload is not a whole number of words";
    case RowDamage::checksum:
      return "the checksum does not match";
  }
  return "unknown damage";
}

}  // namespace instar
