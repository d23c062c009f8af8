// What may stand where a store is to be opened or created, and beside it: nothing is followed, created or
// changed that is not the store's, and the message says what to do.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "instar/engine/check.h"
#include "instar/engine/store.h"
#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

using testing::ChildProcess;
using testing::Steps;
using testing::TemporaryFolder;

constexpr OpenMode kModes[] = {OpenMode::createOrOpen, OpenMode::openExisting, OpenMode::readOnly};

class SafeOpening : public ::testing::Test {
 protected:
  // Names, kinds, sizes and times of all that is there, and what files contain.
  std::string everything() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      struct stat status {};
      ::lstat(entry.path().c_str(), &status);
      std::string& text = found[entry.path().filename()];
      text = std::to_string(status.st_mode) + ' ' + std::to_string(status.st_mtim.tv_nsec) + ' ';
      if (S_ISREG(status.st_mode)) text += readFile(entry.path());
    }
    std::string all;
    for (const auto& [name, text] : found) all.append(name).append(text).append("\n");
    return all;
  }

  void expectRefused(const std::filesystem::path& file, ErrorCode code, const char* words) {
    const std::string before = everything();
    for (const OpenMode mode : kModes) {
      try {
        Store::open(file, withMode(mode));
        ADD_FAILURE() << file << " is opened";
      } catch (const Error& error) {
        EXPECT_EQ(errorCodeName(error.code()), errorCodeName(code)) << error.what();
        EXPECT_THAT(error.what(), ::testing::HasSubstr(words)) << file;
        EXPECT_FALSE(error.fact("path").empty()) << error.what();
      }
    }
    EXPECT_EQ(everything(), before) << file;
  }

  void createStore() const { Store::open(path); }
  std::filesystem::path lockFile() const { return path.string() + "-lock"; }

  TemporaryFolder folder;
  std::filesystem::path path = folder / "store";
};

TEST_F(SafeOpening, DevicesSocketsPipesAndFoldersAreRefused) {
  // Devices of the test's own, so that a fault in the engine does no harm to those of the machine.
  if (::mknod((folder / "device").c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0)
    expectRefused(folder / "device", ErrorCode::fixEnvironment, "name a file");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expectRefused(folder / "pipe", ErrorCode::fixEnvironment, "name a file");
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "socket").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  expectRefused(folder / "socket", ErrorCode::fixEnvironment, "name a file");
  ::close(socket);
  std::filesystem::create_directory(folder / "folder");
  expectRefused(folder / "folder", ErrorCode::fixEnvironment, "this is a folder: name a file");
}

