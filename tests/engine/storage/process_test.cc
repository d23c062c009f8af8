// Several processes: the write lock, readers and their slots, death at any moment, forks, compaction in
// place.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "instar/engine/internal/storage/process_age.h"
#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

using testing::ChildProcess;
using testing::Steps;

class StorageProcesses : public ::testing::Test {
 protected:
  StorageProcesses() {
    const auto environment = open(path, unsynced());
    put(*environment, openTree(*environment), "a", "1");
  }
  std::shared_ptr<Environment> openAgain() { return open(path, unsynced()); }
  static std::vector<ReaderInfo> readersOf(Environment& environment, pid_t process) {
    std::vector<ReaderInfo> readers = environment.readers();
    std::erase_if(readers, [process](const ReaderInfo& reader) { return reader.process != process; });
    return readers;
  }

  testing::TemporaryFolder folder;
  std::filesystem::path path = folder / "store";
};

TEST_F(StorageProcesses, SeeEachOthersCommits) {
  ChildProcess child([&](const Steps& parent) {
    const auto environment = openAgain();
    parent.tell();
    parent.await();
    put(*environment, openTree(*environment), "a", "2");
    parent.tell();
    parent.await();
  });
  child.await();
  const auto environment = openAgain();
  const TreeId tree = openTree(*environment);
  const auto snapshot = beginRead(*environment);
  child.tell();
  child.await();
  EXPECT_EQ(get(*snapshot, tree, "a"), "1");
  EXPECT_EQ(get(*environment, tree, "a"), "2");
  child.tell();
  child.expectSuccess();
}

TEST_F(StorageProcesses, ASnapshotReadsTreesThatAnotherProcessCreated) {
  ChildProcess child([&](const Steps& parent) {
    parent.await();
    const auto environment = openAgain();
    put(*environment, openTree(*environment, "created elsewhere"), "a", "2");
    parent.tell();
    parent.await();
  });
  const auto environment = openAgain();
  child.tell();
  child.await();
  for (const Access access : {Access::read, Access::write}) {
    const auto transaction = environment->begin(access, kLong);
    const auto created = environment->openTree("created elsewhere", false);  // inside the transaction
    EXPECT_EQ(get(*transaction, created.value(), "a"), "2");
  }
  child.tell();
  child.expectSuccess();
}

TEST_F(StorageProcesses, WaitForTheWriteLockAsLongAsTheySay) {
  ChildProcess child([&](const Steps& parent) {
    const auto environment = openAgain();
    const TreeId tree = openTree(*environment);
    const auto writer = beginWrite(*environment);
    put(*writer, tree, "a", "2");
    parent.tell();
    parent.await();
    writer->commit();
    parent.tell();
    parent.await();
  });
  child.await();
  const auto environment = openAgain();
  const TreeId tree = openTree(*environment);
  EXPECT_ERROR(beginWrite(*environment, kShort), retry, "another process holds the write lock");
  EXPECT_ERROR(beginWrite(*environment, 0ms), retry, "another process holds the write lock");
  EXPECT_EQ(get(*environment, tree, "a"), "1") << "reading does not wait";
  std::thread teller([&] { child.tell(); });
  put(*environment, tree, "b", "3");
  teller.join();
  child.await();
  EXPECT_EQ(get(*environment, tree, "a"), "2");
  child.tell();
  child.expectSuccess();
}

TEST_F(StorageProcesses, CreatingATreeWaitsForTheWriteLockToo) {
  ChildProcess child([&](const Steps& parent) {
    const auto environment = openAgain();
    const auto writer = beginWrite(*environment);
    parent.tell();
    parent.await();
  });
  child.await();
  StoreOptions options = unsynced();
  options.writeTimeout = kShort;
  const auto environment = open(path, options);
  EXPECT_ERROR(environment->openTree("new", true), retry, "another process holds the write lock");
  EXPECT_TRUE(environment->openTree("tree", true).has_value()) << "what exists is opened without it";
  child.tell();
  child.expectSuccess();
}

