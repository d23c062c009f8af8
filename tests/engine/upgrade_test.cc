// Rows of older versions, read and written under a schema that derives and mirrors fields.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "instar/engine/check.h"
#include "instar/engine/rehearsal.h"
#include "instar/engine/store.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using capnp::DynamicStruct;
using ::testing::ElementsAre;

RecordSchema contact(std::string_view text) { return testing::parseDeclarations(text, "Contact"); }

#define CONTACT(version) \
  "struct Contact @0x8f1e2d3c4b5a6978 $Instar.version(" version ") { id @0 :UInt64 $Instar.key(0); "
#define FIRST "first @2 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \")); "
#define LAST                                                                                          \
  "last @3 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \", part = 1, rest = " \
  "true)); "

RecordSchema whole() { return contact(CONTACT("1") "name @1 :Text; }"); }

RecordSchema divided() {
  return contact(CONTACT(
      "2") "name @1 :Text $Instar.mirrored(since = 2, concat = "
           "[(field = \"first\"), (text = \" \"), (field = \"last\")]); " FIRST LAST "}");
}

RecordSchema dividedWithoutMirror() { return contact(CONTACT("2") "name @1 :Text; " FIRST LAST "}"); }

RecordSchema numbered() {
  return contact(
      CONTACT("2") "name @1 :Text; age @2 :UInt8 $Instar.derived(since = 2, convert = \"name\"); }");
}

class UpgradeTest : public ::testing::Test {
 protected:
  using Rows = Collection<DynamicStruct>;

  Rows open(const RecordSchema& schema) const { return store.collection("contacts", schema); }

  void put(const Rows& rows, std::uint64_t id, const char* field, const char* value) const {
    auto transaction = store.write();
    auto draft = rows.edit(transaction, id);
    if (draft) {
      draft->set(field, value);
      rows.put(transaction, draft);
    } else {
      auto created = rows.create();
      created->set("id", id);
      created->set(field, value);
      rows.put(transaction, created);
    }
    transaction.commit();
  }

  std::string text(const Rows& rows, std::uint64_t id) const {
    const auto snapshot = store.read();
    const auto row = rows.get(snapshot, id);
    return row ? kj::str(*row).cStr() : "none";
  }

  testing::TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar");
};

TEST_F(UpgradeTest, AnOldRowHasTheNewFieldsWhicheverWayItIsRead) {
  put(open(whole()), 7, "name", "Ada King Lovelace");
  const Rows rows = open(divided());
  constexpr const char* kUpgraded =
      R"((id = 7, name = "Ada King Lovelace", first = "Ada", last = "King Lovelace"))";
  EXPECT_EQ(text(rows, 7), kUpgraded);
  const auto snapshot = store.read();
  for (const bool reverse : {false, true}) {
    for (const auto row : rows.scan(snapshot, {.reverse = reverse})) {
      EXPECT_STREQ(kj::str(*row).cStr(), kUpgraded);
      EXPECT_EQ(row.version(), 1) << "that it was written with";
    }
  }
  const auto atRunTime = store.collection("contacts");
  EXPECT_EQ(text(atRunTime, 7), kUpgraded);
  const auto transaction = store.write();
  EXPECT_STREQ(kj::str(*rows.get(transaction, 7)).cStr(), kUpgraded) << "in a write transaction";
}

TEST_F(UpgradeTest, ReadingLeavesTheRowAsItIs) {
  put(open(whole()), 7, "name", "Ada Lovelace");
  const auto commits = [&] { return store.info().lastTransaction; };
  const Rows rows = open(divided());
  const auto before = commits();
  text(rows, 7);
  EXPECT_EQ(commits(), before);
  EXPECT_THAT(countVersions(store, store.read(), "contacts").versions.front().version, 1);
}

TEST_F(UpgradeTest, AnEditedRowIsOfTheNewVersionAndIsNotDerivedAgain) {
  put(open(whole()), 7, "name", "Ada Lovelace");
  const Rows rows = open(divided());
  put(rows, 7, "first", "Augusta Ada");
  EXPECT_EQ(text(rows, 7),
            R"((id = 7, name = "Augusta Ada Lovelace", first = "Augusta Ada", last = "Lovelace"))");
  const auto snapshot = store.read();
  EXPECT_EQ(rows.get(snapshot, 7).version(), 2);
}

