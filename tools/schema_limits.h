#pragma once

// Limits on the text of schema files. Cap'n Proto's compiler follows what a file nests and what it chains
// (types, constants and names that lead to one another) on its stack, and has no limits of its own: a file of
// 100 KB can end the process with a signal. No state but what is counted; one thread.

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>

namespace instar::tools {

// More than people write, and a quarter at most of what ends a process whose stack has 8 MiB.
inline constexpr std::size_t kMaxSchemaNesting = 100;        // brackets of all kinds inside one another
inline constexpr std::size_t kMaxSchemaPath = 100;           // names and applications in "a.b(c).d"
inline constexpr std::size_t kMaxSchemaDeclarations = 1000;  // structs, enums, constants, imports, …

// All files of a compilation together, embedded ones among them: each alone can have 1 MiB.
inline constexpr std::size_t kMaxSchemaBytes = std::size_t{16} << 20;

// What the compiler may take. Thousands of fields in a thousand structs take 40 MiB; thirty short lines that
// each name the type of the line before twice would take all that there is.
inline constexpr std::size_t kMaxSchemaMemory = std::size_t{256} << 20;

// The strings of a file, by what becomes of them: what is embedded is never compiled, and may hold anything.
class SchemaStrings {
 public:
  // As they are written; `isEmbedded` where the word before it is `embed`.
  void add(std::string_view string, bool isEmbedded);
  // Whether the file embeds what has this name, and surely does not import it.
  bool isOnlyEmbedded(std::string_view name) const;

 private:
  bool hasEscapes_ = false;  // another string may say any name
  std::set<std::string, std::less<>> embedded_;
  std::set<std::string, std::less<>> others_;
};

// Counts over all files of a compilation.
class SchemaLimits {
 public:
  // Of a file that is compiled. Throws Error(fixSchema) that says which limit, in which line of which file.
  SchemaStrings check(std::string_view text, const std::string& file);
  // Of every file. Throws Error(fixSchema).
  void count(std::size_t bytes, const std::string& file);

 private:
  std::size_t declarations_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace instar::tools
