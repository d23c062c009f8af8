#pragma once

// Which fields are $Instar.sensitive, and what is shown in their place. A field counts as sensitive if any of
// the given versions says so: a row read through an older version shows nothing that a newer one hides. What
// lies behind an AnyPointer has no schema here: such a field is shown whole, or masked where it is itself
// sensitive.
//
// Immutable after construction; any thread.

#include <capnp/dynamic.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "instar/evolve/record_schema.h"
#include "instar/format/error.h"
#include "instar/format/key.h"

namespace instar::tools {

// What a masked value begins with in forms that have only text for it: `$masked(text 1..8)`.
inline constexpr std::string_view kMaskedPrefix = "$masked(";
// Why such a value is refused where it is read again.
inline constexpr const char* kMaskedReason = "the value is masked; dump again with --unmask";

class Masking {
 public:
  Masking() = default;  // masks nothing
  explicit Masking(const std::vector<RecordSchema>& versions);

  bool empty() const noexcept { return sensitive_.empty(); }
  bool masks(capnp::StructSchema::Field field) const;
  // The field of that path through groups ("address.city"), or a group around it.
  bool masksPath(capnp::StructSchema record, std::string_view path) const;

  // For each part of the key, whether the field that it comes from, or a group around it, is sensitive.
  std::vector<bool> maskedKeyParts(const RecordSchema& schema) const;

  // Copies what may be seen, field by field: nothing else of `record` is in the bytes of `copy`, neither
  // sensitive fields nor what lies in members of unions that are not active. Sensitive fields have their
  // default.
  void copyVisible(capnp::DynamicStruct::Reader record, capnp::DynamicStruct::Builder copy) const;

 private:
  using FieldId = std::pair<std::uint64_t, std::uint32_t>;
  static FieldId fieldId(capnp::StructSchema::Field field);
  void collect(capnp::StructSchema type, std::vector<capnp::StructSchema>& seen);
  void copyField(capnp::DynamicStruct::Reader record, capnp::StructSchema::Field field,
                 capnp::DynamicStruct::Builder copy) const;
  void copyList(capnp::DynamicList::Reader list, capnp::DynamicList::Builder copy) const;

  std::set<FieldId> sensitive_;
};

// The kind of a value, and of text and data a coarse length in bytes: "text 1..8", "number", "list".
std::string maskedDescription(const capnp::DynamicValue::Reader& value);

// Prints keys of one collection as key_text.h does, with `$masked(…)` for sensitive parts.
class KeyPrinter {
 public:
  KeyPrinter(const RecordSchema& schema, const Masking& masking)
      : spec_(schema.key()), masked_(masking.maskedKeyParts(schema)) {}

  bool masksAnything() const noexcept;
  std::string print(Bytes key) const;

  // The same error, with a `key` that it names masked; `key` is the row's, where it is known.
  Error mask(const Error& error, Bytes key) const;

 private:
  std::string printPart(std::size_t index, const KeyValue& value) const;

  KeySpec spec_;
  std::vector<bool> masked_;
};

}  // namespace instar::tools
