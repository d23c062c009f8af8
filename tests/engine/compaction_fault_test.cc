// The thread that compacts, among everything that can be in its way: a full disk, one that fails, the time
// of the day, slow commits, a writer who holds on, rows that cannot be upgraded, and being stopped.

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <ctime>

#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/internal/store_state.h"
#include "instar/format/file_format.h"
#include "instar/tests/engine/compaction_thread.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/fault_io.h"
#include "instar/tests/support/forwarding_storage.h"

namespace instar {
namespace {

using namespace std::chrono_literals;
using testing::IoCall;
using testing::IoEvent;
using testing::IoOutcome;

class CompactionFaults : public CompactionThread {
 protected:
  // At the second version, as the foreground does while older rows are there.
  static void put(const Store& store, const Rows& items, std::uint64_t id) {
    auto transaction = store.write();
    auto draft = items.create();
    draft->set("id", id);
    draft->set("text", ("row " + std::to_string(id) + " of many").c_str());
    draft->set("head", "row");
    items.put(transaction, draft);
    transaction.commit();
  }

  static bool isWaitingFor(const Store& store, WaitReason reason) {
    return store.compaction().status().wait == reason;
  }

  static std::uint64_t rowsOf(const Store& store, std::uint16_t version) {
    for (const VersionCount& count : countVersions(store, store.read(), "items").versions) {
      if (count.version == version) return count.rows;
    }
    return 0;
  }

  static std::ptrdiff_t timesOf(const Store& store, AuditEvent event) {
    const auto all = events(store);
    return std::count(all.begin(), all.end(), event);
  }
};

TEST_F(CompactionFaults, LittleSpaceOnTheDiskHoldsUpCompactionAndNobodyElse) {
  StoreOptions options = compacting(CompactionMode::compress);
  options.compaction.minFreeDisk = std::uint64_t{1} << 62;
  {
    const Store store = Store::open(path_, options);
    fill(store, 1000);
    const Rows items = store.collection("items", secondVersion());
    ASSERT_TRUE(comes([&] {
      const auto said = compactionProgress(store, store.read()).compactor;
      return said && said->status.wait == WaitReason::diskSpace;
    }));
    for (std::uint64_t id = 1000; id < 1010; ++id) put(store, items, id);
    EXPECT_TRUE(isWaitingFor(store, WaitReason::diskSpace));
    EXPECT_EQ(store.compaction().status().rows, 0U);
    EXPECT_EQ(rowsOf(store, 1), 1000U);
    expectWhole(store, 1010);
  }
  options.compaction.minFreeDisk = 1;
  const Store store = Store::open(path_, options);
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return store.compaction().status().packed == 1010; }));
  expectWhole(store, 1010);
}

class DiskWithRoom final : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  storage::Pressure pressure() override {
    storage::Pressure pressure = ForwardingStorage::pressure();
    pressure.freeDisk = room;
    return pressure;
  }
  std::atomic<std::uint64_t> room = 0;
};

TEST_F(CompactionFaults, GoesOnByItselfWhenThereIsSpaceAgain) {
  const auto disk = std::make_shared<DiskWithRoom>(storage::openLmdb(path_, {}));
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.compaction.minFreeDisk = 1000;
  disk->room = 999;
  const Store store = Store::open(disk, options);
  fill(store, 1000);
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return isWaitingFor(store, WaitReason::diskSpace); }));
  EXPECT_EQ(store.compaction().status().rows, 0U);
  disk->room = 1000;
  ASSERT_TRUE(comes([&] { return isSettled(store); }));
  expectWhole(store, 1000);
}

// From and to so many minutes from now. Two hours are more than a test takes, and than clocks are set by.
AllowedHours hoursAround(int from, int to) {
  const std::time_t time = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&time, &local);
  const int now = local.tm_hour * 60 + local.tm_min;
  constexpr int kDay = 24 * 60;
  return {(now + from + kDay) % kDay, (now + to + kDay) % kDay};
}

