#include "instar/engine/internal/salvage/orphan_owners.h"

#include <algorithm>

#include "instar/format/file_format.h"

namespace instar {
namespace {

using pages::NamedTree;
using pages::Node;
using pages::Page;
using pages::PageNumber;
using Fit = FoundCollection::Fit;

Fit fitOfBlock(const FoundCollection& collection, Bytes lastKey, const ColdBlockHeader& header,
               FoundCollection::Of page) {
  const auto dictionary = collection.dictionaries.find(header.dictionary);
  if (header.dictionary != 0 && dictionary == collection.dictionaries.end())
    return collection.knowsAllVersions ? Fit::no : Fit::unknown;
  BlockDamage damage;
  const auto block = UnpackedBlock::unpack(
      lastKey, header.value, header.dictionary == 0 ? nullptr : dictionary->second.get(), damage);
  if (!block) return Fit::no;
  return collection.fit(block->key(0), {block->version(), RowFlags::none, block->payload(0)}, page);
}

}  // namespace

bool readLeafPage(const pages::PageFile& file, PageNumber number, std::vector<std::byte>& bytes, Page& page) {
  return file.read(number, bytes) && page.decode(bytes, number) == nullptr && page.isLeaf();
}

void forEachNode(const pages::PageFile& file, PageNumber number,
                 const std::function<void(const Node&)>& visit) {
  std::vector<std::byte> bytes;
  Page page;
  Node node;
  if (readLeafPage(file, number, bytes, page)) {
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      if (page.node(i, node) && !node.isTree && node.key.size() <= kMaxKeyLength) visit(node);
    }
    return;
  }
  pages::NodeSearch search(bytes);
  while (search.next(node)) {
    if (!node.isTree && node.key.size() <= kMaxKeyLength) visit(node);
  }
}

OrphanOwners::OrphanOwners(const pages::PageFile& file, pages::PageMap& map, FoundCatalog& catalog)
    : file_(file), map_(map), catalog_(catalog), values_(file) {
  findCandidates();
  for (const PageNumber page : map.orphans()) {
    if (!catalog.owns(page)) assign(page);
  }
  const bool isOfUnknownAge = std::any_of(map.stale().begin(), map.stale().end(),
                                          [](const pages::StalePage& page) { return page.freedBy == 0; });
  if (isOfUnknownAge) assignStale();
}

// What the sound entries of the page say; nothing of a candidate where there is none.
std::uint64_t OrphanOwners::fit(PageNumber page, FoundCollection::Of kind,
                                std::vector<Candidate>& candidates) const {
  std::vector<std::byte> copy;
  std::uint64_t rows = 0;
  forEachNode(file_, page, [&](const Node& node) {
    const auto value = values_.read(node, copy);
    if (!value) return;
    RowView row;
    ColdBlockHeader header;
    const bool isRow = decodeRow(node.key, *value, Verify::yes, row) == RowDamage::none;
    const bool isBlock =
        decodeBlockHeader(*value, header) == BlockDamage::none && blockIsIntact(node.key, header);
    if (isRow)
      ++rows;
    else if (isBlock)
      rows += header.rows;
    for (Candidate& one : candidates) {
      if (one.fit == Fit::no || !(one.isCold ? isBlock : isRow)) continue;
      const Fit found = one.isCold ? fitOfBlock(*one.collection, node.key, header, kind)
                                   : one.collection->fit(node.key, row, kind);
      one.fit = one.fit ? std::min(*one.fit, found) : found;
    }
  });
  return rows;
}

void OrphanOwners::findCandidates() {
  for (const FoundCollection& collection : catalog_.collections()) {
    for (const auto& [prefix, isCold] :
         {std::pair(kRowTreePrefix, false), std::pair(kColdTreePrefix, true),
          std::pair(kPreimageRowTreePrefix, false), std::pair(kPreimageColdTreePrefix, true)}) {
      std::string name = std::string(prefix) + collection.name;
      const NamedTree* tree = map_.find(name);
      const bool isPreimage = prefix == kPreimageRowTreePrefix || prefix == kPreimageColdTreePrefix;
      if (tree == nullptr && isPreimage && (map_.knowsAllNames() || !collection.mayHavePreimages())) continue;
      if (tree != nullptr && tree->isSound && tree->record.root != pages::kNoPage) continue;
      candidates_.push_back({&collection,
                             isCold,
                             std::move(name),
                             tree,
                             std::make_shared<const Holes>(tree == nullptr ? Holes() : holesOf(*tree)),
                             {}});
    }
  }
}

