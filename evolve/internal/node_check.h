#pragma once

// Whether nodes as a file has them can be gone over without surprises: every pointer in them is of its kind, and
// neither groups nor scopes contain themselves. Cap'n Proto's SchemaLoader checks neither. Pure; any thread.

#include "instar/evolve/internal/node_index.h"

namespace instar::internal {

// Throws kj::Exception or Error(restoreFromBackup).
void checkNodes(NodeList nodes);

}  // namespace instar::internal
