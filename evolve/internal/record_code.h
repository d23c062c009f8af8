#pragma once

// What functions of the program do to a record as a whole, as $Instar.replaces, $Instar.upgraded and
// $Instar.validated say it on the struct. Plain values; any thread.

#include <capnp/schema.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace instar::internal {

// Rows of versions below `since` are of another struct, which the function turns into this one.
struct Replacement {
  std::uint16_t since = 0;
  std::uint64_t type = 0;  // id of the other struct
  std::string function;

  std::string text() const;  // as the schema has it
  friend bool operator==(const Replacement&, const Replacement&) = default;
};

// Changes records of versions below `to`.
struct StepCall {
  std::uint16_t to = 0;
  std::string function;

  std::string text() const;
  friend bool operator==(const StepCall&, const StepCall&) = default;
};

struct RecordCode {
  std::optional<Replacement> replaces;
  std::vector<StepCall> steps;          // by `to`
  std::vector<std::string> validators;  // names, sorted
};

// Throws Error(fixSchema) naming the type and what is wrong: a version out of range or there
// twice, no function or one twice, the struct itself.
RecordCode recordCodeOf(capnp::StructSchema record, std::uint16_t version);

// A line each; empty where there is none.
std::string meaningOf(const RecordCode& code);

}  // namespace instar::internal
