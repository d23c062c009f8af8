#pragma once

// What has to be done to a row of an older version so that it is one of a schema: the fields that
// $Instar.derived makes for rows which were written before these fields existed, and the end of those
// that $Instar.retired takes away. However many versions lie between, it is one pass over the row; where
// the record struct was replaced ($Instar.replaces) one for each struct. $Instar.upgraded says what else
// is done to a row. Immutable and cheap to copy; any thread.

#include <capnp/dynamic.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "instar/evolve/functions.h"
#include "instar/evolve/record_schema.h"
#include "instar/format/error.h"

namespace instar {

// A function that a schema calls and a program cannot run.
struct UnusableFunction {
  std::string field;     // that it makes; empty where it makes the record
  std::string function;  // its name
  std::string reason;    // it is not there, or takes something else
};

// A rule of $Instar.validated that a record does not keep.
struct BrokenRule {
  std::string validator;  // its name
  std::string reason;
};

// Called behind each function that has all of a record in its hands, with the function's name.
using WholeRecordHook = std::function<void(const std::string& function)>;

// Rows of one version.
class Plan {
 public:
  // Whether rows of that version can be read as they are.
  bool isIdentity() const noexcept;

  // The fields that are made and taken away, in the order in which they are.
  struct Step {
    std::string field;  // "address.city"; empty where a function makes the record
    std::string how;    // as the schema has it: (since = 3, copy = "name"), or "retired"
  };
  std::vector<Step> steps() const;

  // Equal for plans that do the same to a row, whatever its fields are called.
  std::uint64_t hash() const;

  // What keeps this program from running it; empty where nothing does.
  std::vector<UnusableFunction> unusable() const;

  // Whether an error of run() or replace() is only about a function that this program cannot run.
  bool isForLackOfFunction(const Error& error) const;

  // Whether the row is of the struct that this one has replaced. Then before() is the plan for that struct,
  // which runs first, and replace() makes a record for run() from what is there then. before() throws
  // Error(restoreFromBackup) where the file does not have the struct.
  bool replaces() const noexcept;
  Plan before() const;
  void replace(capnp::DynamicStruct::Reader older, capnp::DynamicStruct::Builder record,
               const WholeRecordHook& behind = {}) const;

  const RecordSchema& schema() const noexcept;  // that the record is one of
  bool mayChangeKey() const noexcept;           // whether it calls such a function

  // Makes the fields of a record, which is a copy of the row. Throws Error(fixRow) with the facts field and
  // reason, and function where it is one that refuses or is not there.
  void run(capnp::DynamicStruct::Builder record, const WholeRecordHook& behind = {}) const;

 private:
  friend class Plans;
  struct Bound;
  Plan(std::shared_ptr<const Bound> bound, std::uint16_t from) : bound_(std::move(bound)), from_(from) {}

  std::string meaning() const;

  std::shared_ptr<const Bound> bound_;
  std::uint16_t from_;
};

// The schema of the nearest version of a collection below that one; nothing where there is none.
using SchemaBelow = std::function<std::optional<RecordSchema>(std::uint16_t version)>;

// What a schema asks for, with the functions that it calls looked up once: the plans of all versions, and
// what is done to records that are put.
class Plans {
 public:
  // `below` is asked at once, where the record struct has replaced another, and for that one likewise.
  explicit Plans(RecordSchema schema, std::shared_ptr<const Functions> functions = nullptr,
                 const SchemaBelow& below = {});

  const RecordSchema& schema() const noexcept;
  Plan from(std::uint16_t version) const { return {bound_, version}; }

  // Throws Error(fixCall) naming type, field and function where one cannot be run, also of those that make
  // mirrors and judge rules.
  void requireFunctions() const;

  // Whether records have rules, and all of them can be judged.
  bool hasRules() const noexcept;
  bool canJudge() const noexcept;

  // The rules that a record of the schema breaks, as far as they can be judged.
  std::vector<BrokenRule> brokenRules(capnp::DynamicStruct::Reader record) const;

  // Sets the fields that older programs know from those that have taken their place ($Instar.mirrored),
  // in a record that is to be put. Throws Error(fixInput) with the facts field and reason, and function
  // as above; also where the record sets a field that is retired.
  void prepareToPut(capnp::DynamicStruct::Builder record) const;

  // Makes the derived fields of a record again that are made from one of these ("name", "address.city"),
  // directly or through others, as for a row of a version that did not have them. Functions that have all of
  // a record in their hands are not called. Throws as Plan::run().
  void deriveAgain(capnp::DynamicStruct::Builder record, const std::vector<std::string>& fields) const;

  // What keeps this program from putting any record: functions that mirrors call. Empty where nothing does.
  std::vector<UnusableFunction> unusableForPut() const;

 private:
  std::shared_ptr<const Plan::Bound> bound_;
};

}  // namespace instar
