// Opening a version with stage(): what a program needs for it, and how a handle of the current version goes
// along when that is given up.

#include <gtest/gtest.h>

#include "instar/engine/staging.h"
#include "instar/tests/engine/compaction_thread.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;

// Version 1 asks for the function `isTidy`, version 2 does not; another version 2 derives a field by `shout`.
RecordSchema contactWith(const char* version, const char* annotations, const char* fields) {
  return parseDeclarations("struct Contact @0xc4b3a29180716253 $Instar.version(" + std::string(version) +
                               ") " + annotations + " { id @0 :UInt64 $Instar.key(0); name @1 :Text; " +
                               fields + " }",
                           "Contact");
}
RecordSchema tidy1() { return contactWith("1", "$Instar.validated([\"isTidy\"])", ""); }
RecordSchema untidy2() { return contactWith("2", "", "tier @2 :UInt8 = 1;"); }
RecordSchema loud2() {
  return contactWith(
      "2", "$Instar.validated([\"isTidy\"])",
      "loud @2 :Text $Instar.derived(since = 2, call = (function = \"shout\", from = [\"name\"]));");
}

std::shared_ptr<const Functions> functions() {
  auto functions = std::make_shared<Functions>();
  functions->validator<capnp::DynamicStruct>(
      "isTidy", [](capnp::DynamicStruct::Reader) -> std::optional<std::string> { return std::nullopt; });
  functions->conversion<capnp::DynamicStruct, capnp::DynamicStruct>(
      "personFromContact", [](capnp::DynamicStruct::Reader, capnp::DynamicStruct::Builder) {});
  return functions;
}

class StagedOpeningTest : public ::testing::Test {
 protected:
  std::size_t versions() const { return store.versions(store.read(), "contacts").size(); }
  void promote(std::uint16_t version) const { promoteVersion(store, "contacts", version, {.forced = true}); }

  std::string nameOf(const StagedRows& rows, std::uint64_t id) const {
    return textOf(*rows.get(store.read(), id), "name");
  }

  TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar", {.writeBackRows = 100, .functions = functions()});
  Store other = Store::open(folder / "store.instar", {.writeBackRows = 100});  // a program without functions
};

// ---- what is missing

TEST_F(StagedOpeningTest, AFunctionOfTheVersionIsMissedBeforeAnythingIsRecorded) {
  store.collection("contacts", tidy1());
  EXPECT_ERROR(store.stage("contacts", loud2()), fixCall, "shout");
  EXPECT_EQ(versions(), 1U);
  EXPECT_TRUE(readAudit(store, store.read()).entries.empty());
}

// Which would be in the way of every other version until somebody aborts it.
TEST_F(StagedOpeningTest, SoIsOneThatOnlyTheVersionBelowNeeds) {
  store.collection("contacts", tidy1());
  EXPECT_ERROR(other.stage("contacts", untidy2()), fixCall, "isTidy");
  EXPECT_EQ(versions(), 1U);
  EXPECT_TRUE(readAudit(store, store.read()).entries.empty());
  EXPECT_NO_THROW(store.stage("contacts", untidy2()));
}

TEST_F(StagedOpeningTest, ItIsNoLongerNeededWhereNothingLeadsBack) {
  store.collection("contacts", tidy1());
  store.stage("contacts", untidy2());
  promote(2);
  EXPECT_ERROR(other.stage("contacts", untidy2()), fixCall, "isTidy");  // to go along with a rollback
  EXPECT_NO_THROW(other.collection("contacts", untidy2()));
  retireVersions(store, "contacts", 1);
  EXPECT_TRUE(other.stage("contacts", untidy2()).serves(2));
}

// ---- what is refused

TEST_F(StagedOpeningTest, AnotherRecordStructIsTriedOnTheFileInstead) {
  store.collection("contacts", contact1());
  const RecordSchema person = parseDeclarations(R"(
      struct Person @0xd5c4b3a291807162 $Instar.version(2)
          $Instar.replaces(since = 2, type = 0xc4b3a29180716253, call = "personFromContact") {
        id @0 :UInt64 $Instar.key(0); label @1 :Text; })",
                                                "Person");
  EXPECT_ERROR(store.stage("contacts", person), fixSchema, "instar canary");
  EXPECT_EQ(versions(), 1U);
}

