// The thread that compacts, through Store::compaction().

#include "instar/engine/compaction.h"

#include <gtest/gtest.h>

#include <atomic>

#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/internal/store_state.h"
#include "instar/engine/migration.h"
#include "instar/tests/engine/compaction_thread.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/forwarding_storage.h"

namespace instar {
namespace {

using namespace std::chrono_literals;
using Rows = Collection<capnp::DynamicStruct>;

// Programs of the first version go on writing.
RecordSchema mirroredVersion() {
  return testing::parseDeclarations(
      "struct Item @0xabcdefabcdef1234 $Instar.version(2) { id @0 :UInt64 $Instar.key(0);"
      " text @1 :Text $Instar.mirrored(since = 2, concat = [(field = \"head\")]);"
      " head @2 :Text $Instar.derived(since = 2, copy = \"text\"); }",
      "Item");
}

TEST_F(CompactionThread, NothingRunsThatWasNotAskedFor) {
  const Store store = Store::open(path_, {.durability = Durability::off});
  fill(store, 100);
  EXPECT_ERROR(store.compaction(), fixCall, "nothing compacts");
  const Store reader = Store::open(folder_ / "other.instar", {.durability = Durability::off});
  EXPECT_TRUE(events(store).empty());
}

TEST_F(CompactionThread, AReadOnlyStoreIsLeftAlone) {
  fill(Store::open(path_, {.durability = Durability::off}), 10);
  StoreOptions options = compacting(CompactionMode::compress);
  options.mode = OpenMode::readOnly;
  const Store store = Store::open(path_, options);
  EXPECT_ERROR(store.compaction(), fixCall, "nothing compacts");
}

TEST_F(CompactionThread, UpgradesWhatIsOldAndPacksNothingUnlessAsked) {
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  fill(store, 5000);
  store.collection("items", secondVersion());
  const Compaction compaction = store.compaction();
  ASSERT_TRUE(
      comes([&] { return compaction.status().rewritten == 5000 && has(store, AuditEvent::finished); }));
  EXPECT_EQ(compaction.status().packed, 0U);
  expectWhole(store, 5000);
  const auto counts = countVersions(store, store.read(), "items");
  ASSERT_EQ(counts.versions.size(), 1U);
  EXPECT_EQ(counts.versions[0].version, 2U);
}

TEST_F(CompactionThread, PacksWhatIsColdAndGoesOnWhenThereIsMore) {
  const Store store = Store::open(path_, compacting(CompactionMode::compress));
  fill(store, 3000);
  const Compaction compaction = store.compaction();
  ASSERT_TRUE(comes([&] { return compaction.status().packed == 3000; }));
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return compactionProgress(store, store.read()).collections[0].isSettled(); }));
  expectWhole(store, 3000);
  EXPECT_EQ(compactionProgress(store, store.read()).collections[0].coldRows, 3000U);
}

TEST_F(CompactionThread, WaitsWhilePausedAndSaysSo) {
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  const Compaction compaction = store.compaction();
  compaction.pause();
  ASSERT_TRUE(comes([&] { return compaction.status().wait == WaitReason::paused; }));
  fill(store, 100);
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] {
    const auto said = compactionProgress(store, store.read()).compactor;
    return said && said->status.wait == WaitReason::paused;
  }));
  EXPECT_EQ(compaction.status().rows, 0U);
  compaction.resume();
  ASSERT_TRUE(comes([&] { return compaction.status().rewritten == 100; }));
  EXPECT_TRUE(has(store, AuditEvent::paused));
  EXPECT_TRUE(has(store, AuditEvent::resumed));
}

TEST_F(CompactionThread, StopsForGoodAndTheNextOpeningGoesOn) {
  {
    StoreOptions options = compacting(CompactionMode::upgrade);
    options.compaction.rate = 64 << 10;
    const Store store = Store::open(path_, options);
    fill(store, 20000);
    store.collection("items", secondVersion());
    const Compaction compaction = store.compaction();
    ASSERT_TRUE(comes([&] { return compaction.status().rewritten != 0; }));
    compaction.stop();
    EXPECT_EQ(compaction.status().wait, WaitReason::stopped);
    EXPECT_LT(compaction.status().rewritten, 20000U);
  }
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  store.collection("items", secondVersion());
  const Compaction compaction = store.compaction();
  ASSERT_TRUE(comes([&] { return compactionProgress(store, store.read()).collections[0].isSettled(); }));
  EXPECT_LT(compaction.status().rewritten, 20000U);  // the rest
  expectWhole(store, 20000);
}

