// What compaction does with rows of a version that was given up, and what it says of versions.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instar/engine/check.h"
#include "instar/engine/internal/compaction/batch.h"
#include "instar/engine/migration.h"
#include "instar/engine/staging.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;

// Makes the first and last names as version 2 has made them.
RecordSchema contactThatKeepsTheSplit(unsigned version) {
  return contactSchema(version, R"(
      name  @1 :Text $Instar.mirrored(since = 2, concat = [(field = "first"), (text = " "), (field = "last")]);
      first @2 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));
      last  @3 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 1));
      tier  @4 :UInt8 = 1;
      note  @5 :Text;)");
}

// Version 2 was the current one, its rows are packed, and it was given up. Its names cannot be made again from
// the name of version 1: "Mary Ann Evans" is split into other parts.
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

}  // namespace
}  // namespace instar
