#pragma once

// Record schemas from .capnp files: `path/to/contact.capnp:Contact`, `contact.capnp:Outer.Inner`.
//
// Reads nothing outside of the folder of the named file and the given import folders, wherever `import`,
// `embed` and symbolic links point. `import "/instar/schema.capnp"` and `import "/capnp/c++.capnp"` are built
// in. One thread at a time.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "instar/evolve/record_schema.h"

namespace instar::tools {

// A file larger than this is not a schema that people wrote.
inline constexpr std::uintmax_t kMaxSchemaFileSize = std::uintmax_t{1} << 20;

// Throws Error(fixCall): `name` is not FILE:STRUCT, or there is no such struct; Error(fixEnvironment): the
// file cannot be read; Error(fixSchema): it does not compile (each mistake as file:line:column: message, one
// a line in the fact `mistakes`), or the struct cannot be a record.
RecordSchema loadSchemaFile(std::string_view name, const std::vector<std::filesystem::path>& importFolders);

}  // namespace instar::tools