// What the thread was told shortly before it was stopped was not in the audit.
TEST_F(CompactionThread, WhatTheThreadIsToldBeforeItIsStoppedIsInTheAudit) {
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  const Compaction compaction = store.compaction();
  ASSERT_TRUE(comes([&] { return has(store, AuditEvent::started); }));
  compaction.setRate(1 << 20);
  compaction.pause();
  compaction.stop();
  const auto all = events(store);
  ASSERT_GE(all.size(), 3U);
  EXPECT_EQ((std::vector<AuditEvent>{all.end() - 3, all.end()}),
            (std::vector<AuditEvent>{AuditEvent::rateChanged, AuditEvent::paused, AuditEvent::stopped}));
}

TEST_F(CompactionThread, ARateCanBeChangedWhileItWorks) {
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.compaction.rate = 1024;  // it would take minutes
  const Store store = Store::open(path_, options);
  fill(store, 5000);
  store.collection("items", secondVersion());
  const Compaction compaction = store.compaction();
  ASSERT_TRUE(comes([&] { return compaction.status().wait == WaitReason::rate; }));
  compaction.setRate(0);
  ASSERT_TRUE(comes([&] { return compaction.status().rewritten == 5000; }));
  EXPECT_EQ(compaction.status().rate, 0U);
  EXPECT_TRUE(has(store, AuditEvent::rateChanged));
}

TEST_F(CompactionThread, OneCompactsAndTheOthersStandBy) {
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  const Compaction first = store.compaction();
  ASSERT_TRUE(comes([&] { return has(store, AuditEvent::started); }));
  const Store other = Store::open(path_, compacting(CompactionMode::upgrade));
  const Compaction second = other.compaction();
  ASSERT_TRUE(comes([&] { return second.status().wait == WaitReason::standby; }));
  fill(store, 100);
  other.collection("items", secondVersion());
  EXPECT_ERROR(migrate(other, "items"), retry, "another program compacts");
  first.stop();
  ASSERT_TRUE(comes([&] { return second.status().rewritten == 100; }));
}

// A storage whose lock of compaction another program has.
class CompactedElsewhere final : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  bool tryLockCompaction() override {
    ++asked;
    return false;
  }
  std::atomic<int> asked = 0;
};

