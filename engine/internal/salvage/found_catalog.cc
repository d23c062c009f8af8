#include "instar/engine/internal/salvage/found_catalog.h"

#include <algorithm>

#include "instar/engine/internal/newer_format.h"
#include "instar/evolve/want_of_memory.h"
#include "instar/format/file_format.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

using pages::Node;
using pages::Page;
using pages::PageNumber;

constexpr std::string_view kNamedKinds[] = {kCollectionKeyPrefix, kVersionKeyPrefix,    kStagingKeyPrefix,
                                            kTiersKeyPrefix,      kDictionaryKeyPrefix, kPartitionKeyPrefix,
                                            kCanaryKeyPrefix,     kDivergenceKeyPrefix};

bool isCatalogKey(std::string_view key) noexcept {
  if (key == kFormatKey || key == kGenerationKey || key == kCompactionKey || key == kAuditKey) return true;
  return std::any_of(std::begin(kNamedKinds), std::end(kNamedKinds), [&](std::string_view kind) {
    return key.starts_with(kind) && key.size() > kind.size();
  });
}

// Records that are written once and never become wrong, so that an older commit's are as good.
bool staysTrue(std::string_view key) noexcept {
  return key == kFormatKey || key.starts_with(kVersionKeyPrefix) || key.starts_with(kDictionaryKeyPrefix);
}

// Such a key is one of rows too, so what lies under it has to look like it.
bool isAuditEntry(Bytes key, const RowView& row) {
  constexpr std::int64_t kLongAgo = 1'000'000'000'000'000'000;  // the year 2001 in nanoseconds
  if (key.size() != 8 || row.version != kFileFormat1 || row.isTombstone()) return false;
  try {
    AlignedRecord record(row.payload);
    const auto entry = record.root().getAs<catalog::AuditEntry>();
    Key expected;
    expected.appendNumber(entry.getNumber(), 8);
    return compareBytes(expected.bytes(), key) == 0 && entry.getTime() > kLongAgo &&
           entry.getEvent() != catalog::AuditEvent::INVALID;
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
    return false;
  } catch (const Error&) {
    return false;
  }
}

bool isStaged(VersionState state) noexcept {
  return state == VersionState::staged || state == VersionState::aborted;
}

}  // namespace

FoundCollection::Fit FoundCollection::fit(Bytes key, const RowView& row, Of page) const {
  const bool isInUse = page == Of::pageInUse;
  if (!(isInUse && auditIsSound) && isAuditEntry(key, row)) return Fit::no;
  if (!(isInUse && catalogIsSound) && isCatalogKey(asText(key)) && row.version <= kFileFormat) return Fit::no;
  return fitOfKey(key, row);
}

FoundCollection::Fit FoundCollection::fitOfKey(Bytes key, const RowView& row) const {
  const auto schema = schemas.find(row.version);
  if (schema == schemas.end()) return knowsAllVersions ? Fit::no : Fit::unknown;
  if (row.isTombstone() || schema->second.key().empty()) return Fit::yes;
  try {
    AlignedRecord record(row.payload);
    Key expected;
    encodeKey(schema->second.key(), record.root().getAs<capnp::AnyStruct>(), expected);
    return compareBytes(expected.bytes(), key) == 0 ? Fit::yes : Fit::no;
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
    return Fit::no;
  } catch (const Error&) {
    return Fit::no;
  }
}

bool isRecord(Bytes key, Bytes value, RowView& row) noexcept {
  return isCatalogKey(asText(key)) && decodeRow(key, value, Verify::yes, row) == RowDamage::none &&
         row.flags == RowFlags::none && row.version <= kFileFormat;
}

FoundCatalog::FoundCatalog(const pages::PageFile& file, pages::PageMap& map)
    : file_(file), map_(map), values_(file) {
  const pages::NamedTree* tree = map.find(kCatalogTree);
  if (tree != nullptr) {
    for (const PageNumber leaf : tree->walk.leaves) readLeaf(leaf, false);
  }
  if (tree == nullptr || !tree->isSound) {
    for (const PageNumber page : map.orphans()) {
      if (!looksLikeCatalog(page)) continue;
      orphans_.insert(page);
      readLeaf(page, false);
    }
  }
  isWhole_ = tree != nullptr && tree->isSound && damaged_ == 0;
  // Sound pages can hold damaged records as well.
  if (damaged_ != 0) map.sweep();
  if (tree == nullptr || !tree->isSound || damaged_ != 0) {
    for (const pages::StalePage& page : map.stale()) readLeaf(page.page, true);
  }
  leaveOutWithoutVersion();
  if (isWhole_) disownStrangers(map);
  findCollections(map);
}

void FoundCatalog::leaveOut(std::optional<PageNumber> page, std::string_view key, const char* reason) {
  ++damaged_;
  std::string message = "a record of the catalog is left out: ";
  if (!key.empty()) message = "the record " + printKey({}, asBytes(key)) + " is left out: ";
  problems_.push_back({.page = page, .tree = std::string(kCatalogTree), .message = message + reason});
}

