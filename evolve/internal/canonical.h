#pragma once

// What a schema means, as text in one fixed form: equal exactly where two schemas mean the same, whatever
// their files were called and in whichever order they were written. Pure; any thread.

#include <capnp/schema.capnp.h>

#include <cstdint>
#include <string>

#include "instar/evolve/internal/node_index.h"

namespace instar::internal {

// A default value as bytes; empty for zero, null and everything that reads the same.
std::string canonicalDefault(capnp::schema::Value::Reader value);

// Everything but the number of the version.
std::string canonicalText(const NodeIndex& index, std::uint64_t rootId);

}  // namespace instar::internal
