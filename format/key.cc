#include "instar/format/key.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "instar/format/error.h"

namespace instar {
namespace {

struct TypeTraits {
  std::string_view name;
  unsigned width;  // bytes; 0 where it varies
};

constexpr TypeTraits kTypes[] = {
    {"", 0},        {"Bool", 1},    {"Int8", 1},   {"Int16", 2},  {"Int32", 4},
    {"Int64", 8},   {"UInt8", 1},   {"UInt16", 2}, {"UInt32", 4}, {"UInt64", 8},
    {"Float32", 4}, {"Float64", 8}, {"enum", 2},   {"Text", 0},   {"Data", 0},
};

unsigned widthOf(KeyType type) noexcept { return kTypes[static_cast<unsigned>(type)].width; }

bool isSigned(KeyType type) noexcept { return type >= KeyType::int8 && type <= KeyType::int64; }
bool isFloat(KeyType type) noexcept { return type == KeyType::float32 || type == KeyType::float64; }

std::uint64_t signBit(unsigned width) noexcept { return std::uint64_t{1} << (width * 8 - 1); }
std::uint64_t allBits(unsigned width) noexcept { return ~std::uint64_t{0} >> (64 - width * 8); }

// From the bits of a value, as Cap'n Proto stores them, to bits that sort as unsigned numbers do; and back.
std::uint64_t toSortable(KeyType type, std::uint64_t bits) noexcept {
  const unsigned width = widthOf(type);
  if (isSigned(type)) return bits ^ signBit(width);
  if (!isFloat(type)) return bits;
  if (bits == signBit(width)) bits = 0;  // -0
  return (bits & signBit(width)) != 0 ? ~bits & allBits(width) : bits ^ signBit(width);
}

std::uint64_t fromSortable(KeyType type, std::uint64_t bits) noexcept {
  const unsigned width = widthOf(type);
  if (isSigned(type)) return bits ^ signBit(width);
  if (!isFloat(type)) return bits;
  return (bits & signBit(width)) != 0 ? bits ^ signBit(width) : ~bits & allBits(width);
}

double toDouble(KeyType type, std::uint64_t bits) noexcept {
  if (type == KeyType::float32) return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  return std::bit_cast<double>(bits);
}

[[noreturn]] void refuse(const KeyPart& part, const char* message, std::string value = {}) {
  std::vector<Error::Fact> facts{{"field", part.name}, {"type", std::string(keyTypeName(part.type))}};
  if (!value.empty()) facts.push_back({"value", std::move(value)});
  throw Error(ErrorCode::fixCall, message, std::move(facts));
}

void appendScalar(const KeyPart& part, std::uint64_t bits, Key& key) {
  if (isFloat(part.type) && std::isnan(toDouble(part.type, bits))) {
    refuse(part, "NaN has no place in the order of keys: use a number");
  }
  key.appendNumber(toSortable(part.type, bits), widthOf(part.type));
}

// What lies behind the bytes of a text or data part.
enum class PartEnd : std::uint8_t {
  key,         // nothing: the last part of a key, whose bytes are as they are
  terminator,  // of an earlier part
  open,        // more of an earlier part: only the beginning of it was given
};

void appendString(Bytes bytes, PartEnd end, Key& key) {
  if (end == PartEnd::key) return key.append(bytes);
  constexpr std::byte kEscapedZero[] = {std::byte{0x00}, std::byte{0xff}};
  constexpr std::byte kEnd[] = {std::byte{0x00}, std::byte{0x00}};
  while (!bytes.empty()) {
    const void* zero = std::memchr(bytes.data(), 0, bytes.size());
    const std::size_t plain =
        zero == nullptr ? bytes.size()
                        : static_cast<std::size_t>(static_cast<const std::byte*>(zero) - bytes.data());
    key.append(bytes.first(plain));
    bytes = bytes.subspan(plain);
    if (bytes.empty()) break;
    key.append(kEscapedZero);
    bytes = bytes.subspan(1);
  }
  if (end == PartEnd::terminator) key.append(kEnd);
}

void refuseEmpty(const Key& key) {
  if (key.empty()) throw Error(ErrorCode::fixCall, "a key may not be empty: give it at least one byte");
}

// The bits of an integer as `width` bytes of the part's type, or a refusal where it does not fit.
std::uint64_t integerBits(const KeyPart& part, std::uint64_t magnitude, bool negative) {
  const unsigned width = widthOf(part.type);
  std::uint64_t most = allBits(width);
  if (part.type == KeyType::boolean) most = 1;
  if (isSigned(part.type)) most = signBit(width) - (negative ? 0 : 1);
  const bool fits = magnitude <= most && (!negative || isSigned(part.type));
  if (!fits) refuse(part, "the key value is out of range", (negative ? "-" : "") + std::to_string(magnitude));
  return (negative ? ~magnitude + 1 : magnitude) & allBits(width);
}

// A whole number must be one that the type has; a Float32 is rounded as Cap'n Proto's setter rounds it.
std::uint64_t floatBits(const KeyPart& part, const KeyValue& value) {
  double number;
  bool exact = true;
  if (const auto* real = std::get_if<double>(&value)) {
    number = *real;
  } else if (const auto* whole = std::get_if<std::int64_t>(&value)) {
    number = static_cast<double>(*whole);
    exact = number < 0x1p63 && static_cast<std::int64_t>(number) == *whole;
  } else if (const auto* natural = std::get_if<std::uint64_t>(&value)) {
    number = static_cast<double>(*natural);
    exact = number < 0x1p64 && static_cast<std::uint64_t>(number) == *natural;
  } else {
    refuse(part, "the key value has the wrong type: give a number");
  }
  if (part.type == KeyType::float32) {
    const bool fits = !std::isfinite(number) || std::abs(number) <= std::numeric_limits<float>::max();
    const bool isWhole = !std::holds_alternative<double>(value);
    if (!exact || !fits || (isWhole && static_cast<double>(static_cast<float>(number)) != number)) {
      refuse(part, "the key value is out of range", std::to_string(number));
    }
    return std::bit_cast<std::uint32_t>(static_cast<float>(number));
  }
  if (!exact) refuse(part, "the key value is out of range", std::to_string(number));
  return std::bit_cast<std::uint64_t>(number);
}

std::uint64_t scalarBits(const KeyPart& part, const KeyValue& value) {
  if (isFloat(part.type)) return floatBits(part, value);
  if (const auto* truth = std::get_if<bool>(&value)) {
    if (part.type != KeyType::boolean) refuse(part, "the key value has the wrong type: give a number");
    return *truth ? 1 : 0;
  }
  if (const auto* whole = std::get_if<std::int64_t>(&value)) {
    const auto bits = static_cast<std::uint64_t>(*whole);
    return *whole < 0 ? integerBits(part, ~bits + 1, true) : integerBits(part, bits, false);
  }
  if (const auto* natural = std::get_if<std::uint64_t>(&value)) return integerBits(part, *natural, false);
  const auto* text = std::get_if<std::string_view>(&value);
  if (text != nullptr && part.type == KeyType::enumeration) {
    for (std::size_t i = 0; i < part.enumerants.size(); ++i) {
      if (part.enumerants[i] == *text) return i;
    }
    refuse(part, "the enum has no such name", std::string(*text));
  }
  refuse(part, "the key value has the wrong type: give a whole number");
}

Bytes stringBytes(const KeyPart& part, const KeyValue& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return asBytes(*text);
  if (const auto* data = std::get_if<Bytes>(&value); data != nullptr && part.type == KeyType::data)
    return *data;
  refuse(part, part.type == KeyType::text ? "the key value has the wrong type: give text"
                                          : "the key value has the wrong type: give data");
}

std::uint64_t fieldBits(const KeyPart& part, kj::ArrayPtr<const kj::byte> data) noexcept {
  if (part.type == KeyType::boolean) {
    const std::size_t byte = part.offset / 8;
    const unsigned bit = byte < data.size() ? data[byte] >> (part.offset % 8) & 1U : 0U;
    return bit ^ part.defaultBits;
  }
  const unsigned width = widthOf(part.type);
  const std::size_t begin = std::size_t{part.offset} * width;
  std::uint64_t bits = 0;
  if (begin + width <= data.size()) std::memcpy(&bits, data.begin() + begin, width);
  return bits ^ part.defaultBits;
}

Bytes fieldString(const KeyPart& part, capnp::List<capnp::AnyPointer>::Reader pointers) {
  if (part.offset >= pointers.size() || pointers[part.offset].isNull()) return asBytes(part.defaultBytes);
  if (part.type == KeyType::text) {
    const auto text = pointers[part.offset].getAs<capnp::Text>();
    return asBytes({text.begin(), text.size()});
  }
  const auto data = pointers[part.offset].getAs<capnp::Data>();
  return std::as_bytes(std::span(data.begin(), data.size()));
}

bool takeString(Bytes& rest, bool last, std::string& out) {
  if (last) {
    out = asText(rest);
    rest = {};
    return true;
  }
  for (std::size_t i = 0; i + 1 < rest.size(); ++i) {
    if (rest[i] != std::byte{0}) {
      out += static_cast<char>(rest[i]);
    } else if (rest[i + 1] == std::byte{0xff}) {
      out += '\0';
      ++i;
    } else if (rest[i + 1] == std::byte{0}) {
      rest = rest.subspan(i + 2);
      return true;
    } else {
      return false;
    }
  }
  return false;
}

// Whether some value is encoded with these bits: a Bool has two, and neither NaN nor -0 is ever written.
bool isEncodable(KeyType type, std::uint64_t bits) noexcept {
  if (type == KeyType::boolean) return bits <= 1;
  if (!isFloat(type)) return true;
  return bits != signBit(widthOf(type)) && !std::isnan(toDouble(type, bits));
}

KeyValue scalarValue(KeyType type, std::uint64_t bits) noexcept {
  if (type == KeyType::boolean) return bits != 0;
  if (isFloat(type)) return toDouble(type, bits);
  if (!isSigned(type)) return bits;
  const unsigned unused = 64 - widthOf(type) * 8;
  return static_cast<std::int64_t>(bits << unused) >> unused;
}

}  // namespace

std::string_view keyTypeName(KeyType type) noexcept { return kTypes[static_cast<unsigned>(type)].name; }

void Key::appendNumber(std::uint64_t number, unsigned width) {
  std::array<std::byte, 8> bytes;
  for (unsigned i = 0; i < width; ++i) bytes[i] = static_cast<std::byte>(number >> (8 * (width - 1 - i)));
  append({bytes.data(), width});
}

void Key::refuseLength(std::size_t length) {
  throw Error(ErrorCode::fixCall,
              "the key is longer than 511 bytes: store long text in a field that is not a key",
              {{"length", "at least " + std::to_string(length)}});
}

bool nextAfterPrefix(Bytes prefix, Key& next) {
  while (!prefix.empty() && prefix.back() == std::byte{0xff}) prefix = prefix.first(prefix.size() - 1);
  if (prefix.empty()) return false;
  next = Key(prefix.first(prefix.size() - 1));
  const std::byte successor{static_cast<unsigned char>(static_cast<unsigned char>(prefix.back()) + 1U)};
  next.append({&successor, 1});
  return true;
}

void encodeKey(const KeySpec& spec, const capnp::AnyStruct::Reader& record, Key& key) {
  key.clear();
  const auto data = record.getDataSection();
  const auto pointers = record.getPointerSection();
  for (const KeyPart& part : spec) {
    if (widthOf(part.type) != 0)
      appendScalar(part, fieldBits(part, data), key);
    else
      appendString(fieldString(part, pointers), &part == &spec.back() ? PartEnd::key : PartEnd::terminator,
                   key);
  }
  refuseEmpty(key);
}

void encodeKey(const KeySpec& spec, std::span<const KeyValue> values, KeyForm form, Key& key) {
  key.clear();
  static const KeySpec kByteString{{.name = "key", .type = KeyType::data}};
  const KeySpec& parts = spec.empty() ? kByteString : spec;
  if (values.size() > parts.size() || (form == KeyForm::whole && values.size() < parts.size())) {
    throw Error(ErrorCode::fixCall, "the number of key values does not match the key",
                {{"parts", std::to_string(parts.size())}, {"values", std::to_string(values.size())}});
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool open = form == KeyForm::openPrefix && i + 1 == values.size();
    const PartEnd end = i + 1 == parts.size() ? PartEnd::key : open ? PartEnd::open : PartEnd::terminator;
    if (widthOf(parts[i].type) != 0)
      appendScalar(parts[i], scalarBits(parts[i], values[i]), key);
    else
      appendString(stringBytes(parts[i], values[i]), end, key);
  }
  if (form == KeyForm::whole) refuseEmpty(key);
}

bool decodeKey(const KeySpec& spec, Bytes key, std::vector<std::string>& storage,
               std::vector<KeyValue>& values) {
  values.clear();
  storage.clear();
  storage.reserve(spec.size());
  for (const KeyPart& part : spec) {
    const unsigned width = widthOf(part.type);
    if (width == 0) {
      if (!takeString(key, &part == &spec.back(), storage.emplace_back())) return false;
      if (part.type == KeyType::text)
        values.emplace_back(std::string_view(storage.back()));
      else
        values.emplace_back(asBytes(storage.back()));
      continue;
    }
    if (key.size() < width) return false;
    std::uint64_t sortable = 0;
    for (unsigned i = 0; i < width; ++i) sortable = sortable << 8 | static_cast<std::uint64_t>(key[i]);
    key = key.subspan(width);
    const std::uint64_t bits = fromSortable(part.type, sortable);
    if (!isEncodable(part.type, bits)) return false;
    values.push_back(scalarValue(part.type, bits));
  }
  return key.empty();
}

}  // namespace instar
