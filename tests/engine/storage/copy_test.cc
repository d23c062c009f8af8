// Copies: consistent, whole or not there at all.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

using testing::ChildProcess;
using testing::Steps;

class StorageCopy : public ::testing::TestWithParam<bool> {
 protected:
  StorageCopy() : environment(open(path, unsynced())), tree(openTree(*environment)) {
    const auto writer = beginWrite(*environment);
    for (int row = 0; row < 2000; ++row) put(*writer, tree, std::to_string(row), std::string(1000, 'x'));
    writer->commit();
    const auto eraser = beginWrite(*environment);
    for (int row = 0; row < 1000; ++row) eraser->erase(tree, asBytes(std::to_string(row)));
    eraser->commit();
  }

  CopyOptions options() const {
    CopyOptions options;
    options.compact = GetParam();
    return options;
  }
  std::map<std::string, std::string> rowsOf(const std::filesystem::path& file) {
    const auto copied = open(file, withMode(OpenMode::openExisting));
    return contents(*beginRead(*copied), copied->openTree("tree", false).value());
  }
  std::map<std::string, std::string> rows() { return contents(*beginRead(*environment), tree); }
  std::vector<std::string> strangers() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      const std::string name = entry.path().filename();
      if (name.front() == '.') names.push_back(name);
    }
    return names;
  }

  testing::TemporaryFolder folder;
  std::filesystem::path path = folder / "store";
  std::filesystem::path target = folder / "copy";
  std::shared_ptr<Environment> environment;
  TreeId tree;
};

TEST_P(StorageCopy, HasTheSameRows) {
  environment->copyTo(target, options());
  EXPECT_EQ(rowsOf(target), rows());
  const auto size = std::filesystem::file_size(target);
  const EnvironmentInfo info = environment->info();
  EXPECT_EQ(size < info.fileSize * 3 / 4, GetParam()) << "only a compact copy leaves out free pages";
  EXPECT_TRUE(strangers().empty());
}

TEST_P(StorageCopy, HasThePermissionsOfItsSource) {
  std::filesystem::permissions(path, std::filesystem::perms(0600));
  environment->copyTo(target, options());
  EXPECT_EQ(permissions(target), 0600U);
}

TEST_P(StorageCopy, TellsItsProgressOnTheCallingThread) {
  CopyOptions watched = options();
  std::vector<Progress> seen;
  const auto caller = std::this_thread::get_id();
  watched.progress = [&](const Progress& progress) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_GE(progress.done, seen.empty() ? 0 : seen.back().done);
    seen.push_back(progress);
  };
  environment->copyTo(target, watched);
  ASSERT_GE(seen.size(), 3U);
  EXPECT_EQ(seen.front().done, 0U);
  EXPECT_GT(seen.front().total, 0U);
  EXPECT_EQ(seen.back().done, std::filesystem::file_size(target));
  EXPECT_EQ(seen.back().total, seen.back().done);
}

TEST_P(StorageCopy, CanBeStoppedAndLeavesNothing) {
  CopyOptions stopping = options();
  stopping.progress = [](const Progress& progress) {
    if (progress.done > 0) throw std::runtime_error("stop");
  };
  EXPECT_THROW(environment->copyTo(target, stopping), std::runtime_error);
  EXPECT_FALSE(std::filesystem::exists(target));
  EXPECT_TRUE(strangers().empty());
  EXPECT_EQ(rows().size(), 1000U);
  put(*environment, tree, "a", "1");
}

TEST_P(StorageCopy, IsConsistentWhileOthersWrite) {
  // Two rows that every commit changes together.
  const auto writeBoth = [&](int number) {
    const auto writer = beginWrite(*environment);
    put(*writer, tree, "first", std::to_string(number));
    put(*writer, tree, "second", std::to_string(number));
    for (int row = 0; row < 50; ++row) put(*writer, tree, std::to_string(row), std::string(900, 'y'));
    writer->commit();
  };
  writeBoth(0);
  CopyOptions watched = options();
  int number = 0;
  watched.progress = [&](const Progress&) { std::thread([&] { writeBoth(++number); }).join(); };
  environment->copyTo(target, watched);
  const auto copied = rowsOf(target);
  EXPECT_EQ(copied.at("first"), copied.at("second"));
  EXPECT_GE(number, 3);
}

TEST_P(StorageCopy, RefusesAnExistingFileUnlessItMayBeReplaced) {
  writeFile(target, "precious");
  CopyOptions watched = options();  // looked only at the end, when all of the copy was written
  watched.progress = [](const Progress&) { ADD_FAILURE() << "began to copy"; };
  EXPECT_ERROR(environment->copyTo(target, watched), fixEnvironment, "the file exists");
  EXPECT_ERROR(environment->copyTo(folder.path(), watched), fixEnvironment, "this is a folder");
  EXPECT_EQ(readFile(target), "precious");
  CopyOptions replacing = options();
  replacing.replace = true;
  environment->copyTo(target, replacing);
  EXPECT_EQ(rowsOf(target), rows());
  environment->copyTo(folder / "another", replacing);
  EXPECT_EQ(rowsOf(folder / "another"), rows());
  EXPECT_TRUE(strangers().empty());
}

TEST_P(StorageCopy, DoesNotReplaceAStoreThatIsOpen) {
  CopyOptions replacing = options();
  replacing.replace = true;
  EXPECT_ERROR(environment->copyTo(path, replacing), fixCall, "the store itself");
  auto other = open(target, unsynced());
  EXPECT_ERROR(environment->copyTo(target, replacing), retry, "is open as a store");
  other.reset();
  ChildProcess child([&](const Steps& parent) {
    const auto own = open(target, unsynced());
    parent.tell();
    parent.await();
  });
  child.await();
  EXPECT_ERROR(environment->copyTo(target, replacing), retry, "is open as a store");
  child.tell();
  child.expectSuccess();
  environment->copyTo(target, replacing);
  EXPECT_EQ(rowsOf(target), rows());
}

TEST_P(StorageCopy, GoesWhereThePathLeads) {
  std::filesystem::create_directory(folder / "elsewhere");
  std::filesystem::create_symlink(folder / "elsewhere", folder / "link");
  environment->copyTo(folder / "link" / "copy", options());
  EXPECT_EQ(rowsOf(folder / "elsewhere" / "copy"), rows());
  EXPECT_ERROR(environment->copyTo(folder / "missing" / "copy", options()), fixEnvironment,
               "no such file or folder");
}

TEST_P(StorageCopy, IsRefusedInsideAWriteTransactionInsteadOfHanging) {
  const auto writer = beginWrite(*environment);
  EXPECT_ERROR(environment->copyTo(target, options()), fixCall, "write transaction open");
}

TEST_P(StorageCopy, WorksOnAStoreThatIsReadOnly) {
  const auto expected = rows();
  environment.reset();
  environment = open(path, withMode(OpenMode::readOnly));
  environment->copyTo(target, options());
  EXPECT_EQ(rowsOf(target), expected);
}

INSTANTIATE_TEST_SUITE_P(AsItIs, StorageCopy, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Compact, StorageCopy, ::testing::Values(true));

}  // namespace
}  // namespace instar::storage
