// A collection whose rows lie partly in cold blocks, partly in the hot tree over them, is one collection.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "instar/engine/check.h"
#include "instar/engine/internal/cold/cold_tier.h"
#include "instar/engine/migration.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using testing::ChildProcess;
using testing::Steps;

using Rows = Collection<capnp::DynamicStruct>;
using Contents = std::map<std::uint64_t, std::string>;

#define NOTE(version) \
  "struct Note @0x9a1b2c3d4e5f6071 $Instar.version(" version ") { id @0 :UInt64 $Instar.key(0); "

RecordSchema first() { return testing::parseDeclarations(NOTE("1") "text @1 :Text; }", "Note"); }
RecordSchema second() {
  return testing::parseDeclarations(
      NOTE("2") "text @1 :Text $Instar.mirrored(since = 2, convert = \"size\"); "
                "size @2 :UInt32 $Instar.derived(since = 2, convert = \"text\"); more @3 :Text; }",
      "Note");
}

void put(const Rows& rows, WriteTransaction& transaction, std::uint64_t id, std::string_view text) {
  auto draft = rows.create();
  draft->set("id", id);
  draft->set("text", std::string(text).c_str());
  rows.put(transaction, draft);
}

std::string textOf(const Row<capnp::DynamicStruct>& row) {
  return row ? row->get("text").as<capnp::Text>().cStr() : "none";
}

Contents contents(const Rows& rows, const Transaction& seen, const ScanOptions& options = {}) {
  Contents found;
  for (const auto row : rows.scan(seen, options)) found[row->get("id").as<std::uint64_t>()] = textOf(row);
  return found;
}

// The same in the order of the walk.
std::vector<std::uint64_t> ids(const Rows& rows, const Transaction& seen, const ScanOptions& options = {}) {
  std::vector<std::uint64_t> found;
  for (const auto row : rows.scan(seen, options)) found.push_back(row->get("id").as<std::uint64_t>());
  return found;
}

Migration pack(const Store& store) { return migrate(store, "notes", {.mode = CompactionMode::compress}); }

constexpr std::uint64_t kRows = 3000;

class Cold : public ::testing::Test {
 protected:
  Cold() {
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kRows; ++id) set(transaction, id, std::to_string(id));
    transaction.commit();
  }

  void set(WriteTransaction& transaction, std::uint64_t id, const std::string& text) {
    put(notes, transaction, id, text);
    expected[id] = text;
  }
  void erase(WriteTransaction& transaction, std::uint64_t id) {
    EXPECT_EQ(notes.erase(transaction, id), expected.erase(id) == 1) << id;
  }

  void expectAsExpected(const Rows& rows, const Transaction& seen) const {
    EXPECT_EQ(rows.count(seen), expected.size());
    EXPECT_EQ(contents(rows, seen), expected);
    std::vector<std::uint64_t> forward;
    for (const auto& [id, text] : expected) forward.push_back(id);
    EXPECT_EQ(ids(rows, seen), forward);
    EXPECT_EQ(ids(rows, seen, {.reverse = true}),
              std::vector<std::uint64_t>(forward.rbegin(), forward.rend()));
    for (std::uint64_t id = 0; id < kRows + 10; id += 7) {
      const auto found = expected.find(id);
      EXPECT_EQ(textOf(rows.get(seen, id)), found == expected.end() ? "none" : found->second);
      EXPECT_EQ(rows.contains(seen, id), found != expected.end());
    }
  }

  std::uint64_t coldRows() const {
    const auto seen = store.read();
    return readTiers(seen.state(), "notes").coldRows;
  }

  void expectSound() const {
    const CheckReport report = check(store);
    EXPECT_TRUE(report.sound()) << (report.problems.empty() ? "" : report.problems[0].message);
    EXPECT_EQ(report.rows, expected.size());
    const Verification verified = verify(store);
    EXPECT_EQ(verified.problems, 0U);
  }

  testing::TemporaryFolder folder;
  std::filesystem::path path = folder / "store.instar";
  Store store = Store::open(path, {.durability = Durability::off});
  Rows notes = store.collection("notes", first());
  Contents expected;
};

TEST_F(Cold, RowsInBlocksAreReadLikeOthers) {
  EXPECT_EQ(pack(store).packed, kRows);
  expectAsExpected(notes, store.read());
  expectSound();
}

