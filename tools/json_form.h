#pragma once

// Rows as JSON objects, in both directions, without loss:
//
//     Void                     null
//     integers                 numbers; of 64-bit types those beyond 2^53 as texts (both are accepted)
//     floating point           numbers; "NaN", "Infinity", "-Infinity"
//     enums                    names; an enumerant that the schema does not know: its number
//     Text                     text; where it is not UTF-8: {"$bytes": base64}
//     Data                     base64
//     lists, structs, groups   arrays and objects
//     AnyPointer               {"$anyPointer": base64 of a flat message}
//     absent pointers          left out; null is accepted
//     unions                   the active member only, null if its pointer is absent
//     masked fields            {"$masked": "text 1..8"}, which is refused on the way in
//
// Names that begin with $ are never names of fields. Pure; any thread.

#include <capnp/dynamic.h>

#include "instar/tools/json_text.h"
#include "instar/tools/masking.h"

namespace instar::tools {

// The members of the object, without its braces, so that others can be put beside them.
// Throws kj::Exception where the row's bytes are not a record.
void writeJsonMembers(JsonWriter& out, capnp::DynamicStruct::Reader record, const Masking& masking);

// The value of one field that is set. Fields of structs: the field's own mask has been applied by the caller.
void writeJsonField(JsonWriter& out, capnp::DynamicStruct::Reader record, capnp::StructSchema::Field field,
                    const Masking& masking);

struct JsonReadOptions {
  bool ignoreUnknown = false;        // members that the schema does not have; otherwise refused
  const Masking* masking = nullptr;  // fields whose values do not appear in messages; borrowed
  bool hidden = false;               // no value appears in messages
};

// Fills an empty record. Members of the outermost object that begin with $ are the caller's and are passed
// over. Throws Error(fixInput) with the facts `field` (a path: "tags[3].name") and `reason`.
void readJson(const JsonValue& object, capnp::DynamicStruct::Builder record, const JsonReadOptions& options);

// One field from JSON text, for forms that put JSON into cells. `path` is the field's, for messages.
void readJsonField(const JsonValue& value, capnp::DynamicStruct::Builder record,
                   capnp::StructSchema::Field field, std::string_view path, const JsonReadOptions& options);

}  // namespace instar::tools
