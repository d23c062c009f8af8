#pragma once

// How large rows are: as they were put, compacted, and in the databases that others use.

#include <filesystem>
#include <iosfwd>
#include <string>

#include "instar/bench/workspace.h"

namespace instar::bench {

struct SizeInput {
  std::uint64_t rows = 1'000'000;  // synthetic ones, put in random order; or else
  std::filesystem::path file{};    // a store, of whose
  std::string collection{};        // the rows are copied: of scalars, enums and texts alone
};

// Prints a table of bytes, and the highest that the file was while it was compacted. One thread.
void measureSize(const Workspace& workspace, const SizeInput& input, std::ostream& out);

}  // namespace instar::bench
