#include "instar/tools/scalar_text.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/encoding.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

#include "instar/format/error.h"

namespace instar::tools {
namespace {

using Type = capnp::schema::Type;

template <class Number>
std::optional<Number> parseNumber(std::string_view text) {
  Number number{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

template <class Number>
std::optional<capnp::DynamicValue::Reader> parseInteger(std::string_view text) {
  const auto number = parseNumber<Number>(text);
  if (!number) return std::nullopt;
  return capnp::DynamicValue::Reader(*number);
}

template <class Number>
std::optional<capnp::DynamicValue::Reader> parseFloat(std::string_view text) {
  if (text == "NaN") return capnp::DynamicValue::Reader(std::numeric_limits<Number>::quiet_NaN());
  if (text == "Infinity") return capnp::DynamicValue::Reader(std::numeric_limits<Number>::infinity());
  if (text == "-Infinity") return capnp::DynamicValue::Reader(-std::numeric_limits<Number>::infinity());
  const auto number = parseNumber<Number>(text);
  if (!number || !std::isfinite(*number)) return std::nullopt;
  return capnp::DynamicValue::Reader(*number);
}

template <class Number>
std::string printNumber(Number number) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  return {buffer.data(), end.ptr};
}

template <class Number>
std::string printFloat(Number number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return printNumber(number);
}

template <class Number>
std::string range() {
  return "a whole number from " + printNumber(std::numeric_limits<Number>::min()) + " to " +
         printNumber(std::numeric_limits<Number>::max());
}

std::string printEnum(const capnp::DynamicEnum& value) {
  KJ_IF_MAYBE (known, value.getEnumerant()) {
    return std::string(view(known->getProto().getName()));
  }
  return printNumber(value.getRaw());
}

std::optional<capnp::DynamicValue::Reader> parseEnum(std::string_view text, capnp::EnumSchema schema) {
  if (const auto number = parseNumber<std::uint16_t>(text)) {
    return capnp::DynamicValue::Reader(capnp::DynamicEnum(schema, *number));
  }
  const std::string name(text);
  KJ_IF_MAYBE (found, schema.findEnumerantByName(kj::StringPtr(name.c_str(), name.size()))) {
    return capnp::DynamicValue::Reader(capnp::DynamicEnum(*found));
  }
  return std::nullopt;
}

std::string enumExpectation(capnp::EnumSchema schema) {
  constexpr unsigned kListed = 12;
  std::string out = "one of";
  const char* separator = " ";
  for (const auto enumerant : schema.getEnumerants()) {
    out.append(separator);
    if (enumerant.getIndex() == kListed) return out + "…";
    out.append(view(enumerant.getProto().getName()));
    separator = ", ";
  }
  return out;
}

}  // namespace

bool isScalar(capnp::Type type) {
  return type.which() >= Type::BOOL && (type.which() <= Type::FLOAT64 || type.which() == Type::ENUM);
}

std::string printScalar(const capnp::DynamicValue::Reader& value, capnp::Type type) {
  switch (value.getType()) {
    case capnp::DynamicValue::BOOL:
      return value.as<bool>() ? "true" : "false";
    case capnp::DynamicValue::INT:
      return printNumber(value.as<std::int64_t>());
    case capnp::DynamicValue::UINT:
      return printNumber(value.as<std::uint64_t>());
    case capnp::DynamicValue::FLOAT:
      return type.isFloat32() ? printFloat(value.as<float>()) : printFloat(value.as<double>());
    default:
      return printEnum(value.as<capnp::DynamicEnum>());
  }
}

std::optional<capnp::DynamicValue::Reader> parseScalar(std::string_view text, capnp::Type type) {
  switch (type.which()) {
    case Type::BOOL:
      if (text == "true" || text == "false") return capnp::DynamicValue::Reader(text == "true");
      return std::nullopt;
    case Type::INT8:
      return parseInteger<std::int8_t>(text);
    case Type::INT16:
      return parseInteger<std::int16_t>(text);
    case Type::INT32:
      return parseInteger<std::int32_t>(text);
    case Type::INT64:
      return parseInteger<std::int64_t>(text);
    case Type::UINT8:
      return parseInteger<std::uint8_t>(text);
    case Type::UINT16:
      return parseInteger<std::uint16_t>(text);
    case Type::UINT32:
      return parseInteger<std::uint32_t>(text);
    case Type::UINT64:
      return parseInteger<std::uint64_t>(text);
    case Type::FLOAT32:
      return parseFloat<float>(text);
    case Type::FLOAT64:
      return parseFloat<double>(text);
    case Type::ENUM:
      return parseEnum(text, type.asEnum());
    default:
      return std::nullopt;
  }
}

std::string expectation(capnp::Type type) {
  switch (type.which()) {
    case Type::VOID:
      return "null";
    case Type::BOOL:
      return "true or false";
    case Type::INT8:
      return range<std::int8_t>();
    case Type::INT16:
      return range<std::int16_t>();
    case Type::INT32:
      return range<std::int32_t>();
    case Type::INT64:
      return range<std::int64_t>();
    case Type::UINT8:
      return range<std::uint8_t>();
    case Type::UINT16:
      return range<std::uint16_t>();
    case Type::UINT32:
      return range<std::uint32_t>();
    case Type::UINT64:
      return range<std::uint64_t>();
    case Type::FLOAT32:
      return "a number of 32-bit floating point, or NaN, Infinity, -Infinity as text";
    case Type::FLOAT64:
      return "a number of 64-bit floating point, or NaN, Infinity, -Infinity as text";
    case Type::TEXT:
      return "a text, or {\"$bytes\": base64}";
    case Type::DATA:
      return "a text in base64";
    case Type::LIST:
      return "an array";
    case Type::ENUM:
      return enumExpectation(type.asEnum());
    case Type::STRUCT:
      return "an object";
    default:
      return "{\"$anyPointer\": base64 of a message}";
  }
}

std::string toBase64(Bytes bytes) {
  const auto* data = reinterpret_cast<const kj::byte*>(bytes.data());
  return std::string(view(kj::encodeBase64(kj::arrayPtr(data, bytes.size()))));
}

bool fromBase64(std::string_view text, std::string& bytes) {
  const auto decoded = kj::decodeBase64(kj::arrayPtr(text.data(), text.size()));
  if (decoded.hadErrors) return false;
  bytes.assign(reinterpret_cast<const char*>(decoded.begin()), decoded.size());
  return true;
}

std::string encodePointer(capnp::AnyPointer::Reader pointer) {
  capnp::MallocMessageBuilder message;
  message.getRoot<capnp::AnyPointer>().set(pointer);
  const auto words = capnp::messageToFlatArray(message);
  return std::string(asText(std::as_bytes(std::span(words.begin(), words.size()))));
}

bool decodePointer(std::string_view bytes, capnp::AnyPointer::Builder target) {
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0) return false;
  std::vector<std::uint64_t> words(bytes.size() / sizeof(capnp::word));  // aligned as a message must be
  std::memcpy(words.data(), bytes.data(), bytes.size());
  const capnp::ReaderOptions options{.traversalLimitInWords = words.size() * 2, .nestingLimit = 256};
  const auto failure = kj::runCatchingExceptions([&] {
    capnp::FlatArrayMessageReader message({reinterpret_cast<const capnp::word*>(words.data()), words.size()},
                                          options);
    target.set(message.getRoot<capnp::AnyPointer>());
  });
  return failure == nullptr;
}

bool isUnionMember(capnp::StructSchema::Field field) {
  return field.getProto().getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT;
}

bool hasUnion(capnp::StructSchema type) { return type.getProto().getStruct().getDiscriminantCount() != 0; }

unsigned discriminant(capnp::DynamicStruct::Reader record) {
  const auto data = record.as<capnp::AnyStruct>().getDataSection();
  const std::size_t at = record.getSchema().getProto().getStruct().getDiscriminantOffset() * std::size_t{2};
  return at + 2 <= data.size() ? static_cast<unsigned>(data[at] | data[at + 1] << 8) : 0;
}

std::string quoteShortened(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::size_t end = std::min(kShown, text.size());
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return '"' + std::string(text.substr(0, end)) + (end < text.size() ? "…\"" : "\"");
}

void refuseValue(std::string field, std::string reason) {
  throw Error(ErrorCode::fixInput, "a value does not fit its field",
              {{"field", std::move(field)}, {"reason", std::move(reason)}});
}

}  // namespace instar::tools
