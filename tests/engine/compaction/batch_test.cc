// Batches, driven step by step, beside a map of what the rows should be: others change rows between their
// preparation and the lock, batches end inside of blocks, partitions are cut, versions come.

#include "instar/engine/internal/compaction/batch.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/internal/compaction/settlement.h"
#include "instar/engine/migration.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using Contents = std::map<std::uint64_t, std::string>;

// A number as text is upgraded in the second version; other text cannot be.
RecordSchema versionNumber(int version) {
  const bool derives = version >= 2;
  std::string text = "struct Note @0x9a1b2c3d4e5f6071 $Instar.version(" + std::to_string(version) +
                     ") { id @0 :UInt64 $Instar.key(0); text @1 :Text; filler @2 :Text; ";
  if (derives) text += "size @3 :UInt32 $Instar.derived(since = 2, convert = \"text\"); ";
  for (int field = 4; field <= version + 1; ++field)
    text += "added" + std::to_string(field) + " @" + std::to_string(field) + " :UInt32; ";
  return testing::parseDeclarations(text + "}", "Note");
}

class Rows : public Collection<capnp::DynamicStruct> {
 public:
  explicit Rows(Collection<capnp::DynamicStruct> rows) : Collection(std::move(rows)) {}
  CollectionState& state() const noexcept { return *state_; }
};

// A store beside its model, in which an old row that cannot be upgraded is remembered as it was put.
class Notes {
 public:
  explicit Notes(std::uint64_t mapSize = 0) : mapSize_(mapSize) {}

  void put(std::uint64_t id, const std::string& text, std::size_t filler = 0) {
    auto transaction = store_->write();
    auto draft = rows_->create();
    draft->set("id", id);
    draft->set("text", text.c_str());
    draft->set("filler", std::string(filler, 'f').c_str());
    if (version_ >= 2) draft->set("size", std::uint32_t{7});
    rows_->put(transaction, draft);
    transaction.commit();
    expected_[id] = text;
  }
  void erase(std::uint64_t id) {
    auto transaction = store_->write();
    const bool was = rows_->erase(transaction, id);
    transaction.commit();
    if (was != (expected_.erase(id) == 1)) throw std::logic_error("another row was erased");
  }

  void nextVersion() { rows_.emplace(store_->collection("notes", versionNumber(++version_))); }
  void reopen() {
    rows_.reset();
    store_.reset();
    store_.emplace(open());
    rows_.emplace(store_->collection("notes", versionNumber(version_)));
  }

  // An older program reads all rows, and has those rewritten that it had to upgrade.
  void writeBack(int version) const {
    const Store older = Store::open(path_, {.durability = Durability::off, .writeBackRows = 1000});
    const auto rows = older.collection("notes", versionNumber(version));
    {
      const auto snapshot = older.read();
      for (const auto& [id, text] : expected_) rows.get(snapshot, id);
    }
    while (older.writeBack() > 0) {
    }
  }

  // One batch of the partition that the key lies in; `between` runs when it is prepared. Returns whether the
  // pass has ended.
  bool step(CompactionMode mode, std::uint64_t key, BatchLimits limits,
            const std::function<void()>& between = {}) {
    limits.probe = [&](const char* point) {
      if (between && std::string_view(point) == "prepared") between();
    };
    settle();
    Batch batch(store_->read().state().sharedStore(), rows_->state(), mode, limits, 100);
    batch.prepare(rows_->key(key));
    do {
      batch.install();
      if (const auto mismatch = batch.verify()) throw std::logic_error(mismatch->what);
    } while (!batch.isInstalled());
    last_ = batch.takeResult();
    return batch.endedPass();
  }
  // All that there is.
  void pass(CompactionMode mode, const BatchLimits& limits = {}) {
    for (std::optional<Key> lower = Key(); lower;) {
      settle();
      Batch batch(store_->read().state().sharedStore(), rows_->state(), mode, limits, 100);
      do {
        batch.prepare(*lower);
        do {
          batch.install();
          if (const auto mismatch = batch.verify()) throw std::logic_error(mismatch->what);
        } while (!batch.isInstalled());
      } while (!batch.endedPass());
      const auto snapshot = store_->read();
      lower = Partitions(snapshot.state(), "notes").upperOf(batch.partition());
    }
  }

