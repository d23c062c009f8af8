#pragma once

// From a record in the making to a stored row. One thread at a time, as the transaction.

#include <capnp/dynamic.h>

#include <optional>

#include "instar/engine/internal/transaction_state.h"
#include "instar/evolve/record_message.h"
#include "instar/format/key.h"
#include "instar/format/row.h"

namespace instar {

// A record as one Cap'n Proto segment: the message's own where it is just that, otherwise a copy, without the
// bytes that no pointer reaches any more because something was set twice. Borrows from `message`.
class FlatRecord {
 public:
  explicit FlatRecord(internal::RecordMessage& message);

  Bytes payload() const noexcept { return payload_; }

  // Throws Error(fixCall) where the record could be stored but not read again.
  void refuseDeepNesting() const;

 private:
  std::optional<internal::RecordMessage> copy_;
  Bytes payload_;
};

// Puts a row, aligned for where it will lie. Throws Error(fixCall) where the payload is larger than a row may
// be.
void writeRow(TransactionState& transaction, storage::TreeId tree, const Key& key, std::uint16_t version,
              Bytes payload, RowFlags flags = RowFlags::none);

// Makes `merged` the record `stored` with all fields that `schema` knows taken from `record`: what a newer
// program put into the row stays. Structs are followed into structs; lists are replaced as a whole.
void keepUnknownFields(capnp::AnyPointer::Reader stored, capnp::DynamicStruct::Reader record,
                       capnp::StructSchema schema, capnp::MessageBuilder& merged);

}  // namespace instar
