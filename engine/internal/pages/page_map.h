#pragma once

// What every page of a damaged file is good for:
//
// 1. The newest commit whose meta page can be read is the state that is looked for.
// 2. Its list of free pages says which pages are of older commits. All others are in use.
// 3. Its main tree names the trees, and each is walked; first those whose pages add up to what is stored
//    about them, so that a damaged number cannot take pages from a sound tree. A page that two of them could
//    have goes to none, since the counts of both may hold. Names that are lost with a page of the main tree
//    are looked for in pages in use that nothing leads to, then in the commit before.
// 4. A leaf in use that no tree leads to is an orphan: what led to it is damaged. It belongs to the state,
//    but to which tree has to be found out from its rows. Leaves that are free, damaged or of unknown age are
//    stale: what they hold may be out of date or erased.
//
// One thread.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "instar/engine/internal/pages/tree_walk.h"

namespace instar::pages {

struct PageNote {
  PageNumber page = kNoPage;  // kNoPage: none in particular
  std::string tree;           // empty: of none in particular
  std::string what;
  bool isDamage = true;  // false: a crash can leave a file like this, too
};

struct NamedTree {
  std::string name;
  TreeRecord record;
  TreeWalk walk;
  bool isOlder = false;  // the record is of an older commit, or of unknown age: its counts prove nothing
  bool isSound = false;  // nothing is missing, and what is stored about it adds up
};

struct StalePage {
  PageNumber page = 0;
  std::uint64_t freedBy = 0;  // the commit since which it is out of use; UINT64_MAX: none
};

class PageMap {
 public:
  enum class Sweep : std::uint8_t { never, whereNeeded, always };  // looking for orphans and stale pages

  // Reads all of it. `progress` is called with pages done, which begin anew with each going over them.
  PageMap(const PageFile& file, Sweep sweep, const std::function<void(std::uint64_t)>& progress);

  const std::vector<NamedTree>& trees() const noexcept { return trees_; }
  const NamedTree* find(std::string_view name) const noexcept;
  const std::vector<PageNumber>& orphans() const noexcept { return orphans_; }
  const std::vector<StalePage>& stale() const noexcept { return stale_; }  // the newest first
  const std::vector<PageNote>& notes() const noexcept { return notes_; }
  // Whether the newest commit could not be read as a whole, so that rows may be as an older one had them.
  bool mayBeOlder() const noexcept { return mayBeOlder_; }
  bool isSound() const noexcept;  // no damage
  // Whether there are no other trees than those that were found.
  bool knowsAllNames() const noexcept { return mainIsSound_; }
  // Whether a later commit has put the page out of use; false where the list of free pages is damaged.
  bool isFree(PageNumber page) const { return ledger_.freedBy(page) != 0; }
  std::uint64_t transaction() const noexcept { return transaction_; }
  // Does it now, unless it was done: where the trees are sound, and what is in them is not.
  void sweep();
  // A tree of the newest commit that cannot have the name: its leaves become orphans.
  void disown(const std::string& name);
  // Of a tree; empty where it is of none.
  static std::string_view collectionOf(std::string_view tree) noexcept;

 private:
  using Records = std::vector<std::pair<std::string, TreeRecord>>;

  void chooseMeta();
  void checkCommits();
  void checkLastPage();
  void readFreeList(const Meta& meta);
  void addFreePages(Bytes list, std::uint64_t transaction);
  void checkNames(const std::vector<PageNumber>& leaves);  // of the newest commit
  Records readNames(const std::vector<PageNumber>& leaves);
  void addNames(const Records& names, bool isOlder);  // up to as many trees as a file can have
  void findLostNames();
  void walkTrees();
  void walk(NamedTree& tree);
  bool mayTry() const noexcept;
  void release(const TreeWalk& walk, bool wasVain);
  void barContested();
  void noteTree(const NamedTree& tree);
  void noteOddities(const std::string& name, const TreeRecord& record, const TreeWalk& walk);
  void note(PageNumber page, std::string tree, std::string what, bool isDamage = true);
  bool isUsed(PageNumber page) const { return ledger_.isClaimed(page); }
  void forEachLeaf(const std::function<void(PageNumber, const Page&)>& visit);

  const PageFile& file_;
  const std::function<void(std::uint64_t)> progress_;
  PageLedger ledger_;
  std::optional<Meta> meta_;
  std::optional<Meta> older_;
  std::vector<NamedTree> trees_;
  std::map<std::string, std::size_t, std::less<>> places_;  // of names among these
  std::vector<PageNumber> orphans_;
  std::vector<StalePage> stale_;
  std::set<PageNumber> damaged_;  // that trees lead to
  std::vector<PageNote> notes_;
  std::uint64_t pagesTried_ = 0;   // of walks that were of no use
  std::uint64_t lastFreeing_ = 0;  // the newest commit on the list of free pages
  bool freeListIsSound_ = false;
  bool mainIsSound_ = false;
  bool mayBeOlder_ = false;
  bool isSwept_ = false;
  std::uint64_t transaction_ = 0;
};

}  // namespace instar::pages
