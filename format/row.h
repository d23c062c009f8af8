#pragma once

// The bytes of a row: the value that LMDB holds under a key.
//
//     0  u8   row format (low four bits, now 1) and flags (high four, see RowFlags); 0 is never valid
//     1  u8   length h of this header, 8..15
//     2  u16  schema version that the row was written with, never 0
//     4  u32  checksum over key, header and payload (checksum.h)
//     8  0    padding up to h
//     h       payload: one Cap'n Proto segment without a segment table, a positive multiple of 8 bytes; a
//             tombstone has none
//
// Numbers are little-endian. h makes (key length + h) a multiple of 8, which makes every LMDB node of a tree
// a multiple of 8 bytes long and every payload 8-byte aligned; a row that LMDB puts on pages of its own has h
// = 8, because there the value starts at page + 16. Alignment is a matter of speed: readers accept any h.
//
// Pure functions over memory; any thread.

#include <cstdint>
#include <string_view>

#include "instar/format/bytes.h"
#include "instar/format/checksum.h"

namespace instar {

inline constexpr std::uint8_t kRowFormat = 1;

// What stands in the high four bits beside the format, in files with cold blocks (file format 2).
enum class RowFlags : std::uint8_t {
  none = 0,
  tombstone = 0x10,   // not a row: the one that a cold block has under this key was erased
  coversCold = 0x20,  // a cold block has a row under this key too, which is out of date
};
constexpr RowFlags operator|(RowFlags left, RowFlags right) noexcept {
  return static_cast<RowFlags>(static_cast<std::uint8_t>(left) | static_cast<std::uint8_t>(right));
}
constexpr bool has(RowFlags flags, RowFlags flag) noexcept {
  return (static_cast<std::uint8_t>(flags) & static_cast<std::uint8_t>(flag)) != 0;
}
// A tombstone is nothing but what covers a cold row.
inline constexpr RowFlags kTombstoneFlags = RowFlags::tombstone | RowFlags::coversCold;

inline constexpr std::size_t kMinRowHeaderLength = 8;
inline constexpr std::size_t kMaxRowHeaderLength = 15;
inline constexpr std::size_t kMaxPayloadLength = std::size_t{1}
                                                 << 30;  // LMDB's own limit is 4 GiB; 1 GiB leaves room

// Where LMDB will put the value: inside a leaf page, or on overflow pages of its own.
enum class RowPlacement : std::uint8_t { leaf, overflow };

constexpr std::size_t rowHeaderLength(std::size_t keyLength, RowPlacement placement) noexcept {
  return placement == RowPlacement::overflow ? kMinRowHeaderLength : kMinRowHeaderLength + (-keyLength & 7U);
}

// Writes header and payload into `out`, whose length is rowHeaderLength(…) + payload.size().
// `version` is 1..65535; the payload's length is a positive multiple of 8, at most kMaxPayloadLength, or 0 in
// a tombstone.
void encodeRow(std::span<std::byte> out, Bytes key, std::uint16_t version, Bytes payload,
               RowPlacement placement, RowFlags flags = RowFlags::none) noexcept;

enum class RowDamage : std::uint8_t {
  none = 0,
  truncated,      // shorter than any row
  unknownFormat,  // the format or a flag is not one of ours
  headerLength,   // outside 8..15
  version,        // schema version 0
  padding,        // not zero
  payloadLength,  // not a positive multiple of 8, or not 0 in a tombstone
  checksum,       // does not match
};

// What is wrong, for messages: "the checksum does not match".
const char* describe(RowDamage damage) noexcept;

enum class Verify : bool { no, yes };

struct RowView {
  std::uint16_t version = 0;
  RowFlags flags = RowFlags::none;
  Bytes payload;  // borrowed from the value that was decoded; empty in a tombstone, and only there

  bool isTombstone() const noexcept { return payload.empty(); }
};

// The flags of a stored value, without a look at the rest of it.
inline RowFlags rowFlags(Bytes value) noexcept {
  return value.empty() ? RowFlags::none
                       : static_cast<RowFlags>(static_cast<std::uint8_t>(value.front()) & 0xf0U);
}

// Fills `row` and returns RowDamage::none, or says what is wrong and leaves `row` alone. Verify::no skips the
// checksum only.
inline RowDamage decodeRow(Bytes key, Bytes value, Verify verify, RowView& row) noexcept {
  if (value.size() < kMinRowHeaderLength) return RowDamage::truncated;
  std::uint32_t start;
  std::uint32_t checksum;
  std::memcpy(&start, value.data(), 4);
  std::memcpy(&checksum, value.data() + 4, 4);
  const RowFlags flags = rowFlags(value);
  if ((start & 0x0f) != kRowFormat ||
      (flags != RowFlags::none && flags != RowFlags::coversCold && flags != kTombstoneFlags)) {
    return RowDamage::unknownFormat;
  }
  const std::size_t headerLength = start >> 8 & 0xff;
  if (headerLength < kMinRowHeaderLength || headerLength > kMaxRowHeaderLength)
    return RowDamage::headerLength;
  if (start >> 16 == 0) return RowDamage::version;
  if (value.size() < headerLength || (value.size() - headerLength) % 8 != 0 ||
      (value.size() == headerLength) != has(flags, RowFlags::tombstone)) {
    return RowDamage::payloadLength;
  }
  for (std::size_t i = kMinRowHeaderLength; i < headerLength; ++i) {
    if (value[i] != std::byte{0}) return RowDamage::padding;
  }
  const Bytes payload = value.subspan(headerLength);
  if (verify == Verify::yes && rowChecksum(key, start, payload) != checksum) return RowDamage::checksum;
  row.version = static_cast<std::uint16_t>(start >> 16);
  row.flags = flags;
  row.payload = payload;
  return RowDamage::none;
}

}  // namespace instar
