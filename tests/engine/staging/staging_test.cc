#include "instar/engine/staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "instar/engine/check.h"
#include "instar/engine/migration.h"
#include "instar/engine/store.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;
using capnp::DynamicStruct;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class StagingTest : public ::testing::Test {
 protected:
  StagingTest() { putNames(store, 100, "Ada Lovelace"); }

  StagedRows stage(const RecordSchema& schema, const StagingOptions& options = {}) const {
    return store.stage("contacts", schema, options);
  }

  std::string names(const StagedRows& rows, std::uint64_t id) const {
    const auto snapshot = store.read();
    const auto row = rows.get(snapshot, id);
    if (!row) return "absent";
    std::string text = textOf(*row, "name") + "|" + textOf(*row, "first") + "|" + textOf(*row, "last");
    return text + (row.serves(rows.schema().version()) ? " new" : " old");
  }

  std::string nameOf(const StagedRows& rows, std::uint64_t id) const {
    const auto snapshot = store.read();
    const auto row = rows.get(snapshot, id);
    return row ? textOf(*row, "name") : "absent";
  }

  std::uint16_t stampOf(std::uint64_t id) const {
    const auto snapshot = store.read();
    return older.get(snapshot, id).version();
  }

  std::vector<std::string_view> events() const {
    std::vector<std::string_view> events;
    for (const AuditEntry& entry : readAudit(store, store.read()).entries)
      events.push_back(auditEventName(entry.event));
    return events;
  }

  VersionState stateOf(std::uint16_t version) const {
    for (const VersionInfo& info : store.versions(store.read(), "contacts"))
      if (info.number == version) return info.state;
    throw std::out_of_range("version");
  }

  void promote(std::uint16_t version) const {
    promoteVersion(store, "contacts", version, {.forced = true, .reason = "by hand"});
  }
  void abort(std::uint16_t version) const { abortVersion(store, "contacts", version, "by hand"); }

  TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar");
  StagedRows older = store.collection("contacts", contact1());
};

// ---- states

TEST_F(StagingTest, AStagedVersionChangesNothingButItsState) {
  const auto before = infoOf(store);
  const auto rows = stage(contact2());
  const auto after = infoOf(store);
  EXPECT_EQ(after.currentVersion, 1);
  EXPECT_EQ(after.readerFloor, before.readerFloor);
  EXPECT_EQ(after.writerFloor, before.writerFloor);
  EXPECT_EQ(after.rows, 100U);
  EXPECT_EQ(stateOf(2), VersionState::staged);
  EXPECT_EQ(stateOf(1), VersionState::active);
  EXPECT_EQ(store.fileInfo(store.read()).formatVersion, 3);
  EXPECT_THAT(events(), ElementsAre("staged"));
  const auto status = stagingStatus(store, store.read(), "contacts");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->version, 2);
  EXPECT_EQ(status->state, VersionState::staged);
  EXPECT_EQ(status->percent, 0);
  EXPECT_FALSE(status->isShadowOnly);
  EXPECT_EQ(status->endReason, "");
  EXPECT_TRUE(check(store).sound());
}

TEST_F(StagingTest, AFileWithoutStagedVersionsKeepsItsFormat) {
  EXPECT_EQ(store.fileInfo(store.read()).formatVersion, 1);
  EXPECT_FALSE(stagingStatus(store, store.read(), "contacts"));
}

TEST_F(StagingTest, StagingAgainGoesOnWithTheSettingsOfTheFile) {
  stage(contact2(), {.percent = 30, .shadow = 40});
  stage(contact2(), {.percent = 70});
  const auto status = *stagingStatus(store, store.read(), "contacts");
  EXPECT_EQ(status.percent, 30);
  EXPECT_EQ(status.shadow, 40);
  EXPECT_THAT(events(), ElementsAre("staged"));
}

TEST_F(StagingTest, InANewCollectionThereIsNothingToTry) {
  const auto rows = store.stage("others", contact2());
  EXPECT_TRUE(rows.serves(2));
  EXPECT_EQ(stagingStatus(store, store.read(), "others"), std::nullopt);
  EXPECT_EQ(store.versions(store.read(), "others").front().state, VersionState::active);
}

