// Reads that try the staged version, and what becomes of it by them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>

#include "instar/engine/compaction.h"
#include "instar/engine/internal/row_writer.h"
#include "instar/engine/internal/staging/staged_version.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/engine/staging.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;
using ::testing::ElementsAre;

constexpr std::uint64_t kRows = 200;
constexpr auto kLongEnough = std::chrono::minutes(1);  // for the keeper, which looks every second

// Few samples, so that a test can make them.
constexpr GuardRails kRails{.minimumSamples = 150,
                            .maxErrorShare = 0.05,
                            .maxDivergenceShare = 0.05,
                            .holdFor = std::chrono::seconds(0)};

class StagedReadsTest : public ::testing::Test {
 protected:
  void fill(const char* name) const { putNames(*store, kRows, name); }

  StagedRows stage(const RecordSchema& schema, StagingOptions options) {
    options.ended = [this](const StagingEnd& end) {
      if (!hasEnded_.exchange(true)) ended_.set_value(end);
    };
    return store->stage("contacts", schema, options);
  }

  // What the callback was told.
  StagingEnd end() {
    auto end = ended_.get_future();
    if (end.wait_for(kLongEnough) != std::future_status::ready) throw std::runtime_error("it has not ended");
    return end.get();
  }

  void readAll(const StagedRows& rows) const {
    const auto snapshot = store->read();
    for (auto row : rows.scan(snapshot)) EXPECT_FALSE(textOf(*row, "name").empty());
  }

  StagingStatus status() const { return *stagingStatus(*store, store->read(), "contacts"); }

  // Closing a store puts what it has counted into the file.
  void reopen() {
    store.reset();
    store = Store::open(folder / "store.instar");
  }

  TemporaryFolder folder;
  std::optional<Store> store = Store::open(folder / "store.instar");

 private:
  std::promise<StagingEnd> ended_;
  std::atomic<bool> hasEnded_{false};
};

TEST_F(StagedReadsTest, AreCountedInTheFileAndChangeNothing) {
  fill("Ada Lovelace");
  {
    const auto rows = stage(contact2(), {.shadow = 100});
    const auto snapshot = store->read();
    for (auto row : rows.scan(snapshot)) {
      EXPECT_FALSE(row.serves(2));
      EXPECT_EQ(textOf(*row, "first"), "");
    }
  }
  reopen();
  const auto canary = status().canary;
  EXPECT_EQ(canary.samples, kRows);
  EXPECT_EQ(canary.errors(), 0U);
  EXPECT_EQ(canary.diverged, 0U);
  EXPECT_EQ(canary.stagedLatency.count(), kRows);
  EXPECT_EQ(status().state, VersionState::staged);
}

TEST_F(StagedReadsTest, AreThoseOfTheShare) {
  fill("Ada Lovelace");
  {
    const auto rows = stage(contact2(), {.percent = 10, .shadow = 30});
    readAll(rows);
  }
  reopen();
  EXPECT_NEAR(static_cast<double>(status().canary.samples), kRows * 0.3, 30);
  {
    const auto rows = store->stage("contacts", contact2());
    setStagedShadow(*store, "contacts", 2, 0);
    setStagedPercent(*store, "contacts", 2, 0);
    readAll(rows);
  }
  const auto before = status().canary.samples;
  reopen();
  EXPECT_EQ(status().canary.samples, before);
}

TEST_F(StagedReadsTest, OfSeveralProgramsAddUp) {
  fill("Ada Lovelace");
  {
    const auto rows = stage(contact2(), {.shadow = 100});
    const auto others = store->stage("contacts", contact2());
    readAll(rows);
    readAll(others);
  }
  reopen();
  EXPECT_EQ(status().canary.samples, 2 * kRows);
}

TEST_F(StagedReadsTest, WithFailuresAbortTheVersionAtOnce) {
  fill("no number");
  const auto rows = stage(contactWithNumber(), {.percent = 100, .guardRails = kRails});
  {
    const auto snapshot = store->read();
    for (auto row : rows.scan(snapshot)) EXPECT_EQ(textOf(*row, "name"), "no number");
    EXPECT_FALSE(rows.get(snapshot, 1U).serves(2));
  }
  const StagingEnd end = this->end();
  EXPECT_EQ(end.collection, "contacts");
  EXPECT_EQ(end.version, 2);
  EXPECT_EQ(end.state, VersionState::aborted);
  EXPECT_FALSE(end.reason.empty());
  EXPECT_EQ(status().state, VersionState::aborted);
  EXPECT_EQ(status().endReason, end.reason);
  const auto entries = readAudit(*store, store->read()).entries;
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[1].event, AuditEvent::aborted);
  EXPECT_EQ(entries[1].reason, end.reason);
  EXPECT_EQ(infoOf(*store).currentVersion, 1);
}

