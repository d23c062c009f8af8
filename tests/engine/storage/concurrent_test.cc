// Threads together: run under ThreadSanitizer too.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "instar/engine/internal/storage/activity_gate.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/engine/internal/storage/write_turn.h"
#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

class Threads {
 public:
  template <class Body>
  void start(Body body) {
    threads_.emplace_back(std::move(body));
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  ~Threads() { join(); }

 private:
  std::vector<std::thread> threads_;
};

// Every commit sets all rows to its number, so a snapshot in which they differ is torn.
constexpr int kRows = 20;

void setAll(Environment& environment, TreeId tree, int number, std::size_t size) {
  for (;;) {
    try {
      const auto writer = beginWrite(environment);
      for (int row = 0; row < kRows; ++row) {
        put(*writer, tree, std::to_string(row), std::string(size, static_cast<char>('a' + number % 26)));
      }
      return writer->commit();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::retry) throw;  // the map was full, and will be larger
    }
  }
}

void expectAllEqual(Environment& environment, TreeId tree) {
  const auto snapshot = beginRead(environment);
  const auto first = get(*snapshot, tree, "0");
  for (int row = 1; row < kRows; ++row) ASSERT_EQ(get(*snapshot, tree, std::to_string(row)), first);
}

void readersAndAWriter(Environment& environment, TreeId tree) {
  std::atomic<bool> isDone{false};
  Threads readers;
  for (int reader = 0; reader < 3; ++reader) {
    readers.start([&] {
      while (!isDone) expectAllEqual(environment, tree);
    });
  }
  for (int number = 0; number < 200; ++number)
    setAll(environment, tree, number, 20 + static_cast<std::size_t>(number) * 10);
  isDone = true;
}

TEST(StorageConcurrent, SnapshotsAreWholeWhileTheMapGrows) {
  const testing::TemporaryFolder folder;
  StoreOptions options = unsynced();
  options.mapSize = 128 << 10;
  const auto environment = open(folder / "store", options);
  readersAndAWriter(*environment, openTree(*environment));
  EXPECT_GT(environment->info().mapSize, options.mapSize);
}

TEST(StorageConcurrent, SnapshotsOfTheModelAreWhole) {
  const auto environment = openMemory();
  readersAndAWriter(*environment, openTree(*environment));
}

TEST(StorageConcurrent, WritersTakeTurns) {
  const testing::TemporaryFolder folder;
  for (const auto& environment : {open(folder / "store", unsynced()), openMemory()}) {
    const TreeId tree = openTree(*environment);
    Threads writers;
    for (int writer = 0; writer < 4; ++writer) {
      writers.start([&] {
        for (int count = 0; count < 100; ++count) {
          const auto transaction = beginWrite(*environment);
          const int before = std::stoi(get(*transaction, tree, "sum").value_or("0"));
          put(*transaction, tree, "sum", std::to_string(before + 1));
          transaction->commit();
        }
      });
    }
    writers.join();
    EXPECT_EQ(get(*environment, tree, "sum"), "400");
  }
}

TEST(StorageConcurrent, TreesAreOpenedWhileOthersReadAndWrite) {
  const testing::TemporaryFolder folder;
  for (const auto& environment : {open(folder / "store", unsynced()), openMemory()}) {
    Threads threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.start([&] {
        for (int number = 0; number < 30; ++number) {
          const TreeId tree = openTree(*environment, "tree " + std::to_string(number));
          put(*environment, tree, "number", std::to_string(number));
          EXPECT_EQ(get(*environment, tree, "number"), std::to_string(number));
        }
      });
    }
  }
}

TEST(StorageConcurrent, ManyThreadsOpenAndCloseOneFile) {
  const testing::TemporaryFolder folder;
  Threads threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.start([&, thread] {
      for (int round = 0; round < 25; ++round) {
        const auto environment = open(folder / "store", unsynced());
        put(*environment, openTree(*environment), std::to_string(thread * 100 + round), "x");
      }
    });
  }
  threads.join();
  const auto environment = open(folder / "store", unsynced());
  EXPECT_EQ(contents(*beginRead(*environment), openTree(*environment)).size(), 100U);
}

TEST(StorageConcurrent, CopiesAreMadeMeanwhile) {
  const testing::TemporaryFolder folder;
  const auto environment = open(folder / "store", unsynced());
  const TreeId tree = openTree(*environment);
  setAll(*environment, tree, 0, 1000);
  std::atomic<bool> isDone{false};
  Threads threads;
  threads.start([&] {
    for (int number = 0; !isDone; ++number) setAll(*environment, tree, number, 1000);
  });
  CopyOptions options;
  options.replace = true;
  for (int copy = 0; copy < 10; ++copy) {
    options.compact = copy % 2 == 0;
    environment->copyTo(folder / "copy", options);
    const auto copied = open(folder / "copy", unsynced());
    expectAllEqual(*copied, copied->openTree("tree", false).value());
  }
  isDone = true;
}

TEST(StorageConcurrent, InformationIsGivenMeanwhile) {
  const testing::TemporaryFolder folder;
  const auto environment = open(folder / "store", unsynced());
  const TreeId tree = openTree(*environment);
  std::atomic<bool> isDone{false};
  Threads threads;
  threads.start([&] {
    for (int number = 0; !isDone; ++number) setAll(*environment, tree, number, 100);
  });
  for (int count = 0; count < 200; ++count) {
    const EnvironmentInfo info = environment->info();
    ASSERT_LE(info.usedPages * info.pageSize, info.mapSize);
    environment->readers();
    environment->clearStaleReaders();
    environment->sync();
  }
  isDone = true;
}

TEST(ActivityGateConcurrent, NothingIsInsideAClosedGate) {
  ActivityGate gate;
  int guarded = 0;  // by the gate alone: ThreadSanitizer would object
  std::atomic<bool> isDone{false};
  Threads threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.start([&] {
      int seen = 0;
      while (!isDone) {
        const Activity activity(gate);
        EXPECT_GE(guarded, seen);
        seen = guarded;
      }
    });
  }
  for (int count = 0; count < 200; ++count) {
    ASSERT_TRUE(gate.close(kLong));
    ++guarded;
    gate.open();
  }
  isDone = true;
}

TEST(ActivityGateConcurrent, ClosingGivesUpInTimeAndLetsOthersIn) {
  ActivityGate gate;
  gate.enter();
  EXPECT_FALSE(gate.close(kShort));
  gate.enter();  // would wait for ever if the gate had stayed closed
  gate.leave();
  gate.leave();
  EXPECT_TRUE(gate.close(0ms));
  EXPECT_FALSE(gate.close(kShort)) << "closed already";
  gate.open();
}

TEST(WriteTurnConcurrent, IsOneThreadsAtATime) {
  WriteTurn turn;
  int guarded = 0;  // by the turn alone
  Threads threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.start([&] {
      for (int count = 0; count < 200; ++count) {
        turn.take(kLong);
        EXPECT_TRUE(turn.isMine());
        ++guarded;
        turn.giveBack();
      }
    });
  }
  threads.join();
  EXPECT_EQ(guarded, 800);
  EXPECT_FALSE(turn.isMine());
}

}  // namespace
}  // namespace instar::storage