TEST_F(StagingTest, OnePromotedServesEverythingAndOlderProgramsGoOn) {
  const auto rows = stage(contact2());
  EXPECT_EQ(names(rows, 1), "Ada Lovelace|| old");
  promote(2);
  EXPECT_EQ(infoOf(store).currentVersion, 2);
  EXPECT_EQ(infoOf(store).writerFloor, 1);
  EXPECT_EQ(names(rows, 1), "Ada Lovelace|Ada|Lovelace new");
  EXPECT_TRUE(rows.serves(2));
  putFirstAndLast(store, rows, 200, "Grace", "Hopper");
  EXPECT_EQ(nameOf(older, 200), "Grace Hopper");
  EXPECT_EQ(stampOf(200), 2);
  EXPECT_EQ(names(store.collection("contacts", contact2()), 1), "Ada Lovelace|Ada|Lovelace new");
  EXPECT_EQ(names(stage(contact2()), 1), "Ada Lovelace|Ada|Lovelace new");
  EXPECT_THAT(events(), ElementsAre("staged", "promoted"));
  EXPECT_EQ(stagingStatus(store, store.read(), "contacts")->endReason, "by hand");
}

TEST_F(StagingTest, APromotionRaisesTheFloorsThatItsChangesAskFor) {
  stage(contactWithoutMirror());
  EXPECT_EQ(infoOf(store).writerFloor, 1);
  putName(store, older, 1, "Grace Hopper");
  promote(2);
  EXPECT_EQ(infoOf(store).writerFloor, 2);
  EXPECT_ERROR(putName(store, older, 1, "Ada"), upgradeProgram, "too old to write");
  EXPECT_EQ(nameOf(older, 1), "Grace Hopper");
}

TEST_F(StagingTest, OneAbortedServesNothingAndItsRowsAreReadRight) {
  const auto rows = stage(contact2(), {.percent = 100});
  putFirstAndLast(store, rows, 1, "Grace", "Hopper");
  EXPECT_EQ(stampOf(1), 2);
  abort(2);
  EXPECT_EQ(stateOf(2), VersionState::aborted);
  EXPECT_EQ(infoOf(store).currentVersion, 1);
  EXPECT_FALSE(rows.serves(2));
  EXPECT_EQ(nameOf(older, 1), "Grace Hopper");
  EXPECT_EQ(names(rows, 2), "Ada Lovelace|| old");
  putName(store, rows, 2, "Mary Ann Evans");
  EXPECT_EQ(stampOf(2), 1);
  EXPECT_EQ(names(stage(contact2()), 2), "Mary Ann Evans|| old");
  EXPECT_ERROR(store.collection("contacts", contact2()), fixSchema, "raise the number");
  EXPECT_THAT(events(), ElementsAre("staged", "aborted"));
  EXPECT_EQ(stagingStatus(store, store.read(), "contacts")->endReason, "by hand");
}

TEST_F(StagingTest, OneThatWasPromotedIsNotAbortedByWhoMeansTheStagedOne) {
  stage(contact2());
  promote(2);
  EXPECT_ERROR(abortVersion(store, "contacts", 2, "by hand", {.stagedOnly = true}), fixCall, "not staged");
  EXPECT_EQ(infoOf(store).currentVersion, 2);
  EXPECT_EQ(stateOf(2), VersionState::active);
}

