#pragma once

// Whether nodes as a file has them can be gone over without surprises: every pointer and every union in
// them is of a kind that is known, short names lie within the names, neither groups nor scopes contain
// themselves, each group belongs to one field, and kMaxGroupDepth holds. Cap'n Proto's SchemaLoader checks
// none of it. Pure; any thread.

#include "instar/evolve/internal/node_index.h"

namespace instar::internal {

// Returns the nodes by id. Throws kj::Exception or Error(restoreFromBackup).
[[nodiscard]] NodeIndex checkNodes(NodeList nodes);

}  // namespace instar::internal
