#pragma once

// Records for the tests of the command: schemas from tests/tools/schemas, records from JSON, random records.
// One thread.

#include <capnp/dynamic.h>
#include <capnp/message.h>

#include <string>
#include <string_view>

#include "instar/evolve/record_schema.h"
#include "instar/tools/masking.h"

namespace instar::tools {

// "every_kind.capnp:EveryKind"
RecordSchema testSchema(std::string_view name);

// A record of its own.
class Record {
 public:
  explicit Record(RecordSchema schema) : schema_(std::move(schema)) {
    message_.initRoot<capnp::DynamicStruct>(schema_.root());
  }
  Record(RecordSchema schema, std::string_view json);
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;
  ~Record() noexcept {}  // ends the program where Cap'n Proto throws

  const RecordSchema& schema() const { return schema_; }
  capnp::DynamicStruct::Builder builder() { return message_.getRoot<capnp::DynamicStruct>(schema_.root()); }
  capnp::DynamicStruct::Reader reader() { return builder().asReader(); }

 private:
  RecordSchema schema_;
  capnp::MallocMessageBuilder message_;
};

// Every field, every pointer, every member of unions, whether absent or empty.
bool sameRecords(Record& left, Record& right);

std::string json(Record& record, const Masking& masking = {});

// Fills the record with values from RapidCheck; only to be called in a property.
void fillRandomly(capnp::DynamicStruct::Builder record);

// The fact `field`, a colon and the fact `reason` of the error that `action` throws; empty where it throws
// none.
template <class Action>
std::string refusal(Action&& action);

}  // namespace instar::tools

#include "instar/format/error.h"

template <class Action>
std::string instar::tools::refusal(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return std::string(error.fact("field")) + ": " + std::string(error.fact("reason"));
  }
  return {};
}
