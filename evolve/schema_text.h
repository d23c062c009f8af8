#pragma once

// A record schema as readable .capnp text that stands alone: every type that the record uses, with explicit
// ids, and `using Instar = import "/instar/schema.capnp";` where an annotation needs it. Parsed again it has
// the same fingerprint. What a compiled schema no longer has is left out: comments, foreign annotations,
// where among the fields a union stood. Pure; any thread.

#include <string>

#include "instar/evolve/record_schema.h"

namespace instar {

std::string schemaText(const RecordSchema& schema);

}  // namespace instar