TEST_F(StorageProcesses, AWriterThatDiesLeavesTheLastCommitAndNoLock) {
  ChildProcess child([&](const Steps& parent) {
    const auto environment = openAgain();
    const TreeId tree = openTree(*environment);
    const auto writer = beginWrite(*environment);
    for (int row = 0; row < 1000; ++row) put(*writer, tree, std::to_string(row), std::string(3000, 'x'));
    parent.tell();
    parent.await();
  });
  child.await();
  const auto environment = openAgain();
  child.kill();
  const TreeId tree = openTree(*environment);
  EXPECT_EQ(contents(*beginRead(*environment), tree), (std::map<std::string, std::string>{{"a", "1"}}));
  put(*environment, tree, "b", "2");
  EXPECT_EQ(get(*environment, tree, "b"), "2");
}

// LMDB takes the number of a snapshot first, and then the roots of its trees from the page that two commits
// later is another one's. A program that was stopped in between, or had no processor, got a snapshot that was
// newer than its number said, so that the engine took it for one whose catalog it had looked at; and where
// the page was just being written, some of the roots of one commit with some of another.
TEST_F(StorageProcesses, ASnapshotOfAProgramThatWasStoppedIsTheOneOfItsNumber) {
  constexpr int kStops = 400;
  const auto commitNumbers = [&](const Steps& parent) {
    const auto environment = openAgain();
    const TreeId tree = openTree(*environment);
    parent.tell();
    for (;;) {
      const auto writer = beginWrite(*environment);
      put(*writer, tree, "number", std::to_string(writer->id()));
      writer->commit();
    }
  };
  std::atomic<bool>& isOver = *static_cast<std::atomic<bool>*>(
      ::mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ChildProcess writer(commitNumbers);
  writer.await();
  ChildProcess reader([&](const Steps& parent) {
    const auto environment = openAgain();
    const TreeId tree = openTree(*environment);
    while (!get(*environment, tree, "number")) {
    }
    parent.tell();
    while (!isOver) {
      const auto snapshot = beginRead(*environment);
      const std::string number = get(*snapshot, tree, "number").value();
      ASSERT_EQ(number, std::to_string(snapshot->id()));
    }
  });
  reader.await();
  for (int stop = 0; stop < kStops; ++stop) {
    ::kill(reader.process(), SIGSTOP);
    std::this_thread::sleep_for(1ms);
    ::kill(reader.process(), SIGCONT);
    std::this_thread::sleep_for(std::chrono::microseconds(100 + stop % 7 * 30));
  }
  isOver = true;
  reader.expectSuccess();
  writer.kill();
  ::munmap(&isOver, sizeof isOver);
}

TEST_F(StorageProcesses, ADeadReadersSlotIsCleared) {
  ChildProcess child([&](const Steps& parent) {
    const auto environment = openAgain();
    const auto snapshot = beginRead(*environment);
    parent.tell();
    parent.await();
  });
  const auto environment = openAgain();
  child.await();
  const auto alive = readersOf(*environment, child.process());
  ASSERT_EQ(alive.size(), 1U);
  EXPECT_TRUE(alive[0].alive);
  EXPECT_TRUE(alive[0].programAge.has_value());
  EXPECT_EQ(alive[0].transaction, beginRead(*environment)->id());
  EXPECT_EQ(environment->clearStaleReaders(), 0U);
  child.kill();
  const auto dead = readersOf(*environment, child.process());
  ASSERT_EQ(dead.size(), 1U);
  EXPECT_FALSE(dead[0].alive);
  EXPECT_EQ(dead[0].programAge, std::nullopt);
  EXPECT_EQ(environment->clearStaleReaders(), 1U);
  EXPECT_TRUE(readersOf(*environment, child.process()).empty());
}

// Whether a reader is alive was told by its number alone, so that one whose number another program had got
// since held its snapshot for ever, as far as `instar readers` and the retirement of versions knew.
TEST_F(StorageProcesses, AReaderIsDeadThoughAnotherProgramHasItsNumber) {
  ChildProcess reader([&](const Steps& parent) {
    const auto environment = openAgain();
    const auto snapshot = beginRead(*environment);
    parent.tell();
    parent.await();
  });
  ChildProcess other([](const Steps& parent) { parent.await(); });
  ChildProcess renumberer([&](const Steps& parent) {  // on its own: closing the file drops a process's locks
    parent.await();
    std::fstream file(path.string() + "-lock", std::ios::in | std::ios::out | std::ios::binary);
    pid_t number = 0;
    int changed = 0;
    for (std::streamoff at = 0; file.read(reinterpret_cast<char*>(&number), sizeof number);
         at += sizeof number) {
      if (number != reader.process()) continue;
      const pid_t given = other.process();
      file.seekp(at);
      file.write(reinterpret_cast<const char*>(&given), sizeof given);
      file.seekg(at + static_cast<std::streamoff>(sizeof number));
      ++changed;
    }
    EXPECT_EQ(changed, 1) << "the test has lost its subject";
  });
  const auto environment = openAgain();
  reader.await();
  reader.kill();
  renumberer.tell();
  renumberer.expectSuccess();
  const auto readers = readersOf(*environment, other.process());
  ASSERT_EQ(readers.size(), 1U);
  EXPECT_NE(readers[0].transaction, 0U);
  EXPECT_FALSE(readers[0].alive);
  EXPECT_EQ(readers[0].programAge, std::nullopt);
  EXPECT_EQ(environment->clearStaleReaders(), 1U);
  other.tell();
  other.expectSuccess();
}

TEST(StorageProcessAge, IsReadOffBehindAnyName) {
  const std::string fields = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
  EXPECT_EQ(startInStat("12 (cat)" + fields), 4711U);
  EXPECT_EQ(startInStat("12 (a) S 1 (b c)" + fields), 4711U);
  const std::vector<std::string> others = {"", "12 (cat)", "12 cat" + fields, "12 (cat) S 1 2 3",
                                           "12 (cat)" + fields.substr(0, fields.find("4711")) + "x 20"};
  for (const std::string& text : others) {
    EXPECT_EQ(startInStat(text), std::nullopt) << text;
  }
  EXPECT_TRUE(ageOfProcess(::getpid()).has_value());
  EXPECT_EQ(ageOfProcess(-1), std::nullopt);
}

TEST_F(StorageProcesses, OpeningClearsDeadReaders) {
  ChildProcess keeper(
      [&](const Steps& parent) {  // otherwise the first to open would find an empty table anyway
        const auto environment = openAgain();
        parent.tell();
        parent.await();
      });
  keeper.await();
  ChildProcess reader([&](const Steps& parent) {
    const auto environment = openAgain();
    const auto snapshot = beginRead(*environment);
    parent.tell();
    parent.await();
  });
  reader.await();
  reader.kill();
  EXPECT_TRUE(readersOf(*openAgain(), reader.process()).empty());
  keeper.tell();
  keeper.expectSuccess();
}

TEST_F(StorageProcesses, DeadReadersMakeRoomWhenSlotsRunOut) {
  ChildProcess child([&](const Steps& parent) {
    const auto environment = openAgain();
    std::vector<std::unique_ptr<Transaction>> snapshots;
    for (int count = 0; count < 1000; ++count) snapshots.push_back(beginRead(*environment));
    parent.tell();
    parent.await();
  });
  const auto environment = openAgain();
  child.await();
  child.kill();
  std::vector<std::unique_ptr<Transaction>> snapshots;
  for (int count = 0; count < 500; ++count) snapshots.push_back(beginRead(*environment));
  EXPECT_EQ(environment->info().readers, 501U) << "and the one that asks";
}

TEST_F(StorageProcesses, WithoutFreeSlotsItSaysToCloseSnapshots) {
  const auto environment = openAgain();
  const TreeId tree = openTree(*environment);
  std::vector<std::unique_ptr<Transaction>> snapshots;
  for (int count = 0; count < 1024; ++count) snapshots.push_back(beginRead(*environment));
  EXPECT_ERROR(beginRead(*environment), retry, "close snapshots");
  put(*environment, tree, "a", "2");
  snapshots.pop_back();
  EXPECT_EQ(get(*environment, tree, "a"), "2");
}

TEST_F(StorageProcesses, ATreeThatCannotBeOpenedForNowIsOpenedLater) {
  // A tree that another process created could not be opened while all reader slots were taken. It counted as
  // opened all the same, so that every later transaction said that it began before the tree was opened.
  ChildProcess child([&](const Steps& parent) {
    parent.await();
    const auto environment = openAgain();
    put(*environment, openTree(*environment, "created elsewhere"), "a", "2");
    std::vector<std::unique_ptr<Transaction>> snapshots;
    const auto takeAllSlots = [&] {
      for (;;) snapshots.push_back(beginRead(*environment));
    };
    EXPECT_ERROR(takeAllSlots(), retry, "close snapshots");
    parent.tell();
    parent.await();
  });
  const auto environment = openAgain();
  child.tell();
  child.await();
  EXPECT_ERROR(beginWrite(*environment), retry, "close snapshots");
  child.tell();
  child.expectSuccess();
  const auto writer = beginWrite(*environment);
  EXPECT_EQ(get(*writer, environment->openTree("created elsewhere", false).value(), "a"), "2");
}

TEST_F(StorageProcesses, AChildOfAForkIsToldToOpenAgain) {
  const auto environment = openAgain();
  const TreeId tree = openTree(*environment);
  auto snapshot = beginRead(*environment);
  auto cursor = snapshot->cursor(tree);
  ASSERT_TRUE(cursor->first());
  auto writer = beginWrite(*environment);
  put(*writer, tree, "b", "2");
  ChildProcess child([&](const Steps&) {
    EXPECT_ERROR(beginRead(*environment), fixCall, "before a fork");
    EXPECT_ERROR(beginWrite(*environment), fixCall, "before a fork");
    EXPECT_ERROR(environment->openTree("tree", false), fixCall, "before a fork");
    EXPECT_ERROR(environment->info(), fixCall, "before a fork");
    EXPECT_ERROR(environment->readers(), fixCall, "before a fork");
    EXPECT_ERROR(environment->sync(), fixCall, "before a fork");
    EXPECT_ERROR(environment->copyTo(folder / "copy", {}), fixCall, "before a fork");
    EXPECT_ERROR(snapshot->get(tree, asBytes("a")), fixCall, "before a fork");
    EXPECT_ERROR(cursor->next(), fixCall, "before a fork");
    EXPECT_ERROR(writer->reserve(tree, asBytes("c"), 1), fixCall, "before a fork");
    EXPECT_ERROR(writer->commit(), fixCall, "before a fork");
    cursor.reset();
    snapshot.reset();
    writer.reset();  // none of these may touch what belongs to the parent
  });
  child.expectSuccess();
  writer->commit();
  EXPECT_EQ(get(*environment, tree, "b"), "2");
  EXPECT_EQ(get(*snapshot, tree, "b"), std::nullopt);
  EXPECT_TRUE(cursor->first());
}

TEST_F(StorageProcesses, AChildOfAForkOpensAgainBesideItsParent) {
  auto environment = openAgain();
  const TreeId tree = openTree(*environment);
  auto snapshot = beginRead(*environment);
  ChildProcess child([&](const Steps& parent) {
    const auto own = openAgain();
    EXPECT_NE(own, environment);
    put(*own, openTree(*own), "a", "of the child");
    snapshot.reset();
    environment.reset();
    put(*own, openTree(*own), "b", "of the child");
    parent.tell();
    parent.await();
    EXPECT_EQ(get(*own, openTree(*own), "a"), "of the parent");
  });
  child.await();
  EXPECT_EQ(get(*snapshot, tree, "a"), "1");
  EXPECT_EQ(get(*environment, tree, "a"), "of the child");
  put(*environment, tree, "a", "of the parent");
  child.tell();
  child.expectSuccess();
}

TEST_F(StorageProcesses, AChildThatOutlivesItsParentKeepsNoneOfItsLocks) {
  // Locks on an open file are inherited by a fork; the grandchild must not hold the dead parent's.
  ChildProcess child([&](const Steps& parent) {
    const auto environment = openAgain();
    const auto writer = beginWrite(*environment);
    if (::fork() == 0) {
      parent.tell();
      parent.await();  // ends when the test closes its end of the pipe
    }
    ::pause();
  });
  child.await();
  child.kill();
  const auto environment = openAgain();
  const TreeId tree = openTree(*environment);
  const auto writer = beginWrite(*environment, 0ms);
  put(*writer, tree, "b", "2");
  writer->commit();
}

TEST_F(StorageProcesses, CompactingInPlaceGivesSpaceBackAndKeepsTheRows) {
  std::map<std::string, std::string> expected;
  {
    const auto environment = openAgain();
    const TreeId tree = openTree(*environment);
    const auto writer = beginWrite(*environment);
    for (int row = 0; row < 3000; ++row) put(*writer, tree, std::to_string(row), std::string(1000, 'x'));
    writer->commit();
    const auto eraser = beginWrite(*environment);
    for (int row = 10; row < 3000; ++row) eraser->erase(tree, asBytes(std::to_string(row)));
    eraser->commit();
    expected = contents(*beginRead(*environment), tree);
  }
  std::filesystem::permissions(path, std::filesystem::perms(0640));
  const auto before = std::filesystem::file_size(path);
  Progress last;
  compactInPlace(path, [&](const Progress& progress) { last = progress; });
  EXPECT_LT(std::filesystem::file_size(path), before / 10);
  EXPECT_EQ(last.done, std::filesystem::file_size(path));
  EXPECT_EQ(last.done, last.total);
  EXPECT_EQ(permissions(path), 0640U);
  const auto environment = openAgain();
  EXPECT_EQ(contents(*beginRead(*environment), openTree(*environment)), expected);
  put(*environment, openTree(*environment), "a", "2");
}

TEST_F(StorageProcesses, CompactingInPlaceIsRefusedWhileSomebodyHasItOpen) {
  {
    const auto environment = openAgain();
    EXPECT_ERROR(compactInPlace(path), retry, "this process has the store open");
  }
  for (const OpenMode mode : {OpenMode::openExisting, OpenMode::readOnly}) {
    if (mode == OpenMode::readOnly) std::filesystem::remove(path.string() + "-lock");
    ChildProcess child([&](const Steps& parent) {
      const auto environment = open(path, withMode(mode));
      parent.tell();
      parent.await();
    });
    child.await();
    EXPECT_ERROR(compactInPlace(path), retry, "another process has the store open");
    child.tell();
    child.expectSuccess();
  }
  compactInPlace(path);
  EXPECT_ERROR(compactInPlace(folder / "missing"), fixEnvironment, "no such file");
}

TEST_F(StorageProcesses, WhoWaitsForACompactionOpensTheNewFile) {
  ChildProcess child([&](const Steps& parent) {
    parent.await();
    parent.tell();
    const auto environment = openAgain();  // waits on the old file's lock, then finds that it is another file
    put(*environment, openTree(*environment), "b", "2");
  });
  compactInPlace(path, [&, isFirst = true](const Progress&) mutable {
    if (!std::exchange(isFirst, false)) return;
    child.tell();
    child.await();
    std::this_thread::sleep_for(kShort);  // so that it probably waits; right either way
  });
  child.expectSuccess();
  const auto environment = openAgain();
  EXPECT_EQ(contents(*beginRead(*environment), openTree(*environment)),
            (std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}}));
}

