#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "instar/engine/check.h"
#include "instar/engine/store.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using capnp::DynamicStruct;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

RecordSchema person(std::string_view text) { return testing::parseDeclarations(text, "Person"); }

RecordSchema version1() {
  return person(R"(struct Person @0x8f1e2d3c4b5a6978 $Instar.version(1) {
    id @0 :UInt32 $Instar.key(0);
    name @1 :Text;
    home :group { street @2 :Text; }
    contact :union { none @3 :Void; phone @4 :Text; }
    pet @5 :Pet;
    struct Pet @0x9e8d7c6b5a493827 { name @0 :Text; }
  })");
}

RecordSchema version2() {
  return person(R"(struct Person @0x8f1e2d3c4b5a6978 $Instar.version(2) {
    id @0 :UInt32 $Instar.key(0);
    name @1 :Text;
    home :group { street @2 :Text; city @7 :Text; }
    contact :union { none @3 :Void; phone @4 :Text; mail @8 :Text; }
    pet @5 :Pet;
    age @6 :UInt8 = 18;
    struct Pet @0x9e8d7c6b5a493827 { name @0 :Text; legs @1 :UInt8 = 4; }
  })");
}

// `name` becomes one member of a union, which programs of version 1 would misread.
RecordSchema unionVersion() {
  return person(R"(struct Person @0x8f1e2d3c4b5a6978 $Instar.version(4) {
    id @0 :UInt32 $Instar.key(0);
    union { name @1 :Text; alias @6 :Text; }
    home :group { street @2 :Text; }
    contact :union { none @3 :Void; phone @4 :Text; }
    pet @5 :Pet;
    struct Pet @0x9e8d7c6b5a493827 { name @0 :Text; }
  })");
}

class EvolutionTest : public ::testing::Test {
 protected:
  using Rows = Collection<DynamicStruct>;

  Rows open(const RecordSchema& schema) const { return store.collection("people", schema); }

  void putWith(const Rows& rows, std::uint32_t id, const char* name) const {
    auto draft = rows.create();
    draft->set("id", id);
    draft->set("name", name);
    auto transaction = store.write();
    rows.put(transaction, draft);
    transaction.commit();
  }

  // A row of version 2 with a value in every field that version 1 does not know.
  void putFullVersion2(const Rows& rows) const {
    auto draft = rows.create();
    draft->set("id", 1U);
    draft->set("name", "Ada");
    draft->set("age", 36U);
    auto home = draft->get("home").as<DynamicStruct>();
    home.set("street", "Square 12");
    home.set("city", "London");
    auto pet = draft->init("pet").as<DynamicStruct>();
    pet.set("name", "Puff");
    pet.set("legs", 3U);
    draft->get("contact").as<DynamicStruct>().set("mail", "ada@example.org");
    auto transaction = store.write();
    rows.put(transaction, draft);
    transaction.commit();
  }

  std::string text(const Rows& rows, std::uint32_t id) const {
    const auto snapshot = store.read();
    const auto row = rows.get(snapshot, id);
    return row ? kj::str(*row).cStr() : "absent";
  }

  testing::TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar");
};

TEST_F(EvolutionTest, AnAdditiveVersionRewritesNothing) {
  const Rows old = open(version1());
  for (std::uint32_t id = 1; id <= 100; ++id) putWith(old, id, "Ada");
  std::vector<std::string> before;
  for (auto snapshot = store.read(); const auto row : old.scan(snapshot))
    before.emplace_back(asText(row.payload()));
  const auto lastTransaction = store.info().lastTransaction;

  const Rows now = open(version2());
  EXPECT_EQ(store.info().lastTransaction, lastTransaction + 1);
  std::vector<std::string> after;
  for (auto snapshot = store.read(); const auto row : now.scan(snapshot)) {
    after.emplace_back(asText(row.payload()));
    EXPECT_EQ(row.version(), 1);
    EXPECT_EQ(row->get("age").as<unsigned>(), 18U);
    EXPECT_EQ(row->get("name").as<capnp::Text>(), "Ada");
  }
  EXPECT_EQ(after, before);
  open(version2());
  EXPECT_EQ(store.info().lastTransaction, lastTransaction + 1);
}