// A record that was filled in the new way used to be stored as an older one, its name empty, where the trial
// had tripped between the question and the put.
TEST_F(StagedReadsTest, ThatTripLeaveWhatIsPutToTheFile) {
  fill("no number");
  putName(*store, store->collection("contacts", contact1()), kRows + 1, "99");  // a row that it can make
  // The thread that would abort the version waits for the lock of writers.
  const auto rows = stage(contactWithNumber(), {.percent = 100, .guardRails = kRails});
  auto transaction = store->write();
  ASSERT_TRUE(rows.serves(transaction, rows.key(1U), 2));
  auto draft = rows.create();
  draft->set("id", 1U);
  draft->set("number", 77U);
  for (std::uint64_t id = 1; id <= kRows; ++id) (void)rows.get(transaction, id);
  while (rows.get(transaction, kRows + 1).serves(2)) std::this_thread::yield();
  rows.put(transaction, draft);
  EXPECT_FALSE(rows.get(transaction, 1U).serves(2));
  EXPECT_EQ(rows.get(transaction, 1U).version(), 2);
  EXPECT_TRUE(rows.serves(transaction, rows.key(2U), 2));
  transaction.commit();
  EXPECT_EQ(textOf(*store->collection("contacts", contact1()).get(store->read(), 1U), "name"), "77");
  EXPECT_EQ(end().state, VersionState::aborted);
  EXPECT_FALSE(rows.serves(store->read(), rows.key(1U), 2));
}

TEST(StagedVersionTest, ATripConcernsWhatIsReadAloneAndMayBeTakenBack) {
  const Plans below{contact1()};
  const Plans staged{contactWithNumber()};
  const auto trial = std::make_shared<CanaryTrial>("contacts", below, staged);
  trial->onRead([](CanaryTrial::Wake) {});
  StagedVersion version("contacts", 2, below, false, {}, trial);
  Catalog::StagingRecord record;
  record.version = 2;
  record.percent = 100;
  record.guardRails.minimumSamples = 2;
  version.see(VersionState::staged, record);
  internal::RecordMessage message;
  message.initRoot<capnp::DynamicStruct>(contact1().root()).set("name", "no number");
  const FlatRecord flat(message);
  const Key key(asBytes("key"));
  const RowView row{1, RowFlags::none, flat.payload()};
  for (int read = 0; read < 20; ++read) EXPECT_TRUE(version.read(key.bytes(), row));
  ASSERT_TRUE(trial->examine(std::chrono::steady_clock::time_point::max()));
  EXPECT_FALSE(version.read(key.bytes(), row));
  EXPECT_TRUE(version.serves(key.bytes()));
  trial->see({}, false);
  EXPECT_TRUE(version.read(key.bytes(), row));
  EXPECT_TRUE(version.serves(key.bytes()));
}

TEST_F(StagedReadsTest, WhoseAbortCannotBeStoredYetStayTripped) {
  const auto faults = std::make_shared<storage::FaultPlan>();
  store = Store::open(storage::openMemory(faults));
  fill("no number");
  const auto rows = stage(contactWithNumber(), {.percent = 100, .guardRails = kRails});
  auto transaction = store->write();
  auto draft = rows.create();
  draft->set("id", 1U);
  draft->set("number", 77U);
  rows.put(transaction, draft);
  for (std::uint64_t id = 2; id <= kRows; ++id) (void)rows.get(transaction, id);
  for (std::size_t commit = 1; commit <= 2; ++commit)  // ours, and that of who would abort the version
    faults->failAt(storage::Operation::commit, commit, Error(ErrorCode::freeSpace, "the disk is full"));
  EXPECT_ERROR(transaction.commit(), freeSpace, "full");
  EXPECT_EQ(textOf(*rows.get(store->read(), 1U), "name"), "no number");
  EXPECT_FALSE(rows.get(store->read(), 1U).serves(2));
  EXPECT_EQ(end().state, VersionState::aborted);
  EXPECT_GE(status().canary.samples, kRails.minimumSamples);
}

TEST_F(StagedReadsTest, PromoteTheVersionWhereThatWasAskedFor) {
  fill("Ada Lovelace");
  const auto rows = stage(contact2(), {.shadow = 100, .promotes = true, .guardRails = kRails});
  readAll(rows);
  const StagingEnd end = this->end();
  EXPECT_EQ(end.state, VersionState::active);
  EXPECT_EQ(infoOf(*store).currentVersion, 2);
  EXPECT_TRUE(rows.get(store->read(), 1U).serves(2));
}

