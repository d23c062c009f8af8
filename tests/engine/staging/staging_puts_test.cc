// What programs put that have opened a version to be tried, and what becomes of the rest of the row.

#include <gtest/gtest.h>

#include "instar/engine/check.h"
#include "instar/engine/migration.h"
#include "instar/engine/staging.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;

class StagedPutsTest : public ::testing::Test {
 protected:
  void putTier(const StagedRows& rows, std::uint64_t id, unsigned tier) const {
    auto draft = rows.create();
    draft->set("id", id);
    draft->set("first", "Grace");
    draft->set("last", "Hopper");
    draft->set("tier", tier);
    auto transaction = store.write();
    rows.put(transaction, draft);
    transaction.commit();
  }

  // As it is stored, whatever is served.
  unsigned tierOf(std::uint64_t id) const {
    const auto snapshot = store.read();
    return older.get(snapshot, id).as(contact2().root()).get("tier").as<unsigned>();
  }
  std::string nameOf(std::uint64_t id) const {
    const auto snapshot = store.read();
    return textOf(*older.get(snapshot, id), "name");
  }
  std::uint16_t stampOf(std::uint64_t id) const { return older.get(store.read(), id).version(); }

  TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar");
  StagedRows older = store.collection("contacts", contact1());
};

// ---- as a program of the version below

TEST_F(StagedPutsTest, WhereAKeyIsNoLongerServedTheRestOfTheRowStays) {
  putName(store, older, 1, "Ada Lovelace");
  const auto rows = store.stage("contacts", contact2(), {.percent = 100});
  putTier(rows, 1, 9);
  setStagedPercent(store, "contacts", 2, 0);
  putName(store, rows, 1, "Mary Evans");
  EXPECT_EQ(stampOf(1), 1);
  EXPECT_EQ(nameOf(1), "Mary Evans");
  EXPECT_EQ(tierOf(1), 9U);
  setStagedPercent(store, "contacts", 2, 100);
  const auto snapshot = store.read();
  EXPECT_EQ(textOf(*rows.get(snapshot, 1U), "first"), "Mary");
}

TEST_F(StagedPutsTest, AProgramOfAnAbortedVersionKeepsWhatALaterOneHasPut) {
  putName(store, older, 1, "Ada Lovelace");
  const auto aborted = store.stage("contacts", contact2());
  abortVersion(store, "contacts", 2, "");
  const auto newest = store.collection("contacts", contact3());
  putTier(newest, 1, 9);
  putName(store, aborted, 1, "Mary Ann Evans");
  EXPECT_EQ(nameOf(1), "Mary Ann Evans");
  EXPECT_EQ(tierOf(1), 9U);
  const auto snapshot = store.read();
  EXPECT_EQ(textOf(*newest.get(snapshot, 1U), "last"), "Ann Evans");
}

// Another handle of the promoted version used to make the name from two fields that nobody had filled in.
TEST_F(StagedPutsTest, ADraftOfAnOlderRecordIsNotPutThroughAHandleThatDoesNotKnowOfThose) {
  putName(store, older, 1, "Ada Lovelace");
  const auto rows = store.stage("contacts", contact2());
  auto draft = rows.edit(store.read(), 1U);
  draft->set("name", "Mary Evans");
  promoteVersion(store, "contacts", 2, {.forced = true});
  const auto newest = store.collection("contacts", contact2());
  {
    auto transaction = store.write();
    EXPECT_ERROR(newest.put(transaction, draft), retry, "read it again");
    rows.put(transaction, draft);
    transaction.commit();
  }
  EXPECT_EQ(nameOf(1), "Mary Evans");
  EXPECT_EQ(stampOf(1), 1);
}

// A message has nothing of the row that it was copied from: under a key that is served it is a record of the
// new version, also where the row could not be handed out as one.
TEST_F(StagedPutsTest, AReaderIsANewRecord) {
  putName(store, older, 1, "no number");
  const auto rows = store.stage("contacts", contactWithNumber(), {.percent = 100});
  auto transaction = store.write();
  capnp::MallocMessageBuilder message;
  {
    const auto row = rows.get(transaction, 1U);
    EXPECT_FALSE(row.serves(2));
    message.setRoot(*row);
  }
  ASSERT_TRUE(rows.serves(transaction, rows.key(1U), 2));
  auto record = message.getRoot<capnp::DynamicStruct>(contactWithNumber().root());
  record.set("number", 42U);
  rows.put(transaction, record.asReader());
  transaction.commit();
  EXPECT_EQ(nameOf(1), "42");
  EXPECT_EQ(stampOf(1), 2);
  EXPECT_TRUE(rows.get(store.read(), 1U).serves(2));
}

// ---- cold blocks

TEST_F(StagedPutsTest, RowsOfBlocksAreServedAndPutAsOthersAre) {
  for (std::uint64_t id = 1; id <= 50; ++id) putName(store, older, id, "Ada Lovelace");
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  ASSERT_EQ(infoOf(store).coldRows, 50U);
  const auto isEven = [](Bytes key) { return (std::to_integer<unsigned>(key.back()) & 1U) == 0; };
  const auto rows = store.stage("contacts", contact2(), {.serves = isEven});
  {
    const auto snapshot = store.read();
    for (auto row : rows.scan(snapshot)) {
      const bool isServed = (*row).get("id").as<std::uint64_t>() % 2 == 0;
      EXPECT_EQ(row.serves(2), isServed);
      EXPECT_EQ(textOf(*row, "first"), isServed ? "Ada" : "");
    }
    EXPECT_EQ(textOf(*rows.get(snapshot, 2U), "last"), "Lovelace");
    EXPECT_FALSE(rows.get(snapshot, 3U).serves(2));
  }
  auto transaction = store.write();
  auto served = rows.edit(transaction, 2U);
  served->set("first", "Augusta");
  rows.put(transaction, served);
  auto unserved = rows.edit(transaction, 3U);
  unserved->set("name", "Mary Evans");
  rows.put(transaction, unserved);
  transaction.commit();
  EXPECT_EQ(nameOf(2), "Augusta Lovelace");
  EXPECT_EQ(stampOf(2), 2);
  EXPECT_EQ(nameOf(3), "Mary Evans");
  EXPECT_EQ(stampOf(3), 1);
  EXPECT_EQ(infoOf(store).rows, 50U);
  EXPECT_TRUE(check(store).sound());
}

}  // namespace
}  // namespace instar
