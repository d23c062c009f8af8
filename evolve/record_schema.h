#pragma once

// One version of a record type: the record struct and every type that it uses, detached from generated code
// and from the file that it came from. Immutable and cheap to copy; any thread.

#include <capnp/schema.capnp.h>
#include <capnp/schema.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "instar/format/key.h"

namespace instar {

namespace internal {
struct Derivations;
struct RecordCode;
}  // namespace internal

class RecordSchema {
 public:
  // From a struct of generated code, of a SchemaParser or of a SchemaLoader; copies what it needs. Throws
  // Error(fixSchema) naming type and field: $version(0), $key on what cannot be a key, gaps or doubles in the
  // order of $key, a generic record struct, an interface anywhere in the record, what derivation.h and
  // record_code.h list.
  static RecordSchema fromStruct(capnp::StructSchema root);

  // From nodes as the catalog keeps them. Throws Error(restoreFromBackup) where they do not form a schema.
  static RecordSchema fromNodes(capnp::List<capnp::schema::Node>::Reader nodes, std::uint64_t rootId);

  std::uint16_t version() const noexcept;      // from $version, 1 without it
  std::uint64_t fingerprint() const noexcept;  // equal for equal meaning, whatever the files were called
  std::string_view typeName() const noexcept;  // "Contact"
  std::uint64_t rootId() const noexcept;
  const KeySpec& key() const noexcept;  // empty: byte-string keys
  bool isRecursive() const noexcept;    // rows can nest without limit
  // Rows of this version and above are as the schema has them; what is older is upgraded when it is read
  // (plan.h).
  std::uint16_t completeFrom() const noexcept;
  // Whether records have to pass Plans::prepareToPut (plan.h) before they are put.
  bool changesPuts() const noexcept;
  capnp::StructSchema root() const;  // valid as long as any copy of this RecordSchema

  // $Instar.derived, mirrored and retired, and what stands on the struct, for the rest of this layer.
  const internal::Derivations& derivations() const noexcept;
  const internal::RecordCode& code() const noexcept;

  // Every node, the record struct first; borrowed from this object.
  capnp::List<capnp::schema::Node>::Reader nodes() const;

 private:
  struct State;
  explicit RecordSchema(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

// Whether $Instar.sensitive stands on the field (or, for a group, on the group's field).
bool isSensitive(capnp::StructSchema::Field field);

// Whether $Instar.retired stands on the field.
bool isRetired(capnp::StructSchema::Field field);

// The version that it names; nothing where it does not stand there.
std::optional<std::uint16_t> retiredSince(capnp::StructSchema::Field field);

}  // namespace instar
