#include "instar/tests/tree/tree_rules.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <span>

namespace instar::tree {
namespace {

namespace fs = std::filesystem;

// From the bottom up; a layer may use those before it.
constexpr std::array<std::string_view, 4> kLayers = {"format", "evolve", "engine", "tools"};
constexpr std::array<std::string_view, 2> kTops = {"bench", "tests"};
constexpr std::array<std::string_view, 5> kTopFolders = {"format", "evolve", "engine", "tools", "docs"};
constexpr std::array<std::string_view, 4> kTopFiles = {"CMakeLists.txt", "CMakePresets.json", "README.md",
                                                       "dev"};
constexpr std::string_view kBuildFolder = "build";

constexpr std::size_t kMaxLines = 500;
constexpr std::size_t kMaxLinesOnTop = 900;  // tests and benchmarks are lists of cases

struct ThirdParty {
  std::string_view name;
  std::array<std::string_view, 2> headers;
};
constexpr std::array<ThirdParty, 2> kSingletons = {
    {{"LMDB", {"lmdb.h", ""}}, {"zstd", {"zstd.h", "zdict.h"}}}};

template <class Range>
bool contains(const Range& range, std::string_view value) {
  return std::ranges::find(range, value) != std::ranges::end(range);
}

std::string folderOf(const fs::path& path) { return path.empty() ? "" : path.begin()->string(); }

bool isInside(const fs::path& path, const fs::path& folder) {
  return std::ranges::mismatch(folder, path).in1 == folder.end();
}

bool isLayer(std::string_view folder) { return contains(kLayers, folder); }

// The folder that a header of ours belongs to; nothing for anybody else's.
std::optional<std::string> owner(std::string_view header) {
  constexpr std::string_view kPrefix = "instar/";
  if (!header.starts_with(kPrefix)) return std::nullopt;
  const fs::path rest(header.substr(kPrefix.size()));
  if (rest == "instar.h") return "engine";
  if (rest == "schema.capnp.h") return "evolve";
  return folderOf(rest);
}

bool mayUse(std::string_view user, std::string_view used) {
  if (user == used) return true;
  if (!isLayer(used)) return false;
  return !isLayer(user) || std::ranges::find(kLayers, used) < std::ranges::find(kLayers, user);
}

std::optional<Include> parseInclude(std::string_view text, std::size_t line) {
  const auto skipBlanks = [&text] {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  };
  skipBlanks();
  if (!text.starts_with('#')) return std::nullopt;
  text.remove_prefix(1);
  skipBlanks();
  constexpr std::string_view kDirective = "include";
  if (!text.starts_with(kDirective)) return std::nullopt;
  text.remove_prefix(kDirective.size());
  skipBlanks();
  if (text.empty() || (text.front() != '"' && text.front() != '<')) return std::nullopt;
  const bool quoted = text.front() == '"';
  const std::size_t end = text.find(quoted ? '"' : '>', 1);
  if (end == std::string_view::npos) return std::nullopt;
  return Include{line, std::string(text.substr(1, end - 1)), quoted};
}

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U; }));
}

bool isWideComment(std::string_view line) {
  const std::string_view text = line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
  return text.starts_with("//") &&
         columns(line) > (text.starts_with("//    ") ? kMaxTableColumns : kMaxCommentColumns);
}

SourceFile readSource(const fs::path& root, const fs::path& path) {
  SourceFile file{path.lexically_relative(root), 0, {}, {}};
  std::ifstream input(path);
  for (std::string text; std::getline(input, text);) {
    ++file.lines;
    if (isWideComment(text)) file.wideComments.push_back(file.lines);
    if (auto include = parseInclude(text, file.lines)) file.includes.push_back(std::move(*include));
  }
  return file;
}

void readFolder(const fs::path& root, std::string_view folder, std::vector<SourceFile>& files) {
  if (!fs::exists(root / folder)) return;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    const std::string extension = entry.path().extension().string();
    if (entry.is_regular_file() && (extension == ".h" || extension == ".cc"))
      files.push_back(readSource(root, entry.path()));
  }
}

