#include "instar/engine/internal/pages/page_map.h"

#include <algorithm>
#include <utility>

#include "instar/format/file_format.h"
#include "instar/format/key_text.h"

namespace instar::pages {
namespace {

constexpr std::size_t kMostTrees = kMaxCollections * 4 + 2;
constexpr const char* kListOfTrees = "the list of trees";
constexpr const char* kFreeList = "the list of free pages";
constexpr const char* kOddRecord = "what is stored about it says another order of keys";
constexpr std::size_t kMostNames = 100 * kMostTrees;  // in all of the pages that could have some

// How often a walk over as many pages as the file has may be of no use: records of trees that a damaged file
// has too many of could each lead over all of it.
constexpr std::uint64_t kMostVainWalks = 16;

constexpr std::string_view kPrefixes[] = {kRowTreePrefix, kColdTreePrefix, kPreimageRowTreePrefix,
                                          kPreimageColdTreePrefix};

// Of trees of a collection, without its name; empty for others.
std::string_view prefixOf(std::string_view name) noexcept {
  for (const std::string_view prefix : kPrefixes) {
    if (name.starts_with(prefix)) return prefix;
  }
  return {};
}

// Names that Instar gives; whatever else the page of a damaged main tree says is none.
bool isTreeName(std::string_view name) noexcept {
  const std::string_view prefix = prefixOf(name);
  if (prefix.empty()) return name == kCatalogTree || name == kAuditTree;
  const std::string_view collection = name.substr(prefix.size());
  return !collection.empty() && collection.size() <= kMaxCollectionNameLength && isValidUtf8(collection) &&
         collection.find('/') == std::string_view::npos && collection.find('\0') == std::string_view::npos;
}

std::string counts(const char* what, std::uint64_t stored, std::uint64_t met) {
  return std::string("the tree counts ") + std::to_string(stored) + ' ' + what + ", and " +
         std::to_string(met) + " are met";
}

}  // namespace

PageMap::PageMap(const PageFile& file, Sweep sweep, const std::function<void(std::uint64_t)>& progress)
    : file_(file), progress_(progress), ledger_(file.pages(), progress) {
  if (file_.endsInPage()) note(kNoPage, "", "the file ends inside of a page", false);
  chooseMeta();
  if (meta_) {
    transaction_ = meta_->transaction;
    readFreeList(*meta_);
    checkCommits();
    checkLastPage();
    const TreeWalk main = walkTree(file_, ledger_, meta_->mainTree, {.names = true});
    mainIsSound_ = main.matches(meta_->mainTree);
    noteTree({"", meta_->mainTree, main, false, mainIsSound_});
    checkNames(main.leaves);
    addNames(readNames(main.leaves), false);
  }
  if (!mainIsSound_) findLostNames();
  walkTrees();
  if (sweep == Sweep::always || (sweep == Sweep::whereNeeded && !notes_.empty())) this->sweep();
}

void PageMap::note(PageNumber page, std::string tree, std::string what, bool isDamage) {
  notes_.push_back({page, std::move(tree), std::move(what), isDamage});
}

bool PageMap::isSound() const noexcept {
  return std::none_of(notes_.begin(), notes_.end(), [](const PageNote& note) { return note.isDamage; });
}

const NamedTree* PageMap::find(std::string_view name) const noexcept {
  const auto place = places_.find(name);
  return place == places_.end() ? nullptr : &trees_[place->second];
}

void PageMap::chooseMeta() {
  const auto& metas = file_.metas();
  for (PageNumber number = 0; number < 2; ++number) {
    if (metas[number]) continue;
    note(number, "", file_.metaProblems()[number]);
    mayBeOlder_ = true;  // nobody knows whether it was the newer one
  }
  meta_ = metas[0];
  if (!meta_ || (metas[1] && metas[1]->transaction > meta_->transaction)) {
    meta_ = metas[1];
    older_ = metas[0];
  } else {
    older_ = metas[1];
  }
  // Every commit adds one; the first of a copy stands beside the empty page of a new file.
  if (meta_ && older_ && meta_->transaction - older_->transaction > 1) {
    note(kNoPage, "",
         "the two meta pages are of commits " + std::to_string(older_->transaction) + " and " +
             std::to_string(meta_->transaction) + ", which do not follow each other",
         false);
    mayBeOlder_ = true;
  }
  if (!meta_) return;
  const PageNumber number = meta_->transaction & 1;
  if (!meta_->freeTree.isFreeList(meta_->pageSize)) note(number, kFreeList, kOddRecord);
  if (!meta_->mainTree.isOrdinary()) note(number, kListOfTrees, kOddRecord);
  // Pages behind the last one were never written, or were not committed.
  if (meta_->lastPage < 1) note(kNoPage, "", "the number of the last page is wrong");
}

// One bit of a commit's number makes the commit before the newest one. Its list of free pages tells: each
// commit frees the page that the list of trees began at, under its own number, and none is of a later one.
void PageMap::checkCommits() {
  if (!older_) return;
  const auto doubt = [&](const Meta& meta) {
    note(meta.transaction & 1, "", "its list of free pages is of a commit with another number");
    mayBeOlder_ = true;
  };
  const bool mustHaveFreed = older_->mainTree.root != kNoPage;
  if (freeListIsSound_ && mustHaveFreed && lastFreeing_ != meta_->transaction) doubt(*meta_);
  PageLedger unused(file_.pages());
  const TreeWalk walk = walkTree(file_, unused, older_->freeTree, {.numbers = true});
  if (!walk.matches(older_->freeTree) || walk.leaves.empty()) return;  // its pages may be free by now
  std::vector<std::byte> bytes;
  Page page;
  Node node;
  const PageNumber leaf = walk.leaves.back();
  if (file_.read(leaf, bytes) && page.decode(bytes, leaf) == nullptr && page.node(page.nodes() - 1, node) &&
      node.key.size() == sizeof(PageNumber) && loadNumber(node.key, 0, 8) > older_->transaction)
    doubt(*older_);
}

// A file may end before the last page that was given out, where it was never written: then it is free.
void PageMap::checkLastPage() {
  if (!freeListIsSound_ || meta_->lastPage < file_.pages()) return;
  const std::uint64_t missing = meta_->lastPage - file_.pages() + 1;
  bool areFree = missing <= ledger_.freePages();
  for (std::uint64_t i = 0; i < missing && areFree; ++i) areFree = ledger_.freedBy(file_.pages() + i) != 0;
  if (!areFree) note(kNoPage, "", "pages in use lie beyond the end of the file");
}

void PageMap::readFreeList(const Meta& meta) {
  const TreeWalk walk = walkTree(file_, ledger_, meta.freeTree, {.numbers = true});
  freeListIsSound_ = walk.matches(meta.freeTree);
  noteOddities(kFreeList, meta.freeTree, walk);
  std::vector<std::byte> bytes;
  std::vector<std::byte> copy;
  Node node;
  for (const PageNumber leaf : walk.leaves) {
    if (!freeListIsSound_) break;
    Page page;
    if (!file_.read(leaf, bytes) || page.decode(bytes, leaf) != nullptr) continue;
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      const auto value = page.node(i, node) ? valueOf(file_, node, copy) : std::nullopt;
      if (value && node.key.size() == 8)
        addFreePages(*value, loadNumber(node.key, 0, 8));
      else
        freeListIsSound_ = false;
    }
  }
  for (const PageNumber page : walk.claimed)
    freeListIsSound_ = freeListIsSound_ && ledger_.freedBy(page) == 0;
  if (freeListIsSound_) return;
  ledger_.forgetFree();  // half of it would be taken for all of it
  const PageNumber at = walk.gaps.empty() ? kNoPage : walk.gaps.front().page;
  note(at, "", "the list of free pages is damaged: pages that nothing leads to may be of any age");
}

