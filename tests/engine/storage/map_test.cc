// The memory map grows with the data: ahead of need, after it was full, and after another process has made
// the file larger.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <thread>

#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

using testing::ChildProcess;
using testing::Steps;

constexpr std::uint64_t kSmallMap = 256 << 10;
constexpr std::size_t kRow = 10'000;

class StorageMap : public ::testing::Test {
 protected:
  StoreOptions small() {
    StoreOptions options = unsynced();
    options.mapSize = kSmallMap;
    return options;
  }
  static void putRows(Environment& environment, TreeId tree, int first, int count) {
    const auto writer = beginWrite(environment);
    for (int row = first; row < first + count; ++row)
      put(*writer, tree, std::to_string(row), std::string(kRow, 'x'));
    writer->commit();
  }

  testing::TemporaryFolder folder;
  std::filesystem::path path = folder / "store";
};

TEST_F(StorageMap, TheDefaultIsPlenty) {
#if defined(INSTAR_SANITIZES_THREADS)
  constexpr std::uint64_t kPlenty = std::uint64_t{1} << 30;  // ThreadSanitizer leaves less address space
#else
  constexpr std::uint64_t kPlenty = std::uint64_t{1} << 40;
#endif
  EXPECT_GE(open(path)->info().mapSize, kPlenty);
}

TEST_F(StorageMap, TheOptionIsHonoured) { EXPECT_EQ(open(path, small())->info().mapSize, kSmallMap); }

TEST_F(StorageMap, GrowsAheadOfNeedWhileNobodyReads) {
  const auto environment = open(path, small());
  const TreeId tree = openTree(*environment);
  for (int row = 0; row < 500; ++row) putRows(*environment, tree, row, 1);  // 6 MB, and never an error
  EXPECT_GE(environment->info().mapSize, 6U << 20);
  EXPECT_EQ(contents(*beginRead(*environment), tree).size(), 500U);
}

TEST_F(StorageMap, AFullMapIsEnlargedByTheNextWriteTransaction) {
  const auto environment = open(path, small());
  const TreeId tree = openTree(*environment);
  int attempts = 1;
  for (;; ++attempts) {
    ASSERT_LT(attempts, 10);
    try {
      putRows(*environment, tree, 0, 200);
      break;
    } catch (const Error& error) {
      EXPECT_EQ(errorCodeName(error.code()), "retry");
      EXPECT_THAT(error.what(), ::testing::HasSubstr("the next write transaction enlarges it"));
    }
  }
  EXPECT_GT(attempts, 1);
  EXPECT_EQ(contents(*beginRead(*environment), tree).size(), 200U);
}

TEST_F(StorageMap, AValueLargerThanTheMapNeedsOneMoreAttempt) {
  const auto environment = open(path, small());
  const TreeId tree = openTree(*environment);
  const std::string value(20 << 20, 'x');
  EXPECT_ERROR(put(*environment, tree, "a", value), retry, "map was too small");
  put(*environment, tree, "a", value);
  EXPECT_EQ(get(*environment, tree, "a"), value);
}

TEST_F(StorageMap, AfterAFullMapTheTransactionCannotBeCommitted) {
  const auto environment = open(path, small());
  const TreeId tree = openTree(*environment);
  const auto writer = beginWrite(*environment);
  put(*writer, tree, "a", "1");
  EXPECT_ERROR(put(*writer, tree, "b", std::string(1 << 20, 'x')), retry, "map was too small");
  EXPECT_ERROR(put(*writer, tree, "c", "1"), retry, "map was too small");
  EXPECT_ERROR(writer->commit(), retry, "map was too small");
  EXPECT_EQ(get(*environment, tree, "a"), std::nullopt);
}

TEST_F(StorageMap, ALongSnapshotInTheWayIsNamed) {
  const auto environment = open(path, small());
  const TreeId tree = openTree(*environment);
  auto snapshot = beginRead(*environment);
  EXPECT_ERROR(put(*environment, tree, "a", std::string(1 << 20, 'x')), retry, "map was too small");
  EXPECT_ERROR(beginWrite(*environment, kShort), retry, "snapshots of this process are open");
  EXPECT_EQ(get(*snapshot, tree, "a"), std::nullopt) << "it goes on reading";
  EXPECT_EQ(get(*environment, tree, "a"), std::nullopt) << "and so may others";
  snapshot.reset();
  put(*environment, tree, "a", std::string(1 << 20, 'x'));
}

