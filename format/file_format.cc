#include "instar/format/file_format.h"

#include <algorithm>

#include "instar/format/key_text.h"

namespace instar {

bool isCollectionName(std::string_view name) noexcept {
  const auto isFine = [](char c) { return c != '/' && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
  return !name.empty() && name.size() <= kMaxCollectionNameLength && isValidUtf8(name) &&
         std::all_of(name.begin(), name.end(), isFine);
}

}  // namespace instar