  // What was kept of partitions whose pass has ended.
  void settle() const {
    const auto store = store_->read().state().sharedStore();
    const auto preimages = Preimages::find(*store, "notes");
    const auto next = [&] {
      TransactionState transaction(store, storage::Access::read);
      return preimages ? partitionToSettle(transaction, rows_->state(), *preimages) : std::optional<Key>();
    };
    while (const auto lower = next()) {
      Settlement settlement(store, rows_->state(), *preimages, *lower, {});
      while (!settlement.isDone()) {
        if (const auto mismatch = settlement.step()) throw std::logic_error(mismatch->what);
      }
    }
  }

  // The last block: its key, and what is stored.
  std::pair<Key, std::vector<std::byte>> lastBlock() const {
    const auto snapshot = store_->read();
    const auto cursor = snapshot.state().storage().cursor(coldTree());
    if (!cursor->last()) throw std::logic_error("there are no blocks");
    return {Key(cursor->key()), {cursor->value().begin(), cursor->value().end()}};
  }
  void replaceBlock(const Key& key, const std::vector<std::byte>& value) const {
    TransactionState transaction(store_->read().state().sharedStore(), storage::Access::write);
    std::ranges::copy(value, transaction.storage().reserve(coldTree(), key.bytes(), value.size()).begin());
    transaction.commit();
  }

  void removeBlock(const Key& key) const {
    TransactionState transaction(store_->read().state().sharedStore(), storage::Access::write);
    transaction.storage().erase(coldTree(), key.bytes());
    transaction.commit();
  }
  void flipBitOfRow(std::uint64_t id) const {
    TransactionState transaction(store_->read().state().sharedStore(), storage::Access::write);
    const Key key = rows_->key(id);
    const Bytes stored = transaction.storage().get(rows_->state().tree(), key.bytes()).value();
    std::vector<std::byte> value(stored.begin(), stored.end());
    value.back() ^= std::byte{1};
    std::ranges::copy(
        value, transaction.storage().reserve(rows_->state().tree(), key.bytes(), value.size()).begin());
    transaction.commit();
  }

  const Store& store() const { return *store_; }

  // Empty where all is well.
  std::string fault() const {
    const auto snapshot = store_->read();
    if (rows_->count(snapshot) != expected_.size())
      return "count " + std::to_string(rows_->count(snapshot)) + " in place of " +
             std::to_string(expected_.size());
    for (const bool reverse : {false, true}) {
      std::vector<std::pair<std::uint64_t, std::string>> seen;
      auto scan = rows_->scan(snapshot, {.reverse = reverse});
      while (scan.next()) seen.push_back(stored(scan.key(), scan.value()));
      if (reverse) std::reverse(seen.begin(), seen.end());
      if (!std::equal(seen.begin(), seen.end(), expected_.begin(), expected_.end(),
                      [](const auto& left, const auto& right) {
                        return left.first == right.first && left.second == right.second;
                      }))
        return reverse ? "other rows backwards" : "other rows";
    }
    const CheckReport report = check(*store_);
    if (report.damaged()) return report.problems.front().message;
    const Verification verified = verify(*store_);
    for (const VerifiedPartition& partition : verified.partitions) {
      if (!partition.problem.empty()) return partition.problem;
    }
    if (version_ == 1 && !report.sound()) return "failed upgrades without a reason";
    return readAudit(*store_, snapshot).damage;
  }

  // The lowest version of all rows is not below what partitions say.
  bool floorsHold() const {
    const auto snapshot = store_->read();
    auto scan = rows_->scan(snapshot);
    while (scan.next()) {
      const Partition partition = Partitions(snapshot.state(), "notes").of(Key(scan.key()));
      if (versionOf(scan.key(), scan.value()) < partition.floor) return false;
    }
    return true;
  }

