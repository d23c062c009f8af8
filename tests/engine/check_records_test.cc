// Files whose pages and rows are sound, and whose records contradict each other or them: check says each.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "instar/engine/check.h"
#include "instar/engine/compaction.h"
#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/cold/cold_tier.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/engine/migration.h"
#include "instar/format/file_format.h"
#include "instar/tests/engine/contact_versions.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/forwarding_storage.h"

namespace instar {
namespace {

using ::testing::HasSubstr;

// A storage in which a tree can be lost.
class TreeLosingStorage final : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  std::string lost;

  std::optional<storage::TreeId> openTree(std::string_view name, bool create) override {
    if (name == lost) return std::nullopt;
    return ForwardingStorage::openTree(name, create);
  }
};

// Ten contacts of the first version, in one block.
class CheckRecords : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kRows = 10;

  CheckRecords() {
    put(0, kRows);
    migrate(store_, "contacts", {.mode = CompactionMode::compress});
  }

  void put(std::uint64_t from, std::uint64_t to) const {
    auto transaction = store_.write();
    for (std::uint64_t id = from; id < to; ++id) {
      auto draft = rows_.create();
      draft->set("id", id);
      draft->set("text", "1");
      rows_.put(transaction, draft);
    }
    transaction.commit();
  }

  using Change = std::function<void(TransactionState&)>;
  void change(const Change& change) const {
    TransactionState transaction(store_.read().state().sharedStore(), storage::Access::write);
    change(transaction);
    transaction.commit();
  }

  storage::TreeId tree(const std::string& name) const { return *storage_->openTree(name, false); }
  storage::TreeId coldTree() const { return tree(coldTreeName("contacts")); }

  std::vector<std::byte> stored(storage::TreeId tree, const Key& key) const {
    const auto transaction = storage_->begin(storage::Access::read, {});
    const Bytes value = transaction->get(tree, key.bytes()).value();
    return {value.begin(), value.end()};
  }
  void replace(storage::TreeId tree, const Key& key, const std::vector<std::byte>& value) const {
    change([&](TransactionState& transaction) {
      std::ranges::copy(value, transaction.storage().reserve(tree, key.bytes(), value.size()).begin());
    });
  }

  // A row of the hot tree with these flags, whatever the blocks have under its key.
  void putHot(std::uint64_t id, RowFlags flags) const {
    const storage::TreeId hot = tree(rowTreeName("contacts"));
    const Key key = rows_.key(id);
    std::vector<std::byte> value;
    {
      auto transaction = store_.write();
      auto draft = rows_.create();
      draft->set("id", id);
      rows_.put(transaction, draft);
      const Bytes put = transaction.state().storage().get(hot, key.bytes()).value();
      value.assign(put.begin(), put.end());
    }
    RowView row;
    ASSERT_EQ(decodeRow(key.bytes(), value, Verify::yes, row), RowDamage::none);
    std::vector<std::byte> flagged(value.size());
    encodeRow(flagged, key.bytes(), row.version, row.payload, RowPlacement::leaf, flags);
    replace(hot, key, flagged);
  }

  void expectOne(Finding finding, const char* message) const {
    const CheckReport report = check(store_);
    ASSERT_EQ(report.problemCount, 1U) << (report.problems.empty() ? "" : report.problems[0].message);
    EXPECT_EQ(report.problems[0].finding, finding);
    EXPECT_THAT(report.problems[0].message, HasSubstr(message));
    EXPECT_TRUE(report.damaged());
  }

  const std::shared_ptr<TreeLosingStorage> storage_ =
      std::make_shared<TreeLosingStorage>(storage::openMemory());
  const Store store_ = Store::open(storage_);
  const Collection<capnp::DynamicStruct> rows_ = store_.collection("contacts", testing::firstContact());
};

TEST_F(CheckRecords, ThatAgreeHaveNothingToReport) {
  put(3, 5);
  EXPECT_TRUE(check(store_).sound());
}

TEST_F(CheckRecords, ATreeOfRowsThatIsGoneIsFound) {
  storage_->lost = rowTreeName("contacts");
  expectOne(Finding::damagedCatalog, "the tree of rows is missing");
  EXPECT_ERROR(Store::open(storage_).collection("contacts"), restoreFromBackup,
               "the rows or the schema of the collection are missing");
}

