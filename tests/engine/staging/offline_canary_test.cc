// Versions that are tried on the rows of a file.

#include "instar/engine/offline_canary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "instar/evolve/functions.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;
using capnp::DynamicStruct;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using MakeName = std::function<std::string(std::uint64_t id)>;

std::string always(std::uint64_t) { return "Ada Lovelace"; }

class OfflineCanaryTest : public ::testing::Test {
 protected:
  void fill(std::uint64_t count, const MakeName& nameOf, const RecordSchema& schema = contact1()) const {
    putNames(*store, schema, count, nameOf);
  }

  void reopen(const StoreOptions& options) {
    store.reset();
    store = Store::open(folder / "store.instar", options);
  }

  OfflineCanary tried(const RecordSchema& schema, const OfflineCanaryOptions& options = {}) const {
    return tryOffline(*store, "contacts", schema, options);
  }

  TemporaryFolder folder;
  std::optional<Store> store = Store::open(folder / "store.instar");
};

TEST_F(OfflineCanaryTest, ShowsWhatCanaryReadsWouldAndStoresNothing) {
  fill(100, [](std::uint64_t id) { return id % 10 == 0 ? "ten" : std::to_string(id); });
  reopen({.mode = OpenMode::readOnly});
  const OfflineCanary canary = tried(contactWithNumber());
  EXPECT_EQ(canary.activeVersion, 1);
  EXPECT_EQ(canary.rows, 100U);
  EXPECT_EQ(canary.sampledRows, 100U);
  EXPECT_EQ(canary.unreadableRows + canary.unjudgedRows, 0U);
  EXPECT_EQ(canary.canary.samples, 100U);
  EXPECT_EQ(canary.canary.failed, 10U);
  ASSERT_EQ(canary.canary.failures.kinds().size(), 1U);
  EXPECT_EQ(canary.canary.failures.kinds().begin()->first.field, "number");
  EXPECT_EQ(canary.canary.stagedLatency.count(), 90U);
  EXPECT_EQ(canary.decision.verdict, GuardVerdict::breach);
  EXPECT_THAT(canary.decision.reason, HasSubstr("10 of 100 canary reads failed or broke a rule (10 %"));
  EXPECT_EQ(store->versions(store->read(), "contacts").size(), 1U);
  EXPECT_FALSE(stagingStatus(*store, store->read(), "contacts"));
}

TEST_F(OfflineCanaryTest, ListsRowsThatDiverge) {
  fill(20, [](std::uint64_t id) { return id <= 5 ? "Ada King Lovelace" : "Ada Lovelace"; });
  const OfflineCanary canary = tried(contact2(), {.maxDivergences = 3});
  EXPECT_EQ(canary.canary.diverged, 5U);
  EXPECT_EQ(canary.decision.verdict, GuardVerdict::breach);
  ASSERT_EQ(canary.divergences.size(), 3U);
  EXPECT_EQ(canary.divergences[1].key, store->collection("contacts").key(2U));
  EXPECT_THAT(canary.divergences[1].fields, ElementsAre("name"));
  EXPECT_EQ(canary.divergences[1].version, 2);
}

TEST_F(OfflineCanaryTest, JudgesAllRowsByWhatTheyAreAndASampleByWhatItTells) {
  fill(40, always);
  EXPECT_EQ(tried(contact2()).decision.verdict, GuardVerdict::satisfied);
  const OfflineCanary half = tried(contact2(), {.percent = 50});
  EXPECT_LT(half.sampledRows, 40U);
  EXPECT_EQ(half.canary.samples, half.sampledRows);
  EXPECT_EQ(half.decision.verdict, GuardVerdict::undecided);
  const GuardRails few{.minimumSamples = 5, .maxErrorShare = 0.5, .maxDivergenceShare = 0.5};
  EXPECT_EQ(tried(contact2(), {.percent = 50, .guardRails = few}).decision.verdict, GuardVerdict::satisfied);
}

