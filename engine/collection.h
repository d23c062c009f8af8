#pragma once

// Rows of one record type under ordered keys. T is a struct of generated code, or capnp::DynamicStruct for
// schemas that are only known at run time.
//
// A Collection is a handle: cheap to copy, usable by all threads, valid as long as any Store, transaction or
// handle of its file. Reading throws Error(restoreFromBackup) for a damaged row, naming collection, key and
// damage, and never returns it; Error(upgradeProgram) where the collection's reader floor has risen above
// this program. Writing throws Error(fixCall) for what cannot be stored, Error(upgradeProgram) below the
// writer floor, Error(freeSpace).

#include <concepts>
#include <string_view>
#include <type_traits>

#include "instar/engine/row.h"
#include "instar/engine/transaction.h"
#include "instar/evolve/record_schema.h"

namespace instar {

class CollectionState;
class ScanCursor;

namespace internal {
const RecordSchema& schemaOf(const CollectionState& collection) noexcept;
}

// Which rows, and in which order. Everything that is set must hold.
struct ScanOptions {
  std::optional<Key> from{};    // the first key that belongs to it
  std::optional<Key> to{};      // the first key that no longer belongs to it
  std::optional<Key> prefix{};  // keys that begin with these bytes
  bool reverse = false;
  std::uint64_t limit = UINT64_MAX;  // rows
};

// The part of a collection that does not depend on the record type.
class CollectionBase {
  friend const std::shared_ptr<CollectionState>& stateOf(const CollectionBase& handle) noexcept;

 public:
  explicit CollectionBase(std::shared_ptr<CollectionState> state) : state_(std::move(state)) {}

  const std::string& name() const noexcept;
  const RecordSchema& schema() const noexcept;  // this program's
  const KeySpec& keySpec() const noexcept;      // empty: byte-string keys

  // Rows in all, O(1); or those that a scan would visit, counted one by one.
  std::uint64_t count(const Transaction& transaction) const;
  std::uint64_t count(const Transaction& transaction, const ScanOptions& options) const;

  // Whether this program's records are as the version has them: of all keys, or of this one, as the
  // transaction sees the share that is served. For a program whose version is staged (engine/staging.h) it
  // says how to fill a new record: ask the transaction in which it is put; until that ends it says the same.
  bool serves(std::uint16_t version) const noexcept;
  bool serves(const Transaction& transaction, const Key& key, std::uint16_t version) const;

  bool contains(const Transaction& transaction, const Key& key) const;  // without looking at the row's bytes
  bool erase(WriteTransaction& transaction, const Key& key) const;      // whether there was such a row

 protected:
  void find(const Transaction& transaction, const Key& key, internal::RowBytes& row) const;
  // `origin` is null for a new record.
  void store(WriteTransaction& transaction, const Key* key, internal::RecordMessage& message,
             const internal::DraftOrigin* origin) const;
  Key encode(std::span<const KeyValue> values, KeyForm form) const;
  Key keyToPut(const Key* explicitKey, capnp::MessageBuilder& message) const;
  [[noreturn]] void refuseEmptyDraft() const;
  void refuseOtherType(const RecordSchema& draft) const;
  void refuseOtherType(capnp::StructSchema record) const;

  std::shared_ptr<CollectionState> state_;
};

// A walk over rows in key order. Sees its transaction's own changes. Not to be used by two threads at a time.
class ScanBase {
 public:
  ScanBase(std::shared_ptr<CollectionState> collection, const Transaction& transaction, ScanOptions options);
  ScanBase(ScanBase&&) noexcept;
  ~ScanBase();

  // Goes to the next row; false at the end. After an error about a row, next() goes on behind it.
  bool next();
  Bytes key() const;    // of the row that next() went to
  Bytes value() const;  // the whole stored value, header included, unverified: for tools

 protected:
  void load(internal::RowBytes& row) const;

  std::shared_ptr<CollectionState> collection_;

 private:
  std::unique_ptr<ScanCursor> cursor_;
};

template <class T>
class Scan : public ScanBase {
 public:
  using ScanBase::ScanBase;

  // Throws for a damaged row; next() then goes on.
  Row<T> row() const;

  class Iterator {
   public:
    explicit Iterator(Scan* scan) : scan_(scan) { ++*this; }
    Row<T> operator*() const { return scan_->row(); }
    Iterator& operator++() {
      if (!scan_->next()) scan_ = nullptr;
      return *this;
    }
    bool operator==(std::default_sentinel_t) const noexcept { return scan_ == nullptr; }

