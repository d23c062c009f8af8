// What compaction does with rows of a version that was given up, and what it says of versions.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/compaction.h"
#include "instar/engine/internal/compaction/batch.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/migration.h"
#include "instar/engine/staging.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/forwarding_storage.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;
using ::testing::ElementsAre;

// Makes the first and last names as version 2 has made them.
RecordSchema contactThatKeepsTheSplit(unsigned version) {
  return contactSchema(version, R"(
      name  @1 :Text $Instar.mirrored(since = 2, concat = [(field = "first"), (text = " "), (field = "last")]);
      first @2 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));
      last  @3 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 1));
      tier  @4 :UInt8 = 1;
      note  @5 :Text;)");
}

// Version 2 was the current one, its rows are packed, and it was given up. Its names cannot be made again
// from the name of version 1: "Mary Ann Evans" is split into other parts.
class GivenUpTest : public ::testing::Test {
 protected:
  GivenUpTest() {
    putName(store, older, 1, "Ada Lovelace");
    store.stage("contacts", contact2());
    promoteVersion(store, "contacts", 2, {.forced = true});
    newer = store.collection("contacts", contact2());
    auto transaction = store.write();
    for (std::uint64_t id = 2; id <= kLast; id += 2) {
      auto draft = newer.create();
      draft->set("id", id);
      draft->set("first", "Mary Ann");
      draft->set("last", "Evans");
      newer.put(transaction, draft);
    }
    transaction.commit();
    compress();
    abortVersion(store, "contacts", 2, "too early");
  }

  void compress() const { migrate(store, "contacts", {.mode = CompactionMode::compress}); }

  void expectThatNewerRowsStay(const StagedRows& rows) const {
    const auto snapshot = store.read();
    for (std::uint64_t id = 2; id <= kLast; id += 2) {
      const auto row = rows.get(snapshot, id);
      ASSERT_TRUE(row) << id;
      EXPECT_EQ(textOf(*row, "first"), "Mary Ann") << id;
      EXPECT_EQ(textOf(*row, "last"), "Evans") << id;
      EXPECT_EQ(row.version(), 2) << id;
    }
  }

  static constexpr std::uint64_t kLast = 200;
  TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
  StagedRows older = store.collection("contacts", contact1());
  StagedRows newer{nullptr};
};

TEST_F(GivenUpTest, RowsInABlockThatIsMadeAnewKeepTheirVersion) {
  putName(store, older, 51, "Grace Hopper");  // inside of the block
  compress();
  compress();
  expectThatNewerRowsStay(newer);
  EXPECT_EQ(infoOf(store).rows, kLast / 2 + 2);
  EXPECT_TRUE(check(store).sound());
  EXPECT_EQ(verify(store).problems, 0U);
  const auto last = store.collection("contacts", contactThatKeepsTheSplit(3));
  expectThatNewerRowsStay(last);
  compress();
  const auto snapshot = store.read();
  EXPECT_EQ(textOf(*last.get(snapshot, 2U), "first"), "Mary Ann");
  EXPECT_EQ(textOf(*last.get(snapshot, 51U), "first"), "Grace");
}

TEST_F(GivenUpTest, ABlockThatNothingBelongsIntoStaysWhole) {
  const auto before = infoOf(store);
  putName(store, older, 0, "Grace Hopper");  // before the block, which is small
  compress();
  EXPECT_EQ(infoOf(store).coldRows, before.coldRows + 1);
  expectThatNewerRowsStay(newer);
}

class Rows : public StagedRows {
 public:
  explicit Rows(StagedRows rows) : StagedRows(std::move(rows)) {}
  CollectionState& state() const noexcept { return *state_; }
  std::shared_ptr<CollectionState> shared() const noexcept { return state_; }
};

TEST_F(GivenUpTest, RowsBehindTheEndOfABatchKeepTheirVersion) {
  for (std::uint64_t id = 3; id < kLast; id += 2) putName(store, older, id, "Grace Hopper");
  Batch batch(store.read().state().sharedStore(), Rows(older).state(), CompactionMode::compress, {.rows = 8},
              100);
  batch.prepare(Key());  // ends inside of the block
  do {
    batch.install();
    const auto mismatch = batch.verify();
    ASSERT_FALSE(mismatch) << mismatch->what;
  } while (!batch.isInstalled());
  EXPECT_FALSE(batch.endedPass());
  expectThatNewerRowsStay(newer);
  EXPECT_EQ(infoOf(store).rows, kLast);
  EXPECT_TRUE(check(store).sound());
  compress();
  expectThatNewerRowsStay(newer);
  EXPECT_EQ(infoOf(store).rows, kLast);
}

// ---- what it says

