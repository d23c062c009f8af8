#include "instar/evolve/internal/conversion.h"

#include <cmath>
#include <limits>

#include "instar/evolve/internal/type_ref.h"
#include "instar/evolve/scalar_text.h"
#include "instar/format/key_text.h"

namespace instar::internal {
namespace {

using capnp::DynamicEnum;
using capnp::DynamicValue;
using capnp::schema::Type;

// Every whole number of 64 bits, and what becomes of two of them on the way.
__extension__ using Wide = __int128;

[[noreturn]] void refuseRange() { throw Unfit{"the number is outside of the range of the type"}; }

bool isWhole(capnp::Type type) { return type.which() >= Type::INT8 && type.which() <= Type::UINT64; }

Wide wideOf(const DynamicValue::Reader& value) {
  switch (value.getType()) {
    case DynamicValue::BOOL:
      return value.as<bool>() ? 1 : 0;
    case DynamicValue::UINT:
      return value.as<std::uint64_t>();
    case DynamicValue::ENUM:
      return value.as<DynamicEnum>().getRaw();
    default:
      return value.as<std::int64_t>();
  }
}

template <class Number>
DynamicValue::Reader within(Wide number) {
  if (number < std::numeric_limits<Number>::min() || number > std::numeric_limits<Number>::max())
    refuseRange();
  return static_cast<Number>(number);
}

DynamicValue::Reader floating(double number, capnp::Type to) {
  if (!to.isFloat32()) return number;
  if (std::isfinite(number) && std::abs(number) > std::numeric_limits<float>::max()) refuseRange();
  return static_cast<float>(number);
}

DynamicValue::Reader fromWide(Wide number, capnp::Type to) {
  switch (to.which()) {
    case Type::BOOL:
      if (number != 0 && number != 1) throw Unfit{"only 0 and 1 become a Bool"};
      return number == 1;
    case Type::INT8:
      return within<std::int8_t>(number);
    case Type::INT16:
      return within<std::int16_t>(number);
    case Type::INT32:
      return within<std::int32_t>(number);
    case Type::INT64:
      return within<std::int64_t>(number);
    case Type::UINT8:
      return within<std::uint8_t>(number);
    case Type::UINT16:
      return within<std::uint16_t>(number);
    case Type::UINT32:
      return within<std::uint32_t>(number);
    case Type::UINT64:
      return within<std::uint64_t>(number);
    case Type::ENUM: {
      const auto count = to.asEnum().getEnumerants().size();
      if (number < 0 || number >= count) throw Unfit{"the enum has no enumerant of that number"};
      return DynamicEnum(to.asEnum(), static_cast<std::uint16_t>(number));
    }
    default:
      return floating(static_cast<double>(number), to);
  }
}

// Of a floating-point number that has no fraction.
DynamicValue::Reader fromWholeDouble(double number, capnp::Type to) {
  constexpr double kBeyond = 0x1p64;
  if (!(std::abs(number) <= kBeyond)) refuseRange();
  return fromWide(static_cast<Wide>(number), to);
}

std::string_view textOf(const DynamicValue::Reader& value) {
  const auto text = value.as<capnp::Text>();
  return {text.begin(), text.size()};
}

DynamicValue::Reader textReader(const std::string& text) {
  return capnp::Text::Reader(text.c_str(), text.size());
}

Conversion fromText(capnp::Type to) {
  if (to.isData()) {
    return [](const DynamicValue::Reader& value, std::string&) -> DynamicValue::Reader {
      return capnp::Data::Reader(value.as<capnp::Text>().asBytes());
    };
  }
  if (!isScalar(to)) return {};
  return [to](const DynamicValue::Reader& value, std::string&) -> DynamicValue::Reader {
    const auto parsed = parseKnownScalar(textOf(value), to);
    if (!parsed) throw Unfit{"the text is not a value of the type"};
    return *parsed;
  };
}

Conversion fromData(capnp::Type to) {
  if (!to.isText()) return {};
  return [](const DynamicValue::Reader& value, std::string& text) -> DynamicValue::Reader {
    const auto data = value.as<capnp::Data>();
    text.assign(reinterpret_cast<const char*>(data.begin()), data.size());
    if (!isValidUtf8(text)) throw Unfit{"the bytes are not UTF-8"};
    return textReader(text);
  };
}

Conversion fromFloating(capnp::Type to) {
  if (to.isFloat32() || to.isFloat64()) {
    return [to](const DynamicValue::Reader& value, std::string&) { return floating(value.as<double>(), to); };
  }
  if (!isWhole(to)) return {};
  return [to](const DynamicValue::Reader& value, std::string&) {
    const double number = value.as<double>();
    if (!(std::trunc(number) == number)) throw Unfit{"the number is not whole"};
    return fromWholeDouble(number, to);
  };
}

// What has a whole number: integers, Bool, enums.
Conversion fromWholeNumber(capnp::Type from, capnp::Type to) {
  const bool toNumber = isNumber(to) || (isWhole(from) && (to.isBool() || to.isEnum()));
  if (!toNumber || (from.isBool() && !isWhole(to)) || (from.isEnum() && !isWhole(to))) return {};
  return [to](const DynamicValue::Reader& value, std::string&) { return fromWide(wideOf(value), to); };
}

Wide dividedToNearest(Wide number, Wide divisor) {
  if (divisor == -1) {
    Wide negative = 0;
    if (__builtin_sub_overflow(Wide{0}, number, &negative)) refuseRange();
    return negative;
  }
  const Wide quotient = number / divisor;
  const Wide rest = number % divisor;
  const Wide twice = (rest < 0 ? -rest : rest) * 2;
  if (twice < (divisor < 0 ? -divisor : divisor)) return quotient;
  return quotient + ((number < 0) == (divisor < 0) ? 1 : -1);
}

}  // namespace

std::optional<DynamicValue::Reader> parseKnownScalar(std::string_view text, capnp::Type type) {
  const auto parsed = parseScalar(text, type);
  const bool isUnknown =
      parsed && type.isEnum() && parsed->as<DynamicEnum>().getRaw() >= type.asEnum().getEnumerants().size();
  return isUnknown ? std::nullopt : parsed;
}

std::string typeName(capnp::Type type) {
  if (type.isList()) return "List(" + typeName(type.asList().getElementType()) + ")";
  if (type.isEnum()) return type.asEnum().getShortDisplayName().cStr();
  if (type.isStruct()) return type.asStruct().getShortDisplayName().cStr();
  return type.isAnyPointer() ? "AnyPointer" : builtInTypeName(type.which());
}

bool isNumber(capnp::Type type) { return isWhole(type) || type.isFloat32() || type.isFloat64(); }

Conversion conversion(capnp::Type from, capnp::Type to) {
  if (from.isText()) return fromText(to);
  if (from.isData()) return fromData(to);
  if (!isScalar(from)) return {};
  if (to.isText()) {
    return [from](const DynamicValue::Reader& value, std::string& text) {
      text = printScalar(value, from);
      return textReader(text);
    };
  }
  if (from.isFloat32() || from.isFloat64()) return fromFloating(to);
  return fromWholeNumber(from, to);
}

Conversion scaling(capnp::Type from, capnp::Type to, const Scaling& by) {
  if (!isNumber(from) || !isNumber(to)) return {};
  if (isWhole(from) && isWhole(to)) {
    return [by, to](const DynamicValue::Reader& value, std::string&) {
      Wide number = 0;
      if (__builtin_mul_overflow(wideOf(value) - by.subtract, Wide{by.multiply}, &number)) refuseRange();
      if (__builtin_add_overflow(dividedToNearest(number, by.divide), Wide{by.add}, &number)) refuseRange();
      return fromWide(number, to);
    };
  }
  return [by, from, to](const DynamicValue::Reader& value, std::string&) {
    const double number = isWhole(from) ? static_cast<double>(wideOf(value)) : value.as<double>();
    const double result = (number - static_cast<double>(by.subtract)) * static_cast<double>(by.multiply) /
                              static_cast<double>(by.divide) +
                          static_cast<double>(by.add);
    if (std::isfinite(number) && !std::isfinite(result)) refuseRange();
    if (!isWhole(to)) return floating(result, to);
    return fromWholeDouble(std::round(result), to);
  };
}

std::string comparableText(const DynamicValue::Reader& value, capnp::Type type) {
  if (type.isText()) return std::string(textOf(value));
  const bool isZero = value.getType() == DynamicValue::FLOAT && value.as<double>() == 0;
  return isZero ? "0" : printScalar(value, type);  // -0 is no other number
}

}  // namespace instar::internal
