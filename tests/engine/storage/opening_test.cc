// Opening: what is made, what is refused and how, and that a file is one environment however it is named.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/storage/lmdb_file.h"
#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

using testing::ChildProcess;
using testing::Steps;
using testing::TemporaryFolder;

constexpr uid_t kNobody = 65534;

std::vector<std::string> namesIn(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// As a user without privileges, in another process; the tests may be run by root, whom no permission stops.
void asNobody(const std::function<void()>& body) {
  if (::geteuid() != 0) return body();
  ChildProcess child([&](const Steps&) {
    ASSERT_EQ(::setgid(kNobody), 0);
    ASSERT_EQ(::setuid(kNobody), 0);
    body();
  });
  child.expectSuccess();
}

class Opening : public ::testing::Test {
 protected:
  Opening() { std::filesystem::permissions(folder.path(), std::filesystem::perms::all); }
  void createFilled() {
    const auto environment = open(path);
    put(*environment, openTree(*environment), "a", "1");
  }
  TemporaryFolder folder;
  std::filesystem::path path = folder / "store";
};

TEST_F(Opening, CreatesTheFileAndItsLockFileAndNothingElse) {
  const auto environment = open(path);
  EXPECT_EQ(namesIn(folder.path()), (std::vector<std::string>{"store", "store-lock"}));
}

TEST_F(Opening, CreatedFilesHaveTheUsualPermissions) {
  const mode_t before = ::umask(022);
  open(path);
  EXPECT_EQ(permissions(path), 0644U);
  EXPECT_EQ(permissions(path.string() + "-lock"), 0644U);
  ::umask(077);
  open(folder / "private");
  EXPECT_EQ(permissions(folder / "private"), 0600U);
  ::umask(before);
}

TEST_F(Opening, TheLockFileTakesAfterTheFile) {
  createFilled();
  std::filesystem::remove(path.string() + "-lock");
  std::filesystem::permissions(path, std::filesystem::perms(0666));
  const bool isRoot = ::geteuid() == 0;
  if (isRoot) {
    ASSERT_EQ(::chown(path.c_str(), kNobody, kNobody), 0);
  }
  open(path);
  EXPECT_EQ(permissions(path.string() + "-lock"), 0666U);
  struct stat status {};
  ASSERT_EQ(::stat((path.string() + "-lock").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, isRoot ? kNobody : ::getuid()) << "root must not lock the owner out";
}

TEST_F(Opening, OpenExistingCreatesNothing) {
  EXPECT_ERROR(open(path, withMode(OpenMode::openExisting)), fixEnvironment, "no such file");
  EXPECT_ERROR(open(path, withMode(OpenMode::readOnly)), fixEnvironment, "no such file");
  EXPECT_TRUE(namesIn(folder.path()).empty());
}

TEST_F(Opening, WhatIsNotAStoreIsRefusedAndLeftAlone) {
  const std::string text =
      "This is a text, and it is long enough for LMDB to find a header in it. " + std::string(9000, '.');
  for (const std::string& content : {std::string("short"), text}) {
    writeFile(path, content);
    for (const OpenMode mode : {OpenMode::createOrOpen, OpenMode::openExisting, OpenMode::readOnly}) {
      EXPECT_ERROR(open(path, withMode(mode)), fixEnvironment, "not an Instar file");
    }
    EXPECT_EQ(readFile(path), content);
    EXPECT_EQ(namesIn(folder.path()), std::vector<std::string>{"store"}) << "no lock file beside it";
  }
}

TEST_F(Opening, AnEmptyFileIsRefused) {
  writeFile(path, "");
  EXPECT_ERROR(open(path), fixEnvironment, "the file is empty");
}

TEST_F(Opening, AFolderADeviceAndAPipeAreRefused) {
  EXPECT_ERROR(open(folder.path()), fixEnvironment, "this is a folder");
  if (::mknod((folder / "null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0) {  // root may
    EXPECT_ERROR(open(folder / "null"), fixEnvironment, "device");
  }
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_ERROR(open(folder / "pipe"), fixEnvironment, "device, a pipe");
}

TEST_F(Opening, PathsThatCannotBeAreRefused) {
  EXPECT_ERROR(open(""), fixCall, "path is empty");
  EXPECT_ERROR(open(std::string("a\0b", 3)), fixCall, "zero byte");
  EXPECT_ERROR(open(folder / "missing" / "store"), fixEnvironment, "no such file or folder");
  EXPECT_ERROR(open(folder / std::string(300, 'n')), fixEnvironment, "File name too long");
  writeFile(folder / "file", "x");
  EXPECT_ERROR(open(folder / "file" / "store"), fixEnvironment, "not a folder");
  std::filesystem::create_symlink(folder / "nowhere", folder / "link");
  EXPECT_ERROR(open(folder / "link"), fixEnvironment, "no such file");
}

TEST_F(Opening, WithoutPermissionItSaysSo) {
  createFilled();
  std::filesystem::permissions(path, std::filesystem::perms(0444));
  std::filesystem::permissions(path.string() + "-lock", std::filesystem::perms(0444));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  asNobody([&] {
    EXPECT_ERROR(open(path), fixEnvironment, "permission is denied");
    EXPECT_ERROR(open(folder / "new"), fixEnvironment, "permission is denied");
  });
  std::filesystem::permissions(path, std::filesystem::perms(0000));
  asNobody([&] {
    EXPECT_ERROR(open(path, withMode(OpenMode::readOnly)), fixEnvironment, "permission is denied");
  });
}

TEST_F(Opening, AFileThatIsCutShortIsReportedWhereverItIsCut) {
  {
    const auto environment = open(path);
    const TreeId tree = openTree(*environment);
    const auto writer = beginWrite(*environment);
    for (int number = 0; number < 1000; ++number)
      put(*writer, tree, std::to_string(number), std::string(500, 'x'));
    writer->commit();
  }
  const std::uint64_t whole = std::filesystem::file_size(path);
  for (const std::uint64_t size :
       {std::uint64_t{200}, std::uint64_t{4096}, std::uint64_t{5000}, std::uint64_t{8192},
        std::uint64_t{12288}, whole / 2, whole - 4096, whole - 1}) {
    SCOPED_TRACE(size);
    std::filesystem::copy_file(path, folder / "cut", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(folder / "cut", size);
    EXPECT_ERROR(open(folder / "cut"), restoreFromBackup, "cut short");
    EXPECT_ERROR(open(folder / "cut", withMode(OpenMode::readOnly)), restoreFromBackup, "cut short");
  }
}

TEST_F(Opening, APageThatIsNotWhatItShouldBeIsReported) {
  {
    const auto environment = open(path);
    const TreeId tree = openTree(*environment);
    for (const char* value : {"1", "2", "3"}) put(*environment, tree, "a", value);
  }
  std::string bytes = readFile(path);
  for (std::size_t page = 2 * 4096; page < bytes.size(); page += 4096) bytes[page + 10] = '\0';  // its kind
  writeFile(path, bytes);
  for (const OpenMode mode : {OpenMode::openExisting, OpenMode::readOnly}) {
    const auto environment = open(path, withMode(mode));
    EXPECT_ERROR(environment->openTree("tree", false), restoreFromBackup, "damaged");
  }
}

// The two pages that LMDB begins with: behind the header of each its magic, its version, the size of pages.
TEST_F(Opening, AFirstPageThatIsNotWhatItShouldBeIsReported) {
  createFilled();
  const std::string whole = readFile(path);
  const auto expect = [&](std::size_t byte, ErrorCode code, const char* text) {
    std::string bytes = whole;
    bytes[byte] = static_cast<char>(bytes[byte] ^ 0x30);
    writeFile(path, bytes);
    for (const OpenMode mode : {OpenMode::openExisting, OpenMode::readOnly}) {
      try {
        open(path, withMode(mode));
        ADD_FAILURE() << "nothing was thrown, expected: " << text;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        EXPECT_THAT(error.what(), ::testing::HasSubstr(text));
      }
    }
    EXPECT_EQ(readFile(path), bytes) << "it is left alone";
  };
  expect(16, ErrorCode::fixEnvironment, "not an Instar file");
  expect(20, ErrorCode::fixEnvironment, "another data version");
  expect(40, ErrorCode::restoreFromBackup, "the file's first page is damaged");
  expect(41, ErrorCode::restoreFromBackup, "the file's second page is damaged");  // not where its pages end
  expect(4096 + 16, ErrorCode::restoreFromBackup, "the file's second page is damaged");
}

TEST_F(Opening, AFileThatRightlyEndsBeforeItsLastPageNumberIsOpened) {
  // A large value that is replaced in its own transaction leaves page numbers that were given out and never
  // written. To a comparison of sizes such a file looks cut short.
  {
    const auto environment = open(path);
    const TreeId tree = openTree(*environment);
    for (int commit = 0; commit < 5; ++commit)
      put(*environment, tree, "a", "0");  // so that there are free pages
    const auto writer = beginWrite(*environment);
    put(*writer, tree, "a", "1");
    put(*writer, tree, "large", std::string(1 << 20, 'x'));
    writer->erase(tree, asBytes("large"));
    writer->commit();
    const EnvironmentInfo info = environment->info();
    ASSERT_LT(info.fileSize, (info.usedPages + info.freePages) * info.pageSize)
        << "the test has lost its subject";
  }
  for (const OpenMode mode : {OpenMode::openExisting, OpenMode::readOnly}) {
    const auto environment = open(path, withMode(mode));
    EXPECT_EQ(get(*environment, environment->openTree("tree", false).value(), "a"), "1");
  }
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4096);
  EXPECT_ERROR(open(path), restoreFromBackup, "cut short");
}

// Whether a file is whole was found out by following its list of free pages 32 levels down, as often as pages
// named one another: a page that named itself 2,000 times took 2,000 to the power of 32 reads.
TEST_F(Opening, AListOfFreePagesThatLeadsToItselfIsReportedAtOnce) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kHeader = 16;
  constexpr std::size_t kFreeRoot = kHeader + 24 + 40;  // the root in the first record of a meta page
  constexpr std::size_t kLastPage = kHeader + 24 + 2 * 48;
  constexpr std::size_t kTransaction = kLastPage + 8;
  {
    const auto environment = open(path);
    const TreeId tree = openTree(*environment);
    for (int commit = 0; commit < 5; ++commit) put(*environment, tree, "a", "0");
  }
  std::string bytes = readFile(path);
  const auto number = [&](std::size_t offset) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  };
  const std::size_t newest = number(kTransaction) > number(kPage + kTransaction) ? 0 : kPage;
  const std::uint64_t root = number(newest + kFreeRoot);
  ASSERT_LT(root, bytes.size() / kPage) << "the test has lost its subject";
  const std::uint64_t behindTheEnd = bytes.size() / kPage;
  std::memcpy(bytes.data() + newest + kLastPage, &behindTheEnd, sizeof behindTheEnd);
  constexpr std::uint16_t kNodes = (kPage - kHeader - 8) / 2;
  const std::uint16_t header[4] = {0, 1, kHeader + 2 * kNodes, kPage - 8};  // a branch page
  char* const page = bytes.data() + root * kPage;
  std::memcpy(page + 8, header, sizeof header);
  for (std::size_t node = 0; node < kNodes; ++node)
    std::memcpy(page + kHeader + 2 * node, &header[3], sizeof header[3]);
  std::memcpy(page + kPage - 8, &root, 6);  // the one node that all offsets name leads to its own page
  std::memset(page + kPage - 2, 0, 2);
  writeFile(path, bytes);
  ChildProcess child([&](const Steps&) {
    ::alarm(30);  // a reader that does not come to an end is killed
    EXPECT_ERROR(open(path), restoreFromBackup, "cut short");
    EXPECT_ERROR(open(path, withMode(OpenMode::readOnly)), restoreFromBackup, "cut short");
  });
  child.expectSuccess();
}

TEST_F(Opening, OneFileIsOneEnvironmentUnderAllItsNames) {
  const auto environment = open(path);
  std::filesystem::create_symlink(path, folder / "symbolic");
  std::filesystem::create_hard_link(path, folder / "hard");
  EXPECT_EQ(open(path), environment);
  EXPECT_EQ(open(folder / "symbolic"), environment);
  EXPECT_EQ(open(folder / "hard"), environment);
  EXPECT_EQ(open(folder.path() / "." / ".." / folder.path().filename() / "store"), environment);
  EXPECT_EQ(open(std::filesystem::relative(path)), environment);
}

TEST_F(Opening, ThroughALinkTheLockFileStandsBesideTheRealFile) {
  createFilled();
  std::filesystem::create_directory(folder / "links");
  std::filesystem::create_symlink(path, folder / "links" / "store");
  open(folder / "links" / "store");
  EXPECT_EQ(namesIn(folder / "links"), std::vector<std::string>{"store"});
}

TEST_F(Opening, AHardLinkThatAnotherProcessHasOpenIsRefused) {
  // Its lock file would be another one: two writers, and readers that no writer sees.
  createFilled();
  std::filesystem::create_hard_link(path, folder / "hard");
  ChildProcess child([&](const Steps& parent) {
    const auto environment = open(path);
    parent.tell();
    parent.await();
  });
  child.await();
  EXPECT_ERROR(open(folder / "hard"), fixEnvironment, "another name");
  EXPECT_NE(open(path), nullptr) << "the same name is fine";
  child.tell();
  child.expectSuccess();
  open(folder / "hard");
}

TEST_F(Opening, AFileThatWasRenamedWhileOpenIsRefusedUnderItsNewName) {
  createFilled();
  ChildProcess child([&](const Steps& parent) {
    const auto environment = open(path);
    parent.tell();
    parent.await();
  });
  child.await();
  std::filesystem::rename(path, folder / "renamed");
  EXPECT_ERROR(open(folder / "renamed"), fixEnvironment, "another name");
  child.tell();
  child.expectSuccess();
}

TEST_F(Opening, AFileThatWasMovedToTheNameOfAnOpenOneIsRefusedUntilThatIsClosed) {
  // Both files' users shared one lock file. LMDB finds the newest commit by the number in it, took the wrong
  // one of the new file's two first pages, and committed rows were gone.
  createFilled();
  open(path)->copyTo(folder / "backup", {});
  ChildProcess child([&](const Steps& parent) {
    const auto environment = open(path);
    const TreeId tree = openTree(*environment);
    put(*environment, tree, "a", "2");
    parent.tell();
    parent.await();
    put(*environment, tree, "a", "3");
    EXPECT_EQ(get(*environment, tree, "a"), "3") << "it goes on with the file that it opened";
  });
  child.await();
  std::filesystem::rename(folder / "backup", path);
  const std::string before = readFile(path);
  for (const OpenMode mode : {OpenMode::createOrOpen, OpenMode::openExisting, OpenMode::readOnly}) {
    EXPECT_ERROR(open(path, withMode(mode)), retry, "another file of this name open: close them");
  }
  EXPECT_EQ(readFile(path), before);
  child.tell();
  child.expectSuccess();
  const auto environment = open(path);
  EXPECT_EQ(get(*environment, openTree(*environment), "a"), "1");
}

TEST_F(Opening, AFileThatWasMovedToTheNameOfOneThatThisProcessHasOpenIsRefused) {
  createFilled();
  auto environment = open(path);
  environment->copyTo(folder / "backup", {});
  const auto snapshot = beginRead(*environment);
  std::filesystem::rename(folder / "backup", path);
  EXPECT_ERROR(open(path), retry, "another file of this name open: close them");
  ChildProcess child(
      [&](const Steps&) { EXPECT_ERROR(open(path), retry, "another file of this name open: close them"); });
  child.expectSuccess();
  for (const ReaderInfo& reader : environment->readers()) EXPECT_EQ(reader.process, ::getpid());
  EXPECT_EQ(environment->clearStaleReaders(), 0U);
}

TEST_F(Opening, BesideAnOpenFileThatWasRemovedNoneIsCreated) {
  // It was created, and could not be opened: "the file changes too fast".
  createFilled();
  ChildProcess child([&](const Steps& parent) {
    const auto environment = open(path);
    parent.tell();
    parent.await();
  });
  child.await();
  std::filesystem::remove(path);
  EXPECT_ERROR(open(path), retry, "another file of this name open: close them");
  EXPECT_EQ(namesIn(folder.path()), std::vector<std::string>{"store-lock"});
  child.tell();
  child.expectSuccess();
  open(path);
}

TEST_F(Opening, OtherOptionsInTheSameProcessAreRefused) {
  StoreOptions options;
  options.mapSize = 8 << 20;
  const auto environment = open(path, options);
  StoreOptions other = options;
  other.mode = OpenMode::readOnly;
  EXPECT_ERROR(open(path, other), fixCall, "option: mode");
  other = options;
  other.durability = Durability::off;
  EXPECT_ERROR(open(path, other), fixCall, "option: durability");
  other = options;
  other.mapSize = 16 << 20;
  EXPECT_ERROR(open(path, other), fixCall, "option: mapSize");
  other.mapSize = 0;
  EXPECT_EQ(open(path, other), environment) << "no wish is no conflict";
}

TEST_F(Opening, AfterTheLastUserTheFileMayBeOpenedInAnotherWay) {
  auto environment = open(path);
  auto second = open(path);
  environment.reset();
  EXPECT_ERROR(open(path, withMode(OpenMode::readOnly)), fixCall, "other options");
  second.reset();
  EXPECT_TRUE(open(path, withMode(OpenMode::readOnly))->readOnly());
}

TEST_F(Opening, TreesOpenedInDifferentOrdersKeepTheirRows) {
  {
    const auto environment = open(path);
    put(*environment, openTree(*environment, "first"), "a", "first");
    put(*environment, openTree(*environment, "second"), "a", "second");
  }
  const auto environment = open(path);
  EXPECT_EQ(get(*environment, environment->openTree("second", false).value(), "a"), "second");
  EXPECT_EQ(get(*environment, environment->openTree("first", false).value(), "a"), "first");
}

TEST_F(Opening, ADescriptorIsNotInheritedByOtherPrograms) {
  const auto environment = open(path);
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    const std::filesystem::path target = std::filesystem::read_symlink(entry.path(), ignored);
    if (target.string().rfind(path.string(), 0) != 0) continue;
    const int descriptor = std::stoi(entry.path().filename());
    EXPECT_TRUE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) << target;
  }
}