TEST_F(UpgradeTest, AnOlderProgramReadsTheMirrorAndWhatItWritesIsDerivedAgain) {
  const Rows old = open(whole());
  const Rows rows = open(divided());
  put(rows, 7, "first", "Ada");
  EXPECT_EQ(text(old, 7), R"((id = 7, name = "Ada "))");
  put(rows, 7, "last", "Lovelace");
  EXPECT_EQ(text(old, 7), R"((id = 7, name = "Ada Lovelace"))");
  put(old, 7, "name", "Grace Hopper");
  EXPECT_EQ(text(rows, 7), R"((id = 7, name = "Grace Hopper", first = "Grace", last = "Hopper"))");
  put(old, 7, "name", "Cher");
  EXPECT_EQ(text(rows, 7), R"((id = 7, name = "Cher", first = "Cher"))")
      << "what was there before must not show";
}

TEST_F(UpgradeTest, WithoutAMirrorAnOlderProgramMayOnlyRead) {
  const Rows old = open(whole());
  put(old, 7, "name", "Ada Lovelace");
  const Rows rows = open(dividedWithoutMirror());
  const auto collections = store.collections(store.read());
  EXPECT_EQ(collections[0].readerFloor, 1);
  EXPECT_EQ(collections[0].writerFloor, 2);
  EXPECT_EQ(text(old, 7), R"((id = 7, name = "Ada Lovelace"))");
  EXPECT_ERROR(put(old, 7, "name", "Grace Hopper"), upgradeProgram,
               "version of this program: 1, lowest version allowed: 2");
  EXPECT_EQ(text(rows, 7), R"((id = 7, name = "Ada Lovelace", first = "Ada", last = "Lovelace"))");
}

TEST_F(UpgradeTest, AnOlderProgramThatComesLaterMayOnlyReadEither) {
  put(open(dividedWithoutMirror()), 7, "first", "Ada");
  const Rows old = open(whole());  // of a release that this file has never seen
  EXPECT_EQ(text(old, 7), "(id = 7)");
  EXPECT_ERROR(put(old, 8, "name", "Grace"), upgradeProgram, "lowest version allowed: 2");
}

TEST_F(UpgradeTest, ARowThatCannotBeUpgradedIsAnErrorOfItsOwn) {
  const Rows old = open(whole());
  put(old, 1, "name", "36");
  put(old, 2, "name", "Ada");
  put(old, 3, "name", "85");
  const Rows rows = open(numbered());
  EXPECT_ERROR(text(rows, 2), fixRow,
               "field: age, reason: the text is not a value of the type, collection: contacts, key: 2, "
               "version of the row: 1, version of the schema: 2");
  const auto snapshot = store.read();
  std::vector<std::uint64_t> ages;
  auto scan = rows.scan(snapshot);
  while (scan.next()) {
    try {
      ages.push_back(scan.row()->get("age").as<std::uint64_t>());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::fixRow);
    }
  }
  EXPECT_THAT(ages, ElementsAre(36, 85)) << "a scan goes on behind it";
  const CheckReport report = check(store);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_EQ(report.problems[0].finding, Finding::failedUpgrade);
  EXPECT_EQ(report.problems[0].key, "2");
  EXPECT_FALSE(report.damaged());
  EXPECT_EQ(report.rows, 3U);
}

TEST_F(UpgradeTest, ARecordThatOlderProgramsCouldNotReadIsNotStored) {
  const Rows rows = open(contact(CONTACT("2") "kibibytes @1 :UInt8 $Instar.mirrored(since = 2, scale = "
                                              "(field = \"bytes\", divide = 1024)); bytes @2 :UInt64; }"));
  auto draft = rows.create();
  draft->set("bytes", 1U << 20);
  auto transaction = store.write();
  EXPECT_ERROR(rows.put(transaction, draft), fixInput, "field: kibibytes");
  transaction.commit();
  EXPECT_EQ(rows.count(store.read()), 0U);
}