TEST_F(Cold, RangesPrefixesAndLimitsHoldOverBlocks) {
  pack(store);
  auto transaction = store.write();
  for (std::uint64_t id = 1000; id < 1020; id += 2) set(transaction, id, "anew");
  for (std::uint64_t id = 1001; id < 1020; id += 4) erase(transaction, id);
  transaction.commit();
  const auto seen = store.read();
  for (const bool reverse : {false, true}) {
    for (const std::uint64_t from : {std::uint64_t{0}, std::uint64_t{999}, std::uint64_t{1001}}) {
      for (const std::uint64_t to : {std::uint64_t{1001}, std::uint64_t{1019}, kRows + 5}) {
        std::vector<std::uint64_t> wanted;
        for (auto at = expected.lower_bound(from); at != expected.lower_bound(to); ++at)
          wanted.push_back(at->first);
        if (reverse) std::reverse(wanted.begin(), wanted.end());
        ScanOptions options{.from = notes.key(from), .to = notes.key(to), .reverse = reverse};
        EXPECT_EQ(ids(notes, seen, options), wanted) << from << " to " << to;
        EXPECT_EQ(notes.count(seen, options), wanted.size());
        options.limit = 5;
        wanted.resize(std::min<std::size_t>(wanted.size(), 5));
        EXPECT_EQ(ids(notes, seen, options), wanted) << from << " to " << to;
      }
    }
  }
}

TEST_F(Cold, PutsAndErasesOverBlocksCount) {
  pack(store);
  auto transaction = store.write();
  set(transaction, 5, "anew");
  set(transaction, 5, "again");
  erase(transaction, 6);
  erase(transaction, 6);
  set(transaction, 6, "back");
  erase(transaction, 5);
  erase(transaction, 7);
  set(transaction, kRows + 1, "behind");
  erase(transaction, kRows + 2);
  expectAsExpected(notes, transaction);
  transaction.commit();
  expectAsExpected(notes, store.read());
  expectSound();
  pack(store);
  expectAsExpected(notes, store.read());
  expectSound();
  EXPECT_EQ(pack(store).packed, 0U);
}

TEST_F(Cold, WhatIsAbortedLeavesTheCountAlone) {
  pack(store);
  {
    auto transaction = store.write();
    put(notes, transaction, 5, "anew");
    notes.erase(transaction, std::uint64_t{6});
    EXPECT_EQ(notes.count(transaction), kRows - 1);
  }
  expectAsExpected(notes, store.read());
  expectSound();
}

TEST_F(Cold, EverythingErasedLeavesNothingBehind) {
  pack(store);
  auto transaction = store.write();
  for (std::uint64_t id = 0; id < kRows; ++id) erase(transaction, id);
  EXPECT_EQ(notes.count(transaction), 0U);
  transaction.commit();
  expectAsExpected(notes, store.read());
  pack(store);
  expectSound();
  const auto seen = store.read();
  const Tiers tiers = readTiers(seen.state(), "notes");
  EXPECT_EQ(tiers.coldRows + tiers.coldBlocks + tiers.coldBytes + tiers.coveredRows + tiers.tombstones, 0U);
  EXPECT_EQ(check(store).rows, 0U);
}

TEST_F(Cold, ScansGoOnWhileTheirTransactionChangesRows) {
  pack(store);
  for (const bool reverse : {false, true}) {
    auto transaction = store.write();
    std::vector<std::uint64_t> seen;
    std::vector<std::uint64_t> wanted;
    for (const auto& [id, text] : expected) wanted.push_back(id);
    if (reverse) std::reverse(wanted.begin(), wanted.end());
    auto scan = notes.scan(transaction, {.reverse = reverse});
    while (scan.next()) {
      const std::uint64_t id = scan.row()->get("id").as<std::uint64_t>();
      seen.push_back(id);
      if (id % 5 == 0) {
        erase(transaction, id);
        EXPECT_TRUE(scan.value().empty());
      }
      if (id % 7 == 1) {
        set(transaction, id, "seen");
        EXPECT_EQ(textOf(scan.row()), "seen");
      }
    }
    EXPECT_EQ(seen, wanted);
    transaction.commit();
    expectAsExpected(notes, store.read());
  }
  expectSound();
}

TEST_F(Cold, SnapshotsSeeWhatTheySaw) {
  const Contents unpacked = expected;
  const auto before = store.read();
  pack(store);
  const auto packed = store.read();
  auto transaction = store.write();
  for (std::uint64_t id = 0; id < kRows; id += 3) erase(transaction, id);
  for (std::uint64_t id = 1; id < kRows; id += 3) set(transaction, id, "anew");
  transaction.commit();
  const auto covered = store.read();
  pack(store);
  for (const ReadTransaction* seen : {&before, &packed}) {
    EXPECT_EQ(contents(notes, *seen), unpacked);
    EXPECT_EQ(notes.count(*seen), kRows);
    EXPECT_EQ(textOf(notes.get(*seen, std::uint64_t{3})), "3");
    EXPECT_TRUE(notes.contains(*seen, std::uint64_t{3}));
  }
  expectAsExpected(notes, covered);
  expectAsExpected(notes, store.read());
  expectSound();
}

