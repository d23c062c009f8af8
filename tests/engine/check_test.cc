#include "instar/engine/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/salvage.h"
#include "instar/format/file_format.h"
#include "instar/tests/engine/contact.capnp.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/tamper_page.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using ::testing::HasSubstr;

class CheckTest : public ::testing::Test {
 protected:
  CheckTest() {
    const Store store = Store::open(path);
    const auto contacts = store.collection<Contact>("contacts");
    auto transaction = store.write();
    for (std::uint64_t id = 1; id <= 3; ++id) {
      auto contact = contacts.create();
      contact->setId(id);
      contact->setName("a name that can be found in the file");
      contacts.put(transaction, contact);
    }
    transaction.commit();
  }

  // Rewrites the stored value of a row behind the engine's back.
  void tamper(std::uint64_t id, const std::function<void(std::vector<std::byte>&)>& change) {
    const Key key = Store::open(path).collection<Contact>("contacts").key(id);
    const auto environment = storage::openLmdb(path, {});
    const auto tree = environment->openTree(std::string(kRowTreePrefix) + "contacts", false);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    const Bytes stored = *transaction->get(*tree, key.bytes());
    std::vector<std::byte> value(stored.begin(), stored.end());
    change(value);
    std::ranges::copy(value, transaction->reserve(*tree, key.bytes(), value.size()).begin());
    transaction->commit();
  }

  // A newer version, so that rows of older ones have to be looked for.
  void evolve() const {
    const char* const newer =
        "struct Contact @0xc4b3a29180716253 $Instar.version(4) { id @0 :UInt64 $Instar.key(0); name @1 "
        ":Text; "
        "email @2 :Text; tier @3 :UInt8 = 1; address :group { city @4 :Text; zip @5 :UInt32; } "
        "tags @6 :List(Text); friend @7 :Contact; note @8 :Text; }";
    Store::open(path).collection("contacts", testing::parseDeclarations(newer, "Contact"));
  }

  void tamperPage(std::string_view text, const std::function<void(std::span<std::uint16_t>)>& change) const {
    testing::tamperPage(path, text, change);
  }

  std::string contentOfFile() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  CheckReport checkFile(CheckOptions options = {}) const { return check(Store::open(path), options); }

  testing::TemporaryFolder folder;
  std::filesystem::path path = folder / "store.instar";
};

TEST_F(CheckTest, ASoundFileHasNothingToReport) {
  std::vector<std::uint64_t> steps;
  const CheckReport report =
      checkFile({.progress = [&](const Progress& progress) { steps.push_back(progress.done); }});
  EXPECT_TRUE(report.sound());
  EXPECT_EQ(report.rows, 3U);
  EXPECT_GT(report.bytes, 0U);
  EXPECT_EQ(report.misalignedRows, 0U);
  EXPECT_EQ(steps.back(), 3U);
}

// A file that is read without its lock file was said to have rows that are not aligned: it was the copies of
// them that were measured, which are made because nothing keeps a writer from the rows themselves.
TEST_F(CheckTest, ASoundFileIsSoundWithItsLockFileAndWithout) {
  const RecordSchema named = testing::parseDeclarations(
      "struct Named @0x9a1b2c3d4e5f6072 $Instar.version(1) { name @0 :Text $Instar.key(0); }", "Named");
  {
    const Store store = Store::open(path);
    const auto rows = store.collection("named", named);
    auto transaction = store.write();
    for (const char* const name : {"a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"}) {
      auto draft = rows.create();
      draft->set("name", name);
      rows.put(transaction, draft);
    }
    transaction.commit();
  }
  const auto expectSound = [&](const std::filesystem::path& file, bool lockFile) {
    EXPECT_EQ(std::filesystem::exists(file.string() + "-lock"), lockFile);
    const CheckReport report = check(Store::open(file, {.mode = OpenMode::readOnly}));
    EXPECT_TRUE(report.sound());
    EXPECT_EQ(report.rows, 11U);
    EXPECT_EQ(report.misalignedRows, 0U) << file << (lockFile ? " with" : " without") << " a lock file";
  };
  expectSound(path, true);
  std::filesystem::remove(path.string() + "-lock");
  expectSound(path, false);
  salvage(path, folder / "salvaged.instar");
  expectSound(folder / "salvaged.instar", false);
  Store::open(path).backup(folder / "backup.instar");
  expectSound(folder / "backup.instar", false);
  Store::compact(path);
  std::filesystem::remove(path.string() + "-lock");
  expectSound(path, false);
}