// A count, then as many numbers of pages.
void PageMap::addFreePages(Bytes list, std::uint64_t transaction) {
  const std::uint64_t room = list.size() / sizeof(PageNumber);
  const std::uint64_t count = room == 0 ? 0 : loadNumber(list, 0, 8);
  if (room == 0 || count > room - 1 || transaction == 0 || transaction > meta_->transaction) {
    freeListIsSound_ = false;
    return;
  }
  lastFreeing_ = std::max(lastFreeing_, transaction);
  PageNumber last = kNoPage;
  for (std::uint64_t i = 1; i <= count; ++i) {
    const PageNumber page = loadNumber(list, i * sizeof(PageNumber), 8);
    // LMDB looks for runs of pages in them, and takes it for granted that they fall.
    const bool isInOrder = page < std::exchange(last, page);
    if (!isInOrder || page < 2 || page > meta_->lastPage || ledger_.freedBy(page) != 0) {
      freeListIsSound_ = false;
      return;
    }
    ledger_.markFree(page, transaction);
  }
}

// One bit of a name leaves all counts and the order as they were, and a tree without its name.
void PageMap::checkNames(const std::vector<PageNumber>& leaves) {
  const auto doubt = [&](PageNumber page, const std::string& what) {
    mainIsSound_ = false;
    note(page, kListOfTrees, what);
  };
  std::map<std::string, TreeRecord> names;
  std::vector<std::pair<PageNumber, std::string>> strange;
  std::vector<std::byte> bytes;
  Node node;
  for (const PageNumber leaf : leaves) {
    Page page;
    if (!file_.read(leaf, bytes) || page.decode(bytes, leaf) != nullptr) continue;
    for (std::size_t i = 0; i < page.nodes() && names.size() + strange.size() < kMostTrees; ++i) {
      if (!page.node(i, node)) continue;  // the walk has noted it
      const std::string name(asText(node.key));
      const auto record = node.isTree && !node.isOverflow ? decodeTree(node.value) : std::nullopt;
      if (!isTreeName(name))
        strange.emplace_back(leaf, printKey({}, node.key));
      else if (!record)
        doubt(leaf, "what it says about " + name + " is damaged");
      else
        names.emplace(name, *record);
    }
  }
  if (names.empty()) return;  // a file of something else, as far as one can tell: whoever opens it says so
  for (const auto& [leaf, name] : strange) doubt(leaf, "an entry has the name of no tree: " + name);
  // Each is made after the one that it needs, and an empty one may be the last thing before a crash.
  for (const auto& [text, record] : names) {
    const std::string& name = text;
    const std::string_view prefix = prefixOf(name);
    const std::string collection = name.substr(prefix.size());
    const auto need = [&](std::string_view other) {
      const std::string partner = std::string(other) + collection;
      if (!names.contains(partner)) doubt(kNoPage, "it has " + name + ", but not " + partner);
    };
    if (!prefix.empty() && prefix != kRowTreePrefix) need(kRowTreePrefix);
    if (prefix == kPreimageRowTreePrefix && record.entries != 0) need(kPreimageColdTreePrefix);
    if (prefix == kPreimageColdTreePrefix) need(kPreimageRowTreePrefix);
  }
  if (!names.contains(std::string(kCatalogTree))) doubt(kNoPage, "it has no " + std::string(kCatalogTree));
}

