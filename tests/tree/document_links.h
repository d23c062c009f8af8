#pragma once

// Links between the documents: README.md and everything in docs. Reads Markdown as far as our documents need:
// `[text](target)` and `[name]: target` outside of code; anchors are made of headings as GitHub does it. Pure
// apart from reading files; any thread.

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "instar/tests/tree/tree_rules.h"

namespace instar::tree {

struct DocumentLink {
  std::filesystem::path file;  // relative to the root
  std::size_t line = 0;
  std::string target;  // as written: "limits.md#good-to-know"
};

// In order of file and line; links to other sites are left out.
std::vector<DocumentLink> documentLinks(const std::filesystem::path& root);

// Each leads to a file of the tree, and its anchor to a heading there.
std::vector<Violation> deadLinks(const std::filesystem::path& root);

}  // namespace instar::tree
