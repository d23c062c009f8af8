// Versions that are tried by several processes, and by some that are killed.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>

#include "instar/engine/check.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/migration.h"
#include "instar/engine/staging.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/forwarding_storage.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;

std::size_t servedRows(const Store& store, const StagedRows& rows) {
  std::size_t served = 0;
  const auto snapshot = store.read();
  for (auto row : rows.scan(snapshot)) served += row.serves(2) ? 1 : 0;
  return served;
}

TEST(StagingProcesses, OneStagesAndChangesWhatTheOtherServes) {
  const TemporaryFolder folder;
  const auto path = folder / "store.instar";
  ChildProcess serving([&](const Steps& parent) {
    const Store store = Store::open(path);
    putNames(store, 20, "Ada Lovelace");
    const auto older = store.collection("contacts", contact1());
    parent.tell();
    parent.await();  // staged
    const auto rows = store.stage("contacts", contact2());
    EXPECT_EQ(servedRows(store, rows), 0U);
    parent.tell();
    parent.await();  // everything is served
    EXPECT_EQ(servedRows(store, rows), 20U);
    putFirstAndLast(store, rows, 1, "Grace", "Hopper");
    parent.tell();
    parent.await();  // promoted
    EXPECT_TRUE(rows.get(store.read(), 1U).serves(2));
    EXPECT_TRUE(rows.serves(2));
    putFirstAndLast(store, rows, 2, "Mary", "Evans");
    parent.tell();
    parent.await();  // given up
    EXPECT_EQ(servedRows(store, rows), 0U);
    putName(store, rows, 3, "Emmy Noether");
    EXPECT_EQ(rows.get(store.read(), 3U).version(), 1);
    parent.tell();
    parent.await();
  });
  serving.await();
  const Store store = Store::open(path);
  const auto older = store.collection("contacts", contact1());
  const auto nameOf = [&](std::uint64_t id) {
    const auto snapshot = store.read();
    return textOf(*older.get(snapshot, id), "name");
  };
  store.stage("contacts", contact2());
  serving.tell();
  serving.await();
  setStagedPercent(store, "contacts", 2, 100);
  serving.tell();
  serving.await();
  EXPECT_EQ(nameOf(1), "Grace Hopper");
  promoteVersion(store, "contacts", 2, {.forced = true});
  serving.tell();
  serving.await();
  EXPECT_EQ(nameOf(2), "Mary Evans");
  abortVersion(store, "contacts", 2, "too early");
  serving.tell();
  serving.await();
  EXPECT_EQ(nameOf(3), "Emmy Noether");
  serving.tell();
  serving.expectSuccess();
}

// Letting go of the store used to wait in the child for a thread that only the parent has.
TEST(StagingProcesses, AChildOfAForkLetsGoOfATrialThatItsParentHas) {
  const TemporaryFolder folder;
  std::optional<Store> store =
      Store::open(folder / "store.instar", {.compaction = {.mode = CompactionMode::upgrade}});
  putNames(*store, 20, "Ada Lovelace");
  std::optional<StagedRows> rows = store->stage("contacts", contact2(), {.shadow = 100});
  // Both threads wait for something to do.
  while (store->compaction().status().wait != WaitReason::idle) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ChildProcess child([&](const Steps& parent) {
    rows.reset();
    store.reset();
    parent.tell();
  });
  child.await();
  child.expectSuccess();
  EXPECT_EQ(servedRows(*store, *rows), 0U);
}

// ---- death at each step of a change

// Counts the calls of write transactions, and dies at one of them.
class DyingStorage : public ForwardingStorage {
 public:
  DyingStorage(std::shared_ptr<storage::Environment> inner, int callsToLive)
      : ForwardingStorage(std::move(inner)), left_(callsToLive) {}

  void arm() noexcept { isArmed_ = true; }

  std::unique_ptr<storage::Transaction> begin(storage::Access access,
                                              std::chrono::milliseconds wait) override {
    auto inner = ForwardingStorage::begin(access, wait);
    if (access == storage::Access::read) return inner;
    return std::make_unique<DyingTransaction>(*this, std::move(inner));
  }