TEST_F(CompactionFaults, WorksInItsHoursOnly) {
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.compaction.allowedHours = hoursAround(120, -120);
  {
    const Store store = Store::open(path_, options);
    fill(store, 1000);
    store.collection("items", secondVersion());
    ASSERT_TRUE(comes([&] { return isWaitingFor(store, WaitReason::quietHours); }));
    EXPECT_EQ(store.compaction().status().rows, 0U);
    EXPECT_EQ(rowsOf(store, 1), 1000U);
  }
  options.compaction.allowedHours = hoursAround(-120, 120);
  const Store store = Store::open(path_, options);
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return isSettled(store); }));
  expectWhole(store, 1000);
}

TEST_F(CompactionFaults, GivesWayToSlowCommitsButDoesNotStarve) {
  constexpr std::uint64_t kRows = 20'000;
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.compaction.latencyBudget = 1us;  // no commit is so fast
  options.compaction.mostDeference = 20ms;
  const Store store = Store::open(path_, options);
  const Compaction compaction = store.compaction();
  compaction.pause();
  fill(store, kRows);
  const Rows items = store.collection("items", secondVersion());
  std::atomic<bool> isDone = false;
  std::atomic<std::uint64_t> commits = 0;
  std::thread writer([&] {
    while (!isDone) {
      put(store, items, kRows);
      ++commits;
    }
  });
  EXPECT_TRUE(comes([&] { return commits > 100 && compaction.status().wait == WaitReason::paused; }));
  compaction.resume();
  bool hasGivenWay = false;
  EXPECT_TRUE(comes([&] {
    hasGivenWay = hasGivenWay || compaction.status().wait == WaitReason::latency;
    return isSettled(store);
  }));
  isDone = true;
  writer.join();
  EXPECT_TRUE(hasGivenWay);
  expectWhole(store, kRows + 1);
}

RecordSchema person(const char* version, const char* field) {
  return testing::parseDeclarations("struct Person @0x8f1e2d3c4b5a6978 $Instar.version(" +
                                        std::string(version) +
                                        ") { id @0 :UInt64 $Instar.key(0); name @1 :Text; " + field + " }",
                                    "Person");
}

// The first five of those that have no name: every seventh.
void expectNamed(const std::vector<FailedRow>& failures) {
  ASSERT_EQ(failures.size(), 5U);
  for (std::uint64_t i = 0; i < failures.size(); ++i) {
    EXPECT_EQ(std::to_integer<std::uint64_t>(failures[i].key.back()), i * 7);
    EXPECT_EQ(failures[i].version, 1U);
    EXPECT_EQ(failures[i].field, "initial");
    EXPECT_THAT(failures[i].reason, ::testing::HasSubstr("there is no name"));
  }
}