TEST_F(EvolutionTest, OldAndNewRowsLieSideBySide) {
  putWith(open(version1()), 1, "Ada");
  const Rows now = open(version2());
  putFullVersion2(now);
  putWith(open(version1()), 2, "Grace");
  const auto counts = countVersions(store, store.read(), "people").versions;
  ASSERT_EQ(counts.size(), 2U);
  EXPECT_EQ(counts[0].version, 1);
  EXPECT_EQ(counts[0].rows, 1U);
  EXPECT_EQ(counts[1].version, 2);
  EXPECT_EQ(counts[1].rows, 1U);
  EXPECT_TRUE(check(store).sound());
}

TEST_F(EvolutionTest, AnOlderProgramReadsNewerRows) {
  putFullVersion2(open(version2()));
  const Rows old = open(version1());
  const auto snapshot = store.read();
  const auto row = old.get(snapshot, 1);
  EXPECT_EQ(row->get("name").as<capnp::Text>(), "Ada");
  EXPECT_EQ(row.version(), 2);
  EXPECT_FALSE((*row).getSchema().findFieldByName("age") != nullptr);
}

TEST_F(EvolutionTest, AnOlderProgramThatReplacesANewerRowKeepsWhatItDoesNotKnow) {
  putFullVersion2(open(version2()));
  const Rows old = open(version1());
  auto draft = old.create();
  draft->set("id", 1U);
  draft->set("name", "Ada Lovelace");
  draft->get("home").as<DynamicStruct>().set("street", "Square 13");
  draft->init("pet").as<DynamicStruct>().set("name", "Huff");
  draft->get("contact").as<DynamicStruct>().set("phone", "555");
  auto transaction = store.write();
  old.put(transaction, draft);
  transaction.commit();

  const Rows now = open(version2());
  EXPECT_EQ(text(now, 1),
            R"((id = 1, name = "Ada Lovelace", home = (street = "Square 13", city = "London"), )"
            R"(contact = (phone = "555"), pet = (name = "Huff", legs = 3), age = 36))");
  EXPECT_EQ(now.get(store.read(), 1).version(), 1);  // restamped
}

TEST_F(EvolutionTest, AnOlderProgramThatEditsANewerRowKeepsWhatItDoesNotKnow) {
  putFullVersion2(open(version2()));
  const Rows old = open(version1());
  auto transaction = store.write();
  auto draft = old.edit(transaction, 1);
  draft->set("name", "Ada Lovelace");
  old.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(text(open(version2()), 1),
            R"((id = 1, name = "Ada Lovelace", home = (street = "Square 12", city = "London"), )"
            R"(contact = (mail = "ada@example.org"), pet = (name = "Puff", legs = 3), age = 36))");
}

// A draft that an older program began in a snapshot held what newer programs had put into the row then;
// writing it back undid what they had changed since.
TEST_F(EvolutionTest, AnEditFromASnapshotKeepsWhatNewerProgramsWroteSince) {
  const Rows now = open(version2());
  putFullVersion2(now);
  const Rows old = open(version1());
  auto draft = old.edit(store.read(), 1);
  draft->set("name", "Ada Lovelace");
  {
    auto transaction = store.write();
    auto newer = now.edit(transaction, 1);
    newer->set("age", 37U);
    now.put(transaction, newer);
    transaction.commit();
  }
  auto transaction = store.write();
  old.put(transaction, draft);
  transaction.commit();
  const auto snapshot = store.read();
  EXPECT_EQ(now.get(snapshot, 1)->get("age").as<unsigned>(), 37U);
  EXPECT_EQ(now.get(snapshot, 1)->get("name").as<capnp::Text>(), "Ada Lovelace");
}

TEST_F(EvolutionTest, AnEditUnderAnotherKeyKeepsWhatIsUnknownInTheRowThere) {
  const Rows now = open(version2());
  putFullVersion2(now);
  putWith(now, 2, "Grace");
  const Rows old = open(version1());
  auto transaction = store.write();
  auto draft = old.edit(transaction, 2);
  draft->set("id", 1U);
  old.put(transaction, draft);
  transaction.commit();
  const auto snapshot = store.read();
  EXPECT_EQ(now.get(snapshot, 1)->get("age").as<unsigned>(), 36U);
  EXPECT_EQ(now.get(snapshot, 1)->get("name").as<capnp::Text>(), "Grace");
}

