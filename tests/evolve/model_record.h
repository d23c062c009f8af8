#pragma once

// Rows of a history (random_history.h) as Cap'n Proto records of one of its versions. One thread.

#include <capnp/dynamic.h>

#include <optional>
#include <vector>

#include "instar/evolve/plan.h"
#include "instar/tests/evolve/random_history.h"

namespace instar::testing {

// A version of the record type, with the way to each field by its number.
class ModelSchema {
 public:
  explicit ModelSchema(RecordSchema schema);

  const RecordSchema& schema() const { return plans_.schema(); }
  const Plans& plans() const { return plans_; }
  ModelRow read(capnp::DynamicStruct::Reader record) const;
  void write(capnp::DynamicStruct::Builder record, unsigned field, const Value& value) const;
  unsigned numberOf(std::string_view path) const;

 private:
  void locate(capnp::StructSchema members, std::vector<capnp::StructSchema::Field>& groups, std::string path);

  struct Place {
    std::vector<capnp::StructSchema::Field> groups;
    capnp::StructSchema::Field field;
    std::string path;
  };
  Plans plans_;
  std::vector<Place> places_;  // by number
};

// The versions of a history; nothing where the compiler refuses a layout.
std::optional<std::vector<ModelSchema>> parseVersions(const RandomHistory& history);

}  // namespace instar::testing