 private:
  void live() {
    if (isArmed_ && left_-- == 0) ::_exit(kDied);
  }

  class DyingTransaction : public ForwardingTransaction {
   public:
    DyingTransaction(DyingStorage& storage, std::unique_ptr<storage::Transaction> inner)
        : ForwardingTransaction(std::move(inner)), storage_(storage) {}
    std::span<std::byte> reserve(storage::TreeId tree, Bytes key, std::size_t size) override {
      storage_.live();
      return ForwardingTransaction::reserve(tree, key, size);
    }
    bool erase(storage::TreeId tree, Bytes key) override {
      storage_.live();
      return ForwardingTransaction::erase(tree, key);
    }
    void commit() override {
      storage_.live();
      ForwardingTransaction::commit();
      storage_.live();
    }

   private:
    DyingStorage& storage_;
  };

 public:
  static constexpr int kDied = 42;

 private:
  std::atomic<bool> isArmed_{false};
  std::atomic<int> left_;
};

struct ChangeOfState {
  const char* name;
  std::function<void(const Store&)> before;
  std::function<void(const Store&)> change;  // with the end of the store
  std::function<std::string(const Store&)> look;
  std::string seenBefore;
  std::string seenAfter;
};

void PrintTo(const ChangeOfState& change, std::ostream* out) { *out << change.name; }

void stageContacts(const Store& store) { store.stage("contacts", contact2(), {.percent = 50}); }
void promoteContacts(const Store& store) { promoteVersion(store, "contacts", 2, {.forced = true}); }

std::function<std::string(const Store&)> stateOf(std::uint16_t version) {
  return [version](const Store& store) -> std::string {
    for (const VersionInfo& info : store.versions(store.read(), "contacts"))
      if (info.number == version) return std::string(stateName(info.state));
    return "absent";
  };
}

std::string sharesOf(const Store& store) {
  const auto status = *stagingStatus(store, store.read(), "contacts");
  return std::to_string(status.percent) + " and " + std::to_string(status.shadow);
}

// What the thread of a store has decided is in the file with what it has decided by.
constexpr GuardRails kOfAllRows{.minimumSamples = 20,
                                .maxErrorShare = 0.5,
                                .maxDivergenceShare = 0.5,
                                .holdFor = std::chrono::seconds(0)};

std::string decisionOf(const Store& store) {
  const auto status = *stagingStatus(store, store.read(), "contacts");
  if (status.state == VersionState::staged) return "staged";
  return std::string(stateName(status.state)) + (status.canary.samples < 20 ? " without its reads" : "");
}

void readAll(const Store& store, const StagedRows& rows) {
  const auto snapshot = store.read();
  for (auto row : rows.scan(snapshot)) EXPECT_FALSE(textOf(*row, "name").empty());
}

// Version 2 is current again, and compaction has no row to look at any more.
void giveUpWhatCameBehind(const Store& store) {
  stageContacts(store);
  promoteContacts(store);
  migrate(store, "contacts");
  store.collection("contacts", contactSchema(3, R"(
      name  @1 :Text $Instar.mirrored(since = 2, concat = [(field = "first"), (text = " "), (field = "last")]);
      first @2 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));
      last  @3 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 1));
      tier  @4 :UInt8 = 1;
      note  @5 :Text;)"));
  abortVersion(store, "contacts", 3, "it is bad");
}

class StagingCrashTest : public ::testing::TestWithParam<ChangeOfState> {};

