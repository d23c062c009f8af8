#include "instar/engine/collection.h"

#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/row_writer.h"

namespace instar {

const RecordSchema& internal::schemaOf(const CollectionState& collection) noexcept {
  return collection.schema();
}

const std::string& CollectionBase::name() const noexcept { return state_->name(); }
const RecordSchema& CollectionBase::schema() const noexcept { return state_->schema(); }
const KeySpec& CollectionBase::keySpec() const noexcept { return state_->schema().key(); }

std::uint64_t CollectionBase::count(const Transaction& transaction) const {
  TransactionState& state = transaction.state();
  state_->admitReading(state);
  return state.storage().statistics(state_->tree()).entries;
}

std::uint64_t CollectionBase::count(const Transaction& transaction, const ScanOptions& options) const {
  ScanBase scan(state_, transaction, options);
  std::uint64_t rows = 0;
  while (rows < options.limit && scan.next()) ++rows;
  return rows;
}

bool CollectionBase::contains(const Transaction& transaction, const Key& key) const {
  TransactionState& state = transaction.state();
  state_->admitReading(state);
  return state.storage().get(state_->tree(), key.bytes()).has_value();
}

bool CollectionBase::erase(WriteTransaction& transaction, const Key& key) const {
  TransactionState& state = transaction.state();
  state_->admitWriting(state);
  state.changed();
  return state.storage().erase(state_->tree(), key.bytes());
}

void CollectionBase::find(const Transaction& transaction, const Key& key, internal::RowBytes& row) const {
  TransactionState& state = transaction.state();
  state_->admitReading(state);
  const auto value = state.storage().get(state_->tree(), key.bytes());
  if (!value) return;
  state_->load(state, key.bytes(), *value, row);
  row.copyKey();
}

Key CollectionBase::encode(std::span<const KeyValue> values, KeyForm form) const {
  Key key;
  encodeKey(keySpec(), values, form, key);
  return key;
}

void CollectionBase::refuseEmptyDraft() const {
  throw Error(ErrorCode::fixCall, "the draft is empty, because edit found no row: test it before using it",
              {{"collection", name()}});
}

void CollectionBase::refuseOtherType(const RecordSchema& draft) const {
  if (draft.fingerprint() == schema().fingerprint()) return;
  throw Error(
      ErrorCode::fixCall, "the draft was begun by a collection with another schema: begin it with this one",
      {{"collection", name()},
       {"draft", std::string(draft.typeName()) + " version " + std::to_string(draft.version())},
       {"schema", std::string(schema().typeName()) + " version " + std::to_string(schema().version())}});
}

void CollectionBase::refuseOtherType(capnp::StructSchema record) const {
  if (record.getProto().getId() == schema().rootId()) return;
  throw Error(ErrorCode::fixCall, "the record is of another type than the collection",
              {{"collection", name()},
               {"record", record.getShortDisplayName().cStr()},
               {"schema", std::string(schema().typeName())}});
}

void CollectionBase::store(WriteTransaction& transaction, const Key* explicitKey,
                           capnp::MessageBuilder& message, const internal::DraftOrigin* origin) const {
  TransactionState& state = transaction.state();
  state_->admitWriting(state);
  state_->prepareToPut(message);
  Key key;
  if (!keySpec().empty()) {
    if (explicitKey != nullptr) {
      throw Error(ErrorCode::fixCall,
                  "the key of this collection is in the record's $key fields: put without a key",
                  {{"collection", name()}});
    }
    encodeKey(keySpec(), message.getRoot<capnp::AnyStruct>().asReader(), key);
  } else if (explicitKey == nullptr || explicitKey->empty()) {
    throw Error(ErrorCode::fixCall, "the record has no $key fields: put it under a key of at least one byte",
                {{"collection", name()}});
  } else {
    key = *explicitKey;
  }

  std::optional<capnp::MallocMessageBuilder> merged;
  capnp::MessageBuilder* source = &message;
  // A draft that began as this very row, in this transaction, has all of it already.
  const bool hasWholeRow = origin != nullptr && origin->transaction == transaction.id() && origin->key == key;
  if (state_->isOlderProgram() && !hasWholeRow) {
    const auto stored = state.storage().get(state_->tree(), key.bytes());
    if (stored) {
      internal::RowBytes row;
      state_->loadStored(state, key.bytes(), *stored, row);
      if (!state_->plans().from(row.version()).replaces()) {  // a row of another struct has nothing to keep
        internal::PayloadMessage newer(row.payload());
        keepUnknownFields(newer.root(), message.getRoot<capnp::DynamicStruct>(state_->root()).asReader(),
                          state_->root(), merged.emplace());
        source = &*merged;
      }
    }
  }
  const FlatRecord flat(*source);
  if (state_->nestsWithoutLimit()) flat.refuseDeepNesting();
  writeRow(state, state_->tree(), key, schema().version(), flat.payload());
}

}  // namespace instar
