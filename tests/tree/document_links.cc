#include "instar/tests/tree/document_links.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <string_view>

namespace instar::tree {
namespace {

namespace fs = std::filesystem;

struct Line {
  std::size_t number = 0;
  std::string text;  // without spans of code
};

void eraseCodeSpans(std::string& text) {
  for (std::size_t begin = text.find('`'); begin != std::string::npos; begin = text.find('`', begin)) {
    const std::size_t end = text.find('`', begin + 1);
    if (end == std::string::npos) return;
    text.erase(begin, end + 1 - begin);
  }
}

// The lines that are not in a block of code.
std::vector<Line> proseOf(const fs::path& path) {
  std::vector<Line> lines;
  std::ifstream input(path);
  std::size_t number = 0;
  bool inCode = false;
  for (std::string text; std::getline(input, text);) {
    ++number;
    const bool isFence = text.starts_with("```");
    inCode = inCode != isFence;
    if (inCode || isFence || text.starts_with("    ")) continue;
    lines.push_back({number, std::move(text)});
  }
  return lines;
}

void addLink(const fs::path& file, std::size_t line, std::string_view target,
             std::vector<DocumentLink>& links) {
  target = target.substr(0, target.find_first_of(" )"));  // a title may follow
  if (target.find("://") == std::string_view::npos && !target.starts_with("mailto:"))
    links.push_back({file, line, std::string(target)});
}

void readLinks(const fs::path& root, const fs::path& file, std::vector<DocumentLink>& links) {
  constexpr std::string_view kInline = "](";
  constexpr std::string_view kDefinition = "]: ";
  for (Line& line : proseOf(root / file)) {
    eraseCodeSpans(line.text);
    const std::string_view text = line.text;
    for (std::size_t at = text.find(kInline); at != text.npos; at = text.find(kInline, at + 1))
      addLink(file, line.number, text.substr(at + kInline.size()), links);
    const std::size_t definition = text.starts_with('[') ? text.find(kDefinition) : text.npos;
    if (definition != text.npos)
      addLink(file, line.number, text.substr(definition + kDefinition.size()), links);
  }
}

// "What it's for, and `how`" as what-its-for-and-how.
std::string anchorOf(std::string_view heading) {
  std::string anchor;
  for (const char c : heading) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ') anchor += '-';
    if (std::isalnum(byte) || byte >= 0x80 || c == '-' || c == '_')
      anchor += static_cast<char>(std::tolower(byte));
  }
  return anchor;
}

std::set<std::string> anchorsOf(const fs::path& path) {
  std::set<std::string> anchors;
  std::map<std::string, unsigned> repetitions;
  for (const Line& line : proseOf(path)) {
    const std::size_t level = line.text.find_first_not_of('#');
    if (level == 0 || level == std::string::npos || line.text[level] != ' ') continue;
    const std::string anchor = anchorOf(std::string_view(line.text).substr(level + 1));
    const unsigned count = repetitions[anchor]++;
    anchors.insert(count == 0 ? anchor : anchor + '-' + std::to_string(count));
  }
  return anchors;
}

// Why the link is dead; empty where it is not.
std::string judgeLink(const fs::path& root, const DocumentLink& link) {
  const std::size_t hash = link.target.find('#');
  const std::string name = link.target.substr(0, hash);
  const fs::path path = name.empty() ? link.file : (link.file.parent_path() / name).lexically_normal();
  if (path.is_absolute() || path.string().starts_with("..")) return link.target + " leads out of the tree";
  if (!fs::exists(root / path)) return link.target + " leads to no file";
  if (hash == std::string::npos || anchorsOf(root / path).contains(link.target.substr(hash + 1))) return {};
  return link.target + " leads to no heading";
}

}  // namespace

std::vector<DocumentLink> documentLinks(const fs::path& root) {
  std::vector<fs::path> files = {"README.md"};
  if (fs::exists(root / "docs")) {
    for (const auto& entry : fs::recursive_directory_iterator(root / "docs")) {
      if (entry.path().extension() == ".md") files.push_back(entry.path().lexically_relative(root));
    }
  }
  std::ranges::sort(files);
  std::vector<DocumentLink> links;
  for (const fs::path& file : files) readLinks(root, file, links);
  return links;
}

std::vector<Violation> deadLinks(const fs::path& root) {
  std::vector<Violation> violations;
  for (const DocumentLink& link : documentLinks(root)) {
    std::string reason = judgeLink(root, link);
    if (!reason.empty()) violations.push_back({link.file, link.line, std::move(reason)});
  }
  return violations;
}

}  // namespace instar::tree