// Each bit of a stored row in turn: no way of reading returns it.
TEST_F(CheckTest, AFlippedBitAnywhereInARowIsReportedAndNeverReturned) {
  std::size_t length = 0;
  tamper(2, [&](std::vector<std::byte>& value) { length = value.size(); });
  for (std::size_t byte = 0; byte < length; ++byte) {
    SCOPED_TRACE("byte " + std::to_string(byte));
    const auto bit = std::byte{1} << (byte % 8);
    tamper(2, [&](std::vector<std::byte>& value) { value[byte] ^= bit; });
    {
      const Store store = Store::open(path);
      const auto contacts = store.collection<Contact>("contacts");
      const auto snapshot = store.read();
      EXPECT_ERROR(contacts.get(snapshot, 2), restoreFromBackup, "key: 2");
      auto scan = contacts.scan(snapshot);
      int sound = 0;
      int damaged = 0;
      while (scan.next()) {
        try {
          const auto row = scan.row();
          sound += row->getId() != 2;
        } catch (const Error& error) {
          damaged += error.code() == ErrorCode::restoreFromBackup;
        }
      }
      EXPECT_EQ(sound, 2);
      EXPECT_EQ(damaged, 1);
      auto transaction = store.write();
      EXPECT_ERROR(contacts.get(transaction, 2), restoreFromBackup, "key: 2");
      EXPECT_ERROR(contacts.edit(transaction, 2), restoreFromBackup, "key: 2");
    }
    for (const bool quick : {false, true}) {
      const CheckReport report = checkFile({.quick = quick});
      ASSERT_EQ(report.problemCount, 1U);
      EXPECT_TRUE(report.damaged());
      EXPECT_EQ(report.problems[0].collection, "contacts");
      EXPECT_EQ(report.problems[0].key, "2");
    }
    tamper(2, [&](std::vector<std::byte>& value) { value[byte] ^= bit; });
  }
  EXPECT_TRUE(checkFile().sound());
}

// The file itself, not a row through LMDB: as a failing disk would do it.
TEST_F(CheckTest, AFlippedBitInTheFileIsReported) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  const auto position = content.rfind("can be found");
  ASSERT_NE(position, std::string::npos);
  file.seekp(static_cast<std::streamoff>(position));
  file.put('C');
  file.close();
  const CheckReport report = checkFile();
  ASSERT_GE(report.problemCount, 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedRow);
  EXPECT_THAT(report.problems[0].message, HasSubstr("checksum"));
}

constexpr std::size_t kListEnd = 6;
constexpr std::size_t kFirstEntry = 8;
constexpr const char* kInRows = "can be found";
constexpr const char* kInCatalog = "collection/contacts";

// A shorter list in a page: check counted fewer rows and found no problem, and a compact copy made it so.
TEST_F(CheckTest, RowsThatAreNoLongerMetAreReportedAndNotCompactedAway) {
  evolve();
  tamperPage(kInRows, [](std::span<std::uint16_t> page) { page[kListEnd] -= 2; });
  for (const bool quick : {false, true}) {
    const CheckReport report = checkFile({.quick = quick});
    ASSERT_EQ(report.problemCount, 1U);
    EXPECT_TRUE(report.damaged());
    EXPECT_EQ(report.problems[0].finding, Finding::damagedTree);
    EXPECT_EQ(report.problems[0].message, "of 3 rows 2 are met");
  }
  {
    const Store store = Store::open(path);
    EXPECT_ERROR(countVersions(store, store.read(), "contacts"), restoreFromBackup, "of 3 rows 2 are met");
    EXPECT_ERROR(store.backup(folder / "copy.instar", {.compact = true}), restoreFromBackup,
                 "tree: rows/contacts");
    EXPECT_FALSE(std::filesystem::exists(folder / "copy.instar"));
  }
  const std::string before = contentOfFile();
  EXPECT_ERROR(Store::compact(path), restoreFromBackup, "tree: rows/contacts");
  EXPECT_EQ(contentOfFile(), before);
}