TEST_F(CheckRecords, ATreeOfBlocksThatIsGoneIsFound) {
  storage_->lost = coldTreeName("contacts");
  expectOne(Finding::damagedCatalog, "the tree of cold blocks is missing");
}

TEST_F(CheckRecords, AFloorAboveTheCurrentVersionIsFound) {
  for (const bool isReader : {true, false}) {
    change([&](TransactionState& transaction) {
      Catalog catalog(transaction);
      auto record = catalog.collection("contacts").value();
      record.readerFloor = isReader ? 2 : 1;
      record.writerFloor = isReader ? 1 : 2;
      catalog.putCollection(record);
    });
    expectOne(Finding::damagedCatalog, "a floor is above the current version");
  }
}

TEST_F(CheckRecords, ACurrentVersionThatIsNotThereIsFound) {
  change([](TransactionState& transaction) {
    Catalog catalog(transaction);
    auto record = catalog.collection("contacts").value();
    record.currentVersion = 2;
    catalog.putCollection(record);
  });
  expectOne(Finding::damagedCatalog, "the current version is missing");
  EXPECT_ERROR(compactionProgress(store_, store_.read()), restoreFromBackup,
               "the current version is missing");
}

TEST_F(CheckRecords, ACollectionThatIsNoLongerThereIsMissedByWhoHasItOpen) {
  change([](TransactionState& transaction) {
    Catalog catalog(transaction);
    auto other = catalog.collection("contacts").value();
    catalog.erase(Key("collection/contacts"));
    other.name = "others";
    catalog.putCollection(other);  // so that everybody looks again
  });
  EXPECT_ERROR(rows_.get(store_.read(), 1), restoreFromBackup, "no longer in the catalog");
}

TEST_F(CheckRecords, AFileOfAnotherProgramIsRefused) {
  change([](TransactionState& transaction) {
    Catalog catalog(transaction);
    Draft<catalog::Format> record({}, catalog.read<catalog::Format>(Key(kFormatKey)), 0);
    record->setMagic(record->getMagic() + 1);
    catalog.write(Key(kFormatKey), record);
  });
  EXPECT_ERROR(Store::open(storage_), fixEnvironment, "this is not an Instar file");
}

TEST_F(CheckRecords, AFingerprintOfAnotherSchemaIsFound) {
  change([](TransactionState& transaction) {
    Catalog catalog(transaction);
    const Key key = versionKey("contacts", 1);
    Draft<catalog::Version> record({}, catalog.read<catalog::Version>(key), 0);
    record->setFingerprint(record->getFingerprint() + 1);
    catalog.write(key, record);
  });
  expectOne(Finding::damagedCatalog, "the fingerprint is not that of its schema");
}

TEST_F(CheckRecords, ACountOfBlocksThatIsNotTheirsIsFound) {
  const std::vector<std::function<void(Tiers&)>> lies = {
      [](Tiers& tiers) { ++tiers.coldRows; },   [](Tiers& tiers) { ++tiers.coldBlocks; },
      [](Tiers& tiers) { ++tiers.coldBytes; },  [](Tiers& tiers) { ++tiers.coveredRows; },
      [](Tiers& tiers) { ++tiers.tombstones; },
  };
  for (const auto& lie : lies) {
    Tiers before;
    change([&](TransactionState& transaction) {
      before = readTiers(transaction, "contacts");
      Tiers tiers = before;
      lie(tiers);
      writeTiers(transaction, "contacts", tiers);
    });
    expectOne(Finding::damagedTree, "the catalog counts other cold rows than there are");
    change([&](TransactionState& transaction) { writeTiers(transaction, "contacts", before); });
  }
  EXPECT_TRUE(check(store_).sound());
}

TEST_F(CheckRecords, ARowThatCoversABlocksAndDoesNotSaySoIsFound) {
  putHot(4, RowFlags::none);
  expectOne(Finding::damagedTree, "a cold row is covered by one that does not say so");
}

