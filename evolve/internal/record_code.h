#pragma once

// What functions of the program do to a record as a whole, as $Instar.replaces says it on the struct. Plain values; any thread.

#include <capnp/schema.h>

#include <cstdint>
#include <optional>
#include <string>

namespace instar::internal {

// Rows of versions below `since` are of another struct, which the function turns into this one.
struct Replacement {
  std::uint16_t since = 0;
  std::uint64_t type = 0;  // id of the other struct
  std::string function;

  std::string text() const;  // as the schema has it
  friend bool operator==(const Replacement&, const Replacement&) = default;
};

struct RecordCode {
  std::optional<Replacement> replaces;
};

// Throws Error(fixSchema) naming the type and what is wrong: a version out of range, no function, the struct itself.
RecordCode recordCodeOf(capnp::StructSchema record, std::uint16_t version);

// A line each; empty where there is none.
std::string meaningOf(const RecordCode& code);

}  // namespace instar::internal