// Figures and state of a trial are of no use without the version that was tried.
void FoundCatalog::leaveOutWithoutVersion() {
  for (auto entry = records_.begin(); entry != records_.end();) {
    RowView row;
    const std::string_view key = entry->first;
    const bool isTrials = key.starts_with(kStagingKeyPrefix) || key.starts_with(kCanaryKeyPrefix) ||
                          key.starts_with(kDivergenceKeyPrefix);
    if (!isTrials || !isRecord(asBytes(key), entry->second, row)) {
      ++entry;
      continue;
    }
    std::string_view name = key.substr(key.find('/') + 1);
    if (key.starts_with(kDivergenceKeyPrefix)) name = name.substr(0, name.find('/'));
    if (name.size() <= kMaxCollectionNameLength && find(versionKey(name, subjectOf(key, row))) != nullptr) {
      ++entry;
      continue;
    }
    leaveOut(std::nullopt, key, "the version that it is about is lost");
    entry = records_.erase(entry);
  }
}

bool FoundCatalog::looksLikeCatalog(PageNumber number) {
  std::vector<std::byte> bytes;
  std::vector<std::byte> copy;
  Page page;
  if (!file_.read(number, bytes) || page.decode(bytes, number) != nullptr || !page.isLeaf()) return false;
  Node node;
  RowView row;
  std::size_t sound = 0;
  for (std::size_t i = 0; i < page.nodes(); ++i) {
    if (!page.node(i, node) || node.isTree || !isCatalogKey(asText(node.key))) return false;
    const auto value = values_.read(node, copy);
    if (value && isRecord(node.key, *value, row)) ++sound;
  }
  return sound != 0;
}

void FoundCatalog::readLeaf(PageNumber number, bool isStale) {
  std::vector<std::byte> bytes;
  std::vector<std::byte> copy;
  Page page;
  if (!file_.read(number, bytes)) {
    if (!isStale) leaveOut(number, {}, "its page cannot be read");
    return;
  }
  const bool isPage = page.decode(bytes, number) == nullptr && page.isLeaf();
  RowView row;
  const auto take = [&](const Node& node) {
    if (node.isTree) return;
    const std::string_view name = asText(node.key);
    if (isStale && (!staysTrue(name) || records_.contains(name))) return;  // before it is looked at
    const bool isReplaced = !isStale && node.isOverflow && map_.isFree(node.overflowPage);
    const auto value = isReplaced ? std::nullopt : values_.read(node, copy);
    const char* reason = "its value cannot be read";
    if (value) reason = isRecord(node.key, *value, row) ? findWrong(asText(node.key), row) : "it is damaged";
    if (reason != nullptr) {
      if (!isStale) leaveOut(number, asText(node.key), reason);
      return;
    }
    const bool isNew =
        records_.try_emplace(std::string(asText(node.key)), value->begin(), value->end()).second;
    if (isNew && isStale) ++older_;
  };
  Node node;
  if (isPage) {
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      if (page.node(i, node))
        take(node);
      else if (!isStale)
        leaveOut(number, {}, "an entry of its page is damaged");
    }
  } else {
    pages::NodeSearch search(bytes);
    while (search.next(node)) {
      if (isCatalogKey(asText(node.key))) take(node);
    }
  }
}

void FoundCatalog::refuseNewer() const {
  const auto format = records_.find(kFormatKey);
  std::uint16_t version = 0;
  if (format == records_.end()) return;
  readRecord(asBytes(kFormatKey), format->second, [&](const capnp::AnyPointer::Reader& root) {
    version = root.getAs<catalog::Format>().getVersion();
  });
  refuseNewerFormat(version);
}

const std::vector<std::byte>* FoundCatalog::find(const Key& key) const {
  const auto found = records_.find(asText(key.bytes()));
  return found == records_.end() ? nullptr : &found->second;
}

void FoundCatalog::addCollection(std::string_view name) {
  if (name.empty() || name.size() > kMaxCollectionNameLength || !isValidUtf8(name) ||
      name.find('/') != std::string_view::npos || collections_.size() == kMaxCollections) {
    return;
  }
  const auto found = std::find_if(collections_.begin(), collections_.end(),
                                  [&](const FoundCollection& one) { return one.name == name; });
  if (found == collections_.end()) collections_.push_back({.name = std::string(name)});
}

// A damaged name can be one that a collection could have.
void FoundCatalog::disownStrangers(pages::PageMap& map) const {
  std::vector<std::string> strangers;
  for (const pages::NamedTree& tree : map.trees()) {
    const std::string_view collection = pages::PageMap::collectionOf(tree.name);
    if (collection.empty() || tree.isOlder || tree.record.root == pages::kNoPage ||
        map.find(tree.name) == nullptr) {
      continue;  // a crash can leave an empty one
    }
    if (!records_.contains(std::string(kCollectionKeyPrefix) + std::string(collection)))
      strangers.push_back(tree.name);
  }
  for (const std::string& name : strangers) map.disown(name);
}