TEST_F(StagingTest, ARepairedVersionMakesAnewWhatTheAbortedOneHasMade) {
  putName(store, older, 1, "Mary Ann Evans");
  const auto rows = stage(contact2(), {.percent = 100});
  {
    auto transaction = store.write();
    auto draft = rows.edit(transaction, 1U);
    draft->set("tier", 7U);
    rows.put(transaction, draft);
    transaction.commit();
  }
  EXPECT_EQ(nameOf(older, 1), "Mary Ann");  // version 2 loses a part of such names
  putName(store, older, 1, "Mary Ann Evans");
  EXPECT_EQ(stampOf(1), 1);
  putFirstAndLast(store, rows, 2, "Grace", "Brewster Hopper");
  abort(2);
  const auto repaired = stage(contact3(), {.percent = 100});
  EXPECT_EQ(names(repaired, 1), "Mary Ann Evans|Mary|Ann Evans new");
  EXPECT_EQ(names(repaired, 2), "Grace Brewster Hopper|Grace|Brewster Hopper new");
  promote(3);
  EXPECT_EQ(names(store.collection("contacts", contact3()), 2),
            "Grace Brewster Hopper|Grace|Brewster Hopper new");
  const auto snapshot = store.read();
  EXPECT_EQ((*repaired.get(snapshot, 1U)).get("tier").as<unsigned>(), 7U);  // the older program has kept it
  EXPECT_TRUE(check(store).sound());
}

TEST_F(StagingTest, TheCurrentVersionIsGivenUpWhereItHasShutNobodyOut) {
  const auto staged = stage(contact2());
  promote(2);
  const auto plain = store.collection("contacts", contact2());
  putFirstAndLast(store, plain, 1, "Grace", "Hopper");
  migrate(store, "contacts");
  abort(2);
  EXPECT_EQ(infoOf(store).currentVersion, 1);
  EXPECT_EQ(names(plain, 1), "Grace Hopper|Grace|Hopper new");
  EXPECT_ERROR(putFirstAndLast(store, plain, 1, "Ada", "Byron"), upgradeProgram, "aborted");
  EXPECT_EQ(nameOf(older, 1), "Grace Hopper");
  putName(store, older, 1, "Mary Ann Evans");
  putName(store, staged, 2, "Emmy Noether");
  EXPECT_EQ(stampOf(1), 1);
  EXPECT_EQ(stampOf(2), 1);
  EXPECT_EQ(stampOf(3), 2);
  // What was put since is older again, although compaction had been over everything.
  const auto census = countVersions(store, store.read(), "contacts");
  ASSERT_EQ(census.versions.size(), 2U);
  EXPECT_EQ(census.versions.front().version, 1);
  EXPECT_EQ(census.versions.front().rows, 2U);
  EXPECT_EQ(names(store.collection("contacts", contact3()), 1), "Mary Ann Evans|Mary|Ann Evans new");
  migrate(store, "contacts");
  EXPECT_EQ(stampOf(1), 3);
  EXPECT_EQ(stampOf(3), 3);
}

TEST_F(StagingTest, SurvivesReopening) {
  stage(contact2(), {.percent = 100});
  const auto path = folder / "store.instar";
  older = StagedRows(nullptr);
  store = Store::open(folder / "other.instar");
  store = Store::open(path);
  EXPECT_EQ(names(stage(contact2()), 1), "Ada Lovelace|Ada|Lovelace new");
  abort(2);
  EXPECT_EQ(names(stage(contact2()), 1), "Ada Lovelace|| old");
}

// ---- what is refused

