#pragma once

// Rows as they are handed out (Row) and as they are made (Draft). Both stay where they are created: they are
// returned without a copy and cannot be moved. One thread at a time.

#include <capnp/any.h>
#include <capnp/dynamic.h>
#include <capnp/message.h>

#include <cstdint>
#include <memory>
#include <new>
#include <optional>

#include "instar/evolve/record_message.h"
#include "instar/evolve/record_schema.h"
#include "instar/format/key.h"
#include "instar/format/row.h"

namespace instar {

class TransactionState;

// How deep structs and lists may be nested in a row; deeper rows are refused when they are put.
inline constexpr int kMaxRowNesting = 256;

namespace internal {

// The bytes of a row that was found and verified, 8-byte aligned: in the map where they lie right, otherwise
// a copy.
class RowBytes {
 public:
  RowBytes() = default;
  RowBytes(const RowBytes&) = delete;
  RowBytes& operator=(const RowBytes&) = delete;
  ~RowBytes();

  bool found() const noexcept { return !payload_.empty(); }

  // Take what was decoded, once. What is borrowed stays as it is as long as `transaction`.
  void borrow(TransactionState& transaction, Bytes key, const RowView& row);
  void copy(Bytes key, const RowView& row);
  void take(Bytes key, std::uint16_t version, std::unique_ptr<std::byte[]> bytes,
            Bytes payload);                                                      // in `bytes`
  void share(std::shared_ptr<const void> owner, Bytes key, const RowView& row);  // whose bytes they are
  void copyKey();  // where the key may go before the row

  Bytes key() const noexcept { return key_; }
  std::uint16_t version() const noexcept { return version_; }
  Bytes payload() const noexcept { return payload_; }

  // The version whose record it is, whatever it was written with.
  void serveAs(std::uint16_t version) noexcept { servedAs_ = version; }
  std::uint16_t servedAs() const noexcept { return servedAs_; }

 private:
  Bytes key_;
  Bytes payload_;
  std::uint16_t version_ = 0;
  std::uint16_t servedAs_ = 0;
  Key ownKey_;
  std::unique_ptr<std::byte[]> copy_;
  std::shared_ptr<const void> owner_;
  TransactionState* snapshot_ = nullptr;  // whose count of living rows includes this one
};

[[noreturn]] void throwNoRow();

// A Cap'n Proto message over a payload that lies 8-byte aligned; borrows it. A payload that is whole in
// itself (format/payload.h) is read as it is; every other through Cap'n Proto's own checks, which throw when
// they meet what is wrong.
class PayloadMessage {
 public:
  explicit PayloadMessage(Bytes payload);
  PayloadMessage(const PayloadMessage&) = delete;
  PayloadMessage& operator=(const PayloadMessage&) = delete;

  const capnp::AnyPointer::Reader& root() const noexcept { return root_; }

 private:
  struct Checked {
    explicit Checked(Bytes payload);
    kj::ArrayPtr<const capnp::word> segment;
    capnp::SegmentArrayMessageReader reader;
  };
  std::optional<Checked> checked_;
  capnp::AnyPointer::Reader root_;
};

// How a record type is read and built. Run-time types hold on to their schema, generated ones need none.
template <class T>
struct RecordTraits {
  struct Schema {};
  static typename T::Reader reader(const capnp::AnyPointer::Reader& root, const Schema&) {
    return root.getAs<T>();
  }
  static typename T::Builder create(capnp::MessageBuilder& message, const Schema&) {
    return message.initRoot<T>();
  }
  static typename T::Builder existing(capnp::MessageBuilder& message, const Schema&) {
    return message.getRoot<T>();
  }
};

template <>
struct RecordTraits<capnp::DynamicStruct> {
  using Schema = RecordSchema;
  static capnp::DynamicStruct::Reader reader(const capnp::AnyPointer::Reader& root, const Schema& schema) {
    return root.getAs<capnp::DynamicStruct>(schema.root());
  }
  static capnp::DynamicStruct::Builder create(capnp::MessageBuilder& message, const Schema& schema) {
    return message.initRoot<capnp::DynamicStruct>(schema.root());
  }
  static capnp::DynamicStruct::Builder existing(capnp::MessageBuilder& message, const Schema& schema) {
    return message.getRoot<capnp::DynamicStruct>(schema.root());
  }
};

// Where an edited draft comes from.
struct DraftOrigin {
  Key key;
  std::uint64_t transaction = 0;
  std::uint16_t servedAs = 0;  // the version whose record the row was
};

}  // namespace internal

// A row, or the absence of one. Borrows from its transaction. T is a generated struct or
// capnp::DynamicStruct.
template <class T>
class Row {
 public:
  using Reader = typename T::Reader;
  using Schema = typename internal::RecordTraits<T>::Schema;