TEST_F(CompactionFaults, RowsThatCannotBeUpgradedHoldUpNeitherTheirsNorOtherCollections) {
  constexpr std::uint64_t kRows = 1000;
  constexpr std::uint64_t kEach = 7;  // of so many one fails
  constexpr std::uint64_t kFailing = (kRows + kEach - 1) / kEach;
  for (const CompactionMode mode : {CompactionMode::upgrade, CompactionMode::compress}) {
    StoreOptions options = compacting(mode);
    auto functions = std::make_shared<Functions>();
    functions->value("initial", [](capnp::Text::Reader name) {
      if (name.size() == 0) throw UpgradeFailure("there is no name");
      return std::string(name.begin(), 1);
    });
    options.functions = functions;
    const Store store =
        Store::open(folder_ / std::string(mode == CompactionMode::upgrade ? "a" : "b"), options);
    const Compaction compaction = store.compaction();
    compaction.pause();
    ASSERT_TRUE(comes([&] { return compaction.status().wait == WaitReason::paused; }));
    fill(store, kRows);
    store.collection("items", secondVersion());
    {
      const Rows people = store.collection("people", person("1", ""));
      auto transaction = store.write();
      for (std::uint64_t id = 0; id < kRows; ++id) {
        auto draft = people.create();
        draft->set("id", id);
        if (id % kEach != 0) draft->set("name", "Ada");
        people.put(transaction, draft);
      }
      transaction.commit();
    }
    const Rows people = store.collection(
        "people", person("2",
                         "initial @2 :Text $Instar.derived(since = 2, call = (function = \"initial\", "
                         "from = [\"name\"]));"));
    compaction.resume();
    ASSERT_TRUE(comes([&] { return timesOf(store, AuditEvent::finished) == 2; }));
    EXPECT_EQ(compaction.status().detail, "");
    EXPECT_EQ(compaction.status().failed, kFailing);
    expectNamed(compaction.status().failures);
    for (const AuditEntry& entry : readAudit(store, store.read()).entries) {
      if (entry.event != AuditEvent::finished) continue;
      if (entry.collection == "people") expectNamed(entry.failures);
      EXPECT_EQ(entry.failures.empty(), entry.collection == "items");
    }
    EXPECT_EQ(timesOf(store, AuditEvent::passEnded), 2) << "a pass for each, and not again and again";
    expectRows(store, kRows);
    EXPECT_FALSE(check(store).damaged());
    EXPECT_EQ(verify(store).problems, 0U);
    const auto progress = compactionProgress(store, store.read()).collections;
    ASSERT_EQ(progress.size(), 2U);
    EXPECT_TRUE(progress[0].isSettled());
    EXPECT_FALSE(progress[1].isSettled());
    EXPECT_EQ(progress[1].partitions.at(0).passedFor, 2U);
    EXPECT_EQ(progress[1].partitions.at(0).failedRows, kFailing);
    const auto snapshot = store.read();
    for (std::uint64_t id = 0; id < kRows; ++id) {
      if (id % kEach == 0) {
        EXPECT_ERROR(people.get(snapshot, id), fixRow, "there is no name");
        continue;
      }
      const auto row = people.get(snapshot, id);
      EXPECT_EQ(row.version(), 2U);
      EXPECT_STREQ(row->get("initial").as<capnp::Text>().cStr(), "A");
    }
  }
}

// The thread came to it first, and never to the others.
class DamagedCollection : public CompactionFaults {
 protected:
  // Of two collections, `damage` is done to the first in the alphabet, "a people".
  template <class Damage>
  void expectTheOtherIsCompacted(const char* words, Damage&& damage) const {
    StoreOptions options = compacting(CompactionMode::upgrade);
    options.compaction.maxFailuresInARow = 3;
    const Store store = Store::open(path_, options);
    const Compaction compaction = store.compaction();
    compaction.pause();
    ASSERT_TRUE(comes([&] { return isWaitingFor(store, WaitReason::paused); }));
    fill(store, 1000);
    store.collection("items", secondVersion());
    {
      const Rows people = store.collection("a people", person("1", ""));
      auto transaction = store.write();
      auto draft = people.create();
      draft->set("id", std::uint64_t{1});
      people.put(transaction, draft);
      transaction.commit();
    }
    {
      TransactionState transaction(store.read().state().sharedStore(), storage::Access::write);
      damage(transaction);
      transaction.commit();
    }
    compaction.resume();
    ASSERT_TRUE(comes([&] { return has(store, AuditEvent::failed) && rowsOf(store, 1) == 0; }));
    EXPECT_THAT(compaction.status().detail, ::testing::HasSubstr(words));
    EXPECT_FALSE(has(store, AuditEvent::circuitOpened));
    expectRows(store, 1000);
  }
};

TEST_F(DamagedCollection, WhoseBlocksAreMissingIsReportedAndHoldsUpNoOther) {
  expectTheOtherIsCompacted("cold blocks of the collection are missing", [](TransactionState& transaction) {
    // As a program leaves it that copies what it knows, and does not know of blocks.
    Catalog catalog(transaction);
    auto record = *catalog.collection("a people");
    record.tiered = true;
    catalog.putCollection(record);
  });
}

TEST_F(DamagedCollection, WhosePartitionsCannotBeReadIsReportedAndHoldsUpNoOther) {
  expectTheOtherIsCompacted("the catalog is damaged", [](TransactionState& transaction) {
    const Key key = recordPrefix(kPartitionKeyPrefix, "a people");
    const auto place = transaction.storage().reserve(transaction.store().catalog(), key.bytes(), 16);
    std::ranges::fill(place, std::byte{0});
  });
}