// Runs in a child; 0 where it came to the end.
int runUntil(const std::filesystem::path& path, const ChangeOfState& change, int callsToLive) {
  std::fflush(nullptr);
  const pid_t process = ::fork();
  if (process == 0) {
    try {
      auto storage = std::make_shared<DyingStorage>(storage::openLmdb(path, {}), callsToLive);
      const Store store = Store::open(storage, {});
      change.before(store);
      storage->arm();
      change.change(store);
    } catch (const std::exception& exception) {
      std::fprintf(stderr, "in the child: %s\n", exception.what());
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(process, &status, 0);
  return WEXITSTATUS(status);
}

TEST_P(StagingCrashTest, LeavesTheStateBeforeOrTheOneBehind) {
  const ChangeOfState& change = GetParam();
  int before = 0;
  int after = 0;
  for (int calls = 0;; ++calls) {
    const TemporaryFolder folder;
    const auto path = folder / "store.instar";
    {
      ChildProcess filling([&](const Steps&) { putNames(Store::open(path), 20, "Ada Lovelace"); });
      filling.expectSuccess();
    }
    const int exit = runUntil(path, change, calls);
    ASSERT_TRUE(exit == 0 || exit == DyingStorage::kDied) << exit;
    std::optional<Store> store = Store::open(path);
    const std::string seen = change.look(*store);
    if (seen == change.seenAfter) {
      ++after;
    } else {
      ++before;
      EXPECT_EQ(seen, change.seenBefore);
      EXPECT_EQ(after, 0) << "what came later is not there any more";
    }
    EXPECT_TRUE(check(*store).sound());
    EXPECT_EQ(readAudit(*store, store->read()).damage, "");
    const auto info = infoOf(*store);
    EXPECT_EQ(store->collection("contacts").schema().version(), info.currentVersion);
    // The change can be made, or made again where it had not been.
    if (seen != change.seenAfter) {
      change.change(*store);
      store.reset();
      store = Store::open(path);
      EXPECT_EQ(change.look(*store), change.seenAfter);
    }
    if (exit == 0) break;
  }
  EXPECT_GT(before, 2);
  EXPECT_GT(after, 1);
}

INSTANTIATE_TEST_SUITE_P(
    , StagingCrashTest,
    ::testing::Values(
        ChangeOfState{"Staging", [](const Store&) {}, stageContacts, stateOf(2), "absent", "staged"},
        ChangeOfState{"Promoting", stageContacts, promoteContacts, stateOf(2), "staged", "active"},
        ChangeOfState{"Aborting", stageContacts,
                      [](const Store& store) { abortVersion(store, "contacts", 2, "it is bad"); }, stateOf(2),
                      "staged", "aborted"},
        ChangeOfState{"GivingUp",
                      [](const Store& store) {
                        stageContacts(store);
                        promoteContacts(store);
                        migrate(store, "contacts");
                      },
                      [](const Store& store) { abortVersion(store, "contacts", 2, "it is bad"); }, stateOf(2),
                      "settled", "aborted"},
        ChangeOfState{"Retiring",
                      [](const Store& store) {
                        stageContacts(store);
                        promoteContacts(store);
                        migrate(store, "contacts");
                      },
                      [](const Store& store) { retireVersions(store, "contacts", 1); }, stateOf(1), "active",
                      "retired"},
        ChangeOfState{"Settling", giveUpWhatCameBehind,
                      [](const Store& store) { migrate(store, "contacts"); }, stateOf(2), "active",
                      "settled"},
        ChangeOfState{"ChangingThePercentage", stageContacts,
                      [](const Store& store) { setStagedPercent(store, "contacts", 2, 5); }, sharesOf,
                      "50.000000 and 0.000000", "5.000000 and 0.000000"},
        ChangeOfState{"ChangingTheShadow", stageContacts,
                      [](const Store& store) { setStagedShadow(store, "contacts", 2, 75); }, sharesOf,
                      "50.000000 and 0.000000", "50.000000 and 75.000000"},
        ChangeOfState{
            "AbortingByTheGuardRails",
            [](const Store& store) {
              store.stage("contacts", contactWithNumber(), {.shadow = 100, .guardRails = kOfAllRows});
            },
            [](const Store& store) { readAll(store, store.stage("contacts", contactWithNumber())); },
            decisionOf, "staged", "aborted"},
        ChangeOfState{"PromotingByTheGuardRails",
                      [](const Store& store) {
                        store.stage("contacts", contact2(),
                                    {.shadow = 100, .promotes = true, .guardRails = kOfAllRows});
                      },
                      [](const Store& store) { readAll(store, store.stage("contacts", contact2())); },
                      decisionOf, "staged", "active"}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace instar