TEST_F(StorageMap, AWriterWaitsForSnapshotsThatEndInTime) {
  const auto environment = open(path, small());
  const TreeId tree = openTree(*environment);
  auto snapshot = beginRead(*environment);
  EXPECT_ERROR(put(*environment, tree, "a", std::string(1 << 20, 'x')), retry, "map was too small");
  std::thread other([&] {
    std::this_thread::sleep_for(kShort);
    snapshot.reset();
  });
  put(*environment, tree, "a", std::string(1 << 20, 'x'));
  other.join();
}

TEST_F(StorageMap, ATreeIsCreatedInAFullMap) {
  const auto environment = open(path, small());
  const TreeId tree = openTree(*environment);
  auto snapshot = beginRead(*environment);  // stops the map from growing ahead
  const auto fill = [&] {
    for (int row = 0; row < 10'000; ++row)
      put(*environment, tree, std::to_string(row), std::string(3000, 'x'));
  };
  EXPECT_ERROR(fill(), retry, "map was too small");
  snapshot.reset();
  put(*environment, openTree(*environment, "another"), "a", "1");
}

TEST_F(StorageMap, AnotherProcessMakesTheFileLarger) {
  { openTree(*open(path, small())); }
  ChildProcess child([&](const Steps& parent) {
    parent.await();
    StoreOptions options = unsynced();
    const auto environment = open(path, options);
    const TreeId tree = openTree(*environment);
    putRows(*environment, tree, 0, 100);
    parent.tell();
    parent.await();
    putRows(*environment, tree, 100, 300);
    parent.tell();
    parent.await();
  });
  const auto environment = open(path, small());
  const TreeId tree = openTree(*environment);
  child.tell();
  child.await();
  EXPECT_EQ(contents(*beginRead(*environment), tree).size(), 100U) << "a reader follows";
  child.tell();
  child.await();
  put(*environment, tree, "a", "1");  // a writer follows
  EXPECT_EQ(contents(*beginRead(*environment), tree).size(), 401U);
  child.tell();
  child.expectSuccess();
}

TEST_F(StorageMap, AnotherProcessMakesTheFileLargerUnderASnapshot) {
  { openTree(*open(path, small())); }
  ChildProcess child([&](const Steps& parent) {
    parent.await();
    const auto environment = open(path, unsynced());
    putRows(*environment, openTree(*environment), 0, 100);
    parent.tell();
    parent.await();
  });
  const auto environment = open(path, small());
  const TreeId tree = openTree(*environment);
  auto snapshot = beginRead(*environment);
  child.tell();
  child.await();
  EXPECT_ERROR(beginWrite(*environment, kShort), retry, "snapshots of this process are open");
  EXPECT_TRUE(contents(*snapshot, tree).empty());
  snapshot.reset();
  EXPECT_EQ(contents(*beginRead(*environment), tree).size(), 100U);
  child.tell();
  child.expectSuccess();
}

#if !defined(INSTAR_SANITIZES_ADDRESSES) && \
    !defined(INSTAR_SANITIZES_THREADS)  // they need the address space themselves
TEST_F(StorageMap, ALimitOnAddressSpaceIsLivedWith) {
  ChildProcess child([&](const Steps&) {
    const struct rlimit limit { std::uint64_t{6} << 30, std::uint64_t{6} << 30 };
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
    {
      const auto environment = open(path, unsynced());
      EXPECT_EQ(environment->info().mapSize, std::uint64_t{4} << 30);
      put(*environment, openTree(*environment), "a", "1");
    }
    // A map that cannot grow: the old one stays, and reading goes on.
    const auto environment = open(path, small());
    const TreeId tree = openTree(*environment);
    const struct rlimit tight { (std::uint64_t{64} << 20), std::uint64_t{6} << 30 };
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &tight), 0);
    EXPECT_ERROR(beginWrite(*environment)->reserve(tree, asBytes("b"), 100 << 20), retry,
                 "map was too small");
    EXPECT_ERROR(beginWrite(*environment), freeSpace, "address space");
    EXPECT_EQ(get(*environment, tree, "a"), "1");
  });
  child.expectSuccess();
}
#endif

}  // namespace
}  // namespace instar::storage
