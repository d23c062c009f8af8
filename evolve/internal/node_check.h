#pragma once

// Whether nodes as a file has them can be gone over without surprises: every pointer and every union in
// them is of a kind that is known, and neither groups nor scopes contain themselves. Cap'n Proto's
// SchemaLoader checks none of it. Pure; any thread.

#include "instar/evolve/internal/node_index.h"

namespace instar::internal {

// Throws kj::Exception or Error(restoreFromBackup).
void checkNodes(NodeList nodes);

}  // namespace instar::internal
