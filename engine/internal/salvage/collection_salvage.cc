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

// The page as a leaf; false where it is none.
bool readLeafPage(const pages::PageFile& file, PageNumber number, std::vector<std::byte>& bytes, Page& page) {
  return file.read(number, bytes) && page.decode(bytes, number) == nullptr && page.isLeaf();
}

// Every node that a row or a block can be in; of a page that is none any more whatever looks like one.
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

Key boundedKey(std::string_view text) { return Key(asBytes(text.substr(0, kMaxKeyLength))); }

}  // namespace

CollectionSalvage::CollectionSalvage(const SalvageSource& source, const FoundCollection& collection,
                                     SalvageTarget& target, const SalvageOptions& options,
                                     const std::function<void()>& progress)
    : source_(source),
      collection_(collection),
      target_(target),
      options_(options),
      progress_(progress),
      rows_(target.openTree(rowTreeName(collection.name))) {
  result_.name = collection.name;
  result_.isRebuilt = collection.isRebuilt;
}

const NamedTree* CollectionSalvage::tree(std::string_view prefix) const {
  return source_.map.find(std::string(prefix) + collection_.name);
}

SalvagedCollection CollectionSalvage::run() {
  readHot();
  readCold();
  const bool isWhole = hotHoles_.all().empty() && hotLost_.all().empty() && coldHoles_.all().empty() &&
                       coldLost_.all().empty() && !coversAreLost_;
  if (options_.swept || !isWhole) {
    source_.map.sweep();
    for (const pages::StalePage& page : source_.map.stale()) {
      bool isCold = false;
      if (OrphanOwners::ownerOf(source_.file, source_.catalog, page.page, isCold) == &collection_)
        readStale(page.page, isCold);
    }
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
  const NamedTree* hot = tree(kRowTreePrefix);
  addGaps(hot, false, hotHoles_, hotLost_);
  if (hot != nullptr) {
    for (const PageNumber leaf : hot->walk.leaves) readHotLeaf(leaf, false);
  }
  finishLoss(hotLost_);
  for (const PageNumber page : source_.orphans.of(rowTreeName(collection_.name))) {
    readHotLeaf(page, true);
    finishLoss(hotLost_);
  }
  closeComplete(hot, hotEntries_, hotHoles_, hotLost_);
  if (hot != nullptr && !hot->isOlder) {
    const std::uint64_t stored = hot->record.entries;
    result_.lostRows = damagedRows_ + (stored > hotEntries_ ? stored - hotEntries_ : 0);
  }
  const bool isWhole = hotHoles_.all().empty() && hotLost_.all().empty();
  coversAreLost_ = !isWhole && (!collection_.tiers || covers_ < collection_.tiers->coveredRows);
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
    const auto value = isThere && !isReplaced ? valueOf(source_.file, node, copy) : std::nullopt;
    RowView row;
    const RowDamage damage = value ? decodeRow(node.key, *value, Verify::yes, row) : RowDamage::truncated;
    if (damage != RowDamage::none) {
      ++damagedRows_;
      startLoss(false, number,
                value ? describe(damage) : "an entry of the page, or a large value, is damaged");
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
  const NamedTree* cold = tree(kColdTreePrefix);
  const bool hasNone =
      source_.map.knowsAllNames() || (collection_.tiers && collection_.tiers->coldBlocks == 0);
  if (cold == nullptr && hasNone) return;
  addGaps(cold, true, coldHoles_, coldLost_);
  if (cold != nullptr) {
    for (const PageNumber leaf : cold->walk.leaves) readColdLeaf(leaf, false);
  }
  finishLoss(coldLost_);
  for (const PageNumber page : source_.orphans.of(coldTreeName(collection_.name))) {
    readColdLeaf(page, true);
    finishLoss(coldLost_);
  }
  closeComplete(cold, blocks_, coldHoles_, coldLost_);
  if (!collection_.tiers) return;
  const std::uint64_t stored = collection_.tiers->coldRows;
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
    const auto value = isThere && !isReplaced ? valueOf(source_.file, node, copy) : std::nullopt;
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

void CollectionSalvage::takeDoubtful(Bytes key, const RowView& row, Bytes value) {
  if (isErased(key) || row.isTombstone() || target_.has(rows_, key)) return;
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
    const auto value = valueOf(source_.file, node, copy);
    RowView row;
    if (!value) return;
    if (isCold) {
      std::string damage;
      const auto block = unpack(node.key, *value, damage);
      for (std::size_t i = 0; block && i < block->rows(); ++i)
        takeDoubtful(block->key(i), {block->version(), RowFlags::none, block->payload(i)}, {});
    } else if (decodeRow(node.key, *value, Verify::yes, row) == RowDamage::none &&
               collection_.fit(node.key, row) == FoundCollection::Fit::yes) {
      takeDoubtful(node.key, row, *value);
    }
  });
}

// --- orphans

namespace {

using Fit = FoundCollection::Fit;

Fit fitOfBlock(const FoundCollection& collection, Bytes lastKey, const ColdBlockHeader& header) {
  const auto dictionary = collection.dictionaries.find(header.dictionary);
  if (header.dictionary != 0 && dictionary == collection.dictionaries.end())
    return collection.knowsAllVersions ? Fit::no : Fit::unknown;
  BlockDamage damage;
  const auto block = UnpackedBlock::unpack(
      lastKey, header.value, header.dictionary == 0 ? nullptr : dictionary->second.get(), damage);
  if (!block) return Fit::no;
  return collection.fit(block->key(0), {block->version(), RowFlags::none, block->payload(0)});
}

// What the sound entries of the page say; `no` where there is none.
Fit fitOfPage(const pages::PageFile& file, const FoundCollection& collection, PageNumber number,
              bool isCold) {
  std::vector<std::byte> copy;
  std::optional<Fit> all;
  forEachNode(file, number, [&](const Node& node) {
    const auto value = valueOf(file, node, copy);
    RowView row;
    ColdBlockHeader header;
    if (!value || all == Fit::no) return;
    if (isCold &&
        (decodeBlockHeader(*value, header) != BlockDamage::none || !blockIsIntact(node.key, header)))
      return;
    if (!isCold && decodeRow(node.key, *value, Verify::yes, row) != RowDamage::none) return;
    const Fit fit = isCold ? fitOfBlock(collection, node.key, header) : collection.fit(node.key, row);
    all = all ? std::min(*all, fit) : fit;
  });
  return all.value_or(Fit::no);
}

std::uint64_t countSound(const pages::PageFile& file, PageNumber number) {
  std::vector<std::byte> copy;
  std::uint64_t sound = 0;
  forEachNode(file, number, [&](const Node& node) {
    const auto value = valueOf(file, node, copy);
    RowView row;
    ColdBlockHeader header;
    if (value && decodeRow(node.key, *value, Verify::yes, row) == RowDamage::none)
      ++sound;
    else if (value && decodeBlockHeader(*value, header) == BlockDamage::none &&
             blockIsIntact(node.key, header))
      sound += header.rows;
  });
  return sound;
}

}  // namespace

OrphanOwners::OrphanOwners(const pages::PageFile& file, const pages::PageMap& map, FoundCatalog& catalog)
    : file_(file) {
  for (const PageNumber page : map.orphans()) {
    if (catalog.owns(page)) continue;
    const auto first = firstKey(page, false);
    const auto last = firstKey(page, true);
    if (!first || !last) continue;
    std::vector<std::string> owners;
    std::vector<std::string> emptyOwners;
    bool isMissed = false;  // by a tree that can have it
    bool isSure = catalog.knowsAllCollections();
    for (const FoundCollection& collection : catalog.collections()) {
      for (const auto& [prefix, isCold] :
           {std::pair(kRowTreePrefix, false), std::pair(kColdTreePrefix, true),
            std::pair(kPreimageRowTreePrefix, false), std::pair(kPreimageColdTreePrefix, true)}) {
        const std::string name = std::string(prefix) + collection.name;
        const NamedTree* tree = map.find(name);
        const bool isPreimage = prefix == kPreimageRowTreePrefix || prefix == kPreimageColdTreePrefix;
        if (tree == nullptr && isPreimage) continue;
        // That a tree is empty may be what an old page of names says: then its leaves look like orphans. But
        // a tree with a hole that they fill comes first.
        const bool isFull = tree != nullptr && tree->isSound && tree->record.root != pages::kNoPage;
        if (tree != nullptr && (isFull || !hasRoom(*tree, asBytes(*first), asBytes(*last)))) continue;
        const Fit fit = fitOfPage(file, collection, page, isCold);
        const bool isEmpty = tree != nullptr && tree->isSound;
        if (fit == Fit::yes) (isEmpty ? emptyOwners : owners).push_back(name);
        isMissed = isMissed || (fit == Fit::yes && tree != nullptr &&
                                hasHole(map, *tree, asBytes(*first), asBytes(*last)));
        isSure = isSure && fit != Fit::unknown;
      }
    }
    if (!isMissed) owners.insert(owners.end(), emptyOwners.begin(), emptyOwners.end());
    if (owners.size() == 1 && isSure)
      pages_[owners.front()].push_back(page);
    else
      unassignedRows_ += countSound(file, page);
  }
  for (const pages::StalePage& page : map.stale()) {
    bool isCold = false;
    bool isDisputed = false;
    if (page.freedBy != 0) continue;  // it is known to be out of use
    ownerOf(file, catalog, page.page, isCold, &isDisputed);
    if (isDisputed) unassignedRows_ += countSound(file, page.page);
  }
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

bool OrphanOwners::hasHole(const pages::PageMap& map, const NamedTree& tree, Bytes first, Bytes last) {
  if (tree.isOlder || map.mayBeOlder()) return false;
  return std::any_of(tree.walk.gaps.begin(), tree.walk.gaps.end(), [&](const pages::Gap& gap) {
    return gap.isHole && !map.isFree(gap.page) && compareBytes(asBytes(gap.low), first) <= 0 &&
           (!gap.hasHigh || compareBytes(last, asBytes(gap.high)) < 0);
  });
}

// Whether no leaf of the tree has keys from there to there.
bool OrphanOwners::hasRoom(const NamedTree& tree, Bytes first, Bytes last) const {
  const auto behind =
      std::partition_point(tree.walk.leaves.begin(), tree.walk.leaves.end(), [&](PageNumber leaf) {
        const auto key = firstKey(leaf, false);
        return key && compareBytes(asBytes(*key), last) <= 0;
      });
  if (behind == tree.walk.leaves.begin()) return true;
  const auto end = firstKey(*(behind - 1), true);
  return end && compareBytes(asBytes(*end), first) < 0;
}

Key OrphanOwners::lastKeyBefore(const NamedTree& tree, Bytes key) const {
  const auto behind =
      std::partition_point(tree.walk.leaves.begin(), tree.walk.leaves.end(), [&](PageNumber leaf) {
        const auto first = firstKey(leaf, false);
        return first && compareBytes(asBytes(*first), key) < 0;
      });
  if (behind == tree.walk.leaves.begin()) return {};
  const auto last = firstKey(*(behind - 1), true);
  return last && compareBytes(asBytes(*last), key) < 0 ? boundedKey(*last) : Key();
}

const FoundCollection* OrphanOwners::ownerOf(const pages::PageFile& file, FoundCatalog& catalog,
                                             PageNumber page, bool& isCold, bool* isDisputed) {
  const FoundCollection* owner = nullptr;
  bool isSure = catalog.knowsAllCollections();
  std::size_t owners = 0;
  for (const FoundCollection& collection : catalog.collections()) {
    for (const bool cold : {false, true}) {
      const Fit fit = fitOfPage(file, collection, page, cold);
      if (fit == Fit::no) continue;
      ++owners;
      isSure = isSure && fit == Fit::yes && owners == 1;
      owner = &collection;
      isCold = cold;
    }
  }
  if (isDisputed != nullptr) *isDisputed = owners != 0 && !isSure;
  return isSure ? owner : nullptr;
}

}  // namespace instar