TEST_F(StagingTest, RefusesWhatIsNotAllowed) {
  EXPECT_ERROR(promote(1), fixCall, "not staged");
  EXPECT_ERROR(promote(2), fixCall, "no such version");
  EXPECT_ERROR(abort(2), fixCall, "no such version");
  EXPECT_ERROR(abort(1), fixCall, "no older version to return to");
  EXPECT_ERROR(setStagedPercent(store, "contacts", 1, 5), fixCall, "not staged");
  EXPECT_ERROR(promoteVersion(store, "nothing", 2), fixCall, "no such collection");
  EXPECT_ERROR(stagingStatus(store, store.read(), "nothing"), fixCall, "no such collection");
  EXPECT_ERROR(stage(contact2(), {.percent = 101}), fixCall, "0 to 100 percent");
  EXPECT_ERROR(stage(contact2(), {.shadow = -1}), fixCall, "0 to 100 percent");
  EXPECT_ERROR(stage(contact2(), {.guardRails = {.maxErrorShare = 2}}), fixCall, "share");

  stage(contact2());
  EXPECT_ERROR(promoteVersion(store, "contacts", 2), fixCall, "guard rails are not satisfied");
  EXPECT_ERROR(setStagedPercent(store, "contacts", 2, 100.5), fixCall, "0 to 100 percent");
  EXPECT_ERROR(store.collection("contacts", contact2()), fixSchema, "promote it, or open it with stage()");
  EXPECT_ERROR(store.collection("contacts", contact3()), fixSchema, "promote or abort it first");
  EXPECT_ERROR(stage(contact3()), fixSchema, "promote or abort it first");
  EXPECT_ERROR(abort(1), fixCall, "a newer version is staged");
  EXPECT_ERROR(retireVersions(store, "contacts", 1), fixCall, "below the current one");
  EXPECT_THAT(events(), ElementsAre("staged"));

  promote(2);
  EXPECT_ERROR(abort(1), fixCall, "only the newest version");
  EXPECT_ERROR(setStagedShadow(store, "contacts", 2, 5), fixCall, "not staged");
  EXPECT_ERROR(promote(2), fixCall, "not staged");
  abort(2);
  EXPECT_ERROR(abort(2), fixCall, "aborted already");
  EXPECT_ERROR(promote(2), fixCall, "not staged");
  EXPECT_EQ(stateOf(1), VersionState::active);
}

TEST_F(StagingTest, AVersionThatShutsOthersOutIsNotServed) {
  EXPECT_ERROR(stage(contactWithoutMirror(), {.percent = 5}), fixCall, "shadow");
  EXPECT_EQ(infoOf(store).currentVersion, 1);
  EXPECT_EQ(store.versions(store.read(), "contacts").size(), 1U);
  const auto rows = stage(contactWithoutMirror(), {.shadow = 100});
  EXPECT_TRUE(stagingStatus(store, store.read(), "contacts")->isShadowOnly);
  EXPECT_ERROR(setStagedPercent(store, "contacts", 2, 1), fixCall, "shadow");
  EXPECT_FALSE(rows.get(store.read(), 1U).serves(2));
  promote(2);
  EXPECT_ERROR(abort(2), fixCall, "has shut older programs out");
  EXPECT_TRUE(rows.get(store.read(), 1U).serves(2));
}

TEST_F(StagingTest, RetiringWaitsForOlderRowsAndForTheirReaders) {
  stage(contact2());
  promote(2);
  EXPECT_ERROR(retireVersions(store, "contacts", 2), fixCall, "below the current one");
  EXPECT_ERROR(retireVersions(store, "contacts", 7), fixCall, "no such version");
  EXPECT_ERROR(retireVersions(store, "contacts", 1), fixCall, "rows are left");
  {
    const auto reader = store.read();
    migrate(store, "contacts");
    EXPECT_ERROR(retireVersions(store, "contacts", 1), retry, "a reader");
    EXPECT_EQ(stateOf(1), VersionState::active);
  }
  putName(store, older, 1, "Mary Evans");
  EXPECT_ERROR(retireVersions(store, "contacts", 1), fixCall, "rows are left");
  putName(store, store.collection("contacts", contact2()), 1, "");
  retireVersions(store, "contacts", 1);  // the census has found none, although the floor is still low
  EXPECT_EQ(stateOf(1), VersionState::retired);
  EXPECT_EQ(infoOf(store).readerFloor, 2);
  EXPECT_EQ(infoOf(store).writerFloor, 2);
  EXPECT_ERROR(nameOf(older, 1), upgradeProgram, "too old to read");
  EXPECT_ERROR(abort(2), fixCall, "has shut older programs out");
}

// Making the audit of a file is a commit. It came between the proof that no older row is left and the change,
// so that the first try was told that somebody had written, though nobody had.
TEST_F(StagingTest, TheFirstTryOfRetiringIsEnoughWhereNobodyWrites) {
  const auto rows = store.collection("contacts", contact2());
  for (std::uint64_t id = 1; id <= 100; ++id) putName(store, rows, id, "");  // all; the floor stays low
  ASSERT_TRUE(events().empty()) << "the test has lost its subject";
  retireVersions(store, "contacts", 1);
  EXPECT_EQ(stateOf(1), VersionState::retired);
}