class CompactionStop : public CompactionFaults {
 protected:
  static constexpr std::uint64_t kRows = 20'000;

  // Whose rate is so low that it is never done.
  Store slowStore() const {
    StoreOptions options = compacting(CompactionMode::upgrade);
    options.compaction.rate = 64 << 10;
    return Store::open(path_, options);
  }

  // By several threads at once; each has to find that the thread has ended.
  static void expectStops(const Store& store) {
    const Compaction compaction = store.compaction();
    std::atomic<int> found = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        compaction.stop();
        if (compaction.status().wait == WaitReason::stopped) ++found;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(found, 8);
    const std::uint64_t rewritten = compaction.status().rewritten;
    put(store, store.collection("items", secondVersion()), kRows);
    compaction.resume();  // for good
    expectWhole(store, kRows + 1);
    EXPECT_EQ(rowsOf(store, 1), kRows - rewritten);
    EXPECT_EQ(events(store).back(), AuditEvent::stopped);
  }
};

TEST_F(CompactionStop, BySeveralWhileItWaitsForItsRate) {
  const Store store = slowStore();
  fill(store, kRows);
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return isWaitingFor(store, WaitReason::rate); }));
  expectStops(store);
}

TEST_F(CompactionStop, BySeveralWhileItIsPaused) {
  const Store store = slowStore();
  store.compaction().pause();
  fill(store, kRows);
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return isWaitingFor(store, WaitReason::paused); }));
  expectStops(store);
}

TEST_F(CompactionStop, BySeveralWhileItWorks) {
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.compaction.lockTime = 0us;
  const Store store = Store::open(path_, options);
  fill(store, kRows);
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return store.compaction().status().rewritten != 0; }));
  expectStops(store);
}

TEST_F(CompactionStop, LeavesNothingToAThreadThatGetsItsId) {
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  const auto state = store.read().state().sharedStore();
  std::atomic<std::thread::id> compacting;
  store.compaction().onReport([&](const CompactionStatus&) { compacting = std::this_thread::get_id(); });
  store.compaction().pause();  // which it reports
  ASSERT_TRUE(comes([&] { return compacting.load() != std::thread::id(); }));
  store.compaction().stop();
  bool wasReused = false;
  for (int i = 0; i < 100; ++i) {
    std::thread([&] {
      wasReused = wasReused || std::this_thread::get_id() == compacting.load();
      EXPECT_FALSE(state->isCompactingThread());
    }).join();
  }
  if (!wasReused) GTEST_SKIP() << "no thread got the id";
}

// It waited for whoever waited for it; and who stopped it later did not wait, and closed the store under it.
TEST_F(CompactionStop, FromItsReportAndFromOutsideAtOnce) {
  const Store store = slowStore();
  const Compaction compaction = store.compaction();
  std::atomic<int> reports = 0;
  std::atomic<bool> isAwaited = false;
  compaction.onReport([&](const CompactionStatus&) {
    compaction.stop();
    ++reports;
    while (!isAwaited) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(20ms);  // so that the other one waits by now
  });
  compaction.pause();
  ASSERT_TRUE(comes([&] { return reports != 0; }));
  isAwaited = true;
  compaction.stop();
  EXPECT_EQ(compaction.status().wait, WaitReason::stopped);
  EXPECT_EQ(reports, 2) << "that it is paused, and that it is stopped";
}

TEST_F(CompactionStop, ByClosingTheStoreAgainAndAgain) {
  constexpr int kClosings = 20;
  fill(Store::open(path_, {.durability = Durability::off}), kRows);
  for (int closing = 0; closing < kClosings; ++closing) {
    const Store store = slowStore();
    store.collection("items", secondVersion());
    ASSERT_TRUE(comes([&] { return store.compaction().status().rewritten != 0; }));
  }
  const Store store = Store::open(path_, compacting(CompactionMode::upgrade));
  EXPECT_EQ(timesOf(store, AuditEvent::stopped), kClosings);
  EXPECT_GT(rowsOf(store, 1), 0U) << "it was done before the last of them: nothing was proved";
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return isSettled(store); }));
  expectWhole(store, kRows);
}