void OrphanOwners::assign(PageNumber page) {
  const auto first = firstKey(page, false);
  const auto last = firstKey(page, true);
  if (!first || !last) return;
  std::vector<Candidate> candidates;
  for (const Candidate& one : candidates_) {
    if (one.tree == nullptr || hasRoom(*one.tree, asBytes(*first), asBytes(*last))) candidates.push_back(one);
  }
  const std::uint64_t rows = fit(page, FoundCollection::Of::pageInUse, candidates);
  std::vector<std::string> owners;
  std::vector<std::string> emptyOwners;
  bool isMissed = false;  // by a tree that can have it
  bool isSure = catalog_.knowsAllCollections();
  for (const Candidate& one : candidates) {
    isSure = isSure && one.fit != Fit::unknown;
    if (one.fit != Fit::yes) continue;
    // That a tree is empty may be what an old page of names says: then its leaves look like orphans. But a
    // tree with a hole that they fill comes first.
    const bool isEmpty = one.tree != nullptr && one.tree->isSound;
    (isEmpty ? emptyOwners : owners).push_back(one.name);
    isMissed = isMissed || (one.tree != nullptr && hasHole(*one.holes, asBytes(*first), asBytes(*last)));
  }
  if (!isMissed) owners.insert(owners.end(), emptyOwners.begin(), emptyOwners.end());
  if (owners.size() == 1 && isSure)
    pages_[owners.front()].push_back(page);
  else
    unassignedRows_ += rows;
}

void OrphanOwners::assignStale() const {
  knowsStale_ = true;
  std::vector<Candidate> all;
  for (const FoundCollection& collection : catalog_.collections()) {
    for (const bool isCold : {false, true}) all.push_back({.collection = &collection, .isCold = isCold});
  }
  for (const pages::StalePage& page : map_.stale()) {
    std::vector<Candidate> candidates = all;
    const std::uint64_t rows = fit(page.page, FoundCollection::Of::stalePage, candidates);
    std::erase_if(candidates, [](const Candidate& one) { return one.fit.value_or(Fit::no) == Fit::no; });
    if (candidates.empty()) continue;
    if (candidates.size() == 1 && candidates.front().fit == Fit::yes && catalog_.knowsAllCollections())
      stale_[candidates.front().collection].push_back({page.page, candidates.front().isCold});
    else if (page.freedBy == 0)  // otherwise it is known to be out of use
      unassignedRows_ += rows;
  }
}

const std::vector<OrphanOwners::StaleLeaf>& OrphanOwners::staleOf(const FoundCollection& collection) const {
  static const std::vector<StaleLeaf> kNone;
  if (!knowsStale_) assignStale();
  const auto found = stale_.find(&collection);
  return found == stale_.end() ? kNone : found->second;
}

const std::vector<PageNumber>& OrphanOwners::of(const std::string& tree) const {
  static const std::vector<PageNumber> kNone;
  const auto found = pages_.find(tree);
  return found == pages_.end() ? kNone : found->second;
}

std::optional<std::string> OrphanOwners::firstKey(PageNumber number, bool last) const {
  std::vector<std::byte> bytes;
  Page page;
  Node node;
  if (!readLeafPage(file_, number, bytes, page) || !page.node(last ? page.nodes() - 1 : 0, node))
    return std::nullopt;
  return std::string(asText(node.key));
}

OrphanOwners::Holes OrphanOwners::holesOf(const NamedTree& tree) const {
  Holes holes;
  if (tree.isOlder || map_.mayBeOlder()) return holes;
  for (const pages::Gap& gap : tree.walk.gaps) {
    if (gap.isHole && !map_.isFree(gap.page)) holes.push_back({gap.low, gap.high, !gap.hasHigh});
  }
  std::stable_sort(holes.begin(), holes.end(), [](const Hole& left, const Hole& right) {
    return compareBytes(asBytes(left.low), asBytes(right.low)) < 0;
  });
  for (std::size_t i = 1; i < holes.size(); ++i) {
    const Hole& before = holes[i - 1];
    Hole& hole = holes[i];
    hole.isOpen = hole.isOpen || before.isOpen;
    if (compareBytes(asBytes(hole.end), asBytes(before.end)) < 0) hole.end = before.end;
  }
  return holes;
}

bool OrphanOwners::hasHole(const Holes& holes, Bytes first, Bytes last) {
  const auto behind = std::partition_point(holes.begin(), holes.end(), [&](const Hole& hole) {
    return compareBytes(asBytes(hole.low), first) <= 0;
  });
  if (behind == holes.begin()) return false;
  const Hole& hole = *(behind - 1);
  return hole.isOpen || compareBytes(last, asBytes(hole.end)) < 0;
}

// Whether no leaf of the tree has keys from there to there.
bool OrphanOwners::hasRoom(const NamedTree& tree, Bytes first, Bytes last) {
  const auto& spans = tree.walk.spans;
  const auto behind = std::partition_point(spans.begin(), spans.end(), [&](const pages::LeafSpan& span) {
    return compareBytes(asBytes(span.first), last) <= 0;
  });
  return behind == spans.begin() || compareBytes(asBytes((behind - 1)->last), first) < 0;
}

Key OrphanOwners::lastKeyBefore(const NamedTree& tree, Bytes key) {
  const auto& spans = tree.walk.spans;
  const auto behind = std::partition_point(spans.begin(), spans.end(), [&](const pages::LeafSpan& span) {
    return compareBytes(asBytes(span.first), key) < 0;
  });
  if (behind == spans.begin()) return {};
  const std::string& last = (behind - 1)->last;
  return compareBytes(asBytes(last), key) < 0 ? boundedKey(last) : Key();
}

}  // namespace instar