   private:
    Scan* scan_;
  };
  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const noexcept { return {}; }
};

// Anything that can be part of a key: integers, bool, floating point, generated enums, text (also Cap'n
// Proto's), Data, Bytes.
template <class Value>
concept KeyPartValue = std::is_enum_v<Value> || std::is_arithmetic_v<Value> ||
    std::convertible_to<Value, std::string_view> || std::convertible_to<Value, kj::StringPtr> ||
    std::convertible_to<Value, Bytes> || std::convertible_to<Value, kj::ArrayPtr<const kj::byte>>;

template <KeyPartValue Value>
KeyValue toKeyValue(const Value& value) {
  if constexpr (std::is_enum_v<Value>) {
    return static_cast<std::uint64_t>(value);
  } else if constexpr (std::same_as<Value, bool>) {
    return value;
  } else if constexpr (std::signed_integral<Value>) {
    return static_cast<std::int64_t>(value);
  } else if constexpr (std::unsigned_integral<Value>) {
    return static_cast<std::uint64_t>(value);
  } else if constexpr (std::floating_point<Value>) {
    return static_cast<double>(value);
  } else if constexpr (std::convertible_to<Value, std::string_view>) {
    return std::string_view(value);
  } else if constexpr (std::convertible_to<Value, kj::StringPtr>) {
    const kj::StringPtr text = value;
    return std::string_view(text.begin(), text.size());
  } else if constexpr (std::convertible_to<Value, Bytes>) {
    return Bytes(value);
  } else {
    const kj::ArrayPtr<const kj::byte> data = value;
    return std::as_bytes(std::span(data.begin(), data.size()));
  }
}

template <class T>
class Collection : public CollectionBase {
 public:
  using CollectionBase::CollectionBase;
  using CollectionBase::contains;
  using CollectionBase::erase;
  using Reader = typename T::Reader;

  // A key from the values of the $key fields in order (or one byte string), and the prefix of all keys that
  // begin with the given values. Throws Error(fixCall): wrong type, out of range, too many, too few, too
  // long.
  template <KeyPartValue... Values>
  Key key(const Values&... values) const {
    const KeyValue parts[] = {toKeyValue(values)...};
    return encode(parts, KeyForm::whole);
  }
  template <KeyPartValue... Values>
  Key prefix(const Values&... values) const {
    const KeyValue parts[] = {toKeyValue(values)...};
    return encode(parts, KeyForm::prefix);
  }

  Row<T> get(const Transaction& transaction, const Key& key) const {
    return Row<T>(recordSchema(), [&](internal::RowBytes& row) { find(transaction, key, row); });
  }
  template <KeyPartValue... Values>
  Row<T> get(const Transaction& transaction, const Values&... values) const {
    return get(transaction, key(values...));
  }
  template <KeyPartValue... Values>
  bool contains(const Transaction& transaction, const Values&... values) const {
    return contains(transaction, key(values...));
  }

  Scan<T> scan(const Transaction& transaction, ScanOptions options = {}) const {
    return Scan<T>(state_, transaction, std::move(options));
  }

  // An empty record.
  Draft<T> create() const { return Draft<T>(recordSchema()); }

  // The stored row, to be changed and put again; an empty Draft (false) where there is none.
  Draft<T> edit(const Transaction& transaction, const Key& key) const {
    return Draft<T>(recordSchema(), get(transaction, key), transaction.id());
  }
  template <KeyPartValue... Values>
  Draft<T> edit(const Transaction& transaction, const Values&... values) const {
    return edit(transaction, key(values...));
  }

  // Inserts or replaces the row under the key in its $key fields. A program older than the collection that
  // replaces a newer row keeps that row's fields that it does not know. A Reader counts as a new record, also
  // where it was copied from a row: fill it in by serves(transaction, key, version) above, or change the row
  // with edit(). Throws Error(fixCall) also for a draft or record of another type.
  void put(WriteTransaction& transaction, Draft<T>& draft) const { store(transaction, nullptr, draft); }
  void put(WriteTransaction& transaction, Reader record) const { store(transaction, nullptr, record); }

  // The same under an explicit key: only for collections with byte-string keys, else Error(fixCall).
  void put(WriteTransaction& transaction, const Key& key, Draft<T>& draft) const {
    store(transaction, &key, draft);
  }
  void put(WriteTransaction& transaction, const Key& key, Reader record) const {
    store(transaction, &key, record);
  }

  template <KeyPartValue... Values>
  bool erase(WriteTransaction& transaction, const Values&... values) const {
    return erase(transaction, key(values...));
  }

 private:
  using CollectionBase::store;
  static constexpr bool kDynamic = std::same_as<T, capnp::DynamicStruct>;

  typename internal::RecordTraits<T>::Schema recordSchema() const {
    if constexpr (kDynamic)
      return schema();
    else
      return {};
  }

  void store(WriteTransaction& transaction, const Key* key, Draft<T>& draft) const {
    if (!draft) refuseEmptyDraft();
    if constexpr (kDynamic) refuseOtherType(draft.schema());
    store(transaction, key, draft.message(), draft.origin());
  }
  void store(WriteTransaction& transaction, const Key* key, Reader record) const {
    if constexpr (kDynamic) refuseOtherType(record.getSchema());
    internal::RecordMessage message;
    message.setRoot(record);
    store(transaction, key, message, nullptr);
  }
};

template <class T>
Row<T> Scan<T>::row() const {
  const auto fill = [this](internal::RowBytes& bytes) { load(bytes); };
  if constexpr (std::same_as<T, capnp::DynamicStruct>)
    return Row<T>(internal::schemaOf(*collection_), fill);
  else
    return Row<T>({}, fill);
}

}  // namespace instar