// The handle has been opened before there was a tree of blocks, and is used for the first time after it.
TEST_F(Cold, HandlesThatAreOlderThanTheBlocksSeeThem) {
  const Store other = Store::open(path, {.durability = Durability::off});
  const Rows written = other.collection("notes", first());
  const Rows read = other.collection("notes", first());
  const auto before = other.read();
  pack(store);
  auto transaction = other.write();
  put(written, transaction, 8, "anew");
  EXPECT_TRUE(written.erase(transaction, std::uint64_t{9}));
  transaction.commit();
  EXPECT_EQ(textOf(read.get(before, std::uint64_t{8})), "8");
  expected[8] = "anew";
  expected.erase(9);
  expectAsExpected(read, other.read());
  expectAsExpected(notes, store.read());
  expectSound();
}

TEST_F(Cold, BlocksOfAnOlderVersionAreUpgradedAsTheyAreRead) {
  pack(store);
  const Rows newer = store.collection("notes", second());
  expectAsExpected(newer, store.read());
  {
    const auto seen = store.read();
    const auto row = newer.get(seen, std::uint64_t{17});
    EXPECT_EQ(row.version(), 1U);
    EXPECT_EQ(row->get("size").as<std::uint32_t>(), 17U);
  }
  EXPECT_EQ(pack(store).repacked, kRows);
  const auto seen = store.read();
  for (const auto row : newer.scan(seen)) {
    EXPECT_EQ(row.version(), 2U);
    EXPECT_EQ(row->get("size").as<std::uint64_t>(), row->get("id").as<std::uint64_t>());
  }
  expectSound();
}

TEST_F(Cold, OlderProgramsReadAndWriteOverBlocksOfNewerVersions) {
  const Rows newer = store.collection("notes", second());
  auto transaction = store.write();
  for (std::uint64_t id = 0; id < kRows; id += 2) {
    auto draft = newer.edit(transaction, id);
    draft->set("more", "known to the newer");
    newer.put(transaction, draft);
  }
  transaction.commit();
  pack(store);
  expectAsExpected(notes, store.read());
  transaction = store.write();
  set(transaction, 2, "2000");  // without having read it
  auto draft = notes.edit(transaction, std::uint64_t{4});
  draft->set("text", "4000");
  notes.put(transaction, draft);
  expected[4] = "4000";
  erase(transaction, 6);
  erase(transaction, 8);
  set(transaction, 8, "8000");
  transaction.commit();
  for (int turn = 0; turn < 2; ++turn) {
    expectAsExpected(notes, store.read());
    expectAsExpected(newer, store.read());
    const auto seen = store.read();
    for (const std::uint64_t id : {2, 4}) {
      const auto row = newer.get(seen, id);
      EXPECT_EQ(row->get("more").as<capnp::Text>(), "known to the newer");
      EXPECT_EQ(row->get("size").as<std::uint64_t>(), 1000 * id);
    }
    EXPECT_EQ(newer.get(seen, std::uint64_t{8})->get("more").as<capnp::Text>(), "");
    expectSound();
    pack(store);
  }
}

TEST(ColdProcesses, OnePacksWhileTheOtherHasTheCollectionOpen) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "store.instar";
  ChildProcess packer([&](const Steps& parent) {
    for (int turn = 0; turn < 3; ++turn) {
      parent.await();
      pack(Store::open(path, {.durability = Durability::off}));
      parent.tell();
    }
  });
  const Store store = Store::open(path, {.durability = Durability::off});
  const Rows writing = store.collection("notes", first());
  const Rows reading = store.collection("notes", first());
  Contents expected;
  for (std::uint64_t turn = 0; turn < 3; ++turn) {
    auto transaction = store.write();  // the first that this process sees of the blocks
    for (std::uint64_t id = turn; id < 900; id += turn + 1)
      put(writing, transaction, id, expected[id] = std::to_string(turn));
    for (std::uint64_t id = 0; turn != 0 && id < 900; id += 10) {
      EXPECT_EQ(writing.erase(transaction, id), expected.erase(id) == 1);
    }
    transaction.commit();
    const auto before = store.read();
    packer.tell();
    packer.await();
    EXPECT_EQ(contents(writing, before), expected);
    EXPECT_EQ(contents(reading, store.read()), expected);
    EXPECT_EQ(reading.count(store.read()), expected.size());
  }
  packer.expectSuccess();
  EXPECT_TRUE(check(store).sound());
  EXPECT_EQ(verify(store).problems, 0U);
}

TEST_F(Cold, IsReadWithoutALockFile) {
  pack(store);
  auto transaction = store.write();
  for (std::uint64_t id = 0; id < kRows; id += 3) erase(transaction, id);
  set(transaction, 1, "anew");
  transaction.commit();
  const auto copy = folder / "copy.instar";
  store.backup(copy);
  const Store readOnly = Store::open(copy, {.mode = OpenMode::readOnly});
  EXPECT_FALSE(std::filesystem::exists(copy.string() + "-lock"));
  expectAsExpected(readOnly.collection("notes", first()), readOnly.read());
  EXPECT_TRUE(check(readOnly).sound());
  EXPECT_EQ(verify(readOnly).problems, 0U);
  EXPECT_ERROR(pack(readOnly), fixCall, "reading only");
}

