#pragma once

// Notes in versions one behind another, which all have to be upgraded. Any thread.

#include <string>

#include "instar/tests/support/parse_schema.h"

namespace instar::testing {

// Each version derives one more field from the same text.
inline RecordSchema noteVersion(int version) {
  std::string text = "struct Note @0x9a1b2c3d4e5f6071 $Instar.version(" + std::to_string(version) +
                     ") { id @0 :UInt64 $Instar.key(0); number @1 :Text; filler @2 :Text; ";
  for (int since = 2; since <= version; ++since) {
    text += "derived" + std::to_string(since) + " @" + std::to_string(since + 1) +
            " :UInt64 $Instar.derived(since = " + std::to_string(since) + ", convert = \"number\"); ";
  }
  return parseDeclarations(text + "}", "Note");
}

}  // namespace instar::testing