TEST_F(EvolutionTest, WhatAnOlderProgramClearsIsCleared) {
  putFullVersion2(open(version2()));
  const Rows old = open(version1());
  auto draft = old.create();
  draft->set("id", 1U);
  auto transaction = store.write();
  old.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(text(open(version2()), 1),
            R"((id = 1, home = (city = "London"), contact = (none = void), age = 36))");
}

TEST_F(EvolutionTest, ACurrentProgramReplacesTheWholeRow) {
  const Rows now = open(version2());
  putFullVersion2(now);
  putWith(now, 1, "Ada");
  EXPECT_EQ(text(now, 1), R"((id = 1, name = "Ada", home = (), contact = (none = void), age = 18))");
}

TEST_F(EvolutionTest, TheSameNumberWithAnotherSchemaIsRefusedWithTheDifferences) {
  open(version1());
  const RecordSchema other = person(R"(struct Person @0x8f1e2d3c4b5a6978 $Instar.version(1) {
    id @0 :UInt32 $Instar.key(0);
    name @1 :Text;
    home :group { street @2 :Text; }
    contact :union { none @3 :Void; phone @4 :Text; }
    pet @5 :Pet;
    nickname @6 :Text;
    struct Pet @0x9e8d7c6b5a493827 { name @0 :Text; }
  })");
  EXPECT_ERROR(open(other), fixSchema, "nickname");
  EXPECT_ERROR(open(other), fixSchema, "raise");
}

TEST_F(EvolutionTest, ABreakingVersionIsRefusedAndNothingIsTouched) {
  putWith(open(version1()), 1, "Ada");
  const auto lastTransaction = store.info().lastTransaction;
  const RecordSchema breaking = person(R"(struct Person @0x8f1e2d3c4b5a6978 $Instar.version(2) {
    id @0 :UInt32 $Instar.key(0);
    name @1 :Data;
    home :group { street @2 :UInt32; }
    contact :union { none @3 :Void; phone @4 :Text; }
  })");
  EXPECT_ERROR(open(breaking), fixSchema, "street");
  const SchemaChange change = store.examine("people", breaking);
  EXPECT_EQ(change.outcome, SchemaChange::Outcome::refused);
  EXPECT_EQ(change.from, 1);
  EXPECT_EQ(change.to, 2);
  EXPECT_TRUE(isRefused(change.judgements));
  ASSERT_TRUE(change.refusal);
  EXPECT_NE(change.refusal->fact("changes").find("pet"), std::string_view::npos);
  EXPECT_EQ(store.info().lastTransaction, lastTransaction);
  EXPECT_EQ(store.versions(store.read(), "people").size(), 1U);
}

TEST_F(EvolutionTest, ExaminingSaysWhatOpeningWouldDoAndWritesNothing) {
  open(version1());
  const auto lastTransaction = store.info().lastTransaction;
  const SchemaChange change = store.examine("people", version2());
  EXPECT_EQ(change.outcome, SchemaChange::Outcome::added);
  EXPECT_EQ(change.from, 1);
  EXPECT_EQ(change.to, 2);
  EXPECT_EQ(change.judgements.size(), 4U);
  EXPECT_EQ(store.examine("other", version2()).outcome, SchemaChange::Outcome::created);
  EXPECT_EQ(store.info().lastTransaction, lastTransaction);
  open(version2());
  const auto versions = store.versions(store.read(), "people");
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(versions[1].changes.size(), 4U);
  EXPECT_EQ(store.examine("people", version2()).outcome, SchemaChange::Outcome::unchanged);
  EXPECT_EQ(store.examine("people", version1()).outcome, SchemaChange::Outcome::older);
}

TEST_F(EvolutionTest, AnOlderVersionThatWasNeverSeenFindsItsPlace) {
  const Rows now = open(version2());
  putFullVersion2(now);
  const Rows old = open(version1());  // of a release that has never touched this file
  putWith(old, 2, "Grace");
  EXPECT_EQ(store.collections(store.read())[0].currentVersion, 2);
  EXPECT_EQ(store.versions(store.read(), "people").size(), 2U);
  EXPECT_EQ(old.get(store.read(), 2).version(), 1);
  EXPECT_TRUE(check(store).sound());
}

TEST_F(EvolutionTest, AReadOnlyStoreServesANewerProgramWithoutRecordingIt) {
  putWith(open(version1()), 1, "Ada");
  store.backup(folder / "copy.instar");
  const Store copy = Store::open(folder / "copy.instar", {.mode = OpenMode::readOnly});
  const auto rows = copy.collection("people", version2());
  const auto snapshot = copy.read();
  EXPECT_EQ(rows.get(snapshot, 1)->get("age").as<unsigned>(), 18U);
  EXPECT_EQ(copy.versions(snapshot, "people").size(), 1U);
}

