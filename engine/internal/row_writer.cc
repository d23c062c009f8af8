#include "instar/engine/internal/row_writer.h"

#include "instar/engine/internal/store_state.h"
#include "instar/engine/row.h"
#include "instar/format/error.h"
#include "instar/format/row.h"

namespace instar {
namespace {

Bytes toBytes(kj::ArrayPtr<const capnp::word> words) {
  return std::as_bytes(std::span(words.begin(), words.size()));
}

class Overlay {
 public:
  static void apply(capnp::DynamicStruct::Builder target, capnp::DynamicStruct::Reader source) {
    for (const auto field : source.getSchema().getNonUnionFields()) setField(target, source, field);
    KJ_IF_MAYBE (active, source.which()) {
      setUnionMember(target, source, *active);
    }
  }

 private:
  using Field = capnp::StructSchema::Field;

  static void setField(capnp::DynamicStruct::Builder target, capnp::DynamicStruct::Reader source,
                       Field field) {
    if (field.getProto().isGroup()) {
      apply(target.get(field).as<capnp::DynamicStruct>(), source.get(field).as<capnp::DynamicStruct>());
    } else if (!source.has(field)) {
      target.clear(field);  // a null pointer; scalars always are there
    } else if (field.getType().isStruct() && target.has(field)) {
      apply(target.get(field).as<capnp::DynamicStruct>(), source.get(field).as<capnp::DynamicStruct>());
    } else {
      target.set(field, source.get(field));
    }
  }

  static void setUnionMember(capnp::DynamicStruct::Builder target, capnp::DynamicStruct::Reader source,
                             Field field) {
    bool active = false;
    KJ_IF_MAYBE (current, target.which()) {
      active = *current == field;
    }
    if (!active && field.getProto().isGroup()) target.init(field);
    setField(target, source, field);  // sets the discriminant too
  }
};

}  // namespace

FlatRecord::FlatRecord(internal::RecordMessage& message) {
  const auto root = message.getRoot<capnp::AnyPointer>().asReader();
  const std::uint64_t words = root.targetSize().wordCount + 1;
  if (message.isOneSegment()) {
    const auto segment = message.getSegmentsForOutput()[0];
    if (words == segment.size()) {
      payload_ = toBytes(segment);
      return;
    }
  }
  if (words > kMaxPayloadLength / sizeof(capnp::word)) {
    throw Error(ErrorCode::fixCall, "the row is larger than 1 GiB: divide it into several rows",
                {{"bytes", std::to_string(words * sizeof(capnp::word))}});
  }
  copy_.emplace(static_cast<std::size_t>(words));
  copy_->initRoot<capnp::AnyPointer>().set(root);
  payload_ = toBytes(copy_->getSegmentsForOutput()[0]);
}

void FlatRecord::refuseDeepNesting() const {
  internal::PayloadMessage message(payload_);
  try {
    message.root().targetSize();
  } catch (const kj::Exception&) {
    throw Error(ErrorCode::fixCall,
                "the row is nested too deeply: at most 256 structs and lists inside one another");
  }
}

void writeRow(TransactionState& transaction, storage::TreeId tree, const Key& key, std::uint16_t version,
              Bytes payload, RowFlags flags) {
  if (payload.size() > kMaxPayloadLength) {
    throw Error(ErrorCode::fixCall, "the row is larger than 1 GiB: divide it into several rows",
                {{"bytes", std::to_string(payload.size())}});
  }
  const std::size_t keyLength = key.bytes().size();
  const RowPlacement placement =
      transaction.store().environment().placement(keyLength, kMinRowHeaderLength + payload.size());
  const std::size_t length = rowHeaderLength(keyLength, placement) + payload.size();
  transaction.changed();
  encodeRow(transaction.storage().reserve(tree, key.bytes(), length), key.bytes(), version, payload,
            placement, flags);
}

void keepUnknownFields(capnp::AnyPointer::Reader stored, capnp::DynamicStruct::Reader record,
                       capnp::StructSchema schema, capnp::MessageBuilder& merged) {
  merged.initRoot<capnp::AnyPointer>().set(stored);
  Overlay::apply(merged.getRoot<capnp::DynamicStruct>(schema), record);
}

}  // namespace instar
