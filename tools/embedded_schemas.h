#pragma once

// The schema files that every record schema may import, so that the command needs no files of its own.
// Constants.

#include <string_view>

namespace instar::tools {

struct EmbeddedSchema {
  std::string_view path;  // as it stands behind the first / of an import
  std::string_view text;
};

extern const EmbeddedSchema kEmbeddedSchemas[2];

}  // namespace instar::tools
