#include "instar/engine/internal/pages/tree_walk.h"

#include <algorithm>
#include <array>

namespace instar::pages {
namespace {

constexpr std::uint32_t kLongestValue = (std::uint32_t{1} << 30) + 4096;  // a row's payload and more

// What the first of some overflow pages says; 0 where it is none, or too short for the value.
std::uint64_t overflowRun(const PageFile& file, const Node& node) {
  std::array<std::byte, kMinPageSize> bytes;
  Page page;
  if (node.length > kLongestValue || !file.read(node.overflowPage, 0, bytes) ||
      page.decode(bytes, node.overflowPage) != nullptr || page.kind() != PageKind::overflow) {
    return 0;
  }
  const std::uint64_t room = std::uint64_t{page.overflowPages()} * file.pageSize() - kPageHeaderLength;
  return room >= node.length && page.overflowPages() <= file.pages() - node.overflowPage
             ? page.overflowPages()
             : 0;
}

class Walker {
 public:
  Walker(const PageFile& file, PageLedger& ledger, const WalkOptions& options)
      : file_(file), ledger_(ledger), options_(options) {}

  TreeWalk run(PageNumber root) {
    if (root != kNoPage) visit(root, {}, 0);
    return std::move(walk_);
  }

 private:
  struct Range {
    std::string low;
    std::string high;
    bool hasHigh = false;

    bool has(Bytes key, bool numbers) const noexcept {
      return (low.empty() || !isBefore(key, asBytes(low), numbers)) &&
             (!hasHigh || isBefore(key, asBytes(high), numbers));
    }
  };

  void miss(PageNumber page, const Range& range, const char* reason, bool wasFound = false) {
    walk_.gaps.push_back({page, range.low, range.high, range.hasHigh, reason, wasFound, true, false});
  }
  // Of a page that counts nevertheless, as far as it can be read.
  void flaw(PageNumber page, const Range& range, const char* reason) {
    walk_.gaps.push_back({page, range.low, range.high, range.hasHigh, reason, false, false, false});
  }
  void wonder(PageNumber page, const char* what) { walk_.oddities.push_back({page, what}); }

  void visit(PageNumber number, const Range& range, unsigned depth) {
    if (depth >= kMaxDepth) return miss(number, range, "the tree is too deep");
    if (number < 2 || number >= file_.pages())
      return miss(number, range, "it lies beyond the end of the file");
    std::vector<std::byte> bytes;
    if (!file_.read(number, bytes)) return miss(number, range, "it cannot be read");
    Page page;
    if (const char* problem = page.decode(bytes, number)) return miss(number, range, problem, true);
    if (page.kind() == PageKind::overflow) return miss(number, range, "it is an overflow page", true);
    const bool isFree = ledger_.freedBy(number) != 0;
    if (isFree && (page.isLeaf() || !options_.throughFree))
      return miss(number, range, "it is on the list of free pages, so it is of an older commit");
    const char* const disorder = page.findDisorder(options_.numbers);
    if (!liesIn(page, range, disorder != nullptr)) return miss(number, range, "its keys belong elsewhere");
    if (!ledger_.claim(number, 1, walk_.claimed)) {
      walk_.refused.push_back(number);
      return miss(number, range, "something else has it too");
    }
    if (page.isLeaf()) {
      noteDepth(number, depth + 1);
      return visitLeaf(page, number, range, disorder);
    }
    ++walk_.branchPages;
    if (page.nodes() == 1) wonder(number, "it leads to one page only");  // LMDB asserts that there are two
    visitBranch(page, number, range, depth, disorder);
  }

  bool hasFree(PageNumber first, std::uint64_t count) const {
    for (std::uint64_t i = 0; i < count; ++i) {
      if (ledger_.freedBy(first + i) != 0) return true;
    }
    return false;
  }

  // LMDB keeps all leaves at one depth, and relies on it where it joins pages.
  void noteDepth(PageNumber leaf, unsigned depth) {
    if (walk_.depth == 0) walk_.depth = depth;
    if (walk_.depth != depth) wonder(leaf, "it lies at another depth than other leaves");
  }

  // A page that is in order has all of its keys in the range; of one that is not, some key will do.
  bool liesIn(const Page& page, const Range& range, bool anyIsEnough) const {
    Node node;
    bool any = false;
    for (std::size_t i = page.isLeaf() ? 0 : 1; i < page.nodes(); ++i) {
      const bool fits = page.node(i, node) && range.has(node.key, options_.numbers);
      if (!fits && !anyIsEnough) return false;
      any = any || fits;
    }
    return any || (!page.isLeaf() && page.nodes() == 1);
  }

