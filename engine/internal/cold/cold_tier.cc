#include "instar/engine/internal/cold/cold_tier.h"

#include <algorithm>

#include "instar/engine/internal/store_state.h"
#include "instar/format/file_format.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

Key tiersKey(std::string_view collection) {
  Key key(kTiersKeyPrefix);
  key.append(asBytes(collection));
  return key;
}

Key dictionaryKey(std::string_view collection, std::uint32_t number) {
  Key key = recordPrefix(kDictionaryKeyPrefix, collection);
  key.appendNumber(number, 4);
  return key;
}

}  // namespace

ColdTier::ColdTier(StoreState& store, std::string collection, storage::TreeId tree)
    : store_(store), collection_(std::move(collection)), tree_(tree) {}

std::optional<ColdPlace> ColdTier::find(TransactionState& transaction, Bytes key) {
  storage::Cursor& cursor = transaction.lookupCursor(tree_);
  if (!cursor.seek(key)) return std::nullopt;
  std::vector<std::byte> copy;
  const Bytes lastKey = cursor.key();
  const ColdBlockHeader header = headerOf(lastKey, transaction.steady(cursor.value(), copy));
  if (compareBytes(key, header.firstKey) < 0) {
    requireIntact(lastKey, header);
    return std::nullopt;
  }
  ColdPlace place = placeOf(transaction, lastKey, header, key);
  if (place.row == place.section->rows() || compareBytes(place.key(), key) != 0) return std::nullopt;
  return place;
}

std::shared_ptr<const UnpackedSection> ColdTier::section(TransactionState& transaction, Bytes lastKey,
                                                         Bytes value, std::size_t index) {
  std::vector<std::byte> copy;
  const ColdBlockHeader header = headerOf(lastKey, transaction.steady(value, copy));
  return unpacked(transaction, lastKey, header, std::min<std::size_t>(index, header.sections - 1));
}

ColdPlace ColdTier::seek(TransactionState& transaction, Bytes lastKey, Bytes value, Bytes key) {
  std::vector<std::byte> copy;
  const ColdBlockHeader header = headerOf(lastKey, transaction.steady(value, copy));
  ColdPlace place = placeOf(transaction, lastKey, header, key);
  if (place.row == place.section->rows())
    place = {unpacked(transaction, lastKey, header, place.section->section() + 1), 0};
  return place;
}

ColdBlockHeader ColdTier::headerOf(Bytes lastKey, Bytes value) const {
  ColdBlockHeader header;
  const BlockDamage damage = decodeBlockHeader(value, header);
  if (damage != BlockDamage::none) refuseBlock(lastKey, describe(damage));
  return header;
}

// The first row of the key's section that is not less than it. That it is the right section is sure where
// rows lie on both sides of the key; else the block has to be looked at.
ColdPlace ColdTier::placeOf(TransactionState& transaction, Bytes lastKey, const ColdBlockHeader& header,
                            Bytes key) {
  ColdPlace place{unpacked(transaction, lastKey, header, header.sectionOf(key)), 0};
  place.row = place.section->lowerBound(key);
  const bool isBetween = place.row != 0 && place.row != place.section->rows();
  if (!isBetween && !(place.row == 0 && compareBytes(place.key(), key) == 0)) requireIntact(lastKey, header);
  return place;
}

// A damaged number is another block's, so one of the cache has to be of this one.
std::shared_ptr<const UnpackedSection> ColdTier::unpacked(TransactionState& transaction, Bytes lastKey,
                                                          const ColdBlockHeader& header, std::size_t index) {
  auto section = store_.blockCache().find(tree_, header.number, index);
  if (section && section->isOf(header)) return section;
  std::string damage;
  const auto dictionary = dictionaryOf(transaction, header, damage);
  if (!damage.empty()) refuseBlock(lastKey, damage);
  BlockDamage found;
  section = UnpackedSection::unpack(lastKey, header, index, dictionary.get(), found);
  if (!section) refuseBlock(lastKey, describe(found));
  store_.blockCache().add(tree_, section);
  return section;
}

void ColdTier::requireIntact(Bytes lastKey, const ColdBlockHeader& header) const {
  if (!blockIsIntact(lastKey, header)) refuseBlock(lastKey, describe(BlockDamage::checksum));
}