// Behind an aborted version lay a retired one, which took over, though none of its programs may come any
// more: nobody could read.
TEST_F(StagingTest, ARetiredVersionDoesNotTakeOverAlsoFromBehindAnAbortedOne) {
  stage(contact2());
  abort(2);
  stage(contact3());
  promote(3);
  migrate(store, "contacts");
  retireVersions(store, "contacts", 1);
  EXPECT_ERROR(abort(3), fixCall, "has shut older programs out");
  EXPECT_EQ(infoOf(store).currentVersion, 3);
}

// ---- which keys are served

TEST_F(StagingTest, AKeyStaysInAShareThatGrows) {
  const auto rows = stage(contact2());
  std::set<std::uint64_t> before;
  for (const double percent : {0.0, 30.0, 60.0, 100.0}) {
    setStagedPercent(store, "contacts", 2, percent);
    std::set<std::uint64_t> served;
    const auto snapshot = store.read();
    for (std::uint64_t id = 1; id <= 100; ++id) {
      if (rows.get(snapshot, id).serves(2)) served.insert(id);
      EXPECT_EQ(rows.serves(snapshot, rows.key(id), 2), served.contains(id));
    }
    EXPECT_NEAR(static_cast<double>(served.size()), percent, 15);
    EXPECT_TRUE(std::ranges::includes(served, before));
    before = served;
    EXPECT_FALSE(rows.serves(2));
  }
  EXPECT_EQ(before.size(), 100U);
  EXPECT_THAT(events(),
              ElementsAre("staged", "percentChanged", "percentChanged", "percentChanged", "percentChanged"));
  EXPECT_EQ(readAudit(store, store.read()).entries[2].reason, "serves 30 %, shadow 0 %");
}

TEST_F(StagingTest, AnotherVersionHasOtherKeysInItsShare) {
  const auto served = [&](const StagedRows& rows) {
    std::set<std::uint64_t> found;
    const auto snapshot = store.read();
    for (std::uint64_t id = 1; id <= 100; ++id)
      if (rows.get(snapshot, id).serves(rows.schema().version())) found.insert(id);
    return found;
  };
  const auto first = served(stage(contact2(), {.percent = 50}));
  abort(2);
  EXPECT_NE(served(stage(contact3(), {.percent = 50})), first);
}

TEST_F(StagingTest, ThePredicateOfAProgramDecidesForIt) {
  const auto isSeven = [](Bytes key) { return key.back() == std::byte{7}; };
  const auto rows = stage(contact2(), {.serves = isSeven});
  EXPECT_EQ(names(rows, 7), "Ada Lovelace|Ada|Lovelace new");
  EXPECT_EQ(names(rows, 8), "Ada Lovelace|| old");
  EXPECT_EQ(names(stage(contact2()), 7), "Ada Lovelace|| old");
  promote(2);
  EXPECT_EQ(names(rows, 8), "Ada Lovelace|Ada|Lovelace new");
}

TEST_F(StagingTest, OrdinaryHandlesServeTheirVersion) {
  EXPECT_TRUE(older.serves(1));
  EXPECT_FALSE(older.serves(2));
  const auto snapshot = store.read();
  EXPECT_TRUE(older.get(snapshot, 1U).serves(1));
  EXPECT_FALSE(older.get(snapshot, 1U).serves(2));
  auto scan = older.scan(snapshot, {.limit = 1});
  ASSERT_TRUE(scan.next());
  EXPECT_TRUE(scan.row().serves(1));
}

TEST_F(StagingTest, ScansServeTheSameKeys) {
  const auto rows = stage(contact2(), {.percent = 40});
  const auto snapshot = store.read();
  std::size_t served = 0;
  for (auto row : rows.scan(snapshot)) {
    EXPECT_EQ(row.serves(2), rows.serves(snapshot, Key(row.key()), 2));
    EXPECT_EQ(textOf(*row, "first"), row.serves(2) ? "Ada" : "");
    served += row.serves(2) ? 1 : 0;
  }
  EXPECT_GT(served, 0U);
  EXPECT_LT(served, 100U);
}

