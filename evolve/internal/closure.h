#pragma once

// Which types a record consists of, and what can be said about all of them together. Pure; any thread.

#include <capnp/schema.h>

#include <cstdint>
#include <map>

#include "instar/evolve/internal/node_index.h"

namespace instar::internal {

// The struct and every type that it uses: fields, groups, elements of lists, arguments of generic types.
// Throws Error(fixSchema) for an interface or a capability, naming type and field.
std::map<std::uint64_t, capnp::Schema> collectTypes(capnp::StructSchema root);

// Throws Error(restoreFromBackup) where a node refers to one that is not there or that is of another kind.
void checkReferences(const NodeIndex& index, std::uint64_t rootId);

// Whether rows can nest without limit: a type contains itself, or there is an AnyPointer.
// Throws Error(fixSchema) for a generic type that contains itself with ever larger arguments.
bool nestsWithoutLimit(const NodeIndex& index, std::uint64_t rootId);

}  // namespace instar::internal