PageMap::Records PageMap::readNames(const std::vector<PageNumber>& leaves) {
  Records names;
  std::vector<std::byte> bytes;
  Node node;
  for (const PageNumber leaf : leaves) {
    Page page;
    if (!file_.read(leaf, bytes) || page.decode(bytes, leaf) != nullptr || !page.isLeaf()) continue;
    for (std::size_t i = 0; i < page.nodes() && names.size() < kMostNames; ++i) {
      if (!page.node(i, node) || node.isOverflow || !isTreeName(asText(node.key))) continue;
      if (const auto record = decodeTree(node.value)) names.emplace_back(asText(node.key), *record);
    }
  }
  return names;
}

void PageMap::addNames(const Records& names, bool isOlder) {
  for (const auto& [name, record] : names) {
    if (trees_.size() >= kMostTrees) return;
    if (places_.emplace(name, trees_.size()).second) trees_.push_back({name, record, {}, isOlder, false});
  }
}

void PageMap::forEachLeaf(const std::function<void(PageNumber, const Page&)>& visit) {
  std::vector<std::byte> bytes;
  for (PageNumber number = 2; number < file_.pages(); ++number) {
    if (number % kPagesPerReport == 0) progress_(number);
    if (isUsed(number)) continue;
    Page page;
    if (file_.read(number, bytes) && page.decode(bytes, number) == nullptr && page.isLeaf())
      visit(number, page);
  }
}

