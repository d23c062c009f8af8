#pragma once

// How one field type leads to another. Pure; any thread.

#include "instar/evolve/difference.h"
#include "instar/evolve/internal/node_index.h"
#include "instar/evolve/internal/type_ref.h"

namespace instar::internal {

// For two types that are not equal. Types of the same id count as the same here: their insides are compared
// elsewhere.
TypeStep typeStep(const TypeRef& older, const TypeRef& newer, const NodeIndex& newerIndex);

}  // namespace instar::internal