// Another row is met in its place: the number of rows is right, and each is sound.
TEST_F(CheckTest, ARowThatIsMetTwiceInPlaceOfAnotherIsReported) {
  evolve();
  tamperPage(kInRows, [](std::span<std::uint16_t> page) { page[kFirstEntry] = page[kFirstEntry + 2]; });
  const CheckReport report = checkFile();
  EXPECT_EQ(report.rows, 3U);
  ASSERT_EQ(report.problemCount, 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedTree);
  EXPECT_EQ(report.problems[0].key, "2");
  const Store store = Store::open(path);
  EXPECT_ERROR(countVersions(store, store.read(), "contacts"), restoreFromBackup, "order");
  EXPECT_ERROR(store.backup(folder / "copy.instar", {.compact = true}), restoreFromBackup,
               "tree: rows/contacts");
}

// The collection was not met in the catalog any more: there was none, and one could be created in its place.
TEST_F(CheckTest, ACatalogWhoseRecordsAreNotAllMetIsReported) {
  tamperPage(kInCatalog, [](std::span<std::uint16_t> page) { page[kFirstEntry] = page[kFirstEntry + 1]; });
  const CheckReport report = checkFile();
  ASSERT_GE(report.problemCount, 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedCatalog);
  const std::string before = contentOfFile();
  {
    const Store store = Store::open(path);
    EXPECT_ERROR(store.collections(store.read()), restoreFromBackup, "catalog is damaged");
    EXPECT_ERROR(store.collection("contacts"), restoreFromBackup, "catalog is damaged");
    EXPECT_ERROR(store.collection<Contact>("contacts"), restoreFromBackup, "catalog is damaged");
  }
  EXPECT_EQ(contentOfFile(), before);
}

void restamp(std::vector<std::byte>& value, Bytes key, std::uint16_t version) {
  RowView row;
  decodeRow(key, value, Verify::no, row);
  const std::vector<std::byte> payload(row.payload.begin(), row.payload.end());
  encodeRow(value, key, version, payload, RowPlacement::leaf);
}

TEST_F(CheckTest, ARowOfAnUnknownVersionIsFound) {
  const Key key = Store::open(path).collection<Contact>("contacts").key(2);
  tamper(2, [&](std::vector<std::byte>& value) { restamp(value, key.bytes(), 9); });
  const Store store = Store::open(path);
  EXPECT_ERROR(store.collection<Contact>("contacts").get(store.read(), 2), restoreFromBackup,
               "no such schema version");
  const CheckReport report = check(store);
  ASSERT_EQ(report.problemCount, 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::unknownVersion);
}

TEST_F(CheckTest, ARowThatIsNotARecordIsFoundUnlessQuick) {
  const Key key = Store::open(path).collection<Contact>("contacts").key(2);
  tamper(2, [&](std::vector<std::byte>& value) {
    std::fill(value.begin() + 8, value.end(), std::byte{0x7b});  // no Cap'n Proto pointer looks like this
    restamp(value, key.bytes(), 3);
  });
  const CheckReport report = checkFile();
  ASSERT_EQ(report.problemCount, 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::undecodableRow);
  EXPECT_TRUE(checkFile({.quick = true}).sound());
}

TEST_F(CheckTest, ARowUnderAKeyThatIsNotItsOwnIsFound) {
  const Key key = Store::open(path).collection<Contact>("contacts").key(2);
  tamper(2, [&](std::vector<std::byte>& value) {
    value[16] ^= std::byte{1};  // the id: the first word of data, after header and root pointer
    restamp(value, key.bytes(), 3);
  });
  const CheckReport report = checkFile();
  ASSERT_EQ(report.problemCount, 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::misplacedRow);
  EXPECT_THAT(report.problems[0].message, HasSubstr("3"));
}

