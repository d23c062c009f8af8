#include "instar/engine/collection.h"

#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/row_writer.h"

namespace instar {

const RecordSchema& internal::schemaOf(const CollectionState& collection) noexcept {
  return collection.schema();
}

const std::shared_ptr<CollectionState>& stateOf(const CollectionBase& handle) noexcept {
  return handle.state_;
}

const std::string& CollectionBase::name() const noexcept { return state_->name(); }
const RecordSchema& CollectionBase::schema() const noexcept { return state_->schema(); }
const KeySpec& CollectionBase::keySpec() const noexcept { return state_->schema().key(); }

std::uint64_t CollectionBase::count(const Transaction& transaction) const {
  TransactionState& state = transaction.state();
  state_->admitReading(state);
  return state_->count(state);
}

std::uint64_t CollectionBase::count(const Transaction& transaction, const ScanOptions& options) const {
  ScanBase scan(state_, transaction, options);
  std::uint64_t rows = 0;
  while (rows < options.limit && scan.next()) ++rows;
  return rows;
}

bool CollectionBase::serves(std::uint16_t version) const noexcept {
  return version <= state_->wholeVersion();
}

bool CollectionBase::serves(const Transaction& transaction, const Key& key, std::uint16_t version) const {
  state_->admitReading(transaction.state());
  return version <= state_->servedVersion(key.bytes());
}

bool CollectionBase::contains(const Transaction& transaction, const Key& key) const {
  TransactionState& state = transaction.state();
  state_->admitReading(state);
  return state_->contains(state, key.bytes());
}

bool CollectionBase::erase(WriteTransaction& transaction, const Key& key) const {
  TransactionState& state = transaction.state();
  state_->admitWriting(state);
  return state_->erase(state, key);
}

void CollectionBase::find(const Transaction& transaction, const Key& key, internal::RowBytes& row) const {
  TransactionState& state = transaction.state();
  state_->admitReading(state);
  row.serveAs(state_->version());
  state_->find(state, key.bytes(), row);
  if (row.found()) row.copyKey();
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

Key CollectionBase::keyToPut(const Key* explicitKey, capnp::MessageBuilder& message) const {
  if (keySpec().empty()) {
    if (explicitKey != nullptr && !explicitKey->empty()) return *explicitKey;
    throw Error(ErrorCode::fixCall, "the record has no $key fields: put it under a key of at least one byte",
                {{"collection", name()}});
  }
  if (explicitKey != nullptr) {
    throw Error(ErrorCode::fixCall,
                "the key of this collection is in the record's $key fields: put without a key",
                {{"collection", name()}});
  }
  Key key;
  encodeKey(keySpec(), message.getRoot<capnp::AnyStruct>().asReader(), key);
  return key;
}

void CollectionBase::store(WriteTransaction& transaction, const Key* explicitKey,
                           internal::RecordMessage& message, const internal::DraftOrigin* origin) const {
  TransactionState& state = transaction.state();
  state_->admitWriting(state);
  const Key key = keyToPut(explicitKey, message);
  const CollectionState::PutAs as = state_->putAs(key, origin);
  state_->prepareToPut(as, message);

  std::optional<internal::RecordMessage> merged;
  internal::RecordMessage* source = &message;
  // A draft that began as this very row, in this transaction, has all of it already.
  const bool hasWholeRow = origin != nullptr && origin->transaction == transaction.id() && origin->key == key;
  if (state_->mayMeetNewerRows(as.version) && !hasWholeRow) {
    internal::RowBytes row;
    state_->findStored(state, key.bytes(), row);
    // A row of another struct has nothing to keep.
    if (row.found() && !as.plans->from(row.version()).replaces()) {
      const capnp::StructSchema known = as.plans->schema().root();
      internal::PayloadMessage newer(row.payload());
      keepUnknownFields(newer.root(), message.getRoot<capnp::DynamicStruct>(known).asReader(), known,
                        merged.emplace());
      source = &*merged;
    }
  }
  const FlatRecord flat(*source);
  if (state_->nestsWithoutLimit()) flat.refuseDeepNesting();
  state_->put(state, key, as.version, flat.payload());
}

}  // namespace instar
