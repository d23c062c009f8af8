#pragma once

// Sound files of several kinds, with all that was ever committed to them: what damaged copies are judged by.
// One thread.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "instar/engine/store.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::testing {

using RowText = std::string;  // version and payload
using RowsByKey = std::map<std::string, RowText>;
using State = std::map<std::string, RowsByKey>;          // by collection
inline constexpr std::string_view kKept = "preimages/";  // before the name: pre-images that are kept of it

// All rows of the file as they are stored, in order of their keys.
State readState(const Store& store);

struct BaseFile {
  std::string kind;
  std::string bytes;
  std::vector<std::string> earlier;  // the file as it was after earlier commits
  State state;
  std::vector<State> history;  // of every commit, the last one included
  // On which pages each row lies, with the pages of a large value.
  std::map<std::string, std::map<std::string, std::set<std::uint64_t>>> pagesOf = {};
  std::map<std::string, std::uint64_t> schemas = {};  // by collection: the same number for the same schema
  std::map<std::string, std::set<std::string>> coldKeys = {};    // of rows in blocks that nothing covers
  std::map<std::string, std::set<std::uint64_t>> hotPages = {};  // where what covers these would lie
  // Without which nobody can say of what age or of which collection a page is: the list of free pages, the
  // names of the trees, and the catalog.
  std::set<std::uint64_t> index = {};
  std::function<void(const Store&)> openAsApplication;  // as the program does whose file it is
};

const std::vector<std::string>& baseKinds();
BaseFile makeBase(const std::string& kind);

}  // namespace instar::testing
