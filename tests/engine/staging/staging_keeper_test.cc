// The thread of a store that stores what canary reads have shown, and judges it: beside other handles, other
// writers and other processes.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <optional>
#include <set>
#include <thread>

#include "instar/engine/internal/staging/canary_queue.h"
#include "instar/engine/staging.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;

constexpr std::uint64_t kRows = 100;
constexpr auto kLongEnough = std::chrono::minutes(1);  // for the keeper, which looks every second

// Few samples, so that a test can make them.
constexpr GuardRails kRails{.minimumSamples = 80,
                            .maxErrorShare = 0.05,
                            .maxDivergenceShare = 0.05,
                            .holdFor = std::chrono::seconds(0)};

void readAll(const Store& store, const StagedRows& rows) {
  const auto snapshot = store.read();
  for (auto row : rows.scan(snapshot)) EXPECT_FALSE(textOf(*row, "name").empty());
}

StagingStatus statusOf(const Store& store) { return *stagingStatus(store, store.read(), "contacts"); }

bool comes(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kLongEnough;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class CanaryKeeperTest : public ::testing::Test {
 protected:
  // Closing a store puts what it has counted into the file.
  void reopen() {
    store.reset();
    store = Store::open(path);
  }

  TemporaryFolder folder;
  const std::filesystem::path path = folder / "store.instar";
  std::optional<Store> store = Store::open(path);
};

// ---- several handles

TEST_F(CanaryKeeperTest, ABreachStopsAllHandlesOfTheStoreAndAllAreTold) {
  putNames(*store, kRows, "no number");
  std::atomic<int> told{0};
  const auto tell = [&](const StagingEnd&) { ++told; };
  const auto rows =
      store->stage("contacts", contactWithNumber(), {.percent = 100, .guardRails = kRails, .ended = tell});
  const auto others = store->stage("contacts", contactWithNumber(), {.ended = tell});
  putName(*store, store->collection("contacts", contact1()), kRows + 1, "77");  // a row that it can make
  auto transaction = store->write();  // the thread that would abort the version waits for the lock
  EXPECT_TRUE(others.get(transaction, kRows + 1).serves(2));
  for (std::uint64_t id = 1; id <= kRows; ++id) (void)(id % 2 == 0 ? rows : others).get(transaction, id);
  EXPECT_TRUE(comes([&] { return !rows.get(transaction, kRows + 1).serves(2); }));
  EXPECT_FALSE(others.get(transaction, kRows + 1).serves(2));
  transaction.commit();
  EXPECT_TRUE(comes([&] { return told == 2; }));
  EXPECT_EQ(statusOf(*store).state, VersionState::aborted);
}

TEST_F(CanaryKeeperTest, TellsNobodyWhoseHandleIsGone) {
  putNames(*store, kRows, "Ada Lovelace");
  std::atomic<int> told{0};
  {
    const auto rows = store->stage("contacts", contact2(), {.ended = [&](const StagingEnd&) { ++told; }});
  }
  abortVersion(*store, "contacts", 2, "by hand");
  reopen();  // behind a last look
  EXPECT_EQ(told, 0);
}

TEST_F(CanaryKeeperTest, TellsNobodyOfWhatWasOverBefore) {
  putNames(*store, kRows, "Ada Lovelace");
  store->stage("contacts", contact2());
  abortVersion(*store, "contacts", 2, "by hand");
  std::atomic<int> before{0};
  std::atomic<int> now{0};
  const auto aborted = store->stage("contacts", contact2(), {.ended = [&](const StagingEnd&) { ++before; }});
  const auto staged = store->stage("contacts", contact3(), {.ended = [&](const StagingEnd&) { ++now; }});
  abortVersion(*store, "contacts", 3, "by hand");
  EXPECT_TRUE(comes([&] { return now == 1; }));  // so the keeper has looked
  EXPECT_EQ(before, 0);
}

// ---- beside a long writer

TEST_F(CanaryKeeperTest, SaysWhatKeepsItFromStoring) {
  putNames(*store, kRows, "no number");
  const auto rows = store->stage("contacts", contactWithNumber(), {.shadow = 100, .guardRails = kRails});
  EXPECT_EQ(statusOf(*store).problem, "");
  {
    const auto writer = store->write();
    readAll(*store, rows);
    EXPECT_TRUE(comes([&] { return !statusOf(*store).problem.empty(); }));
    EXPECT_EQ(statusOf(*store).state, VersionState::staged);
  }
  EXPECT_TRUE(comes([&] { return statusOf(*store).state == VersionState::aborted; }));
  EXPECT_TRUE(comes([&] { return statusOf(*store).problem.empty(); }));
  EXPECT_EQ(statusOf(*store).canary.samples, kRails.minimumSamples);  // it has stopped with that
}

// All rows of a queue used to be looked at before the store could be closed, or another version be judged.
TEST_F(CanaryKeeperTest, IsNotWaitedForBesideASlowFunction) {
  const auto functions = std::make_shared<Functions>();
  std::atomic<int> calls{0};
  functions->value("slow", [&](capnp::Text::Reader name) -> std::string {
    ++calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return name.cStr();
  });
  constexpr std::uint64_t kManyRows = 5'000;  // 100 s
  store = Store::open(folder / "slow.instar", {.functions = functions});
  putNames(*store, kManyRows, "Ada Lovelace");
  std::optional<StagedRows> rows = store->stage(
      "contacts",
      contactSchema(2,
                    "name @1 :Text $Instar.mirrored(since = 2, copy = \"shown\"); shown @2 :Text "
                    "$Instar.derived(since = 2, call = (function = \"slow\", from = [\"name\"]));"),
      {.shadow = 100, .guardRails = {.minimumSamples = UINT64_MAX}});
  readAll(*store, *rows);
  EXPECT_TRUE(comes([&] { return statusOf(*store).canary.samples > 0; }));
  rows.reset();
  store.reset();
  EXPECT_LT(calls, static_cast<int>(kManyRows / 2));
}

TEST_F(CanaryKeeperTest, IsNotWaitedForBesideALongWriter) {
  store.reset();
  ChildProcess writing([&](const Steps& parent) {
    const Store other = Store::open(path);
    putNames(other, kRows, "no number");
    other.stage("contacts", contactWithNumber(), {.shadow = 100, .guardRails = kRails});
    const auto writer = other.write();
    parent.tell();
    parent.await();  // gives up after a minute
  });
  writing.await();
  {
    const Store closing = Store::open(path, {.writeTimeout = std::chrono::minutes(10)});
    readAll(closing, closing.stage("contacts", contactWithNumber()));
  }
  writing.tell();
  writing.expectSuccess();
}

// ---- what is judged

TEST_F(CanaryKeeperTest, AbortsAVersionThatTakesTooLong) {
  putNames(*store, kRows, "Ada Lovelace");
  std::promise<StagingEnd> ended;
  auto end = ended.get_future();
  const auto rows = store->stage("contacts", contact2(),
                                 {.shadow = 100,
                                  .promotes = true,
                                  .guardRails = {.minimumSamples = kRows,
                                                 .maxErrorShare = 1,
                                                 .maxDivergenceShare = 1,
                                                 .maxLatencyRatio = 1e-6,
                                                 .holdFor = std::chrono::seconds(0)},
                                  .ended = [&](const StagingEnd& how) { ended.set_value(how); }});
  readAll(*store, rows);
  ASSERT_EQ(end.wait_for(kLongEnough), std::future_status::ready);
  const StagingEnd how = end.get();
  EXPECT_EQ(how.state, VersionState::aborted);
  EXPECT_NE(how.reason.find("in the median"), std::string::npos) << how.reason;
  EXPECT_EQ(statusOf(*store).endReason, how.reason);
}

// Where nothing but rows was read that are larger than the queue, no sample was counted, and what was passed
// over was dropped with them.
TEST_F(CanaryKeeperTest, CountsWhatIsPassedOverAlone) {
  putNames(*store, 1, std::string(CanaryQueue::kMostBytes, 'x'));
  {
    const auto rows =
        store->stage("contacts", contactWithNumber(), {.percent = 0, .shadow = 100, .guardRails = kRails});
    readAll(*store, rows);
  }
  reopen();
  const CanaryStatistics seen = statusOf(*store).canary;
  EXPECT_EQ(seen.passedOver, 1U);
  EXPECT_EQ(seen.samples, 0U);
}

TEST_F(CanaryKeeperTest, LogsAThousandRowsEachOnce) {
  putNames(*store, 1200, "Ada Lovelace");
  const RecordSchema reversed = contactSchema(2, R"(
      name  @1 :Text $Instar.mirrored(since = 2, concat = [(field = "last"), (text = ", "), (field = "first")]);
      first @2 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));
      last  @3 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 1));)");
  const auto logged = [&] {
    std::set<Key> keys;
    const auto found = divergences(*store, store->read(), "contacts");
    for (const Divergence& one : found) keys.insert(one.key);
    EXPECT_EQ(keys.size(), found.size());
    return keys;
  };
  const GuardRails undecided{.minimumSamples = UINT64_MAX};
  std::uint64_t samples = 0;
  const auto read = [&](std::uint64_t from, std::uint64_t to) {
    {
      const auto rows = store->stage("contacts", reversed, {.shadow = 100, .guardRails = undecided});
      const auto snapshot = store->read();
      for (std::uint64_t id = from; id <= to; ++id) (void)rows.get(snapshot, id);
      samples += to - from + 1;
      EXPECT_TRUE(
          comes([&] { return statusOf(*store).canary.samples == samples; }));  // closing does not wait
    }
    reopen();
  };
  read(1, 600);
  const auto first = logged();
  EXPECT_EQ(first.size(), 600U);
  read(1, 1200);
  const auto all = logged();
  EXPECT_EQ(all.size(), 1000U);
  EXPECT_TRUE(std::ranges::includes(all, first));
  read(1, 1200);
  EXPECT_EQ(logged(), all);
  EXPECT_EQ(statusOf(*store).canary.diverged, 3000U);  // all are counted
}