class SettlingTest : public ::testing::Test {
 protected:
  VersionState stateOf(std::uint16_t version) const {
    for (const VersionInfo& info : store.versions(store.read(), "contacts"))
      if (info.number == version) return info.state;
    throw std::out_of_range("version");
  }
  std::vector<std::string> changesOfState() const {
    std::vector<std::string> changes;
    for (const AuditEntry& entry : readAudit(store, store.read()).entries) {
      const bool isMeant = entry.event == AuditEvent::settled || entry.event == AuditEvent::unsettled ||
                           entry.event == AuditEvent::aborted;
      if (isMeant)
        changes.push_back(std::string(auditEventName(entry.event)) + " " + std::to_string(entry.toVersion));
    }
    return changes;
  }
  void promote(const RecordSchema& schema) const {
    store.stage("contacts", schema);
    promoteVersion(store, "contacts", schema.version(), {.forced = true, .reason = "it is good"});
  }

  TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar");
  StagedRows older = store.collection("contacts", contact1());
};

TEST_F(SettlingTest, WhatAnOlderProgramTakesBackIsInTheAudit) {
  putName(store, older, 1, "Ada Lovelace");
  promote(contact2());
  migrate(store, "contacts");
  putName(store, older, 1, "Grace Hopper");
  EXPECT_EQ(stateOf(2), VersionState::active);
  putName(store, older, 1, "Emmy Noether");  // no change any more
  migrate(store, "contacts");
  EXPECT_THAT(changesOfState(), ElementsAre("settled 2", "unsettled 2", "settled 2"));
  EXPECT_TRUE(readAudit(store, store.read()).damage.empty());
}

TEST_F(SettlingTest, AVersionThatIsCurrentAgainIsSettledAnew) {
  putName(store, older, 1, "Ada Lovelace");
  promote(contact2());
  migrate(store, "contacts");
  promote(contactThatKeepsTheSplit(3));
  putName(store, older, 2, "Grace Hopper");  // version 2 does not hear of it
  EXPECT_EQ(stateOf(2), VersionState::settled);
  abortVersion(store, "contacts", 3, "too slow");
  EXPECT_EQ(stateOf(2), VersionState::active);
  EXPECT_EQ(stagingStatus(store, store.read(), "contacts")->endReason, "too slow");
  migrate(store, "contacts");
  EXPECT_EQ(stateOf(2), VersionState::settled);
  EXPECT_THAT(changesOfState(), ElementsAre("settled 2", "aborted 2", "unsettled 2", "settled 2"));
}

TEST_F(SettlingTest, OnlyAProgramOfTheCurrentVersionSettlesIt) {
  putName(store, older, 1, "Ada Lovelace");
  promote(contactSchema(2, "name @1 :Text; note @2 :Text;"));  // no row has to be upgraded to it
  Worker(store.read().state().sharedStore(), Rows(older).shared(), {}).noteSettled();
  EXPECT_EQ(stateOf(2), VersionState::active);
  migrate(store, "contacts");
  EXPECT_EQ(stateOf(2), VersionState::settled);
}

TEST_F(SettlingTest, AProgramWhoseVersionWasGivenUpSaysThatItLeavesTheRest) {
  promote(contact2());
  const Store other = Store::open(folder / "store.instar", {.compaction = {.mode = CompactionMode::upgrade}});
  const auto rows = other.collection("contacts", contact2());
  const auto waitsFor = [&](WaitReason reason) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    for (;;) {  // as the file says it
      const auto said = compactionProgress(other, other.read()).compactor;
      if (said && said->status.wait == reason) return true;
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  abortVersion(other, "contacts", 2, "too early");
  EXPECT_TRUE(waitsFor(WaitReason::abortedVersion));
}

// ---- versions are retired

// Somebody puts a row when the readers are listed: behind the proof, and before the transaction.
class InterferingStorage : public ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  std::function<void()> interfere;

  std::vector<ReaderInfo> readers() override {
    if (interfere) interfere();
    return ForwardingStorage::readers();
  }
};

TEST(RetiringTest, NeedsNoSecondTryWhereNobodyWrites) {
  const TemporaryFolder folder;
  const Store store = Store::open(folder / "store.instar");
  store.collection("contacts", contact1());
  putFirstAndLast(store, store.collection("contacts", contact2()), 1, "Ada", "Lovelace");
  EXPECT_TRUE(readAudit(store, store.read()).entries.empty());  // the file has none yet
  retireVersions(store, "contacts", 1);
  EXPECT_EQ(infoOf(store).readerFloor, 2);
}

TEST(RetiringTest, SaysWhatToDoWhereSomebodyHasWritten) {
  const TemporaryFolder folder;
  const auto storage = std::make_shared<InterferingStorage>(storage::openLmdb(folder / "store.instar", {}));
  const Store store = Store::open(storage, {});
  store.collection("contacts", contact1());
  const auto rows = store.collection("contacts", contact2());
  storage->interfere = [&] { putFirstAndLast(store, rows, 1, "Ada", "Lovelace"); };
  EXPECT_ERROR(retireVersions(store, "contacts", 1), retry, "let compaction, or migrate, finish");
  EXPECT_EQ(infoOf(store).readerFloor, 1);
  migrate(store, "contacts");  // then the floors tell, and nobody's rows matter
  retireVersions(store, "contacts", 1);
  EXPECT_EQ(infoOf(store).readerFloor, 2);
}

}  // namespace
}  // namespace instar