// ---- reading and putting

TEST_F(StagingTest, UnderAKeyThatIsNotServedAProgramDoesAsTheOneBefore) {
  const auto rows = stage(contact2());
  putName(store, rows, 1, "Grace Hopper");
  EXPECT_EQ(stampOf(1), 1);
  EXPECT_EQ(nameOf(older, 1), "Grace Hopper");
  EXPECT_EQ(names(rows, 1), "Grace Hopper|| old");
}

TEST_F(StagingTest, UnderAKeyThatIsServedARecordIsOneOfTheNewVersion) {
  const auto rows = stage(contact2(), {.percent = 100});
  putFirstAndLast(store, rows, 1, "Grace", "Hopper");
  EXPECT_EQ(stampOf(1), 2);
  EXPECT_EQ(nameOf(older, 1), "Grace Hopper");
  setStagedPercent(store, "contacts", 2, 0);
  EXPECT_EQ(nameOf(rows, 1), "Grace Hopper");
  EXPECT_FALSE(rows.get(store.read(), 1U).serves(2));
}

TEST_F(StagingTest, ARowThatCannotBeUpgradedIsHandedOutTheOldWay) {
  putName(store, older, 1, "42");
  const auto rows = stage(contactWithNumber(), {.percent = 100});
  const auto snapshot = store.read();
  EXPECT_TRUE(rows.get(snapshot, 1U).serves(2));
  const auto failed = rows.get(snapshot, 2U);
  EXPECT_FALSE(failed.serves(2));
  EXPECT_EQ(textOf(*failed, "name"), "Ada Lovelace");
  // It can be changed as such.
  auto draft = rows.edit(snapshot, 2U);
  draft->set("name", "Grace Hopper");
  auto transaction = store.write();
  rows.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(nameOf(older, 2), "Grace Hopper");
  EXPECT_EQ(stampOf(2), 1);
}

TEST_F(StagingTest, AfterThePromotionSuchARowIsAnError) {
  const auto rows = stage(contactWithNumber(), {.percent = 100});
  promote(2);
  EXPECT_ERROR(rows.get(store.read(), 2U), fixRow, "not a value of the type");
}

TEST_F(StagingTest, OlderProgramsKeepWhatTheStagedOneHasPut) {
  const auto rows = stage(contact2(), {.percent = 100});
  auto draft = rows.create();
  draft->set("id", 1U);
  draft->set("first", "Grace");
  draft->set("tier", 9U);
  auto transaction = store.write();
  rows.put(transaction, draft);
  transaction.commit();
  putName(store, older, 1, "Mary Evans");
  const auto snapshot = store.read();
  const auto row = rows.get(snapshot, 1U);
  EXPECT_EQ(textOf(*row, "first"), "Mary");
  EXPECT_EQ((*row).get("tier").as<unsigned>(), 9U);
}

TEST_F(StagingTest, ADraftKeepsToWhatItWasReadAs) {
  const auto rows = stage(contact2(), {.percent = 100});
  auto served = rows.edit(store.read(), 1U);
  served->set("first", "Grace");
  setStagedPercent(store, "contacts", 2, 0);
  auto unserved = rows.edit(store.read(), 2U);
  unserved->set("name", "Mary Evans");
  setStagedPercent(store, "contacts", 2, 100);
  auto transaction = store.write();
  rows.put(transaction, served);
  rows.put(transaction, unserved);
  transaction.commit();
  EXPECT_EQ(names(rows, 1), "Grace Lovelace|Grace|Lovelace new");
  EXPECT_EQ(stampOf(1), 2);
  EXPECT_EQ(names(rows, 2), "Mary Evans|Mary|Evans new");
  EXPECT_EQ(stampOf(2), 1);
}

TEST_F(StagingTest, ADraftThatWasServedHasItsMirrorsAfterTheAbort) {
  const auto rows = stage(contact2(), {.percent = 100});
  auto draft = rows.edit(store.read(), 1U);
  draft->set("first", "Grace");
  abort(2);
  auto transaction = store.write();
  rows.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(nameOf(older, 1), "Grace Lovelace");
  EXPECT_EQ(stampOf(1), 1);
}