void PageMap::findLostNames() {
  std::vector<PageNumber> inUse;
  std::vector<PageNumber> others;
  forEachLeaf([&](PageNumber number, const Page& page) {
    Node node;
    bool hasNames = false;
    for (std::size_t i = 0; i < page.nodes() && !hasNames; ++i) {
      hasNames = page.node(i, node) && isTreeName(asText(node.key)) && !node.isOverflow && node.isTree &&
                 node.value.size() == kTreeRecordLength;
    }
    if (!hasNames) return;
    const bool isInUse =
        freeListIsSound_ && meta_ && number <= meta_->lastPage && ledger_.freedBy(number) == 0;
    (isInUse ? inUse : others).push_back(number);
  });
  std::vector<PageNumber> claimed;
  for (const PageNumber page : inUse) ledger_.claim(page, 1, claimed);
  addNames(readNames(inUse), true);
  if (older_) {
    PageLedger unused(file_.pages());
    const TreeWalk main = walkTree(file_, unused, older_->mainTree, {.names = true});
    addNames(readNames(main.leaves), true);
  }
  // Without a meta page: whatever a tree can be walked by, the largest first.
  if (meta_) return;
  mayBeOlder_ = true;
  // Each name has its turn before any has a second one, so that none takes the walks of all others.
  Records names = readNames(others);
  std::stable_sort(names.begin(), names.end(), [](const auto& left, const auto& right) {
    return left.second.entries > right.second.entries;
  });
  std::set<std::pair<std::string, PageNumber>> seen;
  std::map<std::string, std::size_t> turns;
  std::vector<std::pair<std::size_t, const Records::value_type*>> inTurn;
  for (const auto& name : names) {
    if (seen.emplace(name.first, name.second.root).second) inTurn.emplace_back(turns[name.first]++, &name);
  }
  std::stable_sort(inTurn.begin(), inTurn.end(), [](const auto& left, const auto& right) {
    return std::pair(left.first, left.second->second.entries) <
           std::pair(right.first, right.second->second.entries);
  });
  for (const auto& [turn, name] : inTurn) {
    if (trees_.size() >= kMostTrees || !mayTry()) break;
    if (find(name->first) != nullptr) continue;
    const TreeWalk walk = walkTree(file_, ledger_, name->second, {});
    const bool isMatch = walk.matches(name->second);
    release(walk, !isMatch);
    if (isMatch) addNames({*name}, true);
  }
  addNames(names, true);
}

bool PageMap::mayTry() const noexcept { return pagesTried_ / kMostVainWalks <= file_.pages(); }

void PageMap::release(const TreeWalk& walk, bool wasVain) {
  if (wasVain) pagesTried_ += 1 + walk.claimed.size();
  ledger_.release(walk.claimed);
}

void PageMap::walk(NamedTree& tree) {
  tree.walk = walkTree(file_, ledger_, tree.record, {.throughFree = tree.isOlder});
  tree.isSound = tree.walk.matches(tree.record);
}

void PageMap::walkTrees() {
  std::vector<NamedTree*> broken;
  for (NamedTree& tree : trees_) {
    if (mayTry()) walk(tree);
    if (tree.isSound) continue;
    release(tree.walk, true);  // a sound one comes first
    broken.push_back(&tree);
  }
  for (NamedTree* tree : broken) walk(*tree);
  barContested();
  for (NamedTree& tree : trees_) {
    if (!tree.isOlder) continue;
    // The commit that came after has freed none of its pages, so it has not changed the tree. Where there
    // were none, that says nothing.
    if (tree.isSound && freeListIsSound_ && meta_ && tree.record.root != kNoPage) tree.isOlder = false;
    tree.isSound = !tree.isOlder;
    mayBeOlder_ = mayBeOlder_ || (tree.isOlder && !freeListIsSound_);
  }
  for (const NamedTree& tree : trees_) noteTree(tree);
}

// A damaged number in one tree can lead to a leaf of another that has the same keys and as many: both trees
// look sound then, and one has the rows of the other. Nothing tells which, so such a page becomes an orphan.
// What an older commit says takes nothing from the newest.
void PageMap::barContested() {
  const bool isAnyRefused = std::any_of(trees_.begin(), trees_.end(),
                                        [](const NamedTree& tree) { return !tree.walk.refused.empty(); });
  if (!isAnyRefused) return;
  std::vector<bool> isOfNewest(file_.pages());
  for (const NamedTree& tree : trees_) {
    for (const PageNumber page : tree.walk.claimed) isOfNewest[page] = isOfNewest[page] || !tree.isOlder;
  }
  std::set<PageNumber> contested;
  for (const NamedTree& tree : trees_) {
    for (const PageNumber page : tree.walk.refused) {
      if (!tree.isOlder || !isOfNewest[page]) contested.insert(page);
    }
  }
  if (contested.empty()) return;
  std::vector<NamedTree*> again;
  for (NamedTree& tree : trees_) {
    const auto isContested = [&](PageNumber page) { return contested.contains(page); };
    if (std::none_of(tree.walk.claimed.begin(), tree.walk.claimed.end(), isContested) &&
        std::none_of(tree.walk.refused.begin(), tree.walk.refused.end(), isContested))
      continue;
    ledger_.release(tree.walk.claimed);
    again.push_back(&tree);
  }
  for (const PageNumber page : contested) ledger_.bar(page);
  for (NamedTree* tree : again) walk(*tree);
}

