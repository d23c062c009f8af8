// A file does not grow for ever: what commits free is used again, as soon as no snapshot needs it. Whoever
// keeps one for long is reported with what it holds back, and so is a program that is stopped; one that has
// died is forgotten by itself.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

#include "instar/engine/check.h"
#include "instar/engine/migration.h"
#include "instar/engine/store.h"
#include "instar/tests/schedules/stored_rows.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::schedules {
namespace {

using testing::ChildProcess;
using testing::Steps;

constexpr std::uint64_t kKeys = 2000;
constexpr int kWarmUp = 3000;  // commits
constexpr int kLong = 6000;
constexpr int kEnoughToGrow = 1500;

// Rows are put, erased and packed, in one thread, so that it is the same each time.
class Growth : public ::testing::Test {
 protected:
  Growth() {
    auto transaction = store_.write();
    for (std::uint64_t key = 0; key < kKeys; ++key) put(transaction, key);
    transaction.commit();
  }

  static StoreOptions options() { return {.durability = Durability::off}; }

  void put(WriteTransaction& transaction, std::uint64_t key) {
    auto draft = rows_.create();
    fillRow(*draft, false, key, ++written_);
    rows_.put(transaction, draft);
  }

  std::uint64_t below(std::uint64_t count) { return random_() % count; }

  void commit() {
    auto transaction = store_.write();
    const std::uint64_t near = below(kKeys);
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t key = i < 4 ? (near + below(20)) % kKeys : below(kKeys);
      if (below(5) == 0) {
        rows_.erase(transaction, key);
      } else {
        put(transaction, key);
      }
    }
    transaction.commit();
    if (++commits_ % 100 == 0) migrate(store_, "rows", {.mode = CompactionMode::compress});
  }

  // Readers come and go, the oldest of them some dozen commits old.
  void work(int commits) {
    for (int i = 0; i < commits; ++i) {
      commit();
      auto& reader = readers_[below(readers_.size())];
      reader.reset();
      if (below(3) != 0) reader.emplace(store_.read());
    }
    for (auto& reader : readers_) reader.reset();
  }

  // Of the process; those that hold no snapshot are left out.
  std::vector<ReaderInfo> holders(pid_t process) const {
    std::vector<ReaderInfo> readers = store_.readers();
    std::erase_if(readers, [&](const ReaderInfo& reader) {
      return reader.process != process || reader.transaction == 0;
    });
    return readers;
  }

