#include "instar/evolve/scalar_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "instar/format/number_text.h"

namespace instar {
namespace {

using Type = capnp::schema::Type;

std::string_view view(kj::StringPtr text) noexcept { return {text.begin(), text.size()}; }

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

}  // namespace instar