TEST_F(StagingTest, ADraftThatWasNotServedIsAnOlderOneAfterThePromotion) {
  const auto rows = stage(contact2());
  auto draft = rows.edit(store.read(), 1U);
  draft->set("name", "Mary Evans");
  promote(2);
  migrate(store, "contacts");
  auto transaction = store.write();
  rows.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(stampOf(1), 1);
  EXPECT_EQ(names(rows, 1), "Mary Evans|Mary|Evans new");
  const auto census = countVersions(store, store.read(), "contacts");
  ASSERT_EQ(census.versions.size(), 2U);
  EXPECT_EQ(census.versions.front().rows, 1U);
}

TEST_F(StagingTest, ADraftOfAVersionThatWasShutOutIsReadAgain) {
  const auto rows = stage(contactWithoutMirror());
  auto draft = rows.edit(store.read(), 1U);
  promote(2);
  auto transaction = store.write();
  EXPECT_ERROR(rows.put(transaction, draft), retry, "read it again");
}

// ---- compaction

TEST_F(StagingTest, CompactionLeavesRowsOfTheStagedVersion) {
  const auto rows = stage(contact2(), {.percent = 50});
  for (std::uint64_t id = 1; id <= 50; ++id) {
    const bool isServed = rows.serves(store.read(), rows.key(id), 2);
    isServed ? putFirstAndLast(store, rows, id, "Grace", "Hopper") : putName(store, rows, id, "Grace Hopper");
  }
  const auto before = countVersions(store, store.read(), "contacts");
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  const auto after = countVersions(store, store.read(), "contacts");
  ASSERT_EQ(after.versions.size(), 2U);
  EXPECT_EQ(after.versions[1].version, 2);
  EXPECT_EQ(after.versions[1].rows, before.versions[1].rows);
  for (std::uint64_t id = 1; id <= 50; ++id) {
    EXPECT_EQ(nameOf(older, id), "Grace Hopper");
    EXPECT_EQ(nameOf(rows, id), "Grace Hopper");
  }
  const auto snapshot = store.read();
  for (auto row : rows.scan(snapshot)) EXPECT_EQ(textOf(*row, "first").empty(), !row.serves(2));
  EXPECT_TRUE(verify(store).problems == 0);
  promote(2);
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  EXPECT_EQ(countVersions(store, store.read(), "contacts").versions.size(), 1U);
  EXPECT_EQ(names(rows, 99), "Ada Lovelace|Ada|Lovelace new");
}

TEST_F(StagingTest, AVersionIsSettledUntilAnOlderProgramWrites) {
  stage(contact2());
  promote(2);
  EXPECT_EQ(stateOf(2), VersionState::active);
  migrate(store, "contacts");
  EXPECT_EQ(stateOf(2), VersionState::settled);
  putName(store, store.collection("contacts", contact2()), 1, "");
  EXPECT_EQ(stateOf(2), VersionState::settled);
  putName(store, older, 1, "Grace Hopper");
  EXPECT_EQ(stateOf(2), VersionState::active);
  migrate(store, "contacts");
  EXPECT_EQ(stateOf(2), VersionState::settled);
  EXPECT_EQ(std::ranges::count(events(), "settled"), 2);
}

TEST_F(StagingTest, WhatThePutsOfAnAbortedVersionLeftInBlocksIsReadOn) {
  stage(contact2());
  promote(2);
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  abort(2);
  EXPECT_EQ(nameOf(older, 5), "Ada Lovelace");
  putName(store, older, 5, "Grace Hopper");
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  EXPECT_EQ(nameOf(older, 5), "Grace Hopper");
  const auto repaired = store.collection("contacts", contact3());
  EXPECT_EQ(names(repaired, 5), "Grace Hopper|Grace|Hopper new");
  EXPECT_EQ(names(repaired, 6), "Ada Lovelace|Ada|Lovelace new");
  EXPECT_EQ(infoOf(store).rows, 100U);
  EXPECT_TRUE(check(store).sound());
}

}  // namespace
}  // namespace instar
