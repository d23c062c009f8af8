#pragma once

// A walk over one tree of a file, which believes nothing: depth, cycles and pages that two trees share are
// bounded by visiting each page once, and a page counts only where the tree can have it. What cannot be
// reached is a gap: a range of keys, and why. One thread.

#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "instar/engine/internal/pages/page_file.h"

namespace instar::pages {

// Which pages are in use, and which the list of free pages has.
class PageLedger {
 public:
  // `progress` is called with the pages that are claimed, now and then while they are.
  explicit PageLedger(PageNumber pages, std::function<void(std::uint64_t)> progress = {})
      : isClaimed_(pages), progress_(std::move(progress)) {}

  bool claim(PageNumber first, std::uint64_t count, std::vector<PageNumber>& claimed);
  void release(const std::vector<PageNumber>& claimed);
  bool isClaimed(PageNumber page) const noexcept { return page < isClaimed_.size() && isClaimed_[page]; }

  // No tree gets the page from now on. It is not claimed at the moment.
  void bar(PageNumber page) { barred_.insert(page); }
  bool isBarred(PageNumber page) const { return barred_.contains(page); }

  // The commit that has freed the page; 0 where it is not free.
  std::uint64_t freedBy(PageNumber page) const {
    const auto found = freedBy_.find(page);
    return found == freedBy_.end() ? 0 : found->second;
  }
  void markFree(PageNumber page, std::uint64_t transaction) { freedBy_.emplace(page, transaction); }
  void forgetFree() { freedBy_.clear(); }
  std::size_t freePages() const noexcept { return freedBy_.size(); }

 private:
  std::vector<bool> isClaimed_;
  std::uint64_t claimed_ = 0;
  const std::function<void(std::uint64_t)> progress_;
  std::unordered_map<PageNumber, std::uint64_t> freedBy_;
  std::unordered_set<PageNumber> barred_;
};

struct Gap {
  PageNumber page = kNoPage;  // that should be there
  std::string low;            // the first key that it can have; empty: the beginning
  std::string high;           // the first that it cannot have
  bool hasHigh = false;       // false: to the end
  const char* reason = "";
  bool wasFound = false;  // the page was read, and may hold rows of the tree
  bool isHole = true;     // nothing of the range is in TreeWalk::leaves
  bool isValue = false;   // the pages of one value, whose key is in TreeWalk::leaves
};

// What is wrong and loses nothing: the rows of the page are there, but LMDB must not get to see it.
struct Oddity {
  PageNumber page = kNoPage;
  const char* what = "";
};

// The first and the last key of a leaf that can be read.
struct LeafSpan {
  std::string first;
  std::string last;
};

struct TreeWalk {
  std::vector<PageNumber> leaves;  // in the order of their keys
  std::vector<LeafSpan> spans;     // of these, in order; none of a leaf whose keys lie before others
  std::vector<Gap> gaps;
  std::vector<Oddity> oddities;
  std::vector<PageNumber> claimed;
  std::vector<PageNumber> refused;  // that it could have had, and that something else has
  unsigned depth = 0;               // of the first leaf; the root has 1
  std::uint64_t branchPages = 0;
  std::uint64_t overflowPages = 0;
  std::uint64_t entries = 0;  // of those leaves

  bool matches(const TreeRecord& record) const noexcept {
    return gaps.empty() && branchPages == record.branchPages && leaves.size() == record.leafPages &&
           overflowPages == record.overflowPages && entries == record.entries;
  }
};

struct WalkOptions {
  bool numbers = false;      // the list of free pages
  bool names = false;        // the list of trees
  bool throughFree = false;  // of an older commit: branch pages that are free by now still lead on
};

TreeWalk walkTree(const PageFile& file, PageLedger& ledger, const TreeRecord& tree,
                  const WalkOptions& options);

// The value of a leaf's node: in the page, or read into `copy` from its overflow pages. Nothing where these
// are damaged.
std::optional<Bytes> valueOf(const PageFile& file, const Node& node, std::vector<std::byte>& copy);

}  // namespace instar::pages
