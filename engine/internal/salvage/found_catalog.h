#pragma once

// What is left of the catalog of a damaged file: every record whose checksum holds, and what the collections
// are by these. One thread.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/cold/cold_tier.h"
#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/pages/value_reader.h"
#include "instar/engine/internal/salvage/record_check.h"
#include "instar/engine/salvage.h"
#include "instar/evolve/want_of_memory.h"
#include "instar/format/cold_block.h"

namespace instar {

struct FoundCollection {
  std::string name;
  std::optional<Catalog::CollectionRecord> record = {};
  bool isRebuilt = false;
  std::map<std::uint16_t, RecordSchema> schemas = {};
  std::map<std::uint16_t, VersionState> states = {};
  std::optional<Tiers> tiers = {};  // nothing where the record is lost; all zero where there are no blocks
  std::map<std::uint32_t, std::shared_ptr<const Dictionary>> dictionaries = {};
  bool hasPartitions = false;
  bool knowsAllVersions = false;

  // Pre-images are kept by compaction alone, which leaves traces.
  bool mayHavePreimages() const noexcept {
    return hasPartitions || tiers.value_or(Tiers()).coldBlocks != 0 || !record || record->tiered ||
           !knowsAllVersions;
  }

  // Whether a row can be of this collection: its version is known, and its $key fields give its key. What is
  // Instar's own, and only looks like one, is no row; in pages in use that is so where its tree lacks pages.
  enum class Fit : std::uint8_t { no, unknown, yes };  // unknown: the schema may be lost
  enum class Of : std::uint8_t { stalePage = 1, pageInUse };
  Fit fit(Bytes key, const RowView& row, Of page) const;
  // The same of a row that the collection's own tree leads to, where it may look like anything.
  Fit fitOfKey(Bytes key, const RowView& row) const;
  bool auditIsSound = false;
  bool catalogIsSound = false;
};

class FoundCatalog {
 public:
  FoundCatalog(const pages::PageFile& file, pages::PageMap& map);

  // Throws Error(upgradeProgram) where a newer release has written the file.
  void refuseNewer() const;

  std::vector<FoundCollection>& collections() noexcept { return collections_; }
  // As they are stored: all but those that depend on where rows lie.
  const std::map<std::string, std::vector<std::byte>, std::less<>>& records() const noexcept {
    return records_;
  }
  std::uint64_t damaged() const noexcept { return damaged_; }
  // What is wrong with those that were left out.
  const std::vector<PageProblem>& problems() const noexcept { return problems_; }
  // Whether there are no other collections than those that were found.
  bool knowsAllCollections() const noexcept { return isWhole_ || map_.knowsAllNames(); }
  std::uint64_t older() const noexcept { return older_; }
  // Leaves that belong to it, though nothing leads to them.
  bool owns(pages::PageNumber page) const { return orphans_.contains(page); }

 private:
  void readLeaf(pages::PageNumber page, bool isStale);
  void leaveOut(std::optional<pages::PageNumber> page, std::string_view key, const char* reason);
  void leaveOutWithoutVersion();
  bool looksLikeCatalog(pages::PageNumber page);
  void disownStrangers(pages::PageMap& map) const;
  void findCollections(const pages::PageMap& map);
  void readCollection(FoundCollection& collection);
  void rebuildRecord(FoundCollection& collection) const;
  void addCollection(std::string_view name);
  const std::vector<std::byte>* find(const Key& key) const;

  const pages::PageFile& file_;
  const pages::PageMap& map_;
  std::map<std::string, std::vector<std::byte>, std::less<>> records_;
  std::set<pages::PageNumber> orphans_;
  std::vector<FoundCollection> collections_;
  std::uint64_t damaged_ = 0;
  std::uint64_t older_ = 0;
  std::vector<PageProblem> problems_;
  pages::ValueReader values_;
  bool isWhole_ = false;  // no record is missing
};

// Whether it is a record of the catalog whose checksum holds.
bool isRecord(Bytes key, Bytes value, RowView& row) noexcept;

// Sound bytes that are no record are as good as lost: then `read` has not come to its end. Throws
// std::bad_alloc where there is no memory to read it, which says nothing about the record.
template <class Read>
void readRecord(Bytes key, Bytes value, Read&& read) {
  RowView row;
  if (!isRecord(key, value, row)) return;
  try {
    AlignedRecord record(row.payload);
    read(record.root());
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
  } catch (const Error&) {
  }
}

}  // namespace instar