TEST_F(UpgradeTest, ManyRowsOfSeveralVersionsAreRightInOneScan) {
  const Rows old = open(whole());
  for (std::uint64_t id = 0; id < 100; ++id) put(old, id, "name", ("N" + std::to_string(id) + " M").c_str());
  const Rows rows = open(divided());
  for (std::uint64_t id = 0; id < 100; id += 3) put(rows, id, "last", "New");
  const auto snapshot = store.read();
  std::uint64_t id = 0;
  for (const auto row : rows.scan(snapshot)) {
    EXPECT_EQ(row->get("first").as<capnp::Text>(), "N" + std::to_string(id));
    EXPECT_EQ(row->get("last").as<capnp::Text>(), id % 3 == 0 ? "New" : "M");
    EXPECT_EQ(row.version(), id % 3 == 0 ? 2 : 1);
    ++id;
  }
  EXPECT_EQ(id, 100U);
  EXPECT_TRUE(check(store).sound());
}

// Version 3 derives from what version 2 derives, which rows of version 1 do not have either.
RecordSchema labelled() {
  return contact(CONTACT(
      "3") "name @1 :Text $Instar.mirrored(since = 2, concat = "
           "[(field = \"first\"), (text = \" \"), (field = \"last\")]); " FIRST LAST
           "label @4 :Text $Instar.derived(since = 3, concat = [(field = \"last\"), (text = \", \"), "
           "(field = \"first\"), (text = \" #\"), (field = \"id\")]); }");
}

// The name has gone, once and for all.
RecordSchema divorced() { return contact(CONTACT("3") "name @1 :Text $Instar.retired(3); " FIRST LAST "}"); }

TEST_F(UpgradeTest, ARetiredFieldIsGoneForReadersWritersAndOlderPrograms) {
  const Rows first = open(whole());
  put(first, 7, "name", "Ada Lovelace");
  const Rows second = open(divided());
  put(second, 8, "first", "Grace");
  const Rows rows = open(divorced());
  EXPECT_EQ(text(rows, 7), R"((id = 7, first = "Ada", last = "Lovelace"))");
  EXPECT_EQ(text(rows, 8), R"((id = 8, first = "Grace"))");
  EXPECT_ERROR(put(rows, 7, "name", "Ada King"), fixInput,
               "field: name, reason: retired since version 3, collection: contacts");
  put(rows, 7, "last", "King");
  EXPECT_EQ(text(rows, 7), R"((id = 7, first = "Ada", last = "King"))");
  EXPECT_ERROR(text(second, 7), upgradeProgram, "version of this program: 2, lowest version allowed: 3");
  EXPECT_ERROR(open(whole()), upgradeProgram, "version of the program: 1, lowest version: 3");
  EXPECT_TRUE(check(store).sound());
}

class MigrationTest : public UpgradeTest {
 protected:
  static constexpr std::uint64_t kRows = 300;

  // Programs of both versions take turns, until the third comes and the others may only read.
  void fill(std::mt19937_64& random) const {
    const Rows first = open(whole());
    const Rows second = open(divided());
    for (int change = 0; change < 700; ++change) {
      if (random() % 2 == 0)
        put(first, random() % kRows, "name", word(random).c_str());
      else
        putPart(second, random);
    }
    const Rows third = open(labelled());
    for (int change = 0; change < 200; ++change) putPart(third, random);
  }

  void putPart(const Rows& rows, std::mt19937_64& random) const {
    put(rows, random() % kRows, random() % 2 == 0 ? "first" : "last", word(random).c_str());
  }

  static std::string word(std::mt19937_64& random) {
    std::string text;
    for (std::uint64_t length = random() % 12; length > 0; --length) text += "ab c"[random() % 4];
    return text;
  }

  // What a migration does to one row: it is read and put again.
  void rewrite(const Rows& rows, std::uint64_t id) const {
    auto transaction = store.write();
    auto draft = rows.edit(transaction, id);
    if (!draft) return;
    rows.put(transaction, draft);
    transaction.commit();
  }
};

