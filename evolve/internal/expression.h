#pragma once

// One expression of $Instar.derived or $Instar.mirrored (Derivation in schema.capnp), checked against
// the record and ready to run. Immutable; valid as long as the schema that it was made for; any thread.

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "instar/evolve/internal/field_path.h"
#include "instar/schema.capnp.h"

namespace instar::internal {

struct Expression {
  std::vector<FieldPath> sources;
  std::set<std::uint64_t> enumsByName;  // enums whose names are read or written as text
  std::string meaning;                  // with numbers in place of names: equal for equal meaning

  std::string function;  // that makes the value, where it is a call; empty otherwise

  // Sets the target. Throws Unfit (conversion.h) where a source does not allow it. Empty where it is a call.
  std::function<void(capnp::DynamicStruct::Builder record)> run;
};

// Throws Error(fixSchema): a source that is not there, types that do not go together, a value that is
// not one of its type.
Expression compile(capnp::StructSchema record, const FieldPath& target,
                   annotation::Derivation::Reader source);

}  // namespace instar::internal
