#pragma once

// The key of a record from its $key annotations. Pure; any thread.

#include <cstdint>

#include "instar/evolve/internal/node_index.h"
#include "instar/format/key.h"

namespace instar::internal {

// In the order of $key; empty where no field has it. Only the record struct and its groups count: a struct
// that is used as a field may be a record elsewhere, with a key of its own. Throws Error(fixSchema) naming
// type and field: a type that cannot be a key, a member of a union, gaps and doubles.
KeySpec keyOf(const NodeIndex& index, std::uint64_t rootId);

std::string keyText(const KeySpec& key);  // for people: "id, name"

// The default of a scalar as its bits lie in the field, widened with zeros; 0 for what is no scalar.
std::uint64_t defaultBits(capnp::schema::Value::Reader value);

}  // namespace instar::internal
