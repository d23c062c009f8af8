#include "instar/format/file_format.h"

#include <algorithm>

#include "instar/format/error.h"
#include "instar/format/key_text.h"

namespace instar {

void checkCollectionName(std::string_view name) {
  const auto isFine = [](char c) { return c != '/' && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
  if (!name.empty() && name.size() <= kMaxCollectionNameLength && isValidUtf8(name) &&
      std::all_of(name.begin(), name.end(), isFine)) {
    return;
  }
  throw Error(
      ErrorCode::fixCall,
      "a collection's name has 1 to 128 bytes of UTF-8, no slash and no control characters: choose another",
      {{"name", std::string(name)}});
}

}  // namespace instar