// Counts who did not get the turn to write.
class CrowdedStorage final : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  std::unique_ptr<storage::Transaction> begin(storage::Access access,
                                              std::chrono::milliseconds wait) override {
    try {
      return ForwardingStorage::begin(access, wait);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::retry) ++refused;
      throw;
    }
  }
  std::atomic<int> refused = 0;
};

TEST_F(CompactionFaults, AWriterWhoHoldsOnIsWaitedForAndIsNoFailure) {
  const auto storage = std::make_shared<CrowdedStorage>(storage::openLmdb(path_, {}));
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.writeTimeout = 20ms;
  options.compaction.maxFailuresInARow = 1;
  const Store store = Store::open(storage, options);
  const Compaction compaction = store.compaction();
  compaction.pause();
  ASSERT_TRUE(comes([&] { return has(store, AuditEvent::paused); }));
  fill(store, 1000);
  const Rows items = store.collection("items", secondVersion());
  {
    auto transaction = store.write();
    compaction.resume();
    ASSERT_TRUE(comes(
        [&] { return storage->refused >= 5 && compaction.status().wait == WaitReason::writersWaiting; }));
    EXPECT_EQ(compaction.status().rewritten, 0U);
  }
  ASSERT_TRUE(comes([&] { return isSettled(store); }));
  EXPECT_EQ(compaction.status().detail, "");
  EXPECT_FALSE(has(store, AuditEvent::failed));
  EXPECT_FALSE(has(store, AuditEvent::circuitOpened));
  expectWhole(store, 1000);
}

// It heard what it was told when the writer was done, and what it had to write down about it was lost.
TEST_F(CompactionFaults, HearsAtOnceWhatItIsToldWhileAWriterHoldsOn) {
  const auto storage = std::make_shared<CrowdedStorage>(storage::openLmdb(path_, {}));
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.writeTimeout = 10min;
  const Store store = Store::open(storage, options);
  const Compaction compaction = store.compaction();
  compaction.pause();
  ASSERT_TRUE(comes([&] { return has(store, AuditEvent::paused); }));
  fill(store, 1000);
  const Rows items = store.collection("items", secondVersion());
  std::int64_t end = 0;
  {
    const auto transaction = store.write();
    compaction.resume();
    for (const std::uint64_t rate : {1 << 30, 1 << 29}) {
      const int refused = storage->refused;
      ASSERT_TRUE(comes([&] { return storage->refused >= refused + 5; }));  // it wants to write
      if (rate == 1 << 29) compaction.pause();
      compaction.setRate(rate);
      ASSERT_TRUE(comes([&] { return compaction.status().rate == rate; }));
    }
    ASSERT_TRUE(comes([&] { return isWaitingFor(store, WaitReason::paused); }));
    end = now();
  }
  ASSERT_TRUE(comes([&] { return timesOf(store, AuditEvent::rateChanged) == 2; }));
  std::vector<AuditEvent> said;
  std::int64_t last = 0;
  for (const AuditEntry& entry : readAudit(store, store.read()).entries) {
    EXPECT_LE(last, entry.time);
    EXPECT_LE(entry.time, end);
    last = entry.time;
    if (entry.event != AuditEvent::estimated) said.push_back(entry.event);
  }
  EXPECT_EQ(said, (std::vector{AuditEvent::started, AuditEvent::paused, AuditEvent::resumed,
                               AuditEvent::rateChanged, AuditEvent::paused, AuditEvent::rateChanged}));
  EXPECT_EQ(compaction.status().rewritten, 0U);
  EXPECT_EQ(compaction.status().unsaid, 0U);
  compaction.resume();
  ASSERT_TRUE(comes([&] { return isSettled(store); }));
  expectWhole(store, 1000);
}