// The mirror alone may change, because a rewrite computes it anew.
TEST_F(MigrationTest, LazyMixedAndEagerGiveTheSameRows) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  fill(random);
  const Rows rows = open(labelled());
  const auto derivedOnly = [&] {
    std::vector<std::string> texts;
    const auto snapshot = store.read();
    for (const auto row : rows.scan(snapshot)) {
      texts.emplace_back(kj::str(row->get("first"), '|', row->get("last"), '|', row->get("label")).cStr());
    }
    return texts;
  };
  const auto lazy = derivedOnly();
  ASSERT_GT(lazy.size(), kRows / 2);
  EXPECT_FALSE(rehearse(store, "contacts", labelled()).older == 0)
      << "nothing is left to upgrade: nothing was tried";
  for (std::uint64_t id = 0; id < kRows; id += 2) rewrite(rows, id);
  EXPECT_EQ(derivedOnly(), lazy);
  for (std::uint64_t id = 0; id < kRows; ++id) rewrite(rows, id);
  EXPECT_EQ(derivedOnly(), lazy);
  EXPECT_EQ(rehearse(store, "contacts", labelled()).older, 0U);
  EXPECT_TRUE(check(store).sound());
}

TEST_F(UpgradeTest, ARehearsalCountsWhatWouldFailAndStoresNothing) {
  const Rows old = open(whole());
  put(old, 1, "name", "36");
  put(old, 2, "name", "Ada");
  put(old, 3, "name", "300");
  const auto commits = store.info().lastTransaction;
  const Rehearsal rehearsal = rehearse(store, "contacts", numbered(), {.maxFailures = 1});
  EXPECT_EQ(rehearsal.rows, 3U);
  EXPECT_EQ(rehearsal.older, 3U);
  EXPECT_EQ(rehearsal.failed, 2U);
  ASSERT_EQ(rehearsal.failures.size(), 1U);
  EXPECT_EQ(rehearsal.failures[0].field, "age");
  EXPECT_EQ(rehearsal.failures[0].version, 1);
  EXPECT_EQ(store.info().lastTransaction, commits);
}

TEST_F(UpgradeTest, ARehearsalCountsEachReason) {
  const Rows old = open(whole());
  put(old, 1, "name", "37");
  for (std::uint64_t id = 2; id < 7; ++id) put(old, id, "name", "Ada");
  const Rehearsal rehearsal = rehearse(
      store, "contacts",
      contact(CONTACT("2") "name @1 :Text; age @2 :UInt8 $Instar.derived(since = 2, convert = \"name\"); "
                           "mark @3 :UInt8 $Instar.derived(since = 2, match = (field = \"age\", cases = "
                           "[(from = \"36\", to = \"1\")])); }"));
  ASSERT_EQ(rehearsal.kinds.size(), 2U);
  EXPECT_EQ(rehearsal.kinds[0].rows, 5U);
  EXPECT_EQ(rehearsal.kinds[0].example.reason, "the text is not a value of the type");
  EXPECT_EQ(rehearsal.kinds[0].example.field, "age");
  EXPECT_EQ(rehearsal.kinds[1].rows, 1U);
  EXPECT_EQ(rehearsal.kinds[1].example.field, "mark");
}

// What fails anyway must not hide behind a function that only the application has.
TEST_F(UpgradeTest, ARowThatFailsBeforeAMissingFunctionIsCalledFails) {
  const Rows old = open(whole());
  put(old, 1, "name", "36");
  put(old, 2, "name", "Ada");
  const RecordSchema schema = contact(CONTACT(
      "2") "name @1 :Text; age @2 :UInt8 $Instar.derived(since = 2, convert = \"name\"); "
           "rank @3 :UInt8 $Instar.derived(since = 2, call = (function = \"rankOf\", from = [\"age\"])); }");
  const Rehearsal rehearsal = rehearse(store, "contacts", schema);
  EXPECT_EQ(rehearsal.failed, 1U);
  EXPECT_EQ(rehearsal.unjudged, 1U);
  const Store tool = Store::open(folder / "store.instar", {.allowMissingFunctions = true});
  tool.collection("contacts", schema);
  const CheckReport report = check(tool);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_EQ(report.problems[0].key, "2");
  EXPECT_EQ(report.unjudgedRows, 1U);
}

}  // namespace
}  // namespace instar