void FoundCatalog::findCollections(const pages::PageMap& map) {
  for (const auto& entry : records_) {
    const std::string_view key = entry.first;
    if (key.starts_with(kCollectionKeyPrefix)) addCollection(key.substr(kCollectionKeyPrefix.size()));
    if (const auto version = versionOfKey(key)) addCollection(version->first);
  }
  for (const pages::NamedTree& tree : map.trees()) {
    // A collection whose creation has not come to its record.
    if (isWhole_ && tree.isSound && tree.record.entries == 0) continue;
    for (const std::string_view prefix : {kRowTreePrefix, kColdTreePrefix}) {
      if (tree.name.starts_with(prefix) && map.find(tree.name) != nullptr)
        addCollection(std::string_view(tree.name).substr(prefix.size()));
    }
  }
  const auto isSound = [&](std::string_view name) {
    const pages::NamedTree* tree = map.find(name);
    return tree == nullptr ? map.knowsAllNames() : tree->isSound;
  };
  for (FoundCollection& collection : collections_) {
    readCollection(collection);
    collection.knowsAllVersions = isWhole_;
    collection.auditIsSound = isSound(kAuditTree);
    collection.catalogIsSound = isSound(kCatalogTree);
    if (!collection.record) rebuildRecord(collection);
  }
}

void FoundCatalog::readCollection(FoundCollection& collection) {
  const std::string& name = collection.name;
  const auto read = [&](const std::string& text, const std::vector<std::byte>& value) {
    const Bytes key = asBytes(text);
    if (text == std::string(kCollectionKeyPrefix) + name) {
      readRecord(key, value, [&](const capnp::AnyPointer::Reader& root) {
        const auto record = root.getAs<catalog::Collection>();
        collection.record = {name,
                             record.getCreatedAt(),
                             record.getCurrentVersion(),
                             record.getReaderFloor(),
                             record.getWriterFloor(),
                             record.getTiered()};
      });
    } else if (text == std::string(kTiersKeyPrefix) + name) {
      readRecord(key, value, [&](const capnp::AnyPointer::Reader& root) {
        const auto record = root.getAs<catalog::Tiers>();
        collection.tiers = Tiers{.coldRows = record.getColdRows(),
                                 .coldBlocks = record.getColdBlocks(),
                                 .coveredRows = record.getCoveredRows(),
                                 .tombstones = record.getTombstones()};
      });
    } else if (startsWith(key, recordPrefix(kPartitionKeyPrefix, name).bytes())) {
      collection.hasPartitions = true;
    } else if (startsWith(key, recordPrefix(kVersionKeyPrefix, name).bytes())) {
      readRecord(key, value, [&](const capnp::AnyPointer::Reader& root) {
        const auto record = root.getAs<catalog::Version>();
        const RecordSchema schema = RecordSchema::fromNodes(record.getNodes(), record.getRootId());
        if (compareBytes(versionKey(name, record.getNumber()).bytes(), key) != 0) return;
        collection.schemas.emplace(record.getNumber(), schema);
        collection.states.emplace(record.getNumber(), static_cast<VersionState>(record.getState()));
      });
    } else if (startsWith(key, recordPrefix(kDictionaryKeyPrefix, name).bytes())) {
      readRecord(key, value, [&](const capnp::AnyPointer::Reader& root) {
        const auto record = root.getAs<catalog::Dictionary>();
        if (record.getNumber() == 0) return;
        collection.dictionaries.emplace(
            record.getNumber(),
            std::make_shared<const Dictionary>(record.getNumber(), bytesOf(record.getContent())));
      });
    }
  };
  for (const std::string_view prefix : {kCollectionKeyPrefix, kTiersKeyPrefix}) {
    const auto found = records_.find(std::string(prefix) + name);
    if (found != records_.end()) read(found->first, found->second);
  }
  for (const std::string_view kind : {kPartitionKeyPrefix, kVersionKeyPrefix, kDictionaryKeyPrefix}) {
    const Key prefix = recordPrefix(kind, name);
    for (auto record = records_.lower_bound(asText(prefix.bytes()));
         record != records_.end() && startsWith(asBytes(record->first), prefix.bytes()); ++record)
      read(record->first, record->second);
  }
  // Such a record is there as soon as there are blocks.
  if (!collection.tiers && collection.record && !collection.record->tiered) collection.tiers = Tiers();
}

// Floors that shut out whoever could misread rows.
void FoundCatalog::rebuildRecord(FoundCollection& collection) const {
  collection.isRebuilt = true;
  std::uint16_t current = 0;
  for (const auto& [number, state] : collection.states) {
    if (!isStaged(state)) current = std::max(current, number);
  }
  if (current == 0) return;
  collection.record = {collection.name, now(), current, current, current, true};
}

}  // namespace instar
