#pragma once

// Rows for the eye: Cap'n Proto's own text, `(id = 7, name = "Ada")`, and bytes in hexadecimal. Neither is
// read back.
//
// Pure; any thread.

#include <capnp/dynamic.h>

#include <string>

#include "instar/format/bytes.h"
#include "instar/tools/masking.h"

namespace instar::tools {

// Appends the record on one line, as Cap'n Proto prints it, except that text is always UTF-8 (other bytes are
// \xNN), masked fields are `$masked(…)` and AnyPointer is `$anyPointer(base64)`. Throws kj::Exception where
// the bytes are not a record.
void writeText(std::string& out, capnp::DynamicStruct::Reader record, const Masking& masking);

// Appends key and stored value, header included, in lines of 16 bytes with offsets and printable characters.
// Any bytes: what is wrong with the row is said in its first line.
void writeHex(std::string& out, Bytes key, Bytes value);

}  // namespace instar::tools