std::shared_ptr<const UnpackedBlock> ColdTier::read(TransactionState& transaction, Bytes lastKey,
                                                    Bytes value) {
  std::string damage;
  auto block = unpack(transaction, lastKey, value, damage);
  if (!block) refuseBlock(lastKey, damage);
  return block;
}

std::shared_ptr<const UnpackedBlock> ColdTier::unpack(TransactionState& transaction, Bytes lastKey,
                                                      Bytes value, std::string& damage) {
  ColdBlockHeader header;
  BlockDamage found = decodeBlockHeader(value, header);
  if (found == BlockDamage::none) {
    const auto dictionary = dictionaryOf(transaction, header, damage);
    if (!damage.empty()) return nullptr;
    if (auto block = UnpackedBlock::unpack(lastKey, value, dictionary.get(), found)) return block;
  }
  damage = describe(found);
  return nullptr;
}

// Null where the block has none, and where it is missing, with what is wrong.
std::shared_ptr<const Dictionary> ColdTier::dictionaryOf(TransactionState& transaction,
                                                         const ColdBlockHeader& header, std::string& damage) {
  if (header.dictionary == 0) return nullptr;
  auto dictionary = this->dictionary(transaction, header.dictionary);
  if (!dictionary) damage = "the catalog does not have its dictionary " + std::to_string(header.dictionary);
  return dictionary;
}

std::shared_ptr<const Dictionary> ColdTier::dictionary(TransactionState& transaction, std::uint32_t number) {
  const std::lock_guard lock(mutex_);
  auto& dictionary = dictionaries_[number];
  if (!dictionary) {
    const auto record = Catalog(transaction).read<catalog::Dictionary>(dictionaryKey(collection_, number));
    if (record) dictionary = std::make_shared<const Dictionary>(number, bytesOf(record->getContent()));
  }
  return dictionary;
}

void ColdTier::refuseBlock(Bytes lastKey, const std::string& damage) const {
  throw Error(ErrorCode::restoreFromBackup, "a block of cold rows is damaged: restore its rows from a backup",
              {{"collection", collection_}, {"last key in hexadecimal", toHex(lastKey)}, {"damage", damage}});
}

storage::TreeId openColdTree(StoreState& store, const std::string& collection) {
  if (const auto tree = store.environment().openTree(coldTreeName(collection), false)) return *tree;
  throw Error(ErrorCode::restoreFromBackup, "the cold blocks of the collection are missing: restore the file",
              {{"collection", collection}});
}

Tiers readTiers(TransactionState& transaction, std::string_view collection) {
  const auto record = Catalog(transaction).read<catalog::Tiers>(tiersKey(collection));
  Tiers tiers;
  if (record) {
    tiers = {record->getColdRows(),      record->getColdBlocks(), record->getColdBytes(),
             record->getCoveredRows(),   record->getTombstones(), record->getNextBlock(),
             record->getDictionaryFor(), record->getDictionary(), record->getDictionaries()};
  }
  const TransactionState::CoverChange change = transaction.coverChange(collection);
  tiers.coveredRows += static_cast<std::uint64_t>(change.covered);  // modulo 2^64, as what is subtracted
  tiers.tombstones += static_cast<std::uint64_t>(change.tombstones);
  return tiers;
}

void writeTiers(TransactionState& transaction, std::string_view collection, const Tiers& tiers) {
  Draft<catalog::Tiers> record{{}};
  record->setColdRows(tiers.coldRows);
  record->setColdBlocks(tiers.coldBlocks);
  record->setColdBytes(tiers.coldBytes);
  record->setCoveredRows(tiers.coveredRows);
  record->setTombstones(tiers.tombstones);
  record->setNextBlock(tiers.nextBlock);
  record->setDictionaryFor(tiers.dictionaryFor);
  record->setDictionary(tiers.dictionary);
  record->setDictionaries(tiers.dictionaries);
  transaction.forgetCoverChange(collection);
  Catalog(transaction).write(tiersKey(collection), record);
}

void putDictionary(TransactionState& transaction, std::string_view collection, const Dictionary& dictionary,
                   std::uint16_t version) {
  Draft<catalog::Dictionary> record{{}};
  record->setNumber(dictionary.id());
  record->setContent(dataOf(dictionary.content()));
  record->setVersion(version);
  record->setTrainedAt(now());
  Catalog(transaction).write(dictionaryKey(collection, dictionary.id()), record);
}

}  // namespace instar