  // `fill(RowBytes&)` looks the row up; the engine's own way of making rows.
  template <class Fill>
  Row(Schema schema, Fill&& fill) : schema_(std::move(schema)) {
    fill(bytes_);
    if (!bytes_.found()) return;
    message_.emplace(bytes_.payload());
    reader_ = internal::RecordTraits<T>::reader(message_->root(), schema_);
  }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  // False: there is no such row.
  explicit operator bool() const noexcept { return bytes_.found(); }
  const Reader* operator->() const noexcept { return &reader_; }
  const Reader& operator*() const noexcept { return reader_; }

  Bytes key() const noexcept { return bytes_.key(); }
  std::uint16_t version() const noexcept { return bytes_.version(); }  // that the row was written with
  Bytes payload() const noexcept { return bytes_.payload(); }          // as stored: one Cap'n Proto segment

  // Whether the record is as this version has it. False for the version of the program where that is staged
  // and the row's key does not belong to the share that is served (engine/staging.h); then the fields are as
  // the version below has them. Of this row, and of a Draft of it: for a new record, which a copy of the row
  // that is put as a Reader is too, ask the collection.
  bool serves(std::uint16_t version) const noexcept { return version <= bytes_.servedAs(); }
  std::uint16_t servedAs() const noexcept { return bytes_.servedAs(); }  // the highest of them

  // The row through another version of its schema. Throws Error(fixCall) where there is no row.
  capnp::DynamicStruct::Reader as(capnp::StructSchema schema) const {
    if (!message_) internal::throwNoRow();
    return message_->root().getAs<capnp::DynamicStruct>(schema);
  }

 private:
  [[no_unique_address]] Schema schema_;
  internal::RowBytes bytes_;
  std::optional<internal::PayloadMessage> message_;
  Reader reader_;
};

// A record in the making. `draft->setName(…)`, then Collection::put, which leaves it as it is. A Draft that
// Collection::edit began with a stored row keeps what newer programs have put into that row.
template <class T>
class Draft {
 public:
  using Builder = typename T::Builder;
  using Schema = typename internal::RecordTraits<T>::Schema;

  explicit Draft(Schema schema) : schema_(std::move(schema)) {
    builder_.emplace(internal::RecordTraits<T>::create(message_, schema_));
  }
  // A copy of `row`, including fields that `schema` does not know; or, of an absent row, nothing.
  Draft(Schema schema, const Row<T>& row, std::uint64_t transaction) : schema_(std::move(schema)) {
    if (!row) return;
    origin_ = {.key = Key(row.key()), .transaction = transaction, .servedAs = row.servedAs()};
    message_.setRoot(*row);
    builder_.emplace(internal::RecordTraits<T>::existing(message_, schema_));
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  explicit operator bool() const noexcept { return builder_.has_value(); }
  Builder* operator->() noexcept { return &*builder_; }
  Builder& operator*() noexcept { return *builder_; }

  const Schema& schema() const noexcept { return schema_; }
  // Of a draft that began as a stored row; null for a new record.
  const internal::DraftOrigin* origin() const noexcept { return origin_ ? &*origin_ : nullptr; }
  internal::RecordMessage& message() noexcept { return message_; }

 private:
  static constexpr std::size_t kRoom = 128;  // words; most records fit

  [[no_unique_address]] Schema schema_;
  internal::RoomyMessage<kRoom> message_;
  std::optional<Builder> builder_;
  std::optional<internal::DraftOrigin> origin_;
};

}  // namespace instar
