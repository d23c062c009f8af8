#pragma once

// A field whose value is made from others: $Instar.derived and $Instar.mirrored, checked against the record and ready to
// run. Immutable; valid as long as the schema that it was made for; any thread.

#include <string>
#include <vector>

#include "instar/evolve/internal/expression.h"
#include "instar/evolve/internal/node_index.h"

namespace instar::internal {

struct Derivation {
  std::uint16_t since = 0;
  FieldPath target;
  std::string text;  // as the schema has it: (since = 3, copy = "name")
  Expression expression;
};

struct Derivations {
  std::vector<Derivation> derived;   // each behind those that make its sources
  std::vector<Derivation> mirrored;  // likewise
};

// Throws Error(fixSchema) naming type, field and what is wrong: a source that is not there, types that do not go together,
// a version out of range, fields that need one another, a key field, a sensitive source of a field that is not, an annotation
// in another struct among `nodes`.
Derivations derivationsOf(capnp::StructSchema record, std::uint16_t version, NodeList nodes);

// A line each; empty where there are none.
std::string meaningOf(const Derivations& derivations);

}  // namespace instar::internal