TEST_F(CompactionFaults, EndsBehindAWriterWhoHoldsOnAndCountsWhatItCouldNotSay) {
  const auto storage = std::make_shared<CrowdedStorage>(storage::openLmdb(path_, {}));
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.writeTimeout = 10min;
  const Store store = Store::open(storage, options);
  const Compaction compaction = store.compaction();
  ASSERT_TRUE(comes([&] { return has(store, AuditEvent::started); }));
  fill(store, 1000);
  const Rows items = store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return has(store, AuditEvent::finished); }));
  {
    const auto transaction = store.write();
    for (int time = 0; time < 200; ++time) compaction.pause();
    ASSERT_TRUE(comes([&] { return compaction.status().unsaid == 100U; }));  // there is room for a hundred
    compaction.stop();
    EXPECT_TRUE(isWaitingFor(store, WaitReason::stopped));
  }
  EXPECT_EQ(compaction.status().unsaid, 201U);
  EXPECT_EQ(events(store).back(), AuditEvent::finished);
  expectWhole(store, 1000);
}

// Where old rows of one collection cannot be kept: the thread cannot take that one up.
class StorageWithoutPreimages final : public testing::ForwardingStorage {
 public:
  StorageWithoutPreimages(std::shared_ptr<storage::Environment> inner, const std::string& collection)
      : ForwardingStorage(std::move(inner)), tree_(preimageRowTreeName(collection)) {}

  std::optional<storage::TreeId> openTree(std::string_view name, bool create) override {
    if (create && isBroken && name == tree_) {
      ++refused;
      throw Error(ErrorCode::freeSpace, "there is no room for old rows");
    }
    return ForwardingStorage::openTree(name, create);
  }

  std::atomic<bool> isBroken = true;
  std::atomic<int> refused = 0;

 private:
  const std::string tree_;
};

StoreOptions tryingOften() {
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.compaction.keepPreimages = true;
  options.compaction.maxFailuresInARow = 1'000'000;
  options.compaction.backoffMin = 1ms;
  options.compaction.backoffMax = 2ms;
  return options;
}

// A collection that could not be taken up was put aside; where the program opened its next version meanwhile
// and that could not be taken up either, the next one was forgotten, and its rows stayed as they were.
TEST_F(CompactionFaults, TheNewestVersionOfACollectionThatCouldNotBeTakenUpIsTheOneTriedAgain) {
  const auto storage = std::make_shared<StorageWithoutPreimages>(storage::openLmdb(path_, {}), "items");
  const Store store = Store::open(storage, tryingOften());
  fill(store, 1000);
  ASSERT_TRUE(comes([&] { return storage->refused > 0; }));
  store.collection("items", secondVersion());
  const int refused = storage->refused;
  ASSERT_TRUE(comes([&] { return storage->refused > refused + 3; }));
  storage->isBroken = false;
  ASSERT_TRUE(comes([&] { return isSettled(store); }));
  expectWhole(store, 1000);
}

// Each round began with what could not be taken up before, and ended there.
TEST_F(CompactionFaults, ACollectionThatCannotBeTakenUpHoldsUpNoOther) {
  const auto storage = std::make_shared<StorageWithoutPreimages>(storage::openLmdb(path_, {}), "a people");
  const Store store = Store::open(storage, tryingOften());
  store.collection("a people", person("1", ""));
  ASSERT_TRUE(comes([&] { return storage->refused > 0; }));
  fill(store, 1000);
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes([&] { return isSettled(store, 1); }));
  const int refused = storage->refused;
  EXPECT_TRUE(comes([&] { return storage->refused > refused; })) << "it is not given up";
  expectWhole(store, 1000);
}