  std::size_t partitions() const {
    const auto snapshot = store_->read();
    return Partitions(snapshot.state(), "notes").all().size();
  }
  std::uint64_t coldRows() const {
    const auto snapshot = store_->read();
    return readTiers(snapshot.state(), "notes").coldRows;
  }
  std::uint64_t coldBlocks() const {
    const auto snapshot = store_->read();
    return readTiers(snapshot.state(), "notes").coldBlocks;
  }
  std::string get(std::uint64_t id) const {
    const auto snapshot = store_->read();
    const auto row = rows_->get(snapshot, id);
    return row ? row->get("text").as<capnp::Text>().cStr() : "none";
  }
  const Contents& expected() const { return expected_; }
  const BatchResult& last() const { return last_; }
  int version() const { return version_; }

 private:
  Store open() const { return Store::open(path_, {.durability = Durability::off, .mapSize = mapSize_}); }
  storage::TreeId coldTree() const {
    return *store_->read().state().store().environment().openTree(coldTreeName("notes"), false);
  }

  static std::uint16_t versionOf(Bytes key, Bytes value) {
    RowView row;
    if (decodeRow(key, value, Verify::yes, row) != RowDamage::none) throw std::logic_error("a damaged row");
    return row.version;
  }
  // As it is stored, so that rows that cannot be upgraded are seen too.
  static std::pair<std::uint64_t, std::string> stored(Bytes key, Bytes value) {
    static const RecordSchema schema = versionNumber(1);
    RowView row;
    if (decodeRow(key, value, Verify::yes, row) != RowDamage::none) throw std::logic_error("a damaged row");
    std::vector<std::byte> aligned(row.payload.begin(), row.payload.end());
    const capnp::word* words = reinterpret_cast<const capnp::word*>(aligned.data());
    const kj::ArrayPtr<const capnp::word> segment(words, aligned.size() / sizeof(capnp::word));
    capnp::SegmentArrayMessageReader message(kj::arrayPtr(&segment, 1));
    const auto record = message.getRoot<capnp::DynamicStruct>(schema.root());
    return {record.get("id").as<std::uint64_t>(), record.get("text").as<capnp::Text>().cStr()};
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "store.instar";
  const std::uint64_t mapSize_;
  std::optional<Store> store_{open()};
  int version_ = 1;
  std::optional<Rows> rows_{store_->collection("notes", versionNumber(1))};
  Contents expected_;
  BatchResult last_;
};

enum class Before { absent, row, covering, cold, tombstone };
enum class Change { none, put, erase, putAndErase, eraseAndPut, same };

class BatchChanges : public ::testing::TestWithParam<std::tuple<Before, Change, CompactionMode>> {};

TEST_P(BatchChanges, BetweenPreparationAndLockAreKept) {
  const auto [before, change, mode] = GetParam();
  for (const bool getsOld : {false, true}) {
    Notes notes;
    constexpr std::uint64_t kId = 50;
    const bool isCold = before == Before::covering || before == Before::cold || before == Before::tombstone;
    for (std::uint64_t id = 0; id < 100; ++id) {
      if (id != kId || isCold) notes.put(id, std::to_string(id));
    }
    notes.pass(CompactionMode::compress);
    if (before == Before::row || before == Before::covering) notes.put(kId, "51");
    if (before == Before::tombstone) notes.erase(kId);
    if (getsOld) notes.nextVersion();
    const auto disturb = [&, change = change] {
      if (change == Change::put || change == Change::putAndErase) notes.put(kId, "52");
      if (change == Change::erase || change == Change::putAndErase || change == Change::eraseAndPut)
        notes.erase(kId);
      if (change == Change::eraseAndPut) notes.put(kId, "53");
      if (change == Change::same && notes.expected().contains(kId)) notes.put(kId, notes.expected().at(kId));
    };
    while (!notes.step(mode, 0, {.lockTime = std::chrono::microseconds(0)}, disturb)) {
    }
    EXPECT_EQ(notes.fault(), "");
    EXPECT_TRUE(notes.floorsHold());
    notes.pass(mode);
    EXPECT_EQ(notes.fault(), "");
    if (mode == CompactionMode::compress) {
      EXPECT_EQ(notes.coldRows(), notes.expected().size());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    OfEveryKind, BatchChanges,
    ::testing::Combine(::testing::Values(Before::absent, Before::row, Before::covering, Before::cold,
                                         Before::tombstone),
                       ::testing::Values(Change::none, Change::put, Change::erase, Change::putAndErase,
                                         Change::eraseAndPut, Change::same),
                       ::testing::Values(CompactionMode::upgrade, CompactionMode::compress)));

// The batch ended inside of a block. Behind that place the block had a row that cannot be upgraded, and which
// a newer row of the hot tree covered: the old one took its place.
TEST(BatchRegression, ARowThatLeavesItsBlockDoesNotTakeThePlaceOfANewerOne) {
  for (const bool isErased : {false, true}) {
    Notes notes;
    for (std::uint64_t id = 0; id < 1000; id += 10) notes.put(id, id == 900 ? "many" : std::to_string(id));
    notes.pass(CompactionMode::compress);
    isErased ? notes.erase(900) : notes.put(900, "900");
    for (std::uint64_t id = 1; id < 200; id += 2) notes.put(id, std::to_string(id));
    notes.nextVersion();
    notes.step(CompactionMode::compress, 0, {.rows = 20});
    EXPECT_EQ(notes.fault(), "");
    notes.pass(CompactionMode::compress);
    EXPECT_EQ(notes.fault(), "");
  }
}

// The batch ended inside of a block, and nothing behind that place could be packed. The few rows before it
// were left to the next batch, but not what was to become of them in the hot tree: they were gone.
TEST(BatchRegression, RowsBeforeABlocksHopelessRestAreNotLost) {
  Notes notes;
  for (std::uint64_t id = 100; id < 1000; id += 10) notes.put(id, id > 100 ? "many" : "100");
  notes.pass(CompactionMode::compress);
  notes.put(0, "many");
  for (std::uint64_t id = 101; id < 110; ++id) notes.put(id, std::to_string(id));
  notes.nextVersion();
  notes.step(CompactionMode::compress, 0, {.rows = 5});
  EXPECT_EQ(notes.fault(), "");
  notes.pass(CompactionMode::compress);
  EXPECT_EQ(notes.fault(), "");
}

// An older program wrote rows back between their preparation and the lock. They were left at its version, and
// the partition was said to be of the newest.
TEST(BatchRegression, WhatAnOlderProgramWritesBackIsNotForgotten) {
  Notes notes;
  for (std::uint64_t id = 0; id < 100; ++id) notes.put(id, std::to_string(id));
  notes.nextVersion();
  notes.nextVersion();
  EXPECT_TRUE(notes.step(CompactionMode::upgrade, 0, {}, [&] { notes.writeBack(2); }));
  EXPECT_EQ(notes.last().changed, 100U);
  EXPECT_TRUE(notes.floorsHold());
  EXPECT_EQ(notes.fault(), "");
}

// Each thread has a batch's worth, and what follows is what one thread would have left.
TEST(BatchThreads, PrepareOneBehindAnother) {
  for (const CompactionMode mode : {CompactionMode::upgrade, CompactionMode::compress}) {
    Notes notes;
    for (std::uint64_t id = 0; id < 1000; ++id) notes.put(id, id % 100 == 7 ? "many" : std::to_string(id));
    notes.nextVersion();
    EXPECT_FALSE(notes.step(mode, 0, {.rows = 100, .lockTime = std::chrono::seconds(10), .threads = 3}));
    EXPECT_GT(notes.last().rows, 200U);
    EXPECT_LE(notes.last().rows, 310U);  // what cannot be upgraded takes no part of it
    EXPECT_EQ(notes.last().failed, 3U);
    EXPECT_EQ(notes.last().transactions, 3U);
    EXPECT_EQ(notes.fault(), "");
    EXPECT_FALSE(notes.step(mode, 0, {.rows = 100, .lockTime = std::chrono::seconds(10), .threads = 2}));
    EXPECT_EQ(notes.last().transactions, 2U);
    notes.pass(mode, {.rows = 100, .threads = 3});
    EXPECT_EQ(notes.fault(), "");
    EXPECT_TRUE(notes.floorsHold());
  }
}

TEST(BatchThreads, LeaveWhatOthersHaveChangedMeanwhile) {
  Notes notes;
  for (std::uint64_t id = 0; id < 300; ++id) notes.put(id, std::to_string(id));
  notes.step(CompactionMode::compress, 0, {.rows = 100, .threads = 3}, [&] {
    for (std::uint64_t id = 50; id < 300; id += 50) notes.put(id, "changed");
  });
  EXPECT_EQ(notes.last().changed, 5U);
  EXPECT_EQ(notes.fault(), "");
}

// Whether the damage is in the header, which is seen where parts are chosen, or behind it.
TEST(BatchThreads, ADamagedBlockInALaterPartIsReportedAndNothingIsLost) {
  constexpr std::size_t kFiller = 1500;
  const BatchLimits limits{.rows = 100, .lockTime = std::chrono::seconds(10), .threads = 3};
  for (const CompactionMode mode : {CompactionMode::upgrade, CompactionMode::compress}) {
    Notes notes;
    for (std::uint64_t id = 0; id < 330; ++id) notes.put(id, std::to_string(id), kFiller);
    notes.pass(CompactionMode::compress);
    notes.nextVersion();
    const auto [key, block] = notes.lastBlock();
    for (const std::size_t place : {std::size_t{0}, block.size() / 2}) {
      auto damaged = block;
      damaged[place] ^= std::byte{1};
      notes.replaceBlock(key, damaged);
      EXPECT_ERROR(notes.pass(mode, limits), restoreFromBackup, "damaged");
      notes.replaceBlock(key, block);
      EXPECT_EQ(notes.fault(), "");
      EXPECT_TRUE(notes.floorsHold());
    }
    notes.pass(mode, limits);
    EXPECT_EQ(notes.fault(), "");
    EXPECT_TRUE(notes.floorsHold());
  }
}

// What grows the map waits for all snapshots, and who begins one waits for it; the threads that prepare begin
// theirs while the first has one.
TEST(BatchThreads, PrepareWhileTheMapGrowsConcurrentlyWithThem) {
  Notes notes(256 << 10);
  for (std::uint64_t id = 0; id < 1000; ++id) notes.put(id, std::to_string(id), id % 90);
  notes.nextVersion();
  const auto mapSize = [&] { return notes.store().info().mapSize; };
  const std::uint64_t before = mapSize();
  std::atomic<bool> isDone = false;
  std::thread writer([&] {
    const auto rows = notes.store().collection("others", versionNumber(1));
    const std::string filler(60'000, 'f');
    for (std::uint64_t id = 0; !isDone; ++id) {
      try {
        auto transaction = notes.store().write();
        auto draft = rows.create();
        draft->set("id", id);
        draft->set("filler", filler.c_str());
        rows.put(transaction, draft);
        transaction.commit();
      } catch (const Error& error) {
        if (error.code() != ErrorCode::retry) throw;  // the map was full: the next one enlarges it
      }
    }
  });
  while (mapSize() < 32 * before) {
    for (const CompactionMode mode : {CompactionMode::upgrade, CompactionMode::compress}) {
      try {
        notes.pass(mode, {.rows = 100, .threads = 3});
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::retry) << error.what();
      }
    }
  }
  isDone = true;
  writer.join();
  notes.pass(CompactionMode::compress, {.rows = 100, .threads = 3});
  EXPECT_EQ(notes.coldRows(), 1000U);
  EXPECT_EQ(notes.fault(), "");
  EXPECT_TRUE(notes.floorsHold());
}

// Between the preparation and the lock a program has compacted that should not: nothing is installed over it.
TEST(BatchBlocks, ThatAreNotWhatTheyWereAreLeftAlone) {
  Notes notes;
  for (std::uint64_t id = 0; id < 100; ++id) notes.put(id, std::to_string(id));
  notes.pass(CompactionMode::compress);
  const auto [key, older] = notes.lastBlock();
  notes.put(50, "changed");
  notes.pass(CompactionMode::compress);
  const auto [sameKey, block] = notes.lastBlock();
  ASSERT_EQ(sameKey, key);
  notes.put(50, "changed again");
  const std::string retry = "another program has changed cold blocks meanwhile";
  for (const auto& interfere : std::vector<std::function<void()>>{
           [&, key = key] { notes.removeBlock(key); },
           [&, key = key, older = older] { notes.replaceBlock(key, older); }}) {
    EXPECT_ERROR(notes.step(CompactionMode::compress, 0, {}, interfere), retry, retry);
    EXPECT_EQ(notes.get(50), "changed again");
    notes.replaceBlock(key, block);
    EXPECT_EQ(notes.fault(), "");
  }
  notes.pass(CompactionMode::compress);
  EXPECT_EQ(notes.fault(), "");
  EXPECT_EQ(notes.coldRows(), 100U);
}

TEST(BatchRows, ThatAreDamagedMeanwhileAreNotMadeToCoverABlock) {
  Notes notes;
  for (std::uint64_t id = 0; id < 100; ++id) notes.put(id, std::to_string(id));
  const auto disturb = [&] {
    notes.put(50, "changed");
    notes.flipBitOfRow(50);
  };
  EXPECT_ERROR(notes.step(CompactionMode::compress, 0, {}, disturb), restoreFromBackup, "a row is damaged");
  notes.flipBitOfRow(50);
  EXPECT_EQ(notes.fault(), "");
  notes.pass(CompactionMode::compress);
  EXPECT_EQ(notes.fault(), "");
  EXPECT_EQ(notes.coldRows(), 100U);
}

TEST(BatchVersions, OfANewerReleaseEndTheWorkOfAnOlderOne) {
  Notes notes;
  for (std::uint64_t id = 0; id < 100; ++id) notes.put(id, std::to_string(id));
  notes.nextVersion();  // the third only adds, so that it shuts nobody out
  const auto release = [&] { notes.store().collection("notes", versionNumber(3)); };
  EXPECT_ERROR(notes.step(CompactionMode::compress, 0, {}, release), upgradeProgram,
               "compaction is its work from here on");
  EXPECT_EQ(notes.coldRows(), 0U);
  EXPECT_EQ(notes.get(50), "50");
}

// A batch could have taken any number of bytes, or stopped behind its first block.
TEST(BatchSize, IsThatOfItsRowsAndBytes) {
  const auto begun = std::chrono::steady_clock::now();
  Notes notes;
  for (std::uint64_t id = 0; id < 900; ++id)
    notes.put(id, std::to_string(static_cast<std::uint32_t>(id * 2654435761U)), 120);
  notes.pass(CompactionMode::compress);
  ASSERT_GT(notes.coldBlocks(), 2U);
  notes.nextVersion();
  constexpr std::chrono::seconds kUnhurried(10);
  EXPECT_TRUE(notes.step(CompactionMode::compress, 0, {.lockTime = kUnhurried}));
  EXPECT_EQ(notes.last().rows, 900U);
  EXPECT_LT(notes.last().longestLock, std::chrono::steady_clock::now() - begun);
  EXPECT_EQ(notes.fault(), "");
  Notes hot;
  for (std::uint64_t id = 0; id < 400; ++id) hot.put(id, "1", 120);  // upgraded of 160 to 200 bytes each
  hot.nextVersion();
  EXPECT_FALSE(hot.step(CompactionMode::upgrade, 0, {.bytes = 32'768, .lockTime = kUnhurried}));
  EXPECT_GT(hot.last().rows, 32'768U / 250);
  EXPECT_LT(hot.last().rows, 32'768U / 125);
}

TEST(BatchPartitions, AreCutWherePassesHaveGrownLong) {
  Notes notes;
  for (std::uint64_t id = 0; id < 1000; ++id) notes.put(id * 3, std::to_string(id), id % 50);
  notes.pass(CompactionMode::compress, {.rows = 50, .partitionRows = 100});
  EXPECT_GE(notes.partitions(), 5U);
  EXPECT_LE(notes.partitions(), 11U);
  EXPECT_EQ(notes.fault(), "");
  const std::size_t partitions = notes.partitions();
  notes.pass(CompactionMode::compress, {.rows = 50, .partitionRows = 100});
  EXPECT_LE(notes.partitions(), 2 * partitions);
  notes.nextVersion();
  notes.pass(CompactionMode::upgrade, {.rows = 7, .partitionRows = 30});
  EXPECT_EQ(notes.fault(), "");
  EXPECT_TRUE(notes.floorsHold());
}

enum class Act : std::uint8_t { put, putMany, erase, eraseMany, upgrade, compress, pass, version, reopen };

struct Step {
  Act act;
  std::uint16_t id;
  std::uint16_t size;
  std::uint8_t amount;
};

std::ostream& operator<<(std::ostream& out, const Step& step) {
  constexpr const char* kNames[] = {"put",      "putMany", "erase",   "eraseMany", "upgrade",
                                    "compress", "pass",    "version", "reopen"};
  return out << kNames[static_cast<int>(step.act)] << "(" << step.id << ", " << step.size << ", "
             << int{step.amount} << ")";
}

constexpr std::uint64_t kIds = 400;
constexpr std::uint64_t kStride = 7;

void changeRows(Notes& notes, const Step& step, bool puts) {
  for (std::uint64_t i = 0; i < step.amount % 40U; ++i) {
    const std::uint64_t id = (step.id + i * (1 + step.size % kStride)) % kIds;
    const std::uint64_t kind = id * 31 + step.size + i;
    if (puts && kind % 4 != 0) {
      const std::size_t filler = kind % 61 == 0 ? 70'000 : kind % 11 == 0 ? 1500 : kind % 90;
      notes.put(id, kind % 9 == 0 ? "many" : std::to_string(kind % 1000), filler);
    } else if (puts || kind % 3 != 0) {
      notes.erase(id);
    }
  }
}

void apply(Notes& notes, const Step& step) {
  const BatchLimits limits{.rows = 1 + step.size % 60U,
                           .bytes = step.size % 3 == 0 ? 2000U : 1U << 20,
                           .lockTime = std::chrono::microseconds(step.size % 2 == 0 ? 0 : 2000),
                           .partitionRows = 20 + step.size % 100U,
                           .threads = 1 + step.id % 3U,
                           .keepPreimages = step.id % 2 == 0};
  const auto disturb = [&] {
    if (step.amount % 2 == 0) changeRows(notes, step, step.amount % 4 == 0);
  };
  const CompactionMode mode = step.amount % 3 == 0 ? CompactionMode::upgrade : CompactionMode::compress;
  switch (step.act) {
    case Act::put:
      return notes.put(step.id % kIds, step.size % 9 == 0 ? "many" : std::to_string(step.size),
                       step.size % 300);
    case Act::erase:
      return notes.erase(step.id % kIds);
    case Act::putMany:
      return changeRows(notes, step, true);
    case Act::eraseMany:
      return changeRows(notes, step, false);
    case Act::upgrade:
      for (int i = 0; i <= step.amount % 5; ++i)
        notes.step(CompactionMode::upgrade, step.id % kIds, limits, disturb);
      return;
    case Act::compress:
      for (int i = 0; i <= step.amount % 5; ++i)
        notes.step(CompactionMode::compress, step.id % kIds, limits, disturb);
      return;
    case Act::pass:
      return notes.pass(mode, limits);
    case Act::version:
      if (notes.version() < 6) notes.nextVersion();
      return;
    case Act::reopen:
      return notes.reopen();
  }
}

rc::Gen<Step> anyStep() {
  const auto act = rc::gen::weightedElement<Act>({{4, Act::put},
                                                  {6, Act::putMany},
                                                  {3, Act::erase},
                                                  {2, Act::eraseMany},
                                                  {4, Act::upgrade},
                                                  {6, Act::compress},
                                                  {2, Act::pass},
                                                  {1, Act::version},
                                                  {1, Act::reopen}});
  return rc::gen::construct<Step>(act, rc::gen::arbitrary<std::uint16_t>(),
                                  rc::gen::arbitrary<std::uint16_t>(), rc::gen::arbitrary<std::uint8_t>());
}

RC_GTEST_PROP(Batches, LeaveTheRowsAsTheyAre, ()) {
  const auto steps = *rc::gen::scale(0.5, rc::gen::container<std::vector<Step>>(anyStep()));
  Notes notes;
  for (std::uint64_t id = 0; id < kIds; id += 3)
    notes.put(id, id % 17 == 0 ? "many" : std::to_string(id), id % 90);
  for (const Step& step : steps) {
    apply(notes, step);
    RC_ASSERT(notes.fault() == "");
    RC_ASSERT(notes.floorsHold());
  }
  notes.pass(CompactionMode::compress);
  RC_ASSERT(notes.fault() == "");
  RC_ASSERT(notes.floorsHold());
}

}  // namespace
}  // namespace instar
