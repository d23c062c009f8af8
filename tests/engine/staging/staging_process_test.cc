// Versions that are tried by several processes, and by some that are killed.

#include <gtest/gtest.h>

#include <functional>

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

void fill(const Store& store) {
  const auto older = store.collection("contacts", contact1());
  for (std::uint64_t id = 1; id <= 20; ++id) putName(store, older, id, "Ada Lovelace");
}

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
    fill(store);
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

  class DyingTransaction : public storage::Transaction {
   public:
    DyingTransaction(DyingStorage& storage, std::unique_ptr<storage::Transaction> inner)
        : storage_(storage), inner_(std::move(inner)) {}
    std::uint64_t id() const override { return inner_->id(); }
    std::optional<Bytes> get(storage::TreeId tree, Bytes key) override { return inner_->get(tree, key); }
    std::span<std::byte> reserve(storage::TreeId tree, Bytes key, std::size_t size) override {
      storage_.live();
      return inner_->reserve(tree, key, size);
    }
    bool erase(storage::TreeId tree, Bytes key) override {
      storage_.live();
      return inner_->erase(tree, key);
    }
    std::unique_ptr<storage::Cursor> cursor(storage::TreeId tree) override { return inner_->cursor(tree); }
    storage::TreeStatistics statistics(storage::TreeId tree) override { return inner_->statistics(tree); }
    std::uint64_t countTrees() override { return inner_->countTrees(); }
    bool canBeOverwritten() const noexcept override { return inner_->canBeOverwritten(); }
    void checkIntact() const override { inner_->checkIntact(); }
    void commit() override {
      storage_.live();
      inner_->commit();
      storage_.live();
    }

   private:
    DyingStorage& storage_;
    std::unique_ptr<storage::Transaction> inner_;
  };

 public:
  static constexpr int kDied = 42;

 private:
  bool isArmed_ = false;
  int left_;
};

struct ChangeOfState {
  const char* name;
  std::function<void(const Store&)> before;
  std::function<void(const Store&)> change;
  std::uint16_t version;
  std::optional<VersionState> stateBefore;
  VersionState stateAfter;
};

void PrintTo(const ChangeOfState& change, std::ostream* out) { *out << change.name; }

void stageContacts(const Store& store) { store.stage("contacts", contact2(), {.percent = 50}); }
void promoteContacts(const Store& store) { promoteVersion(store, "contacts", 2, {.forced = true}); }

std::optional<VersionState> stateOf(const Store& store, std::uint16_t version) {
  for (const VersionInfo& info : store.versions(store.read(), "contacts"))
    if (info.number == version) return info.state;
  return std::nullopt;
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
      ChildProcess filling([&](const Steps&) { fill(Store::open(path)); });
      filling.expectSuccess();
    }
    const int exit = runUntil(path, change, calls);
    ASSERT_TRUE(exit == 0 || exit == DyingStorage::kDied) << exit;
    const Store store = Store::open(path);
    const auto state = stateOf(store, change.version);
    if (state == change.stateAfter) {
      ++after;
    } else {
      ++before;
      EXPECT_EQ(state, change.stateBefore);
      EXPECT_EQ(after, 0) << "what came later is not there any more";
    }
    EXPECT_TRUE(check(store).sound());
    EXPECT_EQ(readAudit(store, store.read()).damage, "");
    const auto info = infoOf(store);
    EXPECT_EQ(store.collection("contacts").schema().version(), info.currentVersion);
    // The change can be made, or made again where it had not been.
    if (state != change.stateAfter) {
      if (!state) change.before(store);
      change.change(store);
      EXPECT_EQ(stateOf(store, change.version), change.stateAfter);
    }
    if (exit == 0) break;
  }
  EXPECT_GT(before, 2);
  EXPECT_GT(after, 1);
}

INSTANTIATE_TEST_SUITE_P(
    , StagingCrashTest,
    ::testing::Values(
        ChangeOfState{"Staging", [](const Store&) {}, stageContacts, 2, std::nullopt, VersionState::staged},
        ChangeOfState{"Promoting", stageContacts, promoteContacts, 2, VersionState::staged,
                      VersionState::active},
        ChangeOfState{"Aborting", stageContacts,
                      [](const Store& store) { abortVersion(store, "contacts", 2, "it is bad"); }, 2,
                      VersionState::staged, VersionState::aborted},
        ChangeOfState{"GivingUp",
                      [](const Store& store) {
                        stageContacts(store);
                        promoteContacts(store);
                        migrate(store, "contacts");
                      },
                      [](const Store& store) { abortVersion(store, "contacts", 2, "it is bad"); }, 2,
                      VersionState::settled, VersionState::aborted},
        ChangeOfState{"Retiring",
                      [](const Store& store) {
                        stageContacts(store);
                        promoteContacts(store);
                        migrate(store, "contacts");
                      },
                      [](const Store& store) { retireVersions(store, "contacts", 1); }, 1,
                      VersionState::active, VersionState::retired}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace instar