TEST_F(StagedOpeningTest, APredicateDoesNotServeAVersionThatShutsOthersOut) {
  putName(store, store.collection("contacts", contact1()), 1, "Ada Lovelace");
  const StagingOptions all{.serves = [](Bytes) { return true; }};
  EXPECT_ERROR(store.stage("contacts", contactWithoutMirror(), all), fixCall, "shadow");
  EXPECT_EQ(versions(), 1U);
  store.stage("contacts", contactWithoutMirror());
  const auto rows = store.stage("contacts", contactWithoutMirror(), all);
  const auto snapshot = store.read();
  EXPECT_FALSE(rows.get(snapshot, 1U).serves(2));
  EXPECT_FALSE(rows.serves(snapshot, rows.key(1U), 2));
  putName(store, rows, 1, "Mary Evans");
  EXPECT_EQ(rows.get(store.read(), 1U).version(), 1);
}

// ---- the current version

// A program that was started anew after the promotion used to be shut out by a rollback, although one from
// before went on.
TEST_F(StagedOpeningTest, OfTheCurrentVersionGoesAlongWhenThatIsGivenUp) {
  const auto older = store.collection("contacts", contact1());
  putName(store, older, 1, "Ada Lovelace");
  store.stage("contacts", contact2());
  promote(2);
  bool hasEnded = false;
  const auto rows =
      store.stage("contacts", contact2(), {.ended = [&](const StagingEnd&) { hasEnded = true; }});
  EXPECT_TRUE(rows.serves(2));
  putFirstAndLast(store, rows, 2, "Grace", "Hopper");
  EXPECT_EQ(nameOf(older, 2), "Grace Hopper");
  auto draft = rows.edit(store.read(), 2U);
  draft->set("last", "Murray");

  abortVersion(store, "contacts", 2, "");
  EXPECT_FALSE(rows.get(store.read(), 1U).serves(2));
  EXPECT_FALSE(rows.serves(2));
  putName(store, rows, 1, "Mary Evans");
  EXPECT_EQ(nameOf(older, 1), "Mary Evans");
  EXPECT_EQ(older.get(store.read(), 1U).version(), 1);
  auto transaction = store.write();
  rows.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(nameOf(older, 2), "Grace Murray");
  EXPECT_EQ(older.get(store.read(), 2U).version(), 1);
  EXPECT_FALSE(hasEnded);  // it was over before
}

TEST_F(StagedOpeningTest, OfTheCurrentVersionIsWrittenBackAsLongAsThatIsCurrent) {
  const auto older = store.collection("contacts", contact1());
  for (std::uint64_t id = 1; id <= 3; ++id) putName(store, older, id, "Ada Lovelace");
  store.stage("contacts", contact2());
  promote(2);
  const auto rows = store.stage("contacts", contact2());
  EXPECT_TRUE(rows.get(store.read(), 1U).serves(2));
  EXPECT_EQ(store.writeBack(), 1U);
  EXPECT_EQ(older.get(store.read(), 1U).version(), 2);
  EXPECT_TRUE(rows.get(store.read(), 2U).serves(2));  // remembered
  abortVersion(store, "contacts", 2, "");
  EXPECT_EQ(store.writeBack(), 0U);
  EXPECT_EQ(older.get(store.read(), 2U).version(), 1);
  EXPECT_FALSE(rows.get(store.read(), 3U).serves(2));  // not remembered
  EXPECT_EQ(store.writeBack(), 0U);
}

class StagedCompactionThread : public CompactionThread {};

TEST_F(StagedCompactionThread, WorksForAHandleOfTheCurrentVersion) {
  TemporaryFolder folder;
  {
    const Store store = Store::open(folder / "store.instar");
    putName(store, store.collection("contacts", contact1()), 1, "Ada Lovelace");
    store.stage("contacts", contact2());
    promoteVersion(store, "contacts", 2, {.forced = true});
  }
  const Store store = Store::open(folder / "store.instar", compacting(CompactionMode::upgrade));
  const auto rows = store.stage("contacts", contact2());
  EXPECT_TRUE(comes([&] { return rows.get(store.read(), 1U).version() == 2; }));
}

}  // namespace
}  // namespace instar