void PageMap::noteTree(const NamedTree& tree) {
  const std::string name = tree.name.empty() ? kListOfTrees : tree.name;
  if (!tree.isOlder) noteOddities(name, tree.record, tree.walk);
  if (!tree.isOlder && !tree.name.empty() && !tree.record.isOrdinary()) note(kNoPage, name, kOddRecord);
  for (const Gap& gap : tree.walk.gaps) {
    if (!tree.isOlder) note(gap.page, name, gap.reason);
    if (gap.wasFound && !tree.name.empty()) damaged_.insert(gap.page);
  }
  if (tree.isOlder)
    return note(kNoPage, name, "what is stored about it is lost, and taken from an older commit");
  if (tree.isSound || !tree.walk.gaps.empty()) return;
  if (tree.walk.entries != tree.record.entries)
    note(kNoPage, name, counts("entries", tree.record.entries, tree.walk.entries));
  else
    note(kNoPage, name, "it counts other pages than it has");
}

// All of it is there, and LMDB would not find it, or stop the program.
void PageMap::noteOddities(const std::string& name, const TreeRecord& record, const TreeWalk& walk) {
  for (const Oddity& oddity : walk.oddities) note(oddity.page, name, oddity.what);
  if (walk.depth != record.depth && walk.gaps.empty())
    note(kNoPage, name, counts("levels", record.depth, walk.depth));
  const PageNumber lastPage = meta_ ? meta_->lastPage : kNoPage;
  const auto behind = std::find_if(walk.claimed.begin(), walk.claimed.end(),
                                   [&](PageNumber page) { return page > lastPage; });
  if (behind == walk.claimed.end()) return;
  note(*behind, name, "it lies behind the last page of the commit");
  mayBeOlder_ = true;  // or of a commit that never came to its end
}

std::string_view PageMap::collectionOf(std::string_view tree) noexcept {
  const std::string_view prefix = prefixOf(tree);
  return prefix.empty() ? prefix : tree.substr(prefix.size());
}

void PageMap::disown(const std::string& name) {
  const auto place = places_.find(name);
  if (place == places_.end()) return;
  NamedTree& tree = trees_[place->second];
  mainIsSound_ = false;
  note(kNoPage, kListOfTrees, "it has " + name + ", and there is no such collection");
  ledger_.release(tree.walk.claimed);
  if (isSwept_)
    orphans_.insert(orphans_.end(), tree.walk.leaves.begin(), tree.walk.leaves.end());
  else
    sweep();
  tree.walk = {};
  tree.isSound = false;
  places_.erase(place);
}

void PageMap::sweep() {
  if (std::exchange(isSwept_, true)) return;
  const bool knowsFree = freeListIsSound_ && meta_.has_value();
  for (const PageNumber page : damaged_) {
    if (!isUsed(page)) stale_.push_back({page, UINT64_MAX});
  }
  forEachLeaf([&](PageNumber number, const Page& page) {
    const std::uint64_t freedBy = ledger_.freedBy(number);
    const bool isBehind = meta_ && number > meta_->lastPage;
    if (isBehind && !mayBeOlder_) return;  // it was never committed
    if (knowsFree && freedBy == 0 && !isBehind && page.findDisorder(false) == nullptr)
      orphans_.push_back(number);
    else if (!damaged_.contains(number))
      stale_.push_back({number, isBehind ? UINT64_MAX : freedBy});
  });
  std::stable_sort(stale_.begin(), stale_.end(), [](const StalePage& left, const StalePage& right) {
    return left.freedBy > right.freedBy;
  });
}

}  // namespace instar::pages