TEST_F(OfflineCanaryTest, SaysNothingOfNoRows) {
  fill(0, always);
  EXPECT_EQ(tried(contact2()).decision.verdict, GuardVerdict::undecided);
  fill(3, always);
  EXPECT_EQ(tried(contact2(), {.percent = 0}).decision.verdict, GuardVerdict::undecided);
}

TEST_F(OfflineCanaryTest, TriesTheKeysThatWouldBeServed) {
  fill(300, always);
  const std::uint64_t before = tried(contact2(), {.percent = 30}).sampledRows;
  const auto rows = store->stage("contacts", contact2(), {.percent = 30});
  const auto snapshot = store->read();
  std::uint64_t served = 0;
  for (auto row : rows.scan(snapshot)) served += row.serves(2) ? 1U : 0U;
  EXPECT_GT(served, 50U);
  EXPECT_EQ(before, served);
  EXPECT_EQ(tried(contact2(), {.percent = 30}).sampledRows, served) << "also where it is staged already";
}

TEST_F(OfflineCanaryTest, LeavesOutWhatTheActiveVersionCannotRead) {
  fill(10, [](std::uint64_t id) { return id == 4 ? "four" : std::to_string(id); });
  static_cast<void>(store->collection("contacts", contactWithNumber()));
  const OfflineCanary canary = tried(contactSchema(3, R"(
      name   @1 :Text   $Instar.mirrored(since = 2, convert = "number");
      number @2 :UInt32 $Instar.derived(since = 2, convert = "name");
      double @3 :UInt32 $Instar.derived(since = 3, scale = (field = "number", multiply = 2));)"));
  EXPECT_EQ(canary.activeVersion, 2);
  EXPECT_EQ(canary.unreadableRows, 1U);
  EXPECT_EQ(canary.canary.samples, 9U);
  EXPECT_EQ(canary.canary.failed, 0U);
}

RecordSchema labelled() {
  return parseDeclarations(
      "struct Labelled @0xe7c5a3918f6d4b20 $Instar.version(2) $Instar.replaces(since = 2, type = "
      "0xc4b3a29180716253, call = \"labelledFromContact\") { id @0 :UInt64 $Instar.key(0); label @1 :Text; }",
      "Labelled");
}

TEST_F(OfflineCanaryTest, TriesAnotherRecordStruct) {
  fill(50, [](std::uint64_t id) { return id == 7 ? "" : "Ada"; });
  auto functions = std::make_shared<Functions>();
  functions->conversion<DynamicStruct, DynamicStruct>(
      "labelledFromContact", [](DynamicStruct::Reader contact, DynamicStruct::Builder label) {
        const auto name = contact.get("name").as<capnp::Text>();
        if (name.size() == 0) throw UpgradeFailure("there is no name");
        label.set("id", contact.get("id"));
        label.set("label", name);
      });
  reopen({.functions = functions});
  EXPECT_ERROR(store->stage("contacts", labelled()), fixSchema, "instar canary");
  const OfflineCanary canary = tried(labelled());
  EXPECT_EQ(canary.canary.samples, 50U);
  EXPECT_EQ(canary.canary.failed, 1U);
  EXPECT_THAT(canary.decision.reason, HasSubstr("by labelledFromContact: there is no name"));
}

TEST_F(OfflineCanaryTest, CountsWhatNeedsAFunctionOfTheProgram) {
  fill(50, always);
  const RecordSchema joined = contactSchema(2, R"(
      name  @1 :Text $Instar.mirrored(since = 2, call = (function = "join", from = ["first"]));
      first @2 :Text $Instar.derived(since = 2, copy = "name");)");
  reopen({.allowMissingFunctions = true});
  for (const RecordSchema& schema : {labelled(), joined}) {
    const OfflineCanary canary = tried(schema);
    EXPECT_EQ(canary.unjudgedRows, 50U);
    EXPECT_EQ(canary.canary.samples, 0U);
    EXPECT_EQ(canary.decision.verdict, GuardVerdict::undecided);
  }
  auto functions = std::make_shared<Functions>();
  functions->value("join", [](capnp::Text::Reader first) { return std::string(first); });
  reopen({.functions = functions});
  const OfflineCanary canary = tried(joined);
  EXPECT_EQ(canary.unjudgedRows, 0U);
  EXPECT_EQ(canary.canary.samples, 50U);
  EXPECT_EQ(canary.decision.verdict, GuardVerdict::satisfied);
}

// It was satisfied with what it could judge, though that was nothing of the rule.
TEST_F(OfflineCanaryTest, IsNotSatisfiedWithARuleThatItCannotJudge) {
  fill(50, always);
  const RecordSchema ruled = parseDeclarations(
      "struct Contact @0xc4b3a29180716253 $Instar.version(2) $Instar.validated([\"hasName\"]) "
      "{ id @0 :UInt64 $Instar.key(0); name @1 :Text; }",
      "Contact");
  reopen({.allowMissingFunctions = true});
  const OfflineCanary canary = tried(ruled);
  EXPECT_EQ(canary.unjudgedRows, 50U);
  EXPECT_EQ(canary.canary.samples, 50U);
  EXPECT_EQ(canary.decision.verdict, GuardVerdict::undecided);
  EXPECT_THAT(canary.decision.reason, HasSubstr("50 rows need a function"));
}

// It was satisfied with a tenth of the rows, as if they were all.
TEST_F(OfflineCanaryTest, IsNotSatisfiedWhereMostRowsNeedAFunction) {
  const auto sized = [](unsigned version, const char* more) {
    return contactSchema(version,
                         "name @1 :Text; size @2 :UInt32 $Instar.derived(since = 2, call = (function "
                         "= \"size\", from = [\"name\"]));" +
                             std::string(more));
  };
  fill(90, always);
  auto functions = std::make_shared<Functions>();
  functions->value("size", [](capnp::Text::Reader name) { return static_cast<std::uint32_t>(name.size()); });
  reopen({.functions = functions});
  const auto rows = store->collection("contacts", sized(2, ""));
  {
    auto transaction = store->write();
    for (std::uint64_t id = 91; id <= 100; ++id) {
      auto draft = rows.create();
      draft->set("id", id);
      rows.put(transaction, draft);
    }
    transaction.commit();
  }
  reopen({.allowMissingFunctions = true});
  const OfflineCanary canary = tried(sized(3, "note @3 :Text;"));
  EXPECT_EQ(canary.unjudgedRows, 90U);
  EXPECT_EQ(canary.canary.samples, 10U);
  EXPECT_EQ(canary.canary.failed, 0U);
  EXPECT_EQ(canary.decision.verdict, GuardVerdict::undecided);
  EXPECT_THAT(canary.decision.reason, HasSubstr("90 rows need a function"));
}

TEST_F(OfflineCanaryTest, RefusesWhatCannotBeTried) {
  fill(3, always);
  EXPECT_ERROR(tried(contact1()), fixCall, "only a version above the current one");
  EXPECT_ERROR(tried(contactSchema(2, "name @1 :UInt32;")), fixSchema, "what stored rows do not allow");
  EXPECT_ERROR(tried(contact2(), {.percent = 101}), fixCall, "0 to 100 percent");
  EXPECT_ERROR(tried(contact2(), {.guardRails = {.maxErrorShare = 2}}), fixCall, "a guard rail");
  EXPECT_ERROR(tryOffline(*store, "nobody", contact2()), fixCall, "no such collection");
}

TEST_F(OfflineCanaryTest, TriesAnAbortedVersionAgain) {
  fill(3, always);
  static_cast<void>(store->stage("contacts", contact2()));
  abortVersion(*store, "contacts", 2, "a test");
  EXPECT_EQ(tried(contact2()).canary.samples, 3U);
  EXPECT_EQ(tried(contact3()).canary.samples, 3U);
}

TEST_F(OfflineCanaryTest, EndsWhereItsProgressThrows) {
  fill(3, always);
  const ProgressCallback stop = [](const Progress&) { throw std::runtime_error("enough"); };
  EXPECT_THROW(static_cast<void>(tried(contact2(), {.progress = stop})), std::runtime_error);
}

}  // namespace
}  // namespace instar