// Once a collection was opened, who stood by asked for the lock without a pause.
TEST_F(CompactionThread, WhoStandsByAsksNowAndThen) {
  const auto storage = std::make_shared<CompactedElsewhere>(storage::openLmdb(path_, {}));
  const Store store = Store::open(storage, compacting(CompactionMode::compress));
  fill(store, 10);
  const int before = storage->asked;
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(comes([&] { return storage->asked >= before + 3; }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 1s);
}

// An older program's row in a partition that was settled made it look settled still.
TEST_F(CompactionThread, WhatAnOlderProgramPutsIsUpgradedToo) {
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  fill(store, 1000);
  const Rows older = store.collection("items", firstVersion());
  const Rows items = store.collection("items", mirroredVersion());
  const auto settled = [&] { return compactionProgress(store, store.read()).collections[0].isSettled(); };
  ASSERT_TRUE(comes(settled));
  store.compaction().pause();
  ASSERT_TRUE(comes([&] { return store.compaction().status().wait == WaitReason::paused; }));
  auto transaction = store.write();
  auto draft = older.create();
  draft->set("id", std::uint64_t{500});
  draft->set("text", "another");
  older.put(transaction, draft);
  transaction.commit();
  EXPECT_FALSE(settled());
  store.compaction().resume();
  ASSERT_TRUE(comes(settled));
  const auto snapshot = store.read();
  const auto row = items.get(snapshot, std::uint64_t{500});
  EXPECT_EQ(row.version(), 2U);
  EXPECT_STREQ(row->get("head").as<capnp::Text>().cStr(), "another");
  EXPECT_TRUE(check(store).sound());
}

TEST_F(CompactionThread, SaysWhatThereIsToDoAndBesideItWhatItWas) {
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  store.compaction().pause();
  fill(store, 5000);
  store.collection("items", secondVersion());
  store.compaction().resume();
  ASSERT_TRUE(comes([&] { return has(store, AuditEvent::finished); }));
  // What the work says itself may overtake what the thread says of it.
  const auto entries = readAudit(store, store.read()).entries;
  const auto said = [&](AuditEvent event) {
    EXPECT_EQ(std::ranges::count(entries, event, &AuditEntry::event), 1);
    return *std::ranges::find(entries, event, &AuditEntry::event);
  };
  const AuditEntry estimated = said(AuditEvent::estimated);
  EXPECT_EQ(estimated.rows, 5000U);
  EXPECT_GT(estimated.bytes, 5000U * 8);
  const AuditEntry gone = said(AuditEvent::versionGone);
  EXPECT_EQ(gone.fromVersion, 1U);
  EXPECT_EQ(gone.toVersion, 1U);
  const AuditEntry finished = said(AuditEvent::finished);
  EXPECT_EQ(finished.collection, "items");
  EXPECT_EQ(finished.rows, 5000U);
  EXPECT_GT(finished.bytes, 5000U * 8);
  EXPECT_EQ(finished.reason, "estimated: 5000 rows, " + std::to_string(estimated.bytes) + " bytes, " +
                                 std::to_string(estimated.taken.count()) + " ms");
}

TEST_F(CompactionThread, LeavesTheRestToANewerRelease) {
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  fill(store, 100);
  const Compaction compaction = store.compaction();
  ASSERT_TRUE(comes([&] { return compaction.status().wait == WaitReason::idle; }));
  {
    const Store newer = Store::open(path_, {.durability = Durability::off});
    newer.collection("items", mirroredVersion());
  }
  ASSERT_TRUE(comes([&] { return compaction.status().wait == WaitReason::newerRelease; }));
  EXPECT_EQ(compaction.status().rewritten, 0U);
}

TEST_F(CompactionThread, LeavesRowsThatNeedAFunctionToWhoHasIt) {
  const RecordSchema called = testing::parseDeclarations(
      "struct Item @0xabcdefabcdef1234 $Instar.version(2) { id @0 :UInt64 $Instar.key(0); text @1 :Text;"
      " head @2 :Text $Instar.derived(since = 2, call = (function = \"headOf\", from = [\"text\"])); }",
      "Item");
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.allowMissingFunctions = true;
  const Store store = Store::open(path_, options);
  fill(store, 100);
  store.collection("items", called);
  const Compaction compaction = store.compaction();
  ASSERT_TRUE(comes([&] { return compaction.status().wait == WaitReason::missingFunctions; }));
  EXPECT_EQ(compaction.status().rows, 0U);
}

TEST_F(CompactionThread, HeatIsCountedAndSurvives) {
  StoreOptions options = compacting(CompactionMode::compress);
  options.compaction.coldBelow = 0;
  const auto heat = [](const Store& store) {
    return compactionProgress(store, store.read()).collections[0].partitions[0].heat;
  };
  {
    const Store store = Store::open(path_, options);
    fill(store, 1000);
    const Rows items = store.collection("items", firstVersion());
    store.compaction().stop();  // what it does now and then is done here
    const auto state = store.read().state().sharedStore();
    const auto keeper = state->heatOf("items");
    keeper->keep(state);
    const auto snapshot = store.read();
    for (std::uint64_t read = 0; read < 100'000; ++read) items.get(snapshot, read % 1000);
    keeper->keep(state);
    EXPECT_GT(heat(store), 1.0);
    EXPECT_EQ(store.compaction().status().packed, 0U);
  }
  EXPECT_GT(heat(Store::open(path_, {.durability = Durability::off})), 1.0);
}

// What the thread does to a collection, step by step.
class CompactionWorker : public CompactionThread {
 protected:
  std::unique_ptr<Worker> worker(const RecordSchema& schema) const {
    TransactionState reading(state_, storage::Access::read);
    const auto items =
        std::make_shared<CollectionState>(state_, store_.plans(store_.read(), "items", schema),
                                          *state_->environment().openTree(rowTreeName("items"), false),
                                          *Catalog(reading).collection("items"), reading);
    return std::make_unique<Worker>(state_, items,
                                    Worker::Settings{.mode = CompactionMode::compress, .mostFailures = 10});
  }
  void warm(std::int64_t at) const {
    TransactionState transaction(state_, storage::Access::write);
    Partitions partitions(transaction, "items");
    Partition partition = partitions.of(Key());
    partition.heat = 1000;
    partition.heatAt = at;
    partitions.put(partition);
    transaction.commit();
  }
  static void pass(Worker& worker, const Worker::Choice& choice) {
    while (!worker.step(choice, [] {})) {
    }
  }

  const Store store_ = Store::open(path_, {.durability = Durability::off});
  const std::shared_ptr<StoreState> state_ = store_.read().state().sharedStore();
};

TEST_F(CompactionWorker, PacksNoHotPartitionUntilItHasCooled) {
  fill(store_, 1000);
  const auto worker = this->worker(firstVersion());
  warm(now());
  EXPECT_FALSE(worker->pick(PickPolicy::coldest, 1.0));
  warm(now() - std::chrono::nanoseconds(2h).count());
  const auto choice = worker->pick(PickPolicy::coldest, 1.0);
  ASSERT_TRUE(choice);
  EXPECT_TRUE(choice->packs);
}

TEST_F(CompactionWorker, UpgradesAHotPartitionWithoutPackingIt) {
  fill(store_, 1000);
  store_.collection("items", secondVersion());
  const auto worker = this->worker(secondVersion());
  warm(now());
  const auto choice = worker->pick(PickPolicy::coldest, 1.0);
  ASSERT_TRUE(choice);
  EXPECT_FALSE(choice->packs);
  pass(*worker, *choice);
  const BatchResult done = worker->takeResult();
  EXPECT_EQ(done.rewritten, 1000U);
  EXPECT_EQ(done.packed, 0U);
  EXPECT_FALSE(worker->pick(PickPolicy::coldest, 1.0));
}

// Rows that no block can have made their partition look as if it had something to pack, for ever.
TEST_F(CompactionWorker, LeavesRowsAloneThatAreTooLargeForABlock) {
  const Rows items = store_.collection("items", firstVersion());
  auto transaction = store_.write();
  for (std::uint64_t id = 0; id < 150; ++id) {
    auto draft = items.create();
    draft->set("id", id);
    draft->set("text", std::string(kMostColdPayload + 1, 'x').c_str());
    items.put(transaction, draft);
  }
  transaction.commit();
  {
    const auto worker = this->worker(firstVersion());
    const auto choice = worker->pick(PickPolicy::coldest, 1.0);
    ASSERT_TRUE(choice);
    pass(*worker, *choice);
    EXPECT_EQ(worker->takeResult().packed, 0U);
  }
  EXPECT_FALSE(this->worker(firstVersion())->pick(PickPolicy::coldest, 1.0));
}

// The record of the partition was made to fit what was left, and the next verification found all sound.
TEST_F(CompactionWorker, AMissingBlockStopsCompactionAndLeavesTheFileAsItIs) {
  fill(store_, 3000);
  migrate(store_, "items", {.mode = CompactionMode::compress});
  const auto partition = [&] {
    return compactionProgress(store_, store_.read()).collections[0].partitions.at(0);
  };
  const ColdTotals counted = partition().cold;
  {
    const auto blocks = *state_->environment().openTree(coldTreeName("items"), false);
    TransactionState transaction(state_, storage::Access::write);
    const auto cursor = transaction.storage().cursor(blocks);
    ASSERT_TRUE(cursor->first());
    const Key first(cursor->key());
    ASSERT_TRUE(transaction.storage().erase(blocks, first.bytes()));
    transaction.commit();
  }
  EXPECT_ERROR(migrate(store_, "items", {.mode = CompactionMode::compress}), restoreFromBackup, "read back");
  EXPECT_EQ(partition().cold, counted);
  EXPECT_EQ(verify(store_).problems, 1U);
  EXPECT_TRUE(has(store_, AuditEvent::mismatch));
  EXPECT_ERROR(migrate(store_, "items"), restoreFromBackup, "run verify");
}

// New rows were thought to be everywhere: the thread went over a partition again and again that had none.
TEST_F(CompactionWorker, PicksThePartitionThatTheNewRowsAreIn) {
  fill(store_, 70'000);
  ASSERT_EQ(migrate(store_, "items", {.mode = CompactionMode::compress}).partitions, 2U);
  const Rows items = store_.collection("items", firstVersion());
  auto transaction = store_.write();
  for (std::uint64_t id = 70'000; id < 80'000; ++id) {
    auto draft = items.create();
    draft->set("id", id);
    items.put(transaction, draft);
  }
  transaction.commit();
  const auto worker = this->worker(firstVersion());
  const auto choice = worker->pick(PickPolicy::coldest, 1.0);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->lower, compactionProgress(store_, store_.read()).collections[0].partitions.at(1).lower);
  pass(*worker, *choice);
  EXPECT_EQ(worker->takeResult().packed, 10'000U);
  EXPECT_FALSE(this->worker(firstVersion())->pick(PickPolicy::coldest, 1.0));
}

}  // namespace
}  // namespace instar
