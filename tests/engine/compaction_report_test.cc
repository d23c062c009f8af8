// What a file says of compaction: the census of versions, how far it is, whether what it stored is there,
// and what there would be to do.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "instar/engine/check.h"
#include "instar/engine/internal/compaction/compactor_record.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/migration.h"
#include "instar/format/file_format.h"
#include "instar/tests/engine/contact_versions.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Rows = Collection<capnp::DynamicStruct>;

using testing::firstContact;
using testing::secondContact;

RecordSchema thirdContact() {
  return testing::thirdContact("years @3 :UInt16 $Instar.derived(since = 3, convert = \"age\");");
}

constexpr std::uint64_t kMany = 70'000;  // two partitions
constexpr std::uint64_t kAges = 60'000;  // that every version can hold

class CompactionReportTest : public ::testing::Test {
 protected:
  void fill(std::uint64_t from, std::uint64_t to, const RecordSchema& schema = firstContact()) const {
    const Rows rows = store.collection("contacts", schema);
    auto transaction = store.write();
    for (std::uint64_t id = from; id < to; ++id) {
      auto draft = rows.create();
      draft->set("id", id);
      if (schema.version() == 1)
        draft->set("text", ("0" + std::to_string(id % kAges)).c_str());
      else
        draft->set("age", id % kAges);
      rows.put(transaction, draft);
    }
    transaction.commit();
  }

  Census census() const { return countVersions(store, store.read(), "contacts"); }

  // By scanning all rows.
  std::map<std::uint16_t, std::uint64_t> scanned() const {
    std::map<std::uint16_t, std::uint64_t> counts;
    const auto snapshot = store.read();
    for (const auto row : store.collection("contacts").scan(snapshot)) ++counts[row.version()];
    return counts;
  }

  static std::map<std::uint16_t, std::uint64_t> counted(const Census& census) {
    std::map<std::uint16_t, std::uint64_t> counts;
    for (const VersionCount& count : census.versions) counts[count.version] = count.rows;
    return counts;
  }

  CollectionProgress progress() const { return compactionProgress(store, store.read()).collections.at(0); }

  testing::TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
};

using CensusTest = CompactionReportTest;
using ProgressTest = CompactionReportTest;
using VerifyTest = CompactionReportTest;
using EstimateTest = CompactionReportTest;

TEST_F(CensusTest, ACollectionWithOneVersionIsNotRead) {
  fill(0, 100);
  const Census census = this->census();
  EXPECT_EQ(census.walkedRows, 0U);
  EXPECT_EQ(census.settledPartitions, 1U);
  ASSERT_EQ(census.versions.size(), 1U);
  EXPECT_EQ(census.versions[0].rows, 100U);
  EXPECT_EQ(census.versions[0].bytes, std::nullopt);
}

TEST_F(CensusTest, OnlyPartitionsThatMayHaveOlderRowsAreRead) {
  fill(0, kMany);
  store.collection("contacts", secondContact());
  EXPECT_EQ(census().walkedRows, kMany);
  ASSERT_EQ(migrate(store, "contacts").partitions, 2U);
  EXPECT_EQ(census().walkedRows, 0U);
  EXPECT_THAT(census().gone, ElementsAre(1));
  store.collection("contacts", thirdContact());
  const std::uint64_t inFirst = progress().partitions.at(0).rows;
  migrate(store, "contacts", {.partition = Key()});
  const Census half = census();
  EXPECT_EQ(half.settledPartitions, 1U);
  EXPECT_EQ(half.walkedPartitions, 1U);
  EXPECT_EQ(half.walkedRows, kMany - inFirst);
  EXPECT_EQ(counted(half), scanned());
  EXPECT_THAT(half.gone, ElementsAre(1));
}

TEST_F(CensusTest, RowsInBlocksAndTombstonesAreCountedRight) {
  fill(0, 1000);
  store.collection("contacts", secondContact());
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  const Rows rows = store.collection("contacts", thirdContact());
  auto transaction = store.write();
  for (std::uint64_t id = 0; id < 10; ++id) rows.erase(transaction, rows.key(id));
  transaction.commit();
  fill(5, 7, thirdContact());
  const Census census = this->census();
  EXPECT_EQ(counted(census), (std::map<std::uint16_t, std::uint64_t>{{2, 990}, {3, 2}}));
  EXPECT_EQ(counted(census), scanned());
  const CollectionInfo info = store.collections(store.read()).at(0);
  EXPECT_EQ(info.rows, 992U);
  EXPECT_EQ(info.coldRows, 990U);
  EXPECT_NE(info.coldPages, 0U);
}

TEST_F(ProgressTest, SaysHowMuchIsDoneByPartition) {
  fill(0, kMany);
  EXPECT_TRUE(progress().isSettled());
  EXPECT_EQ(progress().doneRows, kMany);
  store.collection("contacts", secondContact());
  EXPECT_FALSE(progress().isSettled());
  EXPECT_EQ(progress().doneRows, 0U);
  EXPECT_EQ(progress().partitions.at(0).rows, kMany);
  migrate(store, "contacts");
  EXPECT_TRUE(progress().isSettled());
  store.collection("contacts", thirdContact());
  migrate(store, "contacts", {.partition = Key()});
  const CollectionProgress half = progress();
  ASSERT_EQ(half.partitions.size(), 2U);
  EXPECT_EQ(half.floor(), 2);
  EXPECT_EQ(half.completeFrom, 3);
  EXPECT_EQ(half.doneRows, half.partitions[0].rows);
  EXPECT_EQ(half.rows, kMany);
}

