#pragma once

// A value as .capnp text spells it: a number, "text", [1, 2], (name = "x", tier = 1). Pure; any thread.

#include <capnp/dynamic.h>

#include <string>

namespace instar::internal {

std::string valueText(const capnp::DynamicValue::Reader& value);

// The default of a field, which is not a group.
std::string defaultLiteral(capnp::StructSchema::Field field);

}  // namespace instar::internal
