#pragma once

// What a schema says about the values of single fields: those that are made from others
// ($Instar.derived, $Instar.mirrored), checked against the record and ready to run, and those that are
// no longer used ($Instar.retired). Immutable; valid as long as the schema that it was made for; any
// thread.

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

struct Retirement {
  std::uint16_t since = 0;
  FieldPath field;
};

struct Derivations {
  std::vector<Derivation> derived;   // each behind those that make its sources
  std::vector<Derivation> mirrored;  // likewise
  std::vector<Retirement> retired;
};

// Throws Error(fixSchema) naming type, field and what is wrong: a source that is not there, types that
// do not go together, a version out of range, fields that need one another, a key field, a sensitive
// source of a field that is not, a retired field that rows still need, an annotation in another struct
// among `nodes`.
Derivations derivationsOf(capnp::StructSchema record, std::uint16_t version, NodeList nodes);

// A line each; empty where there are none.
std::string meaningOf(const Derivations& derivations);

}  // namespace instar::internal
