#include "instar/engine/internal/cold/cold_tier.h"

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
  ColdBlockHeader header;
  std::vector<std::byte> copy;
  const Bytes value = transaction.steady(cursor.value(), copy);
  const BlockDamage damage = decodeBlockHeader(value, header);
  if (damage != BlockDamage::none) refuseBlock(cursor.key(), describe(damage));
  if (compareBytes(key, header.firstKey) < 0) {
    if (!blockIsIntact(cursor.key(), value)) refuseBlock(cursor.key(), describe(BlockDamage::checksum));
    return std::nullopt;
  }
  ColdPlace place{cached(header.number, cursor.key()), 0};
  if (!place.block) place.block = readIntoCache(transaction, cursor.key(), value);
  place.row = place.block->lowerBound(key);
  if (place.row == place.block->rows() || compareBytes(place.key(), key) != 0) return std::nullopt;
  return place;
}

std::shared_ptr<const UnpackedBlock> ColdTier::unpack(TransactionState& transaction, Bytes lastKey,
                                                      Bytes value) {
  ColdBlockHeader header;
  std::vector<std::byte> copy;
  value = transaction.steady(value, copy);
  if (decodeBlockHeader(value, header) == BlockDamage::none) {
    if (auto block = cached(header.number, lastKey)) return block;
  }
  return readIntoCache(transaction, lastKey, value);
}

// Null where it is not there. A damaged number is another block's.
std::shared_ptr<const UnpackedBlock> ColdTier::cached(std::uint64_t number, Bytes lastKey) const {
  auto block = store_.blockCache().find(tree_, number);
  if (block && compareBytes(block->key(block->rows() - 1), lastKey) != 0) return nullptr;
  return block;
}

std::shared_ptr<const UnpackedBlock> ColdTier::readIntoCache(TransactionState& transaction, Bytes lastKey,
                                                             Bytes value) {
  auto block = read(transaction, lastKey, value);
  store_.blockCache().add(tree_, block);
  return block;
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
    std::shared_ptr<const Dictionary> dictionary;
    if (header.dictionary != 0) {
      dictionary = this->dictionary(transaction, header.dictionary);
      if (!dictionary) {
        damage = "the catalog does not have its dictionary " + std::to_string(header.dictionary);
        return nullptr;
      }
    }
    if (auto block = UnpackedBlock::unpack(lastKey, value, dictionary.get(), found)) return block;
  }
  damage = describe(found);
  return nullptr;
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
