#pragma once

// Keys: byte strings of 1 to 511 bytes (LMDB's limit), ordered bytewise. A collection either uses plain byte
// strings or encodes its $key fields so that bytes sort as the values do:
//
//     Bool                    one byte, 0 or 1
//     UInt8..UInt64, enum     big-endian, 1, 2, 4, 8 bytes (an enum 2)
//     Int8..Int64             the same with the sign bit flipped
//     Float32, Float64        big-endian IEEE bits: all flipped if negative, else the sign bit flipped; -0 is
//                             stored as 0; NaN has no place in an order and is refused
//     Text, Data (last part)  the bytes as they are
//     Text, Data (earlier)    each 00 as 00 ff, then 00 00
//
// Parts follow one another in order. Pure; any thread.

#include <capnp/any.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "instar/format/bytes.h"

namespace instar {

inline constexpr std::size_t kMaxKeyLength = 511;

// An encoded key, held in place: copying copies its bytes, nothing is allocated.
class Key {
 public:
  Key() noexcept : size_(0) {}
  // Throws Error(fixCall) where the bytes are longer than kMaxKeyLength.
  explicit Key(Bytes bytes) : size_(0) { append(bytes); }
  explicit Key(std::string_view text) : Key(asBytes(text)) {}
  Key(const Key& other) noexcept : size_(other.size_) {
    std::memcpy(bytes_.data(), other.bytes_.data(), size_);
  }
  Key& operator=(const Key& other) noexcept {
    size_ = other.size_;
    std::memmove(bytes_.data(), other.bytes_.data(), size_);
    return *this;
  }

  Bytes bytes() const noexcept { return {bytes_.data(), size_}; }
  bool empty() const noexcept { return size_ == 0; }
  void append(Bytes bytes) {
    if (bytes.size() > kMaxKeyLength - size_) refuseLength(size_ + bytes.size());
    if (!bytes.empty()) std::memcpy(bytes_.data() + size_, bytes.data(), bytes.size());
    size_ = static_cast<std::uint16_t>(size_ + bytes.size());
  }
  // The low `width` bytes of a number, 1 to 8, the high one first, so that keys sort as numbers do.
  void appendNumber(std::uint64_t number, unsigned width);
  void clear() noexcept { size_ = 0; }

  friend std::strong_ordering operator<=>(const Key& left, const Key& right) noexcept {
    return compareBytes(left.bytes(), right.bytes());
  }
  friend bool operator==(const Key& left, const Key& right) noexcept { return (left <=> right) == 0; }

 private:
  [[noreturn]] static void refuseLength(std::size_t length);

  std::uint16_t size_;
  std::array<std::byte, kMaxKeyLength> bytes_;
};

// The smallest key that is greater than every key with this prefix; false where there is none (all bytes ff).
bool nextAfterPrefix(Bytes prefix, Key& next);

enum class KeyType : std::uint8_t {
  boolean = 1,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float32,
  float64,
  enumeration,
  text,
  data,
};
std::string_view keyTypeName(KeyType type) noexcept;  // as Cap'n Proto spells it: "UInt32"

// One value of a key. Text and data are borrowed. An enum is its number.
using KeyValue = std::variant<bool, std::int64_t, std::uint64_t, double, std::string_view, Bytes>;

// One $key field: its type, and where it lies in the struct (all parts lie in the record struct itself or its
// groups).
struct KeyPart {
  std::string name = {};  // with its path: "address.city"
  KeyType type = KeyType::uint64;
  std::uint32_t offset = 0;  // as in the schema: in units of the type's size, or the index of the pointer
  std::uint64_t defaultBits = 0;             // of a scalar
  std::string defaultBytes = {};             // of Text and Data
  std::vector<std::string> enumerants = {};  // of an enum, by number

  friend bool operator==(const KeyPart&, const KeyPart&) = default;
};

// The parts of a collection's key in order; empty for byte-string keys.
using KeySpec = std::vector<KeyPart>;

// The key of a record, from its $key fields. `spec` is not empty.
// Throws Error(fixCall): too long, empty, or NaN.
void encodeKey(const KeySpec& spec, const capnp::AnyStruct::Reader& record, Key& key);

// A key, or the prefix of one, from values. Integers are accepted for every
// numeric part that can hold them, text for Text, Data and for an enum by name. With an empty spec one text
// or data value is the key itself. Throws Error(fixCall) naming the part: wrong type, out of range, too many
// or too few values, too long, empty, NaN.
enum class KeyForm : std::uint8_t {
  whole,       // a value for every part
  prefix,      // the first parts, each complete: all keys that have these values
  openPrefix,  // as prefix, but text or data in the last given place is only the beginning of a value
};
void encodeKey(const KeySpec& spec, std::span<const KeyValue> values, KeyForm form, Key& key);

// The values of an encoded key; text and data are put into `storage`, which must outlive the result.
// Returns false where the bytes are not a key of this spec.
bool decodeKey(const KeySpec& spec, Bytes key, std::vector<std::string>& storage,
               std::vector<KeyValue>& values);

}  // namespace instar
