#pragma once

// A row of an older version as a record of the newest one: a copy with the fields that $Instar.derived makes,
// or what a function has made of it. One thread.

#include <memory>
#include <optional>
#include <vector>

#include "instar/engine/row.h"
#include "instar/evolve/plan.h"
#include "instar/format/row.h"

namespace instar {

class UpgradedRecord {
 public:
  // `stored` may lie at any address, may need no upgrade, and is not needed afterwards. Throws Error(fixRow)
  // with the facts field, function and reason, as Plan has them.
  UpgradedRecord(const Plans& plans, Bytes key, const RowView& stored)
      : UpgradedRecord(plans.from(stored.version), key, stored) {}

  // The rules of $Instar.validated that it breaks.
  std::vector<BrokenRule> brokenRules(const Plans& plans) const;

  // The record as it is stored: without bytes that no pointer reaches. Throws Error(fixRow) where it
  // cannot be copied.
  std::vector<std::byte> compact() const;

  // Gives the bytes away.
  void moveTo(internal::RowBytes& row, Bytes key) &&;

 private:
  UpgradedRecord(const Plan& plan, Bytes key, const RowView& stored);
  void derive(const Plan& plan, Bytes key, Bytes payload);
  void replace(const Plan& plan, Bytes key, const RowView& stored);
  void keep(internal::RecordMessage& message);

  std::uint16_t version_;
  std::unique_ptr<std::byte[]> bytes_;
  Bytes payload_;  // in bytes_
};

// A stored row as a record of a schema, upgraded where it has to be. Throws as UpgradedRecord.
class RecordView {
 public:
  RecordView(const Plans& plans, Bytes key, const RowView& stored);

  const capnp::AnyPointer::Reader& root() const noexcept { return message_->root(); }
  capnp::AnyStruct::Reader record() const { return root().getAs<capnp::AnyStruct>(); }

 private:
  internal::RowBytes row_;
  std::optional<internal::PayloadMessage> message_;
};

}  // namespace instar