TEST_F(CompactionFaults, PartitionsThatHaveBecomeSmallAreMerged) {
  constexpr std::uint64_t kRows = 80'000;  // a partition, and more than a batch of two threads
  constexpr std::uint64_t kKept = 500;     // of so many one is kept
  const auto partitions = [](const Store& store) {
    return compactionProgress(store, store.read()).collections.at(0).partitions;
  };
  const Store store = Store::open(path_, compacting(CompactionMode::compress));
  fill(store, kRows);
  ASSERT_TRUE(comes([&] { return store.compaction().status().packed == kRows; }));
  ASSERT_EQ(partitions(store).size(), 2U);
  const Rows items = store.collection("items", firstVersion());
  {
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kRows; ++id) {
      if (id % kKept != 0) items.erase(transaction, id);
    }
    transaction.commit();
  }
  ASSERT_TRUE(comes([&] { return has(store, AuditEvent::partitionsMerged); }));
  ASSERT_EQ(partitions(store).size(), 1U);
  EXPECT_EQ(partitions(store)[0].rows, kRows / kKept);
  EXPECT_EQ(partitions(store)[0].cold.rows, kRows / kKept);
  const auto snapshot = store.read();
  std::uint64_t id = 0;
  for (const auto row : items.scan(snapshot)) {
    ASSERT_EQ(row->get("id").as<std::uint64_t>(), id);
    id += kKept;
  }
  EXPECT_EQ(id, kRows);
  EXPECT_TRUE(check(store).sound());
  EXPECT_EQ(verify(store).problems, 0U);
  EXPECT_EQ(readAudit(store, store.read()).damage, "");
}

struct DiskFault {
  const char* name;
  bool ofSync;  // else of what writes pages
  int error;
  const char* words;
};

class CompactionDisk : public CompactionFaults, public ::testing::WithParamInterface<DiskFault> {
 protected:
  // LMDB's two first pages, which a commit is made with, stay out of it: an error there closes the file.
  bool fails(const IoEvent& event) const {
    if (!isBroken_) return false;
    if (GetParam().ofSync) return event.call == IoCall::fdatasync;
    return event.bytes > 0 && event.descriptor > STDERR_FILENO &&
           !(event.call == IoCall::pwrite && event.offset < 2 * 4096);
  }

  std::atomic<bool> isBroken_ = false;
  const testing::ScopedIoRule rule_{
      [this](const IoEvent& event) { return fails(event) ? IoOutcome{GetParam().error} : IoOutcome{}; }};
};

TEST_P(CompactionDisk, OpensTheCircuitLosesNothingAndGoesOnWhenResumed) {
  constexpr std::uint64_t kRows = 20'000;
  StoreOptions options = compacting(CompactionMode::upgrade);
  options.durability = Durability::full;
  options.compaction.rate = 64 << 10;
  options.compaction.maxFailuresInARow = 3;
  options.compaction.backoffMin = 1ms;
  options.compaction.backoffMax = 10ms;
  const Store store = Store::open(path_, options);
  fill(store, kRows);
  const Rows items = store.collection("items", secondVersion());
  const Compaction compaction = store.compaction();
  ASSERT_TRUE(comes([&] { return compaction.status().rewritten != 0; }));  // in the midst of it

  isBroken_ = true;
  ASSERT_TRUE(comes([&] { return compaction.status().wait == WaitReason::circuitOpen; }));
  EXPECT_THAT(compaction.status().detail, ::testing::HasSubstr(GetParam().words));
  EXPECT_ANY_THROW(put(store, items, kRows)) << "the disk works: nothing was proved";
  expectWhole(store, kRows);
  EXPECT_EQ(rowsOf(store, 1), kRows - compaction.status().rewritten);

  isBroken_ = false;
  put(store, items, kRows);
  EXPECT_EQ(compaction.status().wait, WaitReason::circuitOpen) << "until somebody has looked at it";
  compaction.setRate(0);
  compaction.resume();
  ASSERT_TRUE(comes([&] { return isSettled(store) && has(store, AuditEvent::finished); }));
  EXPECT_EQ(compaction.status().rewritten, kRows) << "what was not stored does not count";
  expectWhole(store, kRows + 1);
}

INSTANTIATE_TEST_SUITE_P(Is, CompactionDisk,
                         ::testing::Values(DiskFault{"Full", false, ENOSPC, "full"},
                                           DiskFault{"FailingOnWrites", false, EIO, "disk reports an error"},
                                           DiskFault{"FailingOnSyncs", true, EIO, "disk reports an error"}),
                         [](const auto& fault) { return fault.param.name; });

}  // namespace
}  // namespace instar
