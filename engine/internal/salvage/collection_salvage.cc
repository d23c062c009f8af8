#include "instar/engine/internal/salvage/collection_salvage.h"

#include <algorithm>

#include "instar/format/checksum.h"
#include "instar/format/file_format.h"

namespace instar {
namespace {

using pages::NamedTree;
using pages::Node;
using pages::Page;
using pages::PageNumber;

// More entries than this no file of the size has room for, whatever a damaged number says.
std::uint64_t mostEntries(const pages::PageFile& file) noexcept {
  return file.pages() * (file.pageSize() / pages::kNodeHeaderLength);
}

}  // namespace

CollectionSalvage::CollectionSalvage(const SalvageSource& source, const FoundCollection& collection,
                                     Part part, SalvageTarget& target, const SalvageOptions& options,
                                     const std::function<void()>& progress)
    : source_(source),
      collection_(collection),
      part_(part),
      hotName_(part == Part::rows ? rowTreeName(collection.name) : preimageRowTreeName(collection.name)),
      coldName_(part == Part::rows ? coldTreeName(collection.name) : preimageColdTreeName(collection.name)),
      target_(target),
      options_(options),
      progress_(progress),
      rows_(target.openTree(hotName_)) {
  if (part == Part::preimages) target.openTree(coldName_);  // they are a pair
  result_.name = collection.name;
  result_.isRebuilt = collection.isRebuilt;
}

bool CollectionSalvage::hasPreimages(const SalvageSource& source, const FoundCollection& collection) {
  const auto mayHaveAny = [&](const std::string& name) {
    const NamedTree* tree = source.map.find(name);
    if (tree != nullptr) return !tree->isSound || tree->record.entries != 0;
    return !source.map.knowsAllNames() && collection.mayHavePreimages();
  };
  return mayHaveAny(preimageRowTreeName(collection.name)) ||
         mayHaveAny(preimageColdTreeName(collection.name));
}

SalvagedCollection CollectionSalvage::run() {
  readHot();
  readCold();
  const bool isWhole = hotHoles_.all().empty() && hotLost_.all().empty() && coldHoles_.all().empty() &&
                       coldLost_.all().empty() && !coversAreLost_;
  if (part_ == Part::rows && (options_.swept || !isWhole)) {
    source_.map.sweep();
    for (const OrphanOwners::StaleLeaf& leaf : source_.orphans.staleOf(collection_))
      readStale(leaf.page, leaf.isCold);
  }
  for (const LostRanges* lost : {&hotHoles_, &hotLost_, &coldHoles_, &coldLost_}) report(*lost);
  result_.leftOut = doubtful_.size();
  result_.lostVersions.assign(unknownVersions_.begin(), unknownVersions_.end());
  result_.isUsable = collection_.record && collection_.schemas.contains(collection_.record->currentVersion);
  return std::move(result_);
}

void CollectionSalvage::report(const LostRanges& lost) {
  result_.lostRangeCount += lost.all().size();
  for (const auto& entry : lost.all()) {
    if (result_.lost.size() < options_.maxListed) result_.lost.push_back(entry.second);
  }
}

void CollectionSalvage::noteRow(std::uint16_t version) {
  if (++result_.rows % kRowsPerReport == 0) progress_();
  if (!collection_.schemas.contains(version)) unknownVersions_.insert(version);
  if (lowestVersion_ == 0 || version < lowestVersion_) lowestVersion_ = version;
}

void CollectionSalvage::addGaps(const NamedTree* tree, bool isCold, LostRanges& holes, LostRanges& lost) {
  if (tree == nullptr || (tree->isOlder && tree->record.root == pages::kNoPage)) {
    holes.add({.cold = isCold, .reason = "what is stored about the tree is lost"});
    return;
  }
  for (const pages::Gap& gap : tree->walk.gaps) {
    if (gap.isValue) continue;  // reading it shows what is lost
    LostRange range{.from = boundedKey(gap.low), .cold = isCold, .reason = gap.reason};
    // A block lies under its last key, so it begins before the range of its page.
    if (isCold && !gap.low.empty()) range.from = source_.orphans.lastKeyBefore(*tree, range.from.bytes());
    if (gap.hasHigh) range.to = boundedKey(gap.high);
    if (gap.page != pages::kNoPage) range.page = gap.page;
    (gap.isHole ? holes : lost).add(std::move(range));
  }
}

// Where as many entries were met as the tree counts, nothing is missing in its holes.
void CollectionSalvage::closeComplete(const NamedTree* tree, std::uint64_t met, LostRanges& holes,
                                      LostRanges& lost) {
  if (tree == nullptr || tree->isOlder) return;
  if (met == tree->record.entries) return holes.clear();
  if (!holes.all().empty() || !lost.all().empty()) return;
  lost.add({.cold = &lost == &coldLost_,
            .reason = "the tree counts " + std::to_string(tree->record.entries) + " entries, and " +
                      std::to_string(met) + " are met"});
}

// --- entries that are damaged: what is lost lies between the sound ones around them

void CollectionSalvage::startLoss(bool isCold, PageNumber page, std::string reason) {
  if (!pending_) pending_ = LostRange{lastKey_, {}, isCold, page, std::move(reason)};
}

void CollectionSalvage::endLoss(LostRanges& lost, Bytes nextKey, bool isIncluded) {
  if (pending_) {
    pending_->to = isIncluded ? behind(nextKey) : Key(nextKey);
    lost.add(std::move(*pending_));
    pending_.reset();
  }
  lastKey_ = Key(nextKey);
}

void CollectionSalvage::finishLoss(LostRanges& lost) {
  if (pending_) lost.add(std::move(*pending_));
  pending_.reset();
  lastKey_.clear();
}

// --- the hot tree

void CollectionSalvage::readHot() {
  const NamedTree* hot = source_.map.find(hotName_);
  addGaps(hot, false, hotHoles_, hotLost_);
  if (hot != nullptr) {
    for (const PageNumber leaf : hot->walk.leaves) readHotLeaf(leaf, false);
  }
  finishLoss(hotLost_);
  for (const PageNumber page : source_.orphans.of(hotName_)) {
    readHotLeaf(page, true);
    finishLoss(hotLost_);
  }
  closeComplete(hot, hotEntries_, hotHoles_, hotLost_);
  if (hot != nullptr && !hot->isOlder) {
    const std::uint64_t stored = hot->record.entries;
    if (stored <= mostEntries(source_.file))
      result_.lostRows = damagedRows_ + (stored > hotEntries_ ? stored - hotEntries_ : 0);
  }
  const bool isWhole = hotHoles_.all().empty() && hotLost_.all().empty();
  coversAreLost_ = !isWhole && (!tiers() || covers_ < tiers()->coveredRows);
}

void CollectionSalvage::readHotLeaf(PageNumber number, bool isOrphan) {
  std::vector<std::byte> bytes;
  std::vector<std::byte> copy;
  Page page;
  if (!readLeafPage(source_.file, number, bytes, page)) return;
  hotEntries_ += page.nodes();
  Node node;
  Key first;
  for (std::size_t i = 0; i < page.nodes(); ++i) {
    const bool isThere = page.node(i, node) && node.key.size() <= kMaxKeyLength;
    const bool isReplaced = isThere && node.isOverflow && source_.map.isFree(node.overflowPage);
    const auto value = isThere && !isReplaced ? source_.values.read(node, copy) : std::nullopt;
    RowView row;
    const RowDamage damage = value ? decodeRow(node.key, *value, Verify::yes, row) : RowDamage::truncated;
    if (damage != RowDamage::none) {
      ++damagedRows_;
      startLoss(false, number,
                value ? describe(damage) : "an entry of the page, or a large value, is damaged");
      continue;
    }
    if (!isOrphan && collection_.fitOfKey(node.key, row) == FoundCollection::Fit::no) {
      startLoss(false, number, "an entry is not of this collection");
      continue;
    }
    if (isOrphan && first.empty()) {
      first = Key(node.key);
      if (pending_) pending_->from = Key();
    }
    endLoss(hotLost_, node.key, false);
    if (has(row.flags, RowFlags::coversCold)) ++covers_;
    if (row.isTombstone()) {
      tombstones_.emplace(asText(node.key));
    } else if (target_.putRow(rows_, node.key, row, *value)) {
      noteRow(row.version);
      result_.orphanRows += isOrphan ? 1 : 0;
    }
  }
  if (isOrphan && !first.empty()) hotHoles_.close(first.bytes(), lastKey_.bytes());
}

// --- blocks

std::shared_ptr<const UnpackedBlock> CollectionSalvage::unpack(Bytes lastKey, Bytes value,
                                                               std::string& damage) const {
  ColdBlockHeader header;
  BlockDamage found = decodeBlockHeader(value, header);
  if (found == BlockDamage::none) {
    const auto dictionary = collection_.dictionaries.find(header.dictionary);
    const bool isThere = header.dictionary == 0 || dictionary != collection_.dictionaries.end();
    if (!isThere && blockIsIntact(lastKey, header)) {
      damage = "the dictionary of the block is lost";
      return nullptr;
    }
    const Dictionary* used = header.dictionary == 0 || !isThere ? nullptr : dictionary->second.get();
    if (auto block = UnpackedBlock::unpack(lastKey, value, used, found)) return block;
  }
  damage = std::string("a block: ") + describe(found);
  return nullptr;
}

void CollectionSalvage::readCold() {
  const NamedTree* cold = source_.map.find(coldName_);
  const bool hasNone = tiers() ? tiers()->coldBlocks == 0 : source_.map.knowsAllNames();
  if (cold == nullptr && hasNone) return;
  addGaps(cold, true, coldHoles_, coldLost_);
  if (cold != nullptr) {
    for (const PageNumber leaf : cold->walk.leaves) readColdLeaf(leaf, false);
  }
  finishLoss(coldLost_);
  for (const PageNumber page : source_.orphans.of(coldName_)) {
    readColdLeaf(page, true);
    finishLoss(coldLost_);
  }
  closeComplete(cold, blocks_, coldHoles_, coldLost_);
  if (!tiers()) return;
  const std::uint64_t stored = tiers()->coldRows;
  if (stored / kMaxBlockRows > mostEntries(source_.file)) return;
  result_.lostColdRows = stored > coldRowsMet_ ? stored - coldRowsMet_ : 0;
}

void CollectionSalvage::readColdLeaf(PageNumber number, bool isOrphan) {
  std::vector<std::byte> bytes;
  std::vector<std::byte> copy;
  Page page;
  if (!readLeafPage(source_.file, number, bytes, page)) return;
  blocks_ += page.nodes();
  Node node;
  for (std::size_t i = 0; i < page.nodes(); ++i) {
    const bool isThere = page.node(i, node) && node.key.size() <= kMaxKeyLength;
    const bool isReplaced = isThere && node.isOverflow && source_.map.isFree(node.overflowPage);
    const auto value = isThere && !isReplaced ? source_.values.read(node, copy) : std::nullopt;
    std::string damage = "an entry of the page, or the pages of a block, are damaged";
    const auto block = value ? unpack(node.key, *value, damage) : nullptr;
    if (!block) {
      if (isOrphan && i == 0) lastKey_.clear();
      startLoss(true, number, damage);
      continue;
    }
    readBlock(node.key, *block, isOrphan);
  }
}

void CollectionSalvage::readBlock(Bytes lastKey, const UnpackedBlock& block, bool isOrphan) {
  endLoss(coldLost_, block.key(0), false);
  lastKey_ = Key(lastKey);
  if (isOrphan) coldHoles_.close(block.key(0), lastKey);
  coldRowsMet_ += block.rows();
  for (std::size_t i = 0; i < block.rows(); ++i) {
    const Bytes key = block.key(i);
    if (isErased(key)) continue;
    const RowView row{block.version(), RowFlags::none, block.payload(i)};
    const bool isDoubtful = coversAreLost_ && (hotHoles_.has(key) || hotLost_.has(key));
    if (isDoubtful) {
      takeDoubtful(key, row, {});
    } else if (target_.putRow(rows_, key, row, {})) {
      noteRow(row.version);
      ++result_.coldRows;
      result_.orphanRows += isOrphan ? 1 : 0;
    }
  }
}

// --- what may be out of date or erased

bool CollectionSalvage::isTaken(Bytes key) {
  return isErased(key) || target_.has(rows_, key) || doubtful_.contains(hash64(key));
}

void CollectionSalvage::takeDoubtful(Bytes key, const RowView& row, Bytes value) {
  if (row.isTombstone() || isTaken(key)) return;
  if (!options_.swept) {
    doubtful_.insert(hash64(key));
    return;
  }
  target_.putRow(rows_, key, row, value);
  noteRow(row.version);
  ++result_.sweptRows;
}

void CollectionSalvage::readStale(PageNumber number, bool isCold) {
  std::vector<std::byte> copy;
  forEachNode(source_.file, number, [&](const Node& node) {
    if (!isCold && isTaken(node.key)) return;  // before a large value is read
    const auto value = source_.staleValues.read(node, copy);
    RowView row;
    if (!value) return;
    if (isCold) {
      std::string damage;
      const auto block = unpack(node.key, *value, damage);
      for (std::size_t i = 0; block && i < block->rows(); ++i)
        takeDoubtful(block->key(i), {block->version(), RowFlags::none, block->payload(i)}, {});
    } else if (decodeRow(node.key, *value, Verify::yes, row) == RowDamage::none &&
               collection_.fit(node.key, row, FoundCollection::Of::stalePage) == FoundCollection::Fit::yes) {
      takeDoubtful(node.key, row, *value);
    }
  });
}

}  // namespace instar