TEST_F(CheckRecords, ARowThatSaysItCoversWhatIsNotThereIsFound) {
  putHot(kRows + 7, RowFlags::coversCold);
  const CheckReport report = check(store_);
  ASSERT_EQ(report.problemCount, 2U);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedTree);
  EXPECT_THAT(report.problems[0].message, HasSubstr("it covers a cold row that is not there"));
  EXPECT_THAT(report.problems[1].message, HasSubstr("the catalog counts other cold rows"));
}

TEST_F(CheckRecords, AVersionWhoseSchemaCannotBeReadIsFound) {
  change([](TransactionState& transaction) {
    Catalog catalog(transaction);
    const Key key = versionKey("contacts", 1);
    Draft<catalog::Version> record({}, catalog.read<catalog::Version>(key), 0);
    record->initNodes(0);
    catalog.write(key, record);
  });
  const CheckReport report = check(store_);
  ASSERT_EQ(report.problemCount, 1 + kRows);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedCatalog);
  EXPECT_THAT(report.problems[0].message, HasSubstr("restore the file from a backup"));
  EXPECT_EQ(report.problems[1].finding, Finding::unknownVersion);
}

TEST_F(CheckRecords, ARowOverADamagedBlockIsNotBlamed) {
  put(3, 4);
  auto block = stored(coldTree(), rows_.key(kRows - 1));
  block.back() ^= std::byte{1};
  replace(coldTree(), rows_.key(kRows - 1), block);
  const CheckReport report = check(store_);
  ASSERT_EQ(report.problemCount, 2U);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedBlock);
  EXPECT_THAT(report.problems[1].message, HasSubstr("the catalog counts other cold rows"));
}

// The text that is its key has become nothing, and nothing is no key.
TEST_F(CheckRecords, ARowWhoseKeyCannotBeIsFound) {
  const auto named = store_.collection(
      "names", testing::parseDeclarations("struct Name @0x8f1e2d3c4b5a6979 { name @0 :Text $Instar.key(0); }",
                                          "Name"));
  auto transaction = store_.write();
  auto draft = named.create();
  draft->set("name", "Ada");
  named.put(transaction, draft);
  transaction.commit();
  const storage::TreeId names = tree(rowTreeName("names"));
  const Key key = named.key("Ada");
  auto value = stored(names, key);
  RowView row;
  ASSERT_EQ(decodeRow(key.bytes(), value, Verify::yes, row), RowDamage::none);
  std::vector<std::byte> payload(row.payload.begin(), row.payload.end());
  std::fill_n(payload.begin() + 8, 8, std::byte{0});  // behind the pointer to the record, that to its text
  encodeRow(value, key.bytes(), row.version, payload, RowPlacement::leaf);
  replace(names, key, value);
  expectOne(Finding::misplacedRow, "a key may not be empty");
}

// One that was made anew with the rows behind it is there a second time.
TEST_F(CheckRecords, BlocksThatOverlapAreFound) {
  const Key lastKey = rows_.key(kRows - 1);
  const std::vector<std::byte> block = stored(coldTree(), lastKey);
  put(kRows - 1, 2 * kRows);  // over the last row of the block, and behind it
  migrate(store_, "contacts", {.mode = CompactionMode::compress});
  ASSERT_FALSE(storage_->begin(storage::Access::read, {})->get(coldTree(), lastKey.bytes()));
  ASSERT_TRUE(check(store_).sound());
  replace(coldTree(), lastKey, block);
  const CheckReport report = check(store_);
  ASSERT_EQ(report.problemCount, 2U);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedTree);
  EXPECT_THAT(report.problems[0].message, HasSubstr("its block begins before the one before it ends"));
  EXPECT_THAT(report.problems[1].message, HasSubstr("the catalog counts other cold rows"));
  EXPECT_EQ(verify(store_).problems, 1U);
}

TEST(Findings, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  const int last = static_cast<int>(Finding::brokenRule);
  const int first = static_cast<int>(Finding::damagedRow);
  for (int finding = first; finding <= last; ++finding)
    names.insert(findingName(static_cast<Finding>(finding)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(last - first + 1));
  EXPECT_FALSE(names.contains(findingName(static_cast<Finding>(last + 1)))) << "one was added: put it here";
}

}  // namespace
}  // namespace instar
