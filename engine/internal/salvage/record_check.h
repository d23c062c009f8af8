#pragma once

// Whether a record of the catalog whose checksum holds is what its key says: it is copied into the new file
// as it is, where everything believes it. Pure; any thread.

#include <capnp/serialize.h>

#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "instar/format/bytes.h"
#include "instar/format/row.h"

namespace instar {

// A copy of a payload that Cap'n Proto can read, which is trusted in nothing: what would make it seem much
// larger than it is ends as an exception. The record is valid as long as this object.
class AlignedRecord {
 public:
  explicit AlignedRecord(Bytes payload);
  AlignedRecord(const AlignedRecord&) = delete;
  AlignedRecord& operator=(const AlignedRecord&) = delete;

  capnp::AnyPointer::Reader root() { return message_.getRoot<capnp::AnyPointer>(); }

 private:
  std::vector<capnp::word> copy_;
  kj::ArrayPtr<const capnp::word> segment_;
  capnp::SegmentArrayMessageReader message_;
};

// Collection and number of a key like that of a version's record.
std::optional<std::pair<std::string_view, std::uint16_t>> versionOfKey(std::string_view key) noexcept;

// Null, or what is wrong with the record. Kinds that are never copied are looked at by those who read them.
const char* findWrong(std::string_view key, const RowView& record);

// The version that such a record is about (of staging, canary and divergence): 0 of all others.
std::uint16_t subjectOf(std::string_view key, const RowView& record);

}  // namespace instar
