#pragma once

// Looks at a field in very many records: where it lies and what it is are taken from the schema once. What
// the dynamic API finds out with every call would cost more than the reading itself. Immutable; any thread.

#include <capnp/any.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "instar/evolve/canary_statistics.h"
#include "instar/evolve/internal/field_path.h"

namespace instar::internal {

bool isPointerType(capnp::schema::Type::Which type) noexcept;

// A record, taken apart once for all probes.
struct RecordSections {
  explicit RecordSections(capnp::AnyStruct::Reader record)
      : data(record.getDataSection()), pointers(record.getPointerSection()) {}

  kj::ArrayPtr<const kj::byte> data;
  capnp::List<capnp::AnyPointer>::Reader pointers;
};

class FieldProbe {
 public:
  // A field of the record struct or of its groups, and not a group itself.
  explicit FieldProbe(const FieldPath& field);

  bool isPointer() const noexcept { return isPointer_; }

  // Not where the pointer is null, or another member of its union is active.
  bool isSet(const RecordSections& record) const;

  // Whether two records plainly have the same there; where not, it has to be looked at more closely, since
  // null and empty, or two zeros, may be the same to who reads.
  bool isPlainlySame(const RecordSections& left, const RecordSections& right) const;

  // Of a field that is set. Nothing for NaN, structs, Void and pointers without a type.
  std::optional<FieldNumber> number(const RecordSections& record) const;

 private:
  struct UnionMember {
    std::uint32_t offset = 0;  // of the union's number, in units of two bytes
    std::uint16_t number = 0;
  };

  std::uint64_t bits(const RecordSections& record) const noexcept;

  std::vector<UnionMember> unions_;  // that the field lies in
  capnp::schema::Type::Which type_;
  bool isPointer_;
  std::uint32_t offset_;
  std::uint64_t defaultBits_ = 0;
};

}  // namespace instar::internal
