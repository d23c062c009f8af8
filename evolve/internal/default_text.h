#pragma once

// A default value for messages: 5, "red", void; lists and structs only as what they are. Pure; any thread.

#include <capnp/schema.capnp.h>

#include <string>

namespace instar::internal {

std::string defaultText(capnp::schema::Value::Reader value);

}  // namespace instar::internal
