#pragma once

// What the forms of a row share beside the text of scalars: base64, UTF-8, names of things in messages.
//
// Pure; any thread.

#include <capnp/dynamic.h>

#include <string>
#include <string_view>

#include "instar/evolve/scalar_text.h"
#include "instar/format/bytes.h"

namespace instar::tools {

// Whole numbers of 64 bits up to this are numbers in JSON, larger ones are texts: many programs read numbers
// as doubles.
inline constexpr std::uint64_t kMaxJsonInteger = (std::uint64_t{1} << 53) - 1;

inline std::string_view view(kj::StringPtr text) noexcept { return {text.begin(), text.size()}; }

// What a field of this type takes: "a whole number from 0 to 255", "one of red, green".
std::string expectation(capnp::Type type);

std::string toBase64(Bytes bytes);
// Returns false where the text is not base64.
bool fromBase64(std::string_view text, std::string& bytes);

// AnyPointer as a flat Cap'n Proto message, and back. decodePointer returns false where the bytes are not
// one.
std::string encodePointer(capnp::AnyPointer::Reader pointer);
bool decodePointer(std::string_view bytes, capnp::AnyPointer::Builder target);

// Whether it is a member of the unnamed union of its struct or group.
bool isUnionMember(capnp::StructSchema::Field field);
bool hasUnion(capnp::StructSchema type);
// The number of the active member, for a union whose active member the schema does not know.
unsigned discriminant(capnp::DynamicStruct::Reader record);

// A value as it is shown in messages: between quotes, its beginning only where it is long.
std::string quoteShortened(std::string_view text);

// A value from outside does not fit: Error(fixInput) with the facts `field` and `reason`.
[[noreturn]] void refuseValue(std::string field, std::string reason);

}  // namespace instar::tools
