#pragma once

// Bringing out the rows of one collection:
//
// 1. the hot tree, leaf by leaf, and orphans that only it can have; tombstones are remembered
// 2. the blocks of the cold tree, likewise, but for rows that an entry of the hot tree covers, and for those
//    whose cover may be among the lost ones
// 3. what may be out of date or erased, where that is asked for, the newest first; otherwise it is counted
//
// Pre-images are a pair of trees like these two, and come out likewise: as rows.
//
// One thread.

#include <set>
#include <string>
#include <unordered_set>

#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/salvage/found_catalog.h"
#include "instar/engine/internal/salvage/lost_ranges.h"
#include "instar/engine/internal/salvage/orphan_owners.h"
#include "instar/engine/internal/salvage/salvage_target.h"

namespace instar {

struct SalvageSource {
  const pages::PageFile& file;
  pages::PageMap& map;
  const OrphanOwners& orphans;
  pages::ValueReader& values;
  pages::ValueReader& staleValues;  // of its own, so that these take nothing from the others
};

class CollectionSalvage {
 public:
  // Of pre-images there is no third step.
  enum class Part : std::uint8_t { rows = 1, preimages };
  CollectionSalvage(const SalvageSource& source, const FoundCollection& collection, Part part,
                    SalvageTarget& target, const SalvageOptions& options,
                    const std::function<void()>& progress);

  // Whether any may be kept of the collection.
  static bool hasPreimages(const SalvageSource& source, const FoundCollection& collection);

  SalvagedCollection run();
  std::uint16_t lowestVersion() const noexcept { return lowestVersion_; }  // that rows have; 0: no row

 private:
  void addGaps(const pages::NamedTree* tree, bool isCold, LostRanges& holes, LostRanges& lost);
  void readHot();
  void readHotLeaf(pages::PageNumber number, bool isOrphan);
  void readCold();
  void readColdLeaf(pages::PageNumber number, bool isOrphan);
  void readBlock(Bytes lastKey, const UnpackedBlock& block, bool isOrphan);
  void readStale(pages::PageNumber number, bool isCold);
  void takeDoubtful(Bytes key, const RowView& row, Bytes value);
  void startLoss(bool isCold, pages::PageNumber page, std::string reason);
  void endLoss(LostRanges& lost, Bytes nextKey, bool isIncluded);
  void finishLoss(LostRanges& lost);
  void closeComplete(const pages::NamedTree* tree, std::uint64_t met, LostRanges& holes, LostRanges& lost);
  void report(const LostRanges& lost);
  void noteRow(std::uint16_t version);
  std::shared_ptr<const UnpackedBlock> unpack(Bytes lastKey, Bytes value, std::string& damage) const;
  // What the catalog counts; of pre-images nothing does.
  std::optional<Tiers> tiers() const { return part_ == Part::rows ? collection_.tiers : std::nullopt; }
  bool isTaken(Bytes key);
  bool isErased(Bytes key) const { return tombstones_.contains(std::string(asText(key))); }

  const SalvageSource& source_;
  const FoundCollection& collection_;
  const Part part_;
  const std::string hotName_;
  const std::string coldName_;
  SalvageTarget& target_;
  const SalvageOptions& options_;
  const std::function<void()>& progress_;
  storage::TreeId rows_;
  SalvagedCollection result_;
  LostRanges hotHoles_;
  LostRanges hotLost_;  // single entries
  LostRanges coldHoles_;
  LostRanges coldLost_;
  std::optional<LostRange> pending_;
  Key lastKey_;
  std::unordered_set<std::string> tombstones_;
  std::unordered_set<std::uint64_t> doubtful_;  // hashes of keys that were left out
  std::set<std::uint16_t> unknownVersions_;
  std::uint64_t hotEntries_ = 0;  // that were met, damaged ones too
  std::uint64_t damagedRows_ = 0;
  std::uint64_t covers_ = 0;
  std::uint64_t blocks_ = 0;
  std::uint64_t coldRowsMet_ = 0;
  bool coversAreLost_ = false;
  std::uint16_t lowestVersion_ = 0;
};

}  // namespace instar
