#pragma once

// A collection of contacts whose version 2 is tried: it splits the name and keeps it right for version 1.
// Version 3 does so in another way, and comes after version 2 was aborted. One thread.

#include <functional>
#include <string>
#include <string_view>

#include "instar/engine/staging.h"
#include "instar/engine/store.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {

using StagedRows = Collection<capnp::DynamicStruct>;

inline RecordSchema contactSchema(unsigned version, std::string_view fields) {
  return parseDeclarations("struct Contact @0xc4b3a29180716253 $Instar.version(" + std::to_string(version) +
                               ") { id @0 :UInt64 $Instar.key(0); " + std::string(fields) + " }",
                           "Contact");
}

inline const RecordSchema& contact1() {
  static const RecordSchema schema = contactSchema(1, "name @1 :Text;");
  return schema;
}

inline const RecordSchema& contact2() {
  static const RecordSchema schema = contactSchema(2, R"(
      name  @1 :Text $Instar.mirrored(since = 2, concat = [(field = "first"), (text = " "), (field = "last")]);
      first @2 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));
      last  @3 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 1));
      tier  @4 :UInt8 = 1;)");
  return schema;
}

// What is left of a name behind its second word belongs to the last name.
inline const RecordSchema& contact3() {
  static const RecordSchema schema = contactSchema(3, R"(
      name  @1 :Text $Instar.mirrored(since = 3, concat = [(field = "first"), (text = " "), (field = "last")]);
      first @2 :Text $Instar.derived(since = 3, split = (field = "name", by = " ", part = 0));
      last  @3 :Text $Instar.derived(since = 3, split = (field = "name", by = " ", part = 1, rest = true));
      tier  @4 :UInt8 = 1;)");
  return schema;
}

// Raises the writer floor: nothing gives the name back.
inline const RecordSchema& contactWithoutMirror() {
  static const RecordSchema schema = contactSchema(
      2,
      R"(name @1 :Text; first @2 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));)");
  return schema;
}

// Fails for names that are no numbers.
inline const RecordSchema& contactWithNumber() {
  static const RecordSchema schema = contactSchema(2, R"(
      name   @1 :Text   $Instar.mirrored(since = 2, convert = "number");
      number @2 :UInt32 $Instar.derived(since = 2, convert = "name");)");
  return schema;
}

inline std::string textOf(capnp::DynamicStruct::Reader record, const char* field) {
  return record.get(field).as<capnp::Text>().cStr();
}

inline void putName(const Store& store, const StagedRows& rows, std::uint64_t id, const char* name) {
  auto draft = rows.create();
  draft->set("id", id);
  draft->set("name", name);
  auto transaction = store.write();
  rows.put(transaction, draft);
  transaction.commit();
}

// Contacts 1 to count in one transaction.
inline void putNames(const Store& store, const RecordSchema& schema, std::uint64_t count,
                     const std::function<std::string(std::uint64_t id)>& nameOf) {
  const auto rows = store.collection("contacts", schema);
  auto transaction = store.write();
  for (std::uint64_t id = 1; id <= count; ++id) {
    auto draft = rows.create();
    draft->set("id", id);
    draft->set("name", nameOf(id).c_str());
    rows.put(transaction, draft);
  }
  transaction.commit();
}

inline void putNames(const Store& store, std::uint64_t count, const std::string& name) {
  putNames(store, contact1(), count, [&](std::uint64_t) { return name; });
}

inline void putFirstAndLast(const Store& store, const StagedRows& rows, std::uint64_t id, const char* first,
                            const char* last) {
  auto draft = rows.create();
  draft->set("id", id);
  draft->set("first", first);
  draft->set("last", last);
  auto transaction = store.write();
  rows.put(transaction, draft);
  transaction.commit();
}

inline CollectionInfo infoOf(const Store& store) { return store.collections(store.read()).front(); }

}  // namespace instar::testing