TEST_F(EvolutionTest, AProgramBelowTheFloorsIsToldBothVersions) {
  const Rows old = open(version1());
  putWith(old, 1, "Ada");
  const auto before = store.read();
  open(unionVersion());
  const auto info = store.collections(store.read())[0];
  EXPECT_EQ(info.readerFloor, 4);
  EXPECT_EQ(info.writerFloor, 4);

  // A handle from before the change notices in its next transaction; an older snapshot is not disturbed.
  EXPECT_TRUE(old.get(before, 1));
  const auto after = store.read();
  EXPECT_ERROR(old.get(after, 1), upgradeProgram, "version of this program: 1, lowest version allowed: 4");
  auto transaction = store.write();
  auto draft = old.create();
  EXPECT_ERROR(old.put(transaction, draft), upgradeProgram, "lowest version allowed: 4");
  EXPECT_ERROR(old.erase(transaction, 1), upgradeProgram, "lowest version allowed: 4");
  EXPECT_ERROR(open(version1()), upgradeProgram, "4");
  EXPECT_EQ(text(open(unionVersion()), 1), R"((id = 1, name = "Ada", home = (), contact = (none = void)))");
}

TEST_F(EvolutionTest, ARowStaysReadableThroughHundredsOfVersions) {
  std::string fields = "id @0 :UInt32 $Instar.key(0);\n";
  std::optional<Rows> first;
  std::optional<Rows> last;
  for (int version = 1; version <= 300; ++version) {
    fields += "f" + std::to_string(version) + " @" + std::to_string(version) + " :Void;\n";
    last = open(person("struct Person @0x8f1e2d3c4b5a6978 $Instar.version(" + std::to_string(version) +
                       ") {\n" + fields + "}"));
    if (!first) first = last;
    if (version == 1) {
      auto draft = first->create();
      draft->set("id", 1U);
      auto transaction = store.write();
      first->put(transaction, draft);
      transaction.commit();
    }
  }
  const auto snapshot = store.read();
  EXPECT_EQ(last->get(snapshot, 1).version(), 1);
  EXPECT_EQ(store.versions(snapshot, "people").size(), 300U);
}

// Two programs of different releases have the file open at the same time.
TEST(EvolutionProcesses, AnOlderProgramGoesOnWhileANewerOneWrites) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "store.instar";
  int toParent[2];
  int toChild[2];
  ASSERT_EQ(pipe(toParent), 0);
  ASSERT_EQ(pipe(toChild), 0);
  const auto signal = [](int descriptor) { return write(descriptor, "x", 1) == 1; };
  const auto await = [](int descriptor) {
    char byte;
    return read(descriptor, &byte, 1) == 1;
  };
  const pid_t child = fork();
  if (child == 0) {
    int result = 1;
    if (await(toChild[0])) {
      const Store store = Store::open(path);
      const auto rows = store.collection("people", version2());
      auto transaction = store.write();
      auto draft = rows.edit(transaction, 1);
      draft->set("age", 36U);
      rows.put(transaction, draft);
      transaction.commit();
      if (signal(toParent[1]) && await(toChild[0])) {
        const auto snapshot = store.read();
        const auto row = rows.get(snapshot, 1);
        result = row->get("age").as<unsigned>() == 36 && row->get("name").as<capnp::Text>() == "Ada Lovelace"
                     ? 0
                     : 2;
      }
    }
    _exit(result);
  }
  const Store store = Store::open(path);
  const auto rows = store.collection("people", version1());
  {
    auto transaction = store.write();
    auto draft = rows.create();
    draft->set("id", 1U);
    draft->set("name", "Ada");
    rows.put(transaction, draft);
    transaction.commit();
  }
  ASSERT_TRUE(signal(toChild[1]));
  ASSERT_TRUE(await(toParent[0]));
  {
    auto transaction = store.write();
    auto draft = rows.create();
    draft->set("id", 1U);
    draft->set("name", "Ada Lovelace");
    rows.put(transaction, draft);
    transaction.commit();
  }
  ASSERT_TRUE(signal(toChild[1]));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace instar