TEST_F(StorageProcesses, ACompactionThatFailsLeavesTheFileAsItWas) {
  const std::string before = readFile(path);
  EXPECT_THROW(compactInPlace(path, [](const Progress&) { throw std::runtime_error("stop"); }),
               std::runtime_error);
  EXPECT_EQ(readFile(path), before);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 2U) << "store and store-lock";
  openAgain();
}

TEST_F(StorageProcesses, SeveralOpenAtTheSameTime) {
  std::filesystem::remove(path);
  std::filesystem::remove(path.string() + "-lock");
  std::vector<std::unique_ptr<ChildProcess>> children;
  for (int number = 0; number < 4; ++number) {
    children.push_back(std::make_unique<ChildProcess>([&, number](const Steps& parent) {
      parent.await();
      for (int round = 0; round < 20; ++round) {
        const auto environment = openAgain();
        const TreeId tree = openTree(*environment);
        put(*environment, tree, std::to_string(number * 100 + round), "x");
      }
    }));
  }
  for (const auto& child : children) child->tell();
  for (const auto& child : children) child->expectSuccess();
  const auto environment = openAgain();
  EXPECT_EQ(contents(*beginRead(*environment), openTree(*environment)).size(), 80U);
}

}  // namespace
}  // namespace instar::storage