TEST_F(SafeOpening, LinksToNothingToDevicesAndToThemselvesAreRefused) {
  std::filesystem::create_symlink(folder / "nowhere", folder / "dangling");
  expectRefused(folder / "dangling", ErrorCode::fixEnvironment, "no such file");
  if (::mknod((folder / "zero").c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0) {
    std::filesystem::create_symlink(folder / "zero", folder / "device");
    expectRefused(folder / "device", ErrorCode::fixEnvironment, "name a file");
  }
  std::filesystem::create_symlink(folder / "loop", folder / "loop");
  expectRefused(folder / "loop", ErrorCode::fixEnvironment, "symbolic links");
}

TEST_F(SafeOpening, OtherDatabasesAreRefused) {
  writeFile(folder / "sqlite", std::string("SQLite format 3\0", 16) + std::string(8176, '\1'));
  expectRefused(folder / "sqlite", ErrorCode::fixEnvironment, "not an Instar file");
  {
    const auto environment = open(folder / "lmdb");
    put(*environment, openTree(*environment, "of somebody else"), "key", "value");
  }
  const std::string before = readFile(folder / "lmdb");
  for (const OpenMode mode : kModes)
    EXPECT_ERROR(Store::open(folder / "lmdb", withMode(mode)), fixEnvironment, "not an Instar file");
  EXPECT_EQ(readFile(folder / "lmdb"), before);
}

TEST_F(SafeOpening, ALinkInPlaceOfTheLockFileIsNotFollowed) {
  // LMDB opened the file that it led to, and wrote its table of readers over what was there.
  createStore();
  std::filesystem::remove(lockFile());
  writeFile(folder / "precious", std::string(100, 'p'));
  for (const char* target : {"precious", "nowhere"}) {
    std::filesystem::create_symlink(folder / target, lockFile());
    expectRefused(path, ErrorCode::fixEnvironment, "a link has the name of the lock file: remove it");
    std::filesystem::remove(lockFile());
  }
  EXPECT_EQ(readFile(folder / "precious"), std::string(100, 'p'));
  createStore();
}

TEST_F(SafeOpening, AnotherFileInPlaceOfTheLockFileIsNotOverwritten) {
  // It became a lock file: LMDB cleared what was there.
  createStore();
  for (const std::string& text : {std::string("me"), std::string("notes"), std::string(100'000, 'n')}) {
    writeFile(lockFile(), text);
    expectRefused(path, ErrorCode::fixEnvironment, "another file has the name of the lock file");
    EXPECT_EQ(readFile(lockFile()), text);
  }
  std::filesystem::remove(lockFile());
  std::filesystem::create_directory(lockFile());
  expectRefused(path, ErrorCode::fixEnvironment, "this is a folder");
  std::filesystem::remove(lockFile());
  ASSERT_EQ(::mkfifo(lockFile().c_str(), 0600), 0);
  expectRefused(path, ErrorCode::fixEnvironment, "a pipe");
}

TEST_F(SafeOpening, AnEmptyOrUnfinishedLockFileIsTakenOver) {
  // As a process leaves it that has died between making it and filling it.
  createStore();
  for (const std::size_t size : {std::size_t{0}, std::size_t{8192}}) {
    writeFile(lockFile(), std::string(size, '\0'));
    createStore();
  }
}

TEST_F(SafeOpening, NamesMayHaveAllCharactersThatFilesMayHave) {
  for (const std::string& name :
       {std::string("two words"), std::string("line\nbreak"), std::string("\"quotes\" and 'more'"),
        std::string("-rf"), std::string("\xff\xfe not text"), std::string("$(touch x);&|*?"),
        std::string("tab\tand \x1b[31mred"), std::string("a\\b"), std::string("%s%n"),
        std::string("\xc3\xa9t\xc3\xa9"), std::string(255 - 22, 'l')}) {
    const TemporaryFolder own;
    {
      const Store store = Store::open(own / name);
      store.backup(own / (name.substr(0, 200) + "2"));
    }
    EXPECT_TRUE(check(Store::open(own / name, withMode(OpenMode::readOnly))).sound());
    Store::compact(own / name);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(own.path()), {}), 3) << name;
  }
}

TEST_F(SafeOpening, ANameThatLeavesNoRoomForTheLockFilesIsRefusedAndNothingIsLeft) {
  for (const std::size_t length : {std::size_t{251}, std::size_t{255}, std::size_t{256}, std::size_t{5000}})
    expectRefused(folder / std::string(length, 'l'), ErrorCode::fixEnvironment, "");
}

TEST_F(SafeOpening, OnAReadOnlyFileSystemItSaysSoAndReadingWorks) {
  ChildProcess child([&](const Steps&) {
    const std::filesystem::path disk = folder / "disk";
    std::filesystem::create_directory(disk);
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", disk.c_str(), "tmpfs", 0, "size=2m") != 0) {
      std::fprintf(stderr, "not tried: mounting is not permitted here\n");
      return;
    }
    Store::open(disk / "store");
    ASSERT_EQ(::mount("none", disk.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=2m"), 0);
    EXPECT_ERROR(Store::open(disk / "store"), fixEnvironment, "the file system is read-only");
    EXPECT_ERROR(Store::open(disk / "new"), fixEnvironment, "the file system is read-only");
    EXPECT_TRUE(check(Store::open(disk / "store", withMode(OpenMode::readOnly))).sound());
  });
  child.expectSuccess();
}

TEST_F(SafeOpening, AReadOnlyFileSaysSoAndReadingWorks) {
  createStore();
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(path, std::filesystem::perms(0444));
  std::filesystem::permissions(lockFile(), std::filesystem::perms(0444));
  const std::string before = everything();
  const auto body = [&] {
    EXPECT_ERROR(Store::open(path), fixEnvironment, "permission is denied");
    EXPECT_ERROR(Store::open(folder / "new"), fixEnvironment, "permission is denied");
    EXPECT_TRUE(check(Store::open(path, withMode(OpenMode::readOnly))).sound());
  };
  ChildProcess child([&](const Steps&) {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0) {
      ASSERT_EQ(::setgid(kNobody), 0);
      ASSERT_EQ(::setuid(kNobody), 0);
    } else {
      std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
    }
    body();
  });
  child.expectSuccess();
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  EXPECT_EQ(everything(), before);
}

}  // namespace
}  // namespace instar::storage
