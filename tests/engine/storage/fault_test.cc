// Disks that are full or fail: every failure is an error code, nothing that was acknowledged is lost, reading
// goes on.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(INSTAR_SANITIZES_ADDRESSES)
#include <sanitizer/lsan_interface.h>
#endif

#include <atomic>
#include <csignal>
#include <cstring>

#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/fault_io.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

using testing::ChildProcess;
using testing::IoCall;
using testing::IoEvent;
using testing::IoOutcome;
using testing::ScopedIoRule;
using testing::Steps;

// LMDB's two first pages say what the newest commit is; writing one of them is what makes a commit.
bool isCommitPage(const IoEvent& event) { return event.call == IoCall::pwrite && event.offset < 2 * 4096; }
bool isDataPage(const IoEvent& event) { return event.bytes > 0 && !isCommitPage(event); }
bool isSync(const IoEvent& event) { return event.call == IoCall::fdatasync; }

// All children of branch pages but the first get numbers that no page has.
void loseLeafPages(const std::filesystem::path& path) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kHeader = 16;
  constexpr std::uint16_t kBranch = 1;
  std::string file = readFile(path);
  const auto numberAt = [&](std::size_t offset) {
    std::uint16_t number = 0;
    std::memcpy(&number, file.data() + offset, sizeof number);
    return number;
  };
  for (std::size_t page = 2 * kPage; page < file.size(); page += kPage) {
    if (numberAt(page + 10) != kBranch) continue;
    for (std::size_t node = kHeader + 2; node < numberAt(page + 12); node += 2) {
      std::memset(file.data() + page + numberAt(page + node), 0xff, 6);
    }
  }
  writeFile(path, file);
}

class StorageFaults : public ::testing::Test {
 protected:
  StorageFaults() : environment(open(path)), tree(openTree(*environment)) {
    put(*environment, tree, "a", "1");
  }

  std::map<std::string, std::string> rows() { return contents(*beginRead(*environment), tree); }
  std::ptrdiff_t filesInFolder() {
    return std::distance(std::filesystem::directory_iterator(folder.path()),
                         std::filesystem::directory_iterator());
  }
  void loseMostOfHundredRows() {
    {
      const auto writer = beginWrite(*environment);
      for (int row = 0; row < 100; ++row) put(*writer, tree, std::to_string(row), std::string(500, 'x'));
      writer->commit();
    }
    environment.reset();
    loseLeafPages(path);
    environment = open(path);
    tree = openTree(*environment);
  }

  void expectItGoesOn() {
    EXPECT_EQ(get(*environment, tree, "a"), "1");
    put(*environment, tree, "after", "wards");
    EXPECT_EQ(get(*environment, tree, "after"), "wards");
  }

  testing::TemporaryFolder folder;
  std::filesystem::path path = folder / "store";
  std::shared_ptr<Environment> environment;
  TreeId tree;
};

// The first `count` calls that `applies` to have this outcome.
testing::IoRule failing(std::function<bool(const IoEvent&)> applies, IoOutcome outcome, int count = 1) {
  return [applies = std::move(applies), outcome,
          left = std::make_shared<std::atomic<int>>(count)](const IoEvent& event) {
    return applies(event) && left->fetch_sub(1) > 0 ? outcome : IoOutcome{};
  };
}

TEST_F(StorageFaults, AFullDiskUnderDataPagesIsSaidAndNothingIsStored) {
  for (const int error : {ENOSPC, EDQUOT, EFBIG}) {
    {
      const ScopedIoRule rule(failing(isDataPage, {error}));
      EXPECT_ERROR(put(*environment, tree, "b", "2"), freeSpace, "call: mdb_txn_commit");
    }
    EXPECT_EQ(get(*environment, tree, "b"), std::nullopt);
  }
  expectItGoesOn();
}

TEST_F(StorageFaults, AnErrorOfTheDiskUnderDataPagesIsSaidAndNothingIsStored) {
  for (const IoOutcome outcome : {IoOutcome{EIO}, IoOutcome{0, false, true}}) {
    {
      const ScopedIoRule rule(failing(isDataPage, outcome));
      EXPECT_ERROR(put(*environment, tree, "b", "2"), fixEnvironment, "disk reports an error");
    }
    EXPECT_EQ(get(*environment, tree, "b"), std::nullopt);
  }
  expectItGoesOn();
}

