#pragma once

// Checked conversion of one value into another type. Pure; any thread.

#include <capnp/dynamic.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace instar::internal {

// A value that cannot be what it is to become. The reason never shows the value: it may be sensitive.
struct Unfit {
  const char* reason;
};

// Turns a value into one of another type, or throws Unfit. A text that it makes lies in `text`, which
// must stay as long as the result.
using Conversion =
    std::function<capnp::DynamicValue::Reader(const capnp::DynamicValue::Reader& value, std::string& text)>;

// As `convert` in schema.capnp. Empty where there is no conversion between the types.
Conversion conversion(capnp::Type from, capnp::Type to);

// (value - subtract) * multiply / divide + add, rounded to the nearest where `to` is a whole number;
// exact for whole numbers.
struct Scaling {
  std::int64_t subtract = 0;
  std::int64_t multiply = 1;
  std::int64_t divide = 1;  // not 0
  std::int64_t add = 0;
};
// Empty where one of the types is not a number.
Conversion scaling(capnp::Type from, capnp::Type to, const Scaling& scaling);

// As text, for comparisons: a Text itself, a scalar as scalar_text.h prints it.
std::string comparableText(const capnp::DynamicValue::Reader& value, capnp::Type type);

// As parseScalar, but an enum's number only where it has an enumerant of that number.
std::optional<capnp::DynamicValue::Reader> parseKnownScalar(std::string_view text, capnp::Type type);

bool isNumber(capnp::Type type);  // whole or floating point

std::string typeName(capnp::Type type);  // for people: "List(Text)", "Address"

}  // namespace instar::internal
