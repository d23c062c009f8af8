#pragma once

// A contact whose text becomes a number with the second version, which older programs still read as a text.

#include <string>

#include "instar/tests/support/parse_schema.h"

namespace instar::testing {

inline RecordSchema contactVersion(const std::string& version, const std::string& fields) {
  return parseDeclarations("struct Contact @0x8f1e2d3c4b5a6978 $Instar.version(" + version +
                               ") { id @0 :UInt64 $Instar.key(0); " + fields + " }",
                           "Contact");
}

inline constexpr const char* kDerivedAge = "age @2 :UInt32 $Instar.derived(since = 2, convert = \"text\"); ";

inline RecordSchema firstContact() { return contactVersion("1", "text @1 :Text;"); }

inline RecordSchema secondContact() {
  return contactVersion(
      "2", std::string("text @1 :Text $Instar.mirrored(since = 2, convert = \"age\"); ") + kDerivedAge);
}

// `more` are fields of its own.
inline RecordSchema thirdContact(const std::string& more = "") {
  return contactVersion("3", std::string("text @1 :Text $Instar.retired(3); ") + kDerivedAge + more);
}

}  // namespace instar::testing
