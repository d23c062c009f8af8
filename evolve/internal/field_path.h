#pragma once

// A field of a record by way of the structs and groups around it: "name", "address.city". Immutable;
// valid as long as the schema that it was looked up in; any thread.

#include <capnp/dynamic.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace instar::internal {

class FieldPath {
 public:
  // Throws Error(fixSchema) with the fact "source" where there is no such field.
  FieldPath(capnp::StructSchema record, std::string_view text);

  // A field of `record` itself, or of the groups that lead to it.
  explicit FieldPath(std::vector<capnp::StructSchema::Field> steps);

  const std::string& text() const noexcept { return text_; }
  const std::vector<capnp::StructSchema::Field>& steps() const noexcept { return steps_; }
  std::string numbers() const;  // "@3.@0": what stays when fields are renamed
  capnp::StructSchema::Field field() const { return steps_.back(); }
  capnp::Type type() const { return steps_.back().getType(); }

  // Whether the field lies in the record struct, behind no pointer and outside of unions: then it can be
  // written.
  bool isPlainMember() const;
  bool isSensitive() const;  // itself, or what it lies in

  // Nothing where it is not set: a pointer is null and has no default, or another member of its union is
  // active.
  std::optional<capnp::DynamicValue::Reader> read(capnp::DynamicStruct::Reader record) const;

  // Nothing also where the field has its default.
  std::optional<capnp::DynamicValue::Reader> readIfNotDefault(capnp::DynamicStruct::Reader record) const;

  // For a plain member: the struct or group that has the field.
  capnp::DynamicStruct::Builder parent(capnp::DynamicStruct::Builder record) const;

 private:
  // The struct or group that has the field; nothing where the field is not set.
  std::optional<capnp::DynamicStruct::Reader> holder(capnp::DynamicStruct::Reader record) const;

  std::vector<capnp::StructSchema::Field> steps_;
  std::string text_;
};

// Whether one is the other, or lies in it.
bool overlap(const FieldPath& left, const FieldPath& right);

// The same field in another version of the record struct, found by numbers; in another struct by name.
// Nothing where it is not there.
std::optional<FieldPath> counterpart(const FieldPath& path, capnp::StructSchema otherRecord);

}  // namespace instar::internal