TEST_F(ProgressTest, APassThatWasEndedCountsAsFarAsItCame) {
  fill(0, 20'000);
  store.collection("contacts", secondContact());
  EXPECT_THROW(migrate(store, "contacts",
                       {.rate = 4 << 20,
                        .progress =
                            [](const Progress& state) {
                              if (state.done > 1000) throw std::runtime_error("enough");
                            }}),
               std::runtime_error);
  const CollectionProgress part = progress();
  EXPECT_TRUE(part.partitions.at(0).inProgress);
  EXPECT_EQ(part.doneRows, part.partitions.at(0).rows);
  EXPECT_GT(part.doneRows, 1000U);
  EXPECT_LT(part.doneRows, part.rows);
}

// Each pass cut what was behind its first 65,536 rows off, so that small partitions became more and more.
TEST_F(ProgressTest, PassesOverTheSameRowsCutNoFurtherPartitions) {
  fill(0, kMany);
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  ASSERT_EQ(progress().partitions.size(), 2U);
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  EXPECT_EQ(progress().partitions.size(), 2U);
}

TEST_F(VerifyTest, FindsABlockThatIsNotWhatWasPacked) {
  fill(0, 2000);
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  const Verification sound = verify(store);
  EXPECT_EQ(sound.rows, 2000U);
  EXPECT_EQ(sound.problems, 0U);
  const auto environment = storage::openLmdb(folder / "store.instar", {.durability = Durability::off});
  const auto tree = environment->openTree("cold/contacts", false);
  {
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    const auto cursor = transaction->cursor(*tree);
    ASSERT_TRUE(cursor->first());
    const Key key(cursor->key());
    transaction->erase(*tree, key.bytes());
    transaction->commit();
  }
  const Verification lost = verify(store);
  ASSERT_EQ(lost.problems, 1U);
  EXPECT_EQ(lost.partitions.at(0).problem, "its rows are not those that were packed");
  EXPECT_LT(lost.partitions.at(0).found.rows, lost.partitions.at(0).expected.rows);
}

TEST_F(VerifyTest, AMismatchKeepsCompactionOutUntilItIsResumed) {
  fill(0, 100);
  EXPECT_FALSE(resumeCompaction(store));
  migrate(store, "contacts", {.mode = CompactionMode::compress});
  {
    TransactionState transaction(store.read().state().sharedStore(), storage::Access::write);
    CompactorReport record;
    record.stoppedByMismatch = true;
    writeCompactorRecord(transaction, record);
    transaction.commit();
  }
  EXPECT_ERROR(migrate(store, "contacts"), restoreFromBackup, "run verify");
  EXPECT_TRUE(resumeCompaction(store));
  EXPECT_NO_THROW(migrate(store, "contacts"));
  const AuditTrail trail = readAudit(store, store.read());
  EXPECT_EQ(trail.damage, "");
  EXPECT_EQ(trail.entries.back().event, AuditEvent::circuitClosed);
}

void expectNear(std::uint64_t estimated, std::uint64_t happened, double factor) {
  EXPECT_LE(static_cast<double>(estimated), static_cast<double>(happened) * factor);
  EXPECT_GE(static_cast<double>(estimated), static_cast<double>(happened) / factor);
}

std::uint64_t bytesOf(const Store& store) {
  const CollectionInfo info = store.collections(store.read()).at(0);
  return (info.pages + info.coldPages) * store.info().pageSize;
}

TEST_F(EstimateTest, IsNearWhatThenHappens) {
  fill(0, kMany);
  store.collection("contacts", secondContact());
  for (const CompactionMode mode : {CompactionMode::upgrade, CompactionMode::compress}) {
    const Estimate before = estimate(store, "contacts", mode, 1 << 20);
    EXPECT_EQ(before.rows, kMany);
    EXPECT_EQ(before.sampledRows, 2000U);
    EXPECT_EQ(before.bytesBefore, bytesOf(store));
    EXPECT_GE(before.time.count(), static_cast<std::int64_t>(before.bytesToWrite * 1000 >> 20));
    // As many transactions on a slow machine as on a fast one: each writes pages of its own.
    const Migration done = migrate(store, "contacts", {.mode = mode, .lockTime = std::chrono::seconds(10)});
    EXPECT_EQ(before.changedRows, done.rewritten + done.packed);
    expectNear(before.bytesAfter, bytesOf(store), 1.5);
    if (done.bytesWritten != 0) expectNear(before.bytesToWrite, done.bytesWritten, 2);
  }
}

TEST_F(EstimateTest, NothingToDoIsNothingToWrite) {
  store.collection("contacts", firstContact());
  EXPECT_EQ(estimate(store, "contacts", CompactionMode::compress, 0).bytesToWrite, 0U);
  fill(0, 100);
  const Estimate settled = estimate(store, "contacts", CompactionMode::upgrade, 0);
  EXPECT_EQ(settled.rows, 0U);
  EXPECT_EQ(settled.bytesToWrite, 0U);
  EXPECT_EQ(settled.time.count(), 0);
}

}  // namespace
}  // namespace instar