TEST_F(Opening, InfoTellsWhatIsThere) {
  const auto environment = open(path);
  const TreeId tree = openTree(*environment);
  put(*environment, tree, "a", std::string(100'000, 'x'));
  const EnvironmentInfo full = environment->info();
  EXPECT_EQ(full.pageSize, 4096U);
  EXPECT_EQ(full.fileSize, std::filesystem::file_size(path));
  EXPECT_GE(full.mapSize, std::uint64_t{1} << 30);
  EXPECT_GE(full.usedPages, 25U);
  EXPECT_LE((full.usedPages + full.freePages) * full.pageSize, full.fileSize);
  EXPECT_EQ(full.lastTransaction, beginRead(*environment)->id());
  EXPECT_EQ(full.maxReaders, 1024U);
  EXPECT_THAT(full.storageVersion, ::testing::StartsWith("LMDB 0.9."));
  const auto writer = beginWrite(*environment);
  writer->erase(tree, asBytes("a"));
  writer->commit();
  EXPECT_GE(environment->info().freePages, 25U);
  EXPECT_LT(environment->info().usedPages, full.usedPages);
}

TEST(StorageWarnings, NameTheReleasesOfLmdbThatHaveRaces) {
  for (int patch = 26; patch <= 31; ++patch) {
    EXPECT_THAT(warningAboutLmdb(0, 9, patch).value_or(""), ::testing::HasSubstr("races"));
  }
  for (const int patch : {14, 24, 25, 32, 33}) EXPECT_EQ(warningAboutLmdb(0, 9, patch), std::nullopt);
  EXPECT_EQ(warningAboutLmdb(1, 0, 28), std::nullopt);
}

TEST(StorageFileSystems, AreKnownByTheirNumbers) {
  struct Row {
    const char* name;
    std::uint64_t type;
    FileSystemKind kind;
  };
  constexpr Row kTable[] = {
      {"ext4", 0xef53, FileSystemKind::local},
      {"tmpfs", 0x01021994, FileSystemKind::local},
      {"xfs", 0x58465342, FileSystemKind::local},
      {"btrfs", 0x9123683e, FileSystemKind::local},
      {"zfs", 0x2fc12fc1, FileSystemKind::local},
      {"overlay", 0x794c7630, FileSystemKind::local},
      {"f2fs", 0xf2f52010, FileSystemKind::local},
      {"vfat", 0x4d44, FileSystemKind::local},
      {"nfs", 0x6969, FileSystemKind::network},
      {"smb", 0x517b, FileSystemKind::network},
      {"cifs", 0xff534d42, FileSystemKind::network},
      {"smb2", 0xfe534d42, FileSystemKind::network},
      {"afs", 0x5346414f, FileSystemKind::network},
      {"kafs", 0x6b414653, FileSystemKind::network},
      {"ceph", 0x00c36400, FileSystemKind::network},
      {"9p", 0x01021997, FileSystemKind::network},
      {"coda", 0x73757245, FileSystemKind::network},
      {"lustre", 0x0bd00bd0, FileSystemKind::network},
      {"gfs2", 0x01161970, FileSystemKind::network},
      {"ocfs2", 0x7461636f, FileSystemKind::network},
      {"fuse", 0x65735546, FileSystemKind::userSpace},
      {"cifs, sign-extended", 0xffffffffff534d42, FileSystemKind::network},
  };
  for (const Row& row : kTable) EXPECT_EQ(fileSystemKind(row.type), row.kind) << row.name;
}

TEST(StorageFileSystems, OverANetworkAreRefusedUnlessTheyAreAllowed) {
  EXPECT_ERROR(judgeFileSystem(FileSystemKind::network, "/shared/store", false), fixEnvironment,
               "on a network file system: move it to a local disk");
  EXPECT_THAT(judgeFileSystem(FileSystemKind::network, "/shared/store", true),
              ::testing::ElementsAre(::testing::HasSubstr("only one machine")));
  for (const bool allowNetwork : {false, true}) {
    EXPECT_THAT(judgeFileSystem(FileSystemKind::userSpace, "/mnt/store", allowNetwork),
                ::testing::ElementsAre(::testing::HasSubstr("FUSE")));
    EXPECT_THAT(judgeFileSystem(FileSystemKind::local, "/home/store", allowNetwork), ::testing::IsEmpty());
  }
}

}  // namespace
}  // namespace instar::storage