  void visitLeaf(const Page& page, PageNumber number, const Range& range, const char* disorder) {
    if (disorder != nullptr) flaw(number, range, disorder);
    walk_.leaves.push_back(number);
    walk_.entries += page.nodes();
    Node node;
    if (!options_.numbers) addSpan(page, range);
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      if (!page.node(i, node)) continue;
      if (node.isOdd || (node.isTree && !options_.names))
        wonder(number, "an entry has flags of something else");
      if (!node.isOverflow) continue;
      const std::uint64_t run = overflowRun(file_, node);
      const bool isStale = hasFree(node.overflowPage, run);
      if (run != 0 && !isStale && ledger_.claim(node.overflowPage, run, walk_.claimed)) {
        walk_.overflowPages += run;
        continue;
      }
      if (run != 0 && !isStale) walk_.refused.push_back(node.overflowPage);
      std::string key(asText(node.key));
      flaw(
          node.overflowPage, {key, key + '\0', true},
          run == 0 ? "the pages of a large value are damaged" : "the pages of a large value are not its own");
      walk_.gaps.back().isValue = true;
    }
  }

  // Of a leaf that is not in order those keys count that can lie in it.
  void addSpan(const Page& page, const Range& range) {
    Node node;
    LeafSpan span;
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      if (!page.node(i, node) || node.key.empty() || !range.has(node.key, false)) continue;
      if (span.first.empty() || isBefore(node.key, asBytes(span.first), false)) span.first = asText(node.key);
      if (span.last.empty() || isBefore(asBytes(span.last), node.key, false)) span.last = asText(node.key);
    }
    if (span.first.empty()) return;
    if (!walk_.spans.empty() && !isBefore(asBytes(walk_.spans.back().last), asBytes(span.first), false))
      return;
    walk_.spans.push_back(std::move(span));
  }

  void visitBranch(const Page& page, PageNumber number, const Range& range, unsigned depth,
                   const char* disorder) {
    if (disorder != nullptr) miss(number, range, disorder);
    // Children between two keys that can be read share the range between them.
    Range child{range.low, {}, false};
    std::vector<PageNumber> children;
    Node node;
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      const bool isThere = page.node(i, node);
      const bool isBound = isThere && i != 0 && range.has(node.key, options_.numbers) &&
                           (child.low.empty() || isBefore(asBytes(child.low), node.key, options_.numbers));
      if (isBound && i != 0) {
        child.high.assign(asText(node.key));
        child.hasHigh = true;
        visitAll(children, child, depth);
        child.low = child.high;
      }
      if (isThere)
        children.push_back(node.child);
      else
        miss(kNoPage, range, "a branch page has lost where it leads to");
    }
    child.high = range.high;
    child.hasHigh = range.hasHigh;
    visitAll(children, child, depth);
  }

  void visitAll(std::vector<PageNumber>& children, const Range& range, unsigned depth) {
    for (const PageNumber page : children) visit(page, range, depth + 1);
    children.clear();
  }

  const PageFile& file_;
  PageLedger& ledger_;
  const WalkOptions options_;
  TreeWalk walk_;
};

}  // namespace

bool PageLedger::claim(PageNumber first, std::uint64_t count, std::vector<PageNumber>& claimed) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (first + i >= isClaimed_.size() || isClaimed_[first + i] || isBarred(first + i)) return false;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    isClaimed_[first + i] = true;
    claimed.push_back(first + i);
  }
  const std::uint64_t before = claimed_;
  claimed_ += count;
  if (progress_ && before / kPagesPerReport != claimed_ / kPagesPerReport) progress_(claimed_);
  return true;
}

void PageLedger::release(const std::vector<PageNumber>& claimed) {
  for (const PageNumber page : claimed) isClaimed_[page] = false;
  claimed_ -= claimed.size();
}

TreeWalk walkTree(const PageFile& file, PageLedger& ledger, const TreeRecord& tree,
                  const WalkOptions& options) {
  return Walker(file, ledger, options).run(tree.root);
}

std::optional<Bytes> valueOf(const PageFile& file, const Node& node, std::vector<std::byte>& copy) {
  if (!node.isOverflow) return node.value;
  if (overflowRun(file, node) == 0) return std::nullopt;
  copy.resize(node.length);
  if (!file.read(node.overflowPage, kPageHeaderLength, copy)) return std::nullopt;
  return Bytes(copy);
}

}  // namespace instar::pages