// ---- several processes

TEST_F(CanaryKeeperTest, JudgesWhatSeveralProcessesHaveSeenTogether) {
  store.reset();
  const GuardRails rails{.minimumSamples = kRows + kRows / 2, .maxErrorShare = 0.05};
  ChildProcess first([&](const Steps& parent) {
    {
      const Store other = Store::open(path);
      putNames(other, kRows, "no number");
      readAll(other, other.stage("contacts", contactWithNumber(), {.shadow = 100, .guardRails = rails}));
    }
    parent.tell();
  });
  first.await();
  first.expectSuccess();
  store = Store::open(path);
  EXPECT_EQ(statusOf(*store).state, VersionState::staged);  // too few
  EXPECT_EQ(statusOf(*store).canary.samples, kRows);
  const auto rows = store->stage("contacts", contactWithNumber());
  readAll(*store, rows);
  ASSERT_TRUE(comes([&] { return statusOf(*store).state == VersionState::aborted; }));
  EXPECT_EQ(statusOf(*store).canary.failed, 2 * kRows);
}

TEST_F(CanaryKeeperTest, ABreachInOneProcessEndsServingInTheOther) {
  store.reset();
  ChildProcess serving([&](const Steps& parent) {
    const Store other = Store::open(path);
    putNames(other, kRows, "77");
    std::promise<StagingEnd> ended;
    const auto rows = other.stage("contacts", contactWithNumber(),
                                  {.percent = 100, .guardRails = kRails, .ended = [&](const StagingEnd& how) {
                                     ended.set_value(how);
                                   }});
    EXPECT_TRUE(rows.get(other.read(), 1U).serves(2));
    parent.tell();
    parent.await();  // aborted by the parent
    EXPECT_FALSE(rows.get(other.read(), 1U).serves(2));
    putName(other, rows, 1, "Grace Hopper");
    EXPECT_EQ(rows.get(other.read(), 1U).version(), 1);
    auto end = ended.get_future();
    EXPECT_EQ(end.wait_for(kLongEnough), std::future_status::ready);
    EXPECT_EQ(end.get().state, VersionState::aborted);
    parent.tell();
  });
  serving.await();
  store = Store::open(path);
  putNames(*store, kRows, "no number");
  readAll(*store, store->stage("contacts", contactWithNumber()));
  ASSERT_TRUE(comes([&] { return statusOf(*store).state == VersionState::aborted; }));
  serving.tell();
  serving.await();
  serving.expectSuccess();
}

}  // namespace
}  // namespace instar