TEST_F(StagedReadsTest, LetAVersionBePromotedByHand) {
  fill("Ada Lovelace");
  {
    const auto rows = stage(contact2(), {.shadow = 100, .guardRails = kRails});
    EXPECT_ERROR(promoteVersion(*store, "contacts", 2), fixCall, "not satisfied");
    readAll(rows);
  }
  reopen();
  EXPECT_EQ(status().decision.verdict, GuardVerdict::satisfied);
  promoteVersion(*store, "contacts", 2);
  EXPECT_FALSE(status().endReason.empty());
}

TEST_F(StagedReadsTest, LogRowsThatHaveDiverged) {
  fill("Ada Lovelace");
  // Older programs have written another name than the version that is tried would.
  const RecordSchema reversed = contactSchema(3, R"(
      name  @1 :Text $Instar.mirrored(since = 3, concat = [(field = "last"), (text = ", "), (field = "first")]);
      first @2 :Text $Instar.derived(since = 3, split = (field = "name", by = " ", part = 0));
      last  @3 :Text $Instar.derived(since = 3, split = (field = "name", by = " ", part = 1));)");
  {
    const auto rows = stage(reversed, {.shadow = 100, .guardRails = {.minimumSamples = 1'000'000}});
    readAll(rows);
    readAll(rows);
  }
  reopen();
  EXPECT_EQ(status().canary.diverged, 2 * kRows);
  const auto found = divergences(*store, store->read(), "contacts");
  ASSERT_EQ(found.size(), kRows);
  EXPECT_THAT(found.front().fields, ElementsAre("name"));
  EXPECT_EQ(found.front().version, 3);
  abortVersion(*store, "contacts", 3, "");
  store->stage("contacts",
               contactSchema(4,
                             "name @1 :Text; first @2 :Text $Instar.derived(since = 4, copy = "
                             "\"name\"); last @3 :Text $Instar.derived(since = 4, copy = \"name\");"));
  EXPECT_TRUE(divergences(*store, store->read(), "contacts").empty());
  EXPECT_EQ(status().canary.samples, 0U);
}

// ---- many threads

TEST(StagingConcurrent, ReadersAndWritersGoOnWhileAVersionIsTriedAndPromoted) {
  TemporaryFolder folder;
  const Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
  const auto older = store.collection("contacts", contact1());
  for (std::uint64_t id = 1; id <= 64; ++id) putName(store, older, id, "Ada Lovelace");
  const auto staged =
      store.stage("contacts", contact2(), {.shadow = 50, .guardRails = {.minimumSamples = UINT64_MAX}});
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> reads{0};
  const auto isWhole = [](capnp::DynamicStruct::Reader row, bool isServed) {
    const std::string name = textOf(row, "name");
    if (name != "Ada Lovelace" && name != "Grace Hopper") return false;
    return !isServed || textOf(row, "first") + " " + textOf(row, "last") == name;
  };
  std::vector<std::thread> threads;
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      while (!stop) {
        const auto snapshot = store.read();
        for (auto row : staged.scan(snapshot)) {
          EXPECT_TRUE(isWhole(*row, row.serves(2)));
          ++reads;
        }
      }
    });
  }
  threads.emplace_back([&] {  // an older program
    for (std::uint64_t n = 0; !stop; ++n)
      putName(store, older, n % 64 + 1, n % 2 == 0 ? "Ada Lovelace" : "Grace Hopper");
  });
  threads.emplace_back([&] {  // the new one
    for (std::uint64_t n = 0; !stop; ++n) {
      auto transaction = store.write();
      auto draft = staged.create();
      const std::uint64_t id = n * 7 % 64 + 1;
      draft->set("id", id);
      const bool isAda = n % 3 == 0;
      if (staged.serves(transaction, staged.key(id), 2)) {
        draft->set("first", isAda ? "Ada" : "Grace");
        draft->set("last", isAda ? "Lovelace" : "Hopper");
      } else {
        draft->set("name", isAda ? "Ada Lovelace" : "Grace Hopper");
      }
      staged.put(transaction, draft);
      transaction.commit();
    }
  });
  for (const double percent : {10.0, 50.0, 5.0, 100.0, 30.0}) {
    setStagedPercent(store, "contacts", 2, percent);
    for (const auto until = reads + 1000; reads < until;) std::this_thread::yield();
  }
  promoteVersion(store, "contacts", 2, {.forced = true});
  for (const auto until = reads + 1000; reads < until;) std::this_thread::yield();
  stop = true;
  for (auto& thread : threads) thread.join();
  const auto snapshot = store.read();
  for (auto row : staged.scan(snapshot)) {
    EXPECT_TRUE(row.serves(2));
    EXPECT_TRUE(isWhole(*row, true));
  }
}

}  // namespace
}  // namespace instar
