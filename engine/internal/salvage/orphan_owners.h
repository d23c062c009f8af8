#pragma once

// Which leaf that nothing leads to belongs to which tree, and which stale one to which collection. Each page
// is read a few times, however many collections there are; but its rows are decoded for each collection that
// could have it, and its blocks for each that has their dictionary. One thread.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/pages/value_reader.h"
#include "instar/engine/internal/salvage/found_catalog.h"

namespace instar {

// The page as a leaf; false where it is none. `page` borrows the bytes.
bool readLeafPage(const pages::PageFile& file, pages::PageNumber number, std::vector<std::byte>& bytes,
                  pages::Page& page);

// Every node that a row or a block can be in; of a page that is none any more whatever looks like one.
void forEachNode(const pages::PageFile& file, pages::PageNumber number,
                 const std::function<void(const pages::Node&)>& visit);

inline Key boundedKey(std::string_view text) { return Key(asBytes(text.substr(0, kMaxKeyLength))); }

class OrphanOwners {
 public:
  OrphanOwners(const pages::PageFile& file, pages::PageMap& map, FoundCatalog& catalog);

  const std::vector<pages::PageNumber>& of(const std::string& tree) const;

  struct StaleLeaf {
    pages::PageNumber page = 0;
    bool isCold = false;
  };
  // Of stale pages that only this collection can have, the newest first. Looks for them the first time.
  const std::vector<StaleLeaf>& staleOf(const FoundCollection& collection) const;

  // Sound ones of pages that nothing leads to and that several collections could have.
  std::uint64_t unassignedRows() const noexcept { return unassignedRows_; }
  // The last key of the tree's leaf before the key; empty where there is none.
  static Key lastKeyBefore(const pages::NamedTree& tree, Bytes key);

 private:
  struct Hole {
    std::string low;
    std::string end;  // the farthest of this one and all before it; the first key that is not in it
    bool isOpen = false;
  };
  using Holes = std::vector<Hole>;  // by where they begin
  struct Candidate {
    const FoundCollection* collection = nullptr;
    bool isCold = false;
    std::string name = {};                   // of the tree that may have lost pages
    const pages::NamedTree* tree = nullptr;  // null: it was not found
    std::shared_ptr<const Holes> holes = {};
    std::optional<FoundCollection::Fit> fit = {};  // of all sound entries; nothing: there is none
  };

  void findCandidates();
  void assign(pages::PageNumber page);
  void assignStale() const;
  // Fits the page's entries to each; returns how many sound rows there are.
  std::uint64_t fit(pages::PageNumber page, FoundCollection::Of kind,
                    std::vector<Candidate>& candidates) const;
  // But for those that a page of an older commit has made.
  Holes holesOf(const pages::NamedTree& tree) const;
  // Whether one hole has all keys from there to there.
  static bool hasHole(const Holes& holes, Bytes first, Bytes last);
  static bool hasRoom(const pages::NamedTree& tree, Bytes first, Bytes last);
  std::optional<std::string> firstKey(pages::PageNumber page, bool last) const;

  const pages::PageFile& file_;
  pages::PageMap& map_;
  FoundCatalog& catalog_;
  mutable pages::ValueReader values_;
  std::vector<Candidate> candidates_;  // for orphans
  std::map<std::string, std::vector<pages::PageNumber>> pages_;
  mutable std::map<const FoundCollection*, std::vector<StaleLeaf>> stale_;
  mutable bool knowsStale_ = false;
  mutable std::uint64_t unassignedRows_ = 0;
};

}  // namespace instar