TEST_F(StorageFaults, AFailedSyncStoresNothing) {
  {
    const ScopedIoRule rule(failing(isSync, {EIO}));
    EXPECT_ERROR(put(*environment, tree, "b", "2"), fixEnvironment, "disk reports an error");
  }
  EXPECT_EQ(get(*environment, tree, "b"), std::nullopt);
  expectItGoesOn();
}

TEST_F(StorageFaults, AWriteInTheMiddleOfALargeTransactionMayFail) {
#if defined(INSTAR_SANITIZES_ADDRESSES)
  // LMDB 0.9.24 never frees the list of pages that a transaction has written before its commit (1 MiB each).
  const __lsan::ScopedDisabler leakOfLmdb;
#endif
  // A transaction with more pages than LMDB keeps in memory writes some of them before its commit.
  const auto writer = beginWrite(*environment);
  const ScopedIoRule rule(failing(isDataPage, {ENOSPC}));
  const auto fill = [&] {
    for (int row = 0; row < 200'000; ++row) put(*writer, tree, std::to_string(row), std::string(1900, 'x'));
  };
  EXPECT_ERROR(fill(), freeSpace, "call: mdb_put");
  EXPECT_ERROR(writer->commit(), freeSpace, "call: mdb_put");
  EXPECT_EQ(rows().size(), 1U);
  expectItGoesOn();
}

TEST_F(StorageFaults, ACommitPageThatIsNotWrittenIsReadBackAsAbsent) {
  for (const IoOutcome outcome : {IoOutcome{EIO}, IoOutcome{0, false, true}}) {
    {
      const ScopedIoRule rule(failing(isCommitPage, outcome));
      EXPECT_ERROR(put(*environment, tree, "b", "2"), readBack, "read back whether it is stored");
    }
    EXPECT_EQ(get(*environment, tree, "b"), std::nullopt);
    expectItGoesOn();
  }
}

TEST_F(StorageFaults, ACommitPageThatIsWrittenAfterAllIsReadBackAsPresent) {
  {
    // The page reaches the file, the report is an error, and LMDB's attempt to take it back fails.
    int calls = 0;
    const ScopedIoRule rule([&](const IoEvent& event) -> IoOutcome {
      if (!isCommitPage(event)) return {};
      return ++calls == 1 ? IoOutcome{EIO, true} : IoOutcome{EIO};
    });
    EXPECT_ERROR(put(*environment, tree, "b", "2"), readBack, "read back whether it is stored");
    EXPECT_EQ(calls, 2);
  }
  EXPECT_EQ(get(*environment, tree, "b"), "2");
  expectItGoesOn();
}

TEST_F(StorageFaults, ACommitPageThatIsNotWrittenIsReadBackAlsoWithoutFreeReaderSlots) {
  // Whether LMDB was broken was asked by beginning to read. Without a free slot that failed for another
  // reason, and the commit was reported as not stored, which nobody knew.
  std::vector<std::unique_ptr<Transaction>> snapshots;
  for (int count = 0; count < 1024; ++count) snapshots.push_back(beginRead(*environment));
  {
    const ScopedIoRule rule(failing(isCommitPage, {EIO, true}));
    EXPECT_ERROR(put(*environment, tree, "b", "2"), readBack, "read back whether it is stored");
  }
  snapshots.clear();
  expectItGoesOn();
}

TEST_F(StorageFaults, AFailureBeforeTheCommitPageIsNotReadBackEvenWithoutFreeReaderSlots) {
  std::vector<std::unique_ptr<Transaction>> snapshots;
  for (int count = 0; count < 1024; ++count) snapshots.push_back(beginRead(*environment));
  const ScopedIoRule rule(failing(isDataPage, {ENOSPC}));
  EXPECT_ERROR(put(*environment, tree, "b", "2"), freeSpace, "disk is full");
}

TEST_F(StorageFaults, AfterAFailedCommitPageSnapshotsGoOnAndAreWaitedFor) {
  auto snapshot = beginRead(*environment);
  {
    const ScopedIoRule rule(failing(isCommitPage, {EIO}));
    EXPECT_ERROR(put(*environment, tree, "b", "2"), readBack, "read back");
  }
  EXPECT_EQ(get(*snapshot, tree, "a"), "1");
  EXPECT_ERROR(beginWrite(*environment, kShort), retry, "snapshots of this process are open");
  snapshot.reset();
  expectItGoesOn();
}

TEST_F(StorageFaults, AfterAFailedCommitPageAllTreesAreStillOpen) {
  const TreeId second = openTree(*environment, "second");
  const TreeId third = openTree(*environment, "third");
  put(*environment, second, "a", "second");
  put(*environment, third, "a", "third");
  {
    const ScopedIoRule rule(failing(isCommitPage, {EIO}));
    EXPECT_ERROR(put(*environment, tree, "b", "2"), readBack, "read back");
  }
  EXPECT_EQ(get(*environment, second, "a"), "second");
  EXPECT_EQ(get(*environment, third, "a"), "third");
  put(*environment, openTree(*environment, "fourth"), "a", "fourth");
}

TEST_F(StorageFaults, OpeningAnewRefusesAnotherFileThatHasTakenTheName) {
  environment->copyTo(folder / "backup", {});
  {
    const ScopedIoRule rule(failing(isCommitPage, {EIO}));
    EXPECT_ERROR(put(*environment, tree, "b", "2"), readBack, "read back");
  }
  std::filesystem::rename(folder / "backup", path);
  EXPECT_ERROR(beginRead(*environment), retry, "another file has taken the name");
  EXPECT_ERROR(beginWrite(*environment), retry, "another file has taken the name");
  environment.reset();
  environment = open(path);
  tree = openTree(*environment);
  expectItGoesOn();
}

TEST_F(StorageFaults, OpeningAnewMayFailAndIsTriedAgain) {
  {
    const ScopedIoRule rule(failing(isCommitPage, {EIO}));
    EXPECT_ERROR(put(*environment, tree, "b", "2"), readBack, "read back");
  }
  struct rlimit limit {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const struct rlimit none { 3, limit.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_ERROR(beginRead(*environment), fixEnvironment, "too many files are open");
  EXPECT_ERROR(beginWrite(*environment), fixEnvironment, "too many files are open");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  expectItGoesOn();
}

TEST_F(StorageFaults, ACreationThatFailsLeavesNothingBehind) {
  for (const IoCall call : {IoCall::pwrite, IoCall::fsync}) {
    const ScopedIoRule rule(failing([call](const IoEvent& event) { return event.call == call; }, {ENOSPC}));
    EXPECT_ERROR(open(folder / "new"), freeSpace, "disk is full");
    EXPECT_EQ(filesInFolder(), 2) << "store and store-lock";
  }
  open(folder / "new");
}

TEST_F(StorageFaults, AnErrorAboutAnUnfinishedFileNamesTheFileThatTheCallerAskedFor) {
  // It named only the hidden name under which the file is made, which says nothing to whoever reads it.
  const auto targetOfFailure = [](IoCall call, const auto& write) {
    const ScopedIoRule rule([call](const IoEvent& event) {
      const bool isInFile = event.call == call && ::lseek(event.descriptor, 0, SEEK_CUR) >= 0;
      return isInFile ? IoOutcome{ENOSPC} : IoOutcome{};
    });
    try {
      write();
    } catch (const Error& error) {
      return std::string(error.fact("target"));
    }
    return std::string("no failure");
  };
  for (const IoCall call : {IoCall::pwrite, IoCall::fsync}) {
    EXPECT_EQ(targetOfFailure(call, [&] { open(folder / "new"); }), (folder / "new").string());
  }
  for (const IoCall call : {IoCall::write, IoCall::fsync}) {
    EXPECT_EQ(targetOfFailure(call, [&] { environment->copyTo(folder / "copy", {}); }),
              (folder / "copy").string());
  }
}

TEST_F(StorageFaults, AScanThatFailsDoesNotEndAsIfItWereComplete) {
  // The cursor lost its position with the failure. Whoever caught the error and went on was told that there
  // are no more rows.
  loseMostOfHundredRows();
  const auto snapshot = beginRead(*environment);
  const auto cursor = snapshot->cursor(tree);
  const auto other = snapshot->cursor(tree);
  ASSERT_TRUE(other->first());
  ASSERT_TRUE(cursor->first());
  const auto scan = [&] {
    while (cursor->next()) {
    }
  };
  EXPECT_ERROR(scan(), restoreFromBackup, "call: mdb_cursor_get");
  EXPECT_ERROR(cursor->next(), restoreFromBackup, "call: mdb_cursor_get");
  EXPECT_ERROR(cursor->previous(), restoreFromBackup, "call: mdb_cursor_get");
  EXPECT_ERROR(other->next(), restoreFromBackup, "call: mdb_cursor_get");
}

TEST_F(StorageFaults, EntriesBeforeAFailureAreStillRead) {
  loseMostOfHundredRows();
  const auto snapshot = beginRead(*environment);
  const auto cursor = snapshot->cursor(tree);
  ASSERT_TRUE(cursor->first());
  std::array<Entry, 1000> room;
  const std::size_t count = cursor->next(room);
  EXPECT_GT(count, 0U);
  EXPECT_LT(count, 99U);
  for (const Entry& entry : std::span(room).first(count)) EXPECT_EQ(entry.value.size(), 500U);
  EXPECT_ERROR(cursor->next(room), restoreFromBackup, "call: mdb_cursor_get");
  EXPECT_ERROR(cursor->next(), restoreFromBackup, "call: mdb_cursor_get");
}

TEST_F(StorageFaults, SyncReportsWhatTheDiskReports) {
  const ScopedIoRule rule(failing(isSync, {EIO}));
  EXPECT_ERROR(environment->sync(), fixEnvironment, "call: mdb_env_sync");
  environment->sync();
}

TEST_F(StorageFaults, ACopyThatMeetsAFullDiskLeavesNothingBehind) {
  {
    const ScopedIoRule rule([&](const IoEvent& event) {
      // The copying thread writes into a pipe, this one into the file.
      return event.call == IoCall::write && ::lseek(event.descriptor, 0, SEEK_CUR) >= 0 ? IoOutcome{ENOSPC}
                                                                                        : IoOutcome{};
    });
    EXPECT_ERROR(environment->copyTo(folder / "copy", {}), freeSpace, "disk is full");
  }
  EXPECT_EQ(filesInFolder(), 2) << "store and store-lock";
  environment->copyTo(folder / "copy", {});
}

TEST(StorageDurability, LevelsDifferInWhatIsSynced) {
  struct Row {
    Durability durability;
    bool syncsData;
    bool syncsCommitPage;
  };
  for (const Row& row : {Row{Durability::full, true, true}, Row{Durability::normal, true, false},
                         Row{Durability::off, false, false}}) {
    const testing::TemporaryFolder folder;
    StoreOptions options;
    options.durability = row.durability;
    const auto environment = open(folder / "store", options);
    const TreeId tree = openTree(*environment);
    bool syncsData = false;
    bool syncsCommitPage = false;
    const ScopedIoRule rule([&](const IoEvent& event) -> IoOutcome {
      if (isSync(event)) syncsData = true;
      if (isCommitPage(event)) syncsCommitPage = (::fcntl(event.descriptor, F_GETFL) & O_DSYNC) != 0;
      return {};
    });
    put(*environment, tree, "a", "1");
    EXPECT_EQ(syncsData, row.syncsData);
    EXPECT_EQ(syncsCommitPage, row.syncsCommitPage);
    syncsData = false;
    environment->sync();
    EXPECT_TRUE(syncsData) << "sync() syncs at every level";
  }
}

TEST(StorageCreation, SyncsTheFileAndItsFolder) {
  const testing::TemporaryFolder folder;
  int files = 0;
  int folders = 0;
  {
    const ScopedIoRule rule([&](const IoEvent& event) -> IoOutcome {
      struct stat status {};
      if (event.call != IoCall::fsync || ::fstat(event.descriptor, &status) != 0) return {};
      S_ISDIR(status.st_mode) ? ++folders : ++files;
      return {};
    });
    open(folder / "store");
  }
  EXPECT_EQ(files, 1);
  EXPECT_EQ(folders, 1);
}

TEST(StorageLimits, ALimitOnFileSizesIsAnErrorCode) {
  ChildProcess child([](const Steps&) {
    ::signal(SIGXFSZ, SIG_IGN);  // as a program must that sets such a limit
    const testing::TemporaryFolder folder;
    const auto environment = open(folder / "store", unsynced());
    const TreeId tree = openTree(*environment);
    put(*environment, tree, "a", "1");
    const struct rlimit limit { 1'000'000, 1'000'000 };
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_ERROR(put(*environment, tree, "b", std::string(4 << 20, 'x')), freeSpace, "limit on file sizes");
    EXPECT_EQ(get(*environment, tree, "a"), "1");
    EXPECT_EQ(get(*environment, tree, "b"), std::nullopt);
    put(*environment, tree, "c", "3");
  });
  child.expectSuccess();
}

// Where mounting is permitted, for example for root.
class StorageOnAFullDisk : public ::testing::Test {
 protected:
  // `body` is run with a file system of 2 MiB at `disk`, which goes with the process.
  void withSmallDisk(const std::function<void()>& body) {
    ChildProcess child([&](const Steps&) {
      if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          ::mount("none", disk.c_str(), "tmpfs", 0, "size=2m") != 0) {
        std::fprintf(stderr, "not tried: mounting is not permitted here\n");
        return;
      }
      body();
    });
    child.expectSuccess();
  }
  static void fillUp(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT, 0600);
    const std::string block(4096, 'x');
    while (::write(descriptor, block.data(), block.size()) > 0) {
    }
    ::close(descriptor);
  }

  testing::TemporaryFolder folder;
  std::filesystem::path disk = folder.path();
};

TEST_F(StorageOnAFullDisk, CommitsFailWithACodeAndReadingGoesOn) {
  withSmallDisk([&] {
    const auto environment = open(disk / "store");
    const TreeId tree = openTree(*environment);
    int row = 0;
    const auto fill = [&] {
      for (;; ++row) put(*environment, tree, std::to_string(row), std::string(10'000, 'x'));
    };
    EXPECT_ERROR(fill(), freeSpace, "disk is full");
    EXPECT_GT(row, 100);
    EXPECT_EQ(contents(*beginRead(*environment), tree).size(), static_cast<std::size_t>(row));
    EXPECT_ERROR(environment->copyTo(disk / "copy", {}), freeSpace, "disk is full");
    const auto writer = beginWrite(*environment);
    EXPECT_TRUE(writer->erase(tree, asBytes("0"))) << "even erasing needs pages, but may get free ones";
  });
}

TEST_F(StorageOnAFullDisk, OpeningFailsWithACode) {
  withSmallDisk([&] {
    fillUp(disk / "other");
    EXPECT_ERROR(open(disk / "store"), freeSpace, "disk is full");
    EXPECT_FALSE(std::filesystem::exists(disk / "store"));
  });
}

TEST_F(StorageOnAFullDisk, ALockFileForWhichThereIsNoRoomIsAnErrorAndNotASignal) {
  withSmallDisk([&] {
    {
      const auto environment = open(disk / "store");
      put(*environment, openTree(*environment), "a", "1");
    }
    std::filesystem::remove(disk / "store-lock");
    fillUp(disk / "other");
    EXPECT_ERROR(open(disk / "store"), freeSpace, "disk is full");
    std::filesystem::remove(disk / "store-lock");
    const auto environment = open(disk / "store", withMode(OpenMode::readOnly));
    EXPECT_EQ(get(*environment, environment->openTree("tree", false).value(), "a"), "1");
  });
}

}  // namespace
}  // namespace instar::storage
