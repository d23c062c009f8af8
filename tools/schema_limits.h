#pragma once

// Limits on the text of schema files. Cap'n Proto's compiler follows what a file nests and what it chains
// (types, constants and names that lead to one another) on its stack, and has no limits of its own: a file of
// 100 KB can end the process with a signal. No state but what is counted; one thread.

#include <cstddef>
#include <string>
#include <string_view>

namespace instar::tools {

// More than people write, and a quarter at most of what ends a process whose stack has 8 MiB.
inline constexpr std::size_t kMaxSchemaNesting = 100;        // brackets of all kinds inside one another
inline constexpr std::size_t kMaxSchemaPath = 100;           // names and applications in "a.b(c).d"
inline constexpr std::size_t kMaxSchemaDeclarations = 1000;  // structs, enums, constants, imports, …

// Counts over all files of a compilation.
class SchemaLimits {
 public:
  // Throws Error(fixSchema) that says which limit, in which line of which file.
  void check(std::string_view text, const std::string& file);

 private:
  std::size_t declarations_ = 0;
};

}  // namespace instar::tools