  std::uint64_t pages() const {
    const EnvironmentInfo info = store_.info();
    return info.usedPages + info.freePages;
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "store.instar";
  Store store_ = Store::open(path_, options());
  Collection<capnp::DynamicStruct> rows_ = store_.collection("rows", storedVersion(1, 1));
  std::mt19937_64 random_{1};
  std::uint64_t written_ = 0;
  int commits_ = 0;
  std::vector<std::optional<ReadTransaction>> readers_{6};
};

TEST_F(Growth, EndsOnceItIsWarm) {
  work(kWarmUp);
  const std::uint64_t warm = pages();
  work(kLong);
  EXPECT_LE(pages(), warm + warm / 4);
  EXPECT_TRUE(check(store_).sound());
}

TEST_F(Growth, GoesOnBehindASnapshotThatIsHeldAndEndsWithIt) {
  work(kWarmUp);
  const std::uint64_t warm = pages();
  {
    const ReadTransaction held = store_.read();
    work(kEnoughToGrow);
    const auto readers = holders(::getpid());
    ASSERT_EQ(readers.size(), 1U);
    EXPECT_EQ(readers[0].transaction, held.id());
    EXPECT_GE(readers[0].commitsBehind, static_cast<std::uint64_t>(kEnoughToGrow));
    EXPECT_GT(pages(), 2 * warm);
    // What the file has grown by is what the snapshot holds back, but for pages that came and went.
    EXPECT_GT(readers[0].pinnedPages.value(), (pages() - warm) * 8 / 10);
    EXPECT_LE(readers[0].pinnedPages.value(), store_.info().freePages);
  }
  const std::uint64_t grown = pages();
  work(kLong);
  EXPECT_LE(pages(), grown) << "there is room enough inside";
  EXPECT_TRUE(check(store_).sound());
}

TEST_F(Growth, OfAnOldAndAYoungSnapshotEachShowsWhatItHoldsBack) {
  const ReadTransaction old = store_.read();
  for (int i = 0; i < 50; ++i) commit();
  const ReadTransaction young = store_.read();
  for (int i = 0; i < 10; ++i) commit();
  auto readers = holders(::getpid());
  ASSERT_EQ(readers.size(), 2U);
  std::ranges::sort(readers, {}, &ReaderInfo::transaction);
  EXPECT_EQ(readers[0].commitsBehind, 60U);
  EXPECT_EQ(readers[1].commitsBehind, 10U);
  EXPECT_GT(readers[0].pinnedPages.value(), readers[1].pinnedPages.value());
  EXPECT_GT(readers[1].pinnedPages.value(), 0U);
  const ReadTransaction newest = store_.read();
  for (const ReaderInfo& reader : holders(::getpid())) {
    if (reader.transaction != newest.id()) continue;
    EXPECT_EQ(reader.commitsBehind, 0U);
    EXPECT_EQ(reader.pinnedPages, 0U);
  }
}

// In processes, which are forked before the store is open here.
class GrowthBehindAProcess : public ::testing::Test {
 protected:
  static void write(const Store& store, int commits) {
    const auto rows = store.collection("rows", storedVersion(1, 1));
    for (int i = 0; i < commits; ++i) {
      auto transaction = store.write();
      for (std::uint64_t key = 0; key < 20; ++key) {
        auto draft = rows.create();
        fillRow(*draft, false, key * 40, static_cast<Writer>(i) + 1);
        rows.put(transaction, draft);
      }
      transaction.commit();
    }
  }

  static std::optional<ReaderInfo> readerOf(const Store& store, const ChildProcess& child) {
    for (const ReaderInfo& reader : store.readers())
      if (reader.process == child.process() && reader.transaction != 0) return reader;
    return std::nullopt;
  }

  static std::uint64_t sizeOf(const Store& store) {
    const EnvironmentInfo info = store.info();
    return info.usedPages + info.freePages;
  }

  void hold(const Steps& parent) const {
    const Store store = Store::open(path_, {.durability = Durability::off});
    write(store, 1);
    const ReadTransaction snapshot = store.read();
    parent.tell();
    parent.await();
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "store.instar";
};

TEST_F(GrowthBehindAProcess, ThatIsStoppedShowsAndEndsWhenItGoesOn) {
  ChildProcess child([&](const Steps& parent) { hold(parent); });
  child.await();
  const Store store = Store::open(path_, {.durability = Durability::off});
  ::kill(child.process(), SIGSTOP);
  write(store, 600);  // far beyond the commits at which dead readers are looked for: this one lives
  const auto reader = readerOf(store, child);
  ASSERT_TRUE(reader);
  EXPECT_TRUE(reader->alive);
  EXPECT_EQ(reader->commitsBehind, 600U);
  EXPECT_GT(reader->pinnedPages.value(), 1000U);
  const std::uint64_t grown = sizeOf(store);
  ::kill(child.process(), SIGCONT);
  child.tell();
  child.expectSuccess();
  write(store, 600);
  EXPECT_LE(sizeOf(store), grown);
}

// Its slot stayed until somebody opened the file: a program that runs for weeks let the file grow for weeks.
TEST_F(GrowthBehindAProcess, ThatWasKilledEndsWithinSomeCommits) {
  ChildProcess child([&](const Steps& parent) { hold(parent); });
  child.await();
  const Store store = Store::open(path_, {.durability = Durability::off});
  child.kill();
  const auto dead = readerOf(store, child);
  ASSERT_TRUE(dead);
  EXPECT_FALSE(dead->alive);
  write(store, 300);
  EXPECT_FALSE(readerOf(store, child)) << "writers look for it now and then";
  const std::uint64_t before = sizeOf(store);
  write(store, 600);
  EXPECT_LE(sizeOf(store), before);
}

}  // namespace
}  // namespace instar::schedules
