#pragma once

// Scalars as text, the same in every form of a row: `true`, `-7`, `0.1`, `NaN`, `Infinity`, the name of an
// enumerant (the number of one that the schema does not know). Printing and parsing are inverse to each
// other, to the last bit except for the payload of NaN. Pure; any thread.

#include <capnp/dynamic.h>

#include <optional>
#include <string>
#include <string_view>

namespace instar {

// Bool, integers, floating point, enums.
bool isScalar(capnp::Type type);
std::string printScalar(const capnp::DynamicValue::Reader& value, capnp::Type type);
// Nothing where the text is not a value of the type.
std::optional<capnp::DynamicValue::Reader> parseScalar(std::string_view text, capnp::Type type);

}  // namespace instar
