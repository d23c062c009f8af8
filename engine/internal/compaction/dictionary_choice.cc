#include "instar/engine/internal/compaction/dictionary_choice.h"

#include "instar/engine/internal/cold/cold_cursor.h"
#include "instar/engine/internal/compaction/arena.h"
#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/upgraded_record.h"

namespace instar {
namespace {

constexpr std::size_t kDictionaryBytes = std::size_t{16} << 10;
constexpr std::size_t kSampleBytes = 128 * kDictionaryBytes;  // zstd advises a hundred times
// Bytes that are read for it at the most; each row counts a little.
constexpr std::size_t kMostRead = 4 * kSampleBytes;
constexpr std::size_t kLeastRead = 32;
constexpr std::size_t kTrialRows = 2000;
// With it sections are small, and soon unpacked: that may cost some bytes.
constexpr double kWorthwhile = 1.15;

class Sample {
 public:
  // Rows from the beginning of the collection, as they will be packed.
  Sample(const std::shared_ptr<StoreState>& store, CollectionState& collection, ColdTier& cold)
      : transaction_(store, storage::Access::read), cursor_(collection.tree(), cold, transaction_) {
    std::size_t bytes = 0;
    std::size_t read = 0;
    for (bool more = cursor_.first(); more && bytes < kSampleBytes && read < kMostRead;
         more = cursor_.next()) {
      RowView row;
      if (cursor_.isCold()) {
        row = cursor_.coldPlace().view();
      } else if (decodeRow(cursor_.key(), cursor_.hotValue(), Verify::yes, row) != RowDamage::none) {
        continue;
      }
      read += row.payload.size() + kLeastRead;
      if (row.payload.size() > kMostColdPayload) continue;
      try {
        const Bytes payload =
            arena_.copy(row.version >= collection.schema().completeFrom()
                            ? row.payload
                            : UpgradedRecord(collection.plans(), cursor_.key(), row).compact());
        rows_.push_back({arena_.copy(cursor_.key()), payload});
        bytes += payload.size();
      } catch (const Error& error) {
        if (error.code() != ErrorCode::fixRow) throw;
      }
    }
  }

  bool isEnough() const noexcept { return rows_.size() >= 2 * kTrialRows; }

  std::vector<std::byte> train() const {
    std::vector<Bytes> payloads;
    for (const ColdRow& row : std::span(rows_).first(rows_.size() - kTrialRows))
      payloads.push_back(row.payload);
    return Dictionary::train(payloads, kDictionaryBytes);
  }

  // Of blocks of rows from the end of the sample, which it was not trained on.
  std::size_t packedBytes(std::uint16_t version, const std::shared_ptr<const Dictionary>& dictionary) const {
    BlockPacker packer(version, dictionary);
    std::vector<std::byte> block;
    std::size_t bytes = 0;
    for (auto left = std::span<const ColdRow>(rows_).last(kTrialRows); !left.empty();) {
      left = left.subspan(packer.pack(left, 1, block));
      bytes += block.size();
    }
    return bytes;
  }

 private:
  TransactionState transaction_;
  TieredCursor cursor_;
  Arena arena_;
  std::vector<ColdRow> rows_;
};

std::shared_ptr<const Dictionary> trained(const Sample& sample, std::uint16_t version, std::uint32_t number) {
  const auto content = sample.train();
  if (content.empty()) return nullptr;
  auto dictionary = std::make_shared<const Dictionary>(number, content);
  const auto without = static_cast<double>(sample.packedBytes(version, nullptr));
  const auto with = static_cast<double>(sample.packedBytes(version, dictionary));
  return with < without * kWorthwhile ? dictionary : nullptr;
}

}  // namespace

std::shared_ptr<const Dictionary> chooseDictionary(const std::shared_ptr<StoreState>& store,
                                                   CollectionState& collection, ColdTier& cold) {
  const std::uint16_t version = collection.schema().version();
  Tiers tiers;
  {
    TransactionState transaction(store, storage::Access::read);
    tiers = readTiers(transaction, collection.name());
    if (tiers.dictionaryFor == version)
      return tiers.dictionary == 0 ? nullptr : cold.dictionary(transaction, tiers.dictionary);
  }
  std::shared_ptr<const Dictionary> dictionary;
  {
    const Sample sample(store, collection, cold);
    if (!sample.isEnough()) return nullptr;  // asked again when there are more
    dictionary = trained(sample, version, tiers.dictionaries + 1);
  }
  TransactionState transaction(store, storage::Access::write);
  tiers = readTiers(transaction, collection.name());
  tiers.dictionaryFor = version;
  tiers.dictionary = dictionary ? dictionary->id() : 0;
  if (dictionary) {
    tiers.dictionaries = dictionary->id();
    putDictionary(transaction, collection.name(), *dictionary, version);
    appendAudit(transaction, {.event = AuditEvent::dictionaryTrained,
                              .collection = collection.name(),
                              .toVersion = version,
                              .bytes = dictionary->content().size()});
  }
  writeTiers(transaction, collection.name(), tiers);
  transaction.commit();
  return dictionary;
}

}  // namespace instar
