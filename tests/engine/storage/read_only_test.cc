// Reading without leaving a trace, and without a lock file.

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

using testing::ChildProcess;
using testing::Steps;

class ReadOnly : public ::testing::Test {
 protected:
  ReadOnly() {
    const auto environment = open(path, unsynced());
    const TreeId tree = openTree(*environment);
    put(*environment, tree, "a", "1");
  }

  // A program that writes once, then at each step once more.
  ChildProcess::Body writer(int commits) {
    return [this, commits](const Steps& parent) {
      parent.await();
      const auto environment = open(path, unsynced());
      const TreeId tree = openTree(*environment);
      parent.tell();
      for (int commit = 0; commit < commits; ++commit) {
        parent.await();
        put(*environment, tree, "a", "commit " + std::to_string(commit));
        parent.tell();
      }
      parent.await();
    };
  }

  static void step(const ChildProcess& child) {
    child.tell();
    child.await();
  }

  std::shared_ptr<Environment> openReadOnly() { return open(path, withMode(OpenMode::readOnly)); }
  static TreeId treeOf(Environment& environment) { return environment.openTree("tree", false).value(); }

  testing::TemporaryFolder folder;
  std::filesystem::path path = folder / "store";
  std::filesystem::path lockFile = path.string() + "-lock";
};

TEST_F(ReadOnly, LeavesNoTrace) {
  std::filesystem::remove(lockFile);
  const std::string before = readFile(path);
  const auto time = std::filesystem::last_write_time(path);
  {
    const auto environment = openReadOnly();
    EXPECT_EQ(get(*environment, treeOf(*environment), "a"), "1");
    EXPECT_EQ(environment->info().lastTransaction, 2U);
    EXPECT_TRUE(environment->readers().empty());
    EXPECT_EQ(environment->clearStaleReaders(), 0U);
    environment->sync();
  }
  EXPECT_FALSE(std::filesystem::exists(lockFile));
  EXPECT_EQ(readFile(path), before);
  EXPECT_EQ(std::filesystem::last_write_time(path), time);
}

TEST_F(ReadOnly, RefusesEveryWrite) {
  const auto environment = openReadOnly();
  EXPECT_ERROR(beginWrite(*environment), fixCall, "reading only");
  EXPECT_ERROR(environment->openTree("new", true), fixCall, "reading only");
  EXPECT_EQ(environment->openTree("new", false), std::nullopt);
}

TEST_F(ReadOnly, UsesTheLockFileThatIsThere) {
  const auto environment = openReadOnly();
  const auto snapshot = beginRead(*environment);
  ASSERT_EQ(environment->readers().size(), 1U);
  EXPECT_EQ(environment->readers()[0].process, ::getpid());
  EXPECT_EQ(environment->readers()[0].transaction, snapshot->id());
}

TEST_F(ReadOnly, WithALockFileASnapshotHoldsWhateverIsWritten) {
  ChildProcess child(writer(20));
  const auto environment = openReadOnly();
  const TreeId tree = treeOf(*environment);
  const auto snapshot = beginRead(*environment);
  step(child);
  for (int commit = 0; commit < 20; ++commit) {
    step(child);
    EXPECT_EQ(get(*snapshot, tree, "a"), "1");
  }
  EXPECT_EQ(get(*environment, tree, "a"), "commit 19");
  child.tell();
  child.expectSuccess();
}

TEST_F(ReadOnly, WithoutALockFileAWriterEndsTheReading) {
  std::filesystem::remove(lockFile);
  ChildProcess child(writer(2));
  const auto environment = openReadOnly();
  const TreeId tree = treeOf(*environment);
  const auto snapshot = beginRead(*environment);
  const auto cursor = snapshot->cursor(tree);
  step(child);
  EXPECT_EQ(get(*snapshot, tree, "a"), "1") << "nothing has been overwritten yet";
  EXPECT_ERROR(beginRead(*environment), retry, "open it again");
  step(child);
  EXPECT_EQ(get(*snapshot, tree, "a"), "1") << "one commit leaves the pages of a snapshot alone";
  step(child);
  EXPECT_ERROR(get(*snapshot, tree, "a"), retry, "overwritten the snapshot");
  EXPECT_ERROR(cursor->first(), retry, "overwritten the snapshot");
  child.tell();
  child.expectSuccess();
  EXPECT_EQ(get(*environment, tree, "a"), "commit 1") << "the writer is gone, reading goes on";
}

TEST_F(ReadOnly, WithoutALockFileACopyThatWasOverwrittenIsRefused) {
  std::filesystem::remove(lockFile);
  ChildProcess child(writer(2));
  const auto environment = openReadOnly();
  CopyOptions options;
  bool isFirst = true;
  options.progress = [&](const Progress&) {
    if (!std::exchange(isFirst, false)) return;
    for (int steps = 0; steps < 3; ++steps) step(child);
  };
  EXPECT_ERROR(environment->copyTo(folder / "copy", options), retry, "overwritten the snapshot");
  EXPECT_FALSE(std::filesystem::exists(folder / "copy"));
  child.tell();
  child.expectSuccess();
}

TEST_F(ReadOnly, ALockFileThatMayNotBeWrittenIsDoneWithout) {
  std::filesystem::permissions(path, std::filesystem::perms(0644));
  std::filesystem::permissions(lockFile, std::filesystem::perms(0644));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  if (::geteuid() != 0) std::filesystem::permissions(lockFile, std::filesystem::perms(0444));
  ChildProcess child([&](const Steps& parent) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) FAIL() << "setuid";
    {
      const auto environment = openReadOnly();
      EXPECT_EQ(get(*environment, treeOf(*environment), "a"), "1");
      EXPECT_TRUE(environment->readers().empty());
    }
    parent.tell();
    parent.await();  // now somebody has it open for writing
    EXPECT_ERROR(openReadOnly(), fixEnvironment, "make its lock file writable");
  });
  child.await();
  if (::geteuid() != 0) std::filesystem::permissions(lockFile, std::filesystem::perms(0644));
  const auto environment = open(path);
  if (::geteuid() != 0) std::filesystem::permissions(lockFile, std::filesystem::perms(0444));
  child.tell();
  child.expectSuccess();
}

TEST_F(ReadOnly, WorksOnAReadOnlyFileSystem) {
  ChildProcess child([&](const Steps&) {
    // In a mount namespace of its own, which goes with the process.
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount(folder.path().c_str(), folder.path().c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        ::mount("none", folder.path().c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
      std::fprintf(stderr, "not tried: mounting is not permitted here\n");
      return;
    }
    EXPECT_ERROR(open(path), fixEnvironment, "read-only");
    EXPECT_ERROR(open(folder / "new"), fixEnvironment, "read-only");
    const auto environment = openReadOnly();
    EXPECT_EQ(get(*environment, treeOf(*environment), "a"), "1");
  });
  child.expectSuccess();
}

}  // namespace
}  // namespace instar::storage