TEST_F(Cold, SurvivesBackupAndCompact) {
  pack(store);
  auto transaction = store.write();
  erase(transaction, 4);
  set(transaction, 1, "anew");
  transaction.commit();
  for (const bool compact : {false, true}) {
    const auto copy = folder / (compact ? "compact.instar" : "plain.instar");
    store.backup(copy, {.compact = compact});
    Store::compact(copy);
    const Store copied = Store::open(copy);
    expectAsExpected(copied.collection("notes", first()), copied.read());
    pack(copied);
    expectAsExpected(copied.collection("notes", first()), copied.read());
    EXPECT_TRUE(check(copied).sound());
  }
}

TEST_F(Cold, TheCacheMayBeSmallOrMissing) {
  pack(store);
  auto transaction = store.write();
  erase(transaction, 4);
  set(transaction, 1, "anew");
  transaction.commit();
  const auto copy = folder / "copy.instar";
  store.backup(copy);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{40'000}}) {
    const Store small = Store::open(copy, {.durability = Durability::off, .coldCacheBytes = bytes});
    expectAsExpected(small.collection("notes", first()), small.read());
    EXPECT_TRUE(check(small).sound());
  }
}

TEST_F(Cold, LargeRowsStayHotAndSmallOnesBesideThemDoNot) {
  const std::string large(70'000, 'x');
  pack(store);
  auto transaction = store.write();
  set(transaction, 100, large);
  set(transaction, kRows + 50, large);
  transaction.commit();
  for (int turn = 0; turn < 2; ++turn) {
    pack(store);
    expectAsExpected(notes, store.read());
    expectSound();
    EXPECT_EQ(coldRows(), kRows - 1);
  }
  transaction = store.write();
  set(transaction, 100, "small again");
  erase(transaction, kRows + 50);
  transaction.commit();
  pack(store);
  expectAsExpected(notes, store.read());
  expectSound();
  EXPECT_EQ(coldRows(), kRows);
}

TEST(ColdKeys, ByteStringsOfEveryLengthArePacked) {
  const testing::TemporaryFolder folder;
  const Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
  const Rows rows = store.collection(
      "notes", testing::parseDeclarations(
                   "struct Blob @0x9a1b2c3d4e5f6072 $Instar.version(1) { text @0 :Text; }", "Blob"));
  std::map<Key, std::string> expected;
  auto transaction = store.write();
  for (std::size_t length = 1; length <= 511; ++length) {
    for (const std::byte fill : {std::byte{0}, std::byte{'a'}, std::byte{255}}) {
      std::vector<std::byte> bytes(length, fill);
      bytes.back() = std::byte(length % 251);
      auto draft = rows.create();
      draft->set("text", std::to_string(length).c_str());
      rows.put(transaction, Key(bytes), draft);
      expected[Key(bytes)] = std::to_string(length);
    }
  }
  transaction.commit();
  pack(store);
  transaction = store.write();
  for (auto row = expected.begin(); row != expected.end();) {
    EXPECT_TRUE(rows.erase(transaction, row->first));
    row = expected.erase(row);
    for (int skipped = 0; skipped < 7 && row != expected.end(); ++skipped) ++row;
  }
  transaction.commit();
  for (int turn = 0; turn < 2; ++turn) {
    const auto snapshot = store.read();
    std::map<Key, std::string> found;
    auto scan = rows.scan(snapshot);
    while (scan.next()) found[Key(scan.key())] = textOf(scan.row());
    EXPECT_EQ(found, expected);
    EXPECT_EQ(rows.count(snapshot), expected.size());
    EXPECT_TRUE(check(store).sound());
    EXPECT_EQ(verify(store).problems, 0U);
    pack(store);
  }
}

TEST(ColdKeys, AnEmptyCollectionIsPackedToNothing) {
  const testing::TemporaryFolder folder;
  const Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
  const Rows rows = store.collection("notes", first());
  EXPECT_EQ(pack(store).rows, 0U);
  EXPECT_EQ(ids(rows, store.read()), std::vector<std::uint64_t>());
  EXPECT_EQ(rows.count(store.read()), 0U);
  EXPECT_TRUE(check(store).sound());
  EXPECT_EQ(store.fileInfo(store.read()).formatVersion, 1U) << "there is no block yet";
  auto transaction = store.write();
  put(rows, transaction, 1, "one");
  transaction.commit();
  pack(store);
  EXPECT_EQ(store.fileInfo(store.read()).formatVersion, 2U);
}

}  // namespace
}  // namespace instar