// `judge(file, include)` returns the reason why the include is wrong, or an empty string.
template <class Judge>
std::vector<Violation> judgeIncludes(const std::vector<SourceFile>& files, Judge judge) {
  std::vector<Violation> violations;
  for (const SourceFile& file : files) {
    for (const Include& include : file.includes) {
      std::string reason = judge(file, include);
      if (!reason.empty()) violations.push_back({file.path, include.line, std::move(reason)});
    }
  }
  return violations;
}

}  // namespace

std::string describe(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& violation : violations) {
    text += violation.file.string() + ':' + std::to_string(violation.line) + ": " + violation.reason + '\n';
  }
  return text;
}

std::vector<SourceFile> readTree(const fs::path& root) {
  std::vector<SourceFile> files;
  for (const std::string_view folder : kLayers) readFolder(root, folder, files);
  for (const std::string_view folder : kTops) readFolder(root, folder, files);
  std::ranges::sort(files, {}, &SourceFile::path);
  return files;
}

std::vector<Violation> wrongDirections(const std::vector<SourceFile>& files) {
  return judgeIncludes(files, [](const SourceFile& file, const Include& include) -> std::string {
    const std::string user = folderOf(file.path);
    const std::optional<std::string> used = owner(include.header);
    if (!used || mayUse(user, *used)) return {};
    if (*used == "bench" && isInside(file.path, "tests/bench")) return {};
    return user + " must not use " + *used + " (" + include.header + ")";
  });
}

std::vector<Violation> foreignInternals(const std::vector<SourceFile>& files) {
  return judgeIncludes(files, [](const SourceFile& file, const Include& include) -> std::string {
    const std::string user = folderOf(file.path);
    const std::optional<std::string> used = owner(include.header);
    if (!used || *used == user || user == "tests" || !contains(fs::path(include.header), "internal"))
      return {};
    return include.header + " is private to " + *used;
  });
}

std::vector<Violation> wrongSpellings(const std::vector<SourceFile>& files) {
  return judgeIncludes(files, [](const SourceFile&, const Include& include) -> std::string {
    if (!include.quoted || include.header.ends_with(".capnp.h") || owner(include.header)) return {};
    return "\"" + include.header + "\" is neither ours, as \"instar/…\", nor somebody else's, as <…>";
  });
}

std::vector<Violation> scatteredThirdParties(const std::vector<SourceFile>& files) {
  std::vector<Violation> violations;
  for (const ThirdParty& party : kSingletons) {
    const SourceFile* home = nullptr;
    for (const SourceFile& file : files) {
      if (!isLayer(folderOf(file.path))) continue;
      for (const Include& include : file.includes) {
        if (include.header.empty() || !contains(party.headers, include.header)) continue;
        if (home == nullptr) home = &file;
        if (home == &file) continue;
        violations.push_back({file.path, include.line,
                              std::string(party.name) + " has its place in " + home->path.string() +
                                  "; go through that file's interface"});
      }
    }
  }
  return violations;
}

std::vector<Violation> longFiles(const std::vector<SourceFile>& files) {
  std::vector<Violation> violations;
  for (const SourceFile& file : files) {
    const std::size_t limit = isLayer(folderOf(file.path)) ? kMaxLines : kMaxLinesOnTop;
    if (file.lines <= limit) continue;
    violations.push_back({file.path, 0,
                          std::to_string(file.lines) + " lines; at most " + std::to_string(limit) +
                              " are allowed here: divide it by what its parts are"});
  }
  return violations;
}

std::vector<Violation> wideComments(const std::vector<SourceFile>& files) {
  std::vector<Violation> violations;
  for (const SourceFile& file : files) {
    for (const std::size_t line : file.wideComments)
      violations.push_back({file.path, line, "the comment is too wide: break the line"});
  }
  return violations;
}

std::vector<Violation> strangersAtTheTop(const fs::path& root) {
  std::vector<Violation> violations;
  for (const auto& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    const bool expected = entry.is_directory()
                              ? contains(kTopFolders, name) || contains(kTops, name) || name == kBuildFolder
                              : contains(kTopFiles, name);
    if (!expected && !name.starts_with('.'))
      violations.push_back({name, 0, "does not belong at the top of the tree"});
  }
  std::ranges::sort(violations, {}, &Violation::file);
  return violations;
}

}  // namespace instar::tree
