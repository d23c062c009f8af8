#pragma once

// The rules of the source tree that a compiler does not enforce. Each reads the tree below a root and says
// where it is broken: which file, which line, why. Pure apart from reading files; any thread.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace instar::tree {

// Clang-format breaks no comments, so that it lets any width pass.
inline constexpr std::size_t kMaxCommentColumns = 110;
inline constexpr std::size_t kMaxTableColumns =
    130;  // of comments that are set in by four blanks, as documents

struct Violation {
  std::filesystem::path file;  // relative to the root
  std::size_t line = 0;        // 0: the file as a whole
  std::string reason;
};

// "file:line: reason", a line each.
std::string describe(const std::vector<Violation>& violations);

struct Include {
  std::size_t line = 0;
  std::string header;  // as written, without quotes or brackets
  bool quoted = false;
};

struct SourceFile {
  std::filesystem::path path;  // relative to the root
  std::size_t lines = 0;
  std::vector<Include> includes;
  std::vector<std::size_t> wideComments = {};  // the lines of those
};

// Every .h and .cc file in the layers, bench and tests, in order of path.
std::vector<SourceFile> readTree(const std::filesystem::path& root);

// format <- evolve <- engine <- tools; bench and tests stand on top, and nothing uses them but the
// tests of bench, which use bench.
std::vector<Violation> wrongDirections(const std::vector<SourceFile>& files);

// Headers under internal/ belong to their layer; only tests may look at them too.
std::vector<Violation> foreignInternals(const std::vector<SourceFile>& files);

// Our own headers are spelled "instar/<folder>/…", in the tree as when installed. Code that is generated from
// the schema of a program or a test (.capnp.h) has a prefix of its own.
std::vector<Violation> wrongSpellings(const std::vector<SourceFile>& files);

// A third party that has one place (LMDB, zstd) is included by one file of the layers.
std::vector<Violation> scatteredThirdParties(const std::vector<SourceFile>& files);

// At most 500 lines, 900 in tests and bench.
std::vector<Violation> longFiles(const std::vector<SourceFile>& files);

// Lines that are comments from their beginning: a letter is one column, however many bytes it takes.
std::vector<Violation> wideComments(const std::vector<SourceFile>& files);

// The folders of the design, the few files beside them, and dotfiles.
std::vector<Violation> strangersAtTheTop(const std::filesystem::path& root);

}  // namespace instar::tree
