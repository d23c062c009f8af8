#pragma once

// What has to be done to a row of an older version so that it is one of a schema: the fields that $Instar.derived makes for rows
// which were written before these fields existed, and the end of those that $Instar.retired takes away. However many versions lie between, it is one pass over the row. Immutable
// and cheap to copy; any thread.

#include <capnp/dynamic.h>

#include <cstdint>
#include <string>
#include <vector>

#include "instar/evolve/record_schema.h"

namespace instar {

class Plan {
 public:
  Plan(RecordSchema schema, std::uint16_t from) : schema_(std::move(schema)), from_(from) {}

  // Whether rows of that version can be read as they are.
  bool isIdentity() const noexcept { return from_ >= schema_.completeFrom(); }

  // The fields that are made, in the order in which they are, then those that are taken away.
  struct Step {
    std::string field;  // "address.city"
    std::string how;    // as the schema has it: (since = 3, copy = "name"), or "retired"
  };
  std::vector<Step> steps() const;

  // Equal for plans that do the same to a row, whatever its fields are called.
  std::uint64_t hash() const;

  // Makes the fields of a record, which is a copy of the row. Throws Error(fixRow) with the facts field and reason.
  void run(capnp::DynamicStruct::Builder record) const;

 private:
  RecordSchema schema_;
  std::uint16_t from_;
};

// Sets the fields that older programs know from those that have taken their place ($Instar.mirrored), in a record that is to
// be put. Throws Error(fixInput) with the facts field and reason, also where the record sets a field that is retired.
void prepareToPut(const RecordSchema& schema, capnp::DynamicStruct::Builder record);

}  // namespace instar