TEST_F(CheckTest, TextThatIsNotUtf8IsOddButNotDamage) {
  {
    const Store store = Store::open(path);
    const auto contacts = store.collection<Contact>("contacts");
    auto transaction = store.write();
    auto contact = contacts.create();
    contact->setId(2);
    contact->initTags(1).set(0, "\xff");
    contacts.put(transaction, contact);
    transaction.commit();
  }
  const CheckReport report = checkFile();
  ASSERT_EQ(report.problemCount, 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::invalidText);
  EXPECT_THAT(report.problems[0].message, HasSubstr("tags"));
  EXPECT_FALSE(report.damaged());
}

TEST_F(CheckTest, ADamagedCatalogIsFound) {
  {
    const auto environment = storage::openLmdb(path, {});
    const auto tree = environment->openTree(kCatalogTree, false);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    const Bytes key = asBytes("collection/contacts");
    const Bytes stored = *transaction->get(*tree, key);
    std::vector<std::byte> value(stored.begin(), stored.end());
    value.back() ^= std::byte{1};
    std::ranges::copy(value, transaction->reserve(*tree, key, value.size()).begin());
    transaction->commit();
  }
  const CheckReport report = checkFile();
  ASSERT_GE(report.problemCount, 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedCatalog);
  const Store store = Store::open(path);
  EXPECT_ERROR(store.collection<Contact>("contacts"), restoreFromBackup, "catalog is damaged");
}

TEST_F(CheckTest, AVersionThatDoesNotHoldTogetherIsFoundAlsoWhereNoRowUsesIt) {
  {
    const auto environment = storage::openLmdb(path, {});
    const auto tree = environment->openTree(kCatalogTree, false);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    Key stored("version/contacts/");
    Key added = stored;
    stored.append(asBytes({"\0\3", 2}));
    added.append(asBytes({"\0\2", 2}));
    RowView row;
    ASSERT_EQ(decodeRow(stored.bytes(), *transaction->get(*tree, stored.bytes()), Verify::yes, row),
              RowDamage::none);
    const std::vector<std::byte> payload(row.payload.begin(), row.payload.end());
    const auto placement = environment->placement(added.bytes().size(), kMinRowHeaderLength + payload.size());
    const std::size_t length = rowHeaderLength(added.bytes().size(), placement) + payload.size();
    encodeRow(transaction->reserve(*tree, added.bytes(), length), added.bytes(), kFileFormat1, payload,
              placement);
    transaction->commit();
  }
  const CheckReport report = checkFile();
  ASSERT_EQ(report.problemCount, 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedCatalog);
  EXPECT_THAT(report.problems[0].message, HasSubstr("another number"));
}

TEST_F(CheckTest, MoreProblemsThanAreListedAreCounted) {
  for (std::uint64_t id = 1; id <= 3; ++id) {
    tamper(id, [](std::vector<std::byte>& value) { value.back() ^= std::byte{1}; });
  }
  const CheckReport report = checkFile({.maxProblems = 2});
  EXPECT_EQ(report.problemCount, 3U);
  EXPECT_EQ(report.damagedCount, 3U);
  EXPECT_EQ(report.problems.size(), 2U);
}

TEST_F(CheckTest, VersionsAreCountedByTheirHeaders) {
  evolve();
  tamper(2, [](std::vector<std::byte>& value) { value[0] = std::byte{0}; });
  const Store store = Store::open(path);
  const auto counts = countVersions(store, store.read(), "contacts").versions;
  ASSERT_EQ(counts.size(), 2U);
  EXPECT_EQ(counts[0].version, 0);
  EXPECT_EQ(counts[0].rows, 1U);
  EXPECT_EQ(counts[1].version, 3);
  EXPECT_EQ(counts[1].rows, 2U);
}

}  // namespace
}  // namespace instar
