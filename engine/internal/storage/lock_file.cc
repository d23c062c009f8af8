#include "instar/engine/internal/storage/lock_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "instar/engine/internal/storage/fork_guard.h"
#include "instar/engine/internal/storage/lmdb_binding.h"
#include "instar/engine/internal/storage/presence.h"

namespace instar::storage {
namespace {

// LMDB's table for kMaxReaders readers at 64 bytes each, and its head.
constexpr off_t kLockFileBytes = 68 * 1024;
static_assert(kMaxReaders * 64 + 1024 < kLockFileBytes);

[[noreturn]] void throwInUse(const std::filesystem::path& path) {
  throw Error(ErrorCode::retry,
              "the lock file is in use by programs that have another file of this name open: close them",
              {{"path", path.string()}});
}

bool mayBeUsedByReader(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    return ::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) == 0;
  }
  if (errno == ENOENT) return false;
  throw systemError(errno, "stat", path);
}

// A file that this process has just made is used by no environment of it, so closing it here drops no locks.
void createWhereMissing(const std::filesystem::path& path, const struct stat& data) {
  const mode_t mode = data.st_mode & 0777;
  const FileDescriptor file(
      uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode); }));
  if (!file.valid() && errno == EEXIST) return;
  if (!file.valid()) throw systemError(errno, "open", path);
  ::fchmod(file.get(), mode);
  // Root must not lock the owner of the file out. It does not matter to root if this fails.
  if (::geteuid() == 0 && ::fchown(file.get(), data.st_uid, data.st_gid) != 0) errno = 0;
}

// LMDB makes a lock file of whatever has its name: through a link, or in place of something else, that would
// destroy what somebody keeps there.
void refuseOthers(const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) {
    throw Error(ErrorCode::fixEnvironment, "a link has the name of the lock file: remove it",
                {{"path", path.string()}});
  }
}

void refuseUnlessLockFile(int descriptor, const std::filesystem::path& path) {
  constexpr std::uint32_t kMagic = 0xbeefc0de;  // 0 where a process has died as it made the file
  std::uint32_t magic = 0;
  const ssize_t count = uninterrupted([&] { return ::pread(descriptor, &magic, sizeof magic, 0); });
  if (count < 0) throw systemError(errno, "pread", path);
  if (count == 0 || (count == sizeof magic && (magic == 0 || magic == kMagic))) return;
  throw Error(ErrorCode::fixEnvironment,
              "another file has the name of the lock file: move it away, or name the store otherwise",
              {{"path", path.string()}});
}

// LMDB maps its lock file and writes to the map; on a full disk that would be a signal. So the blocks are
// there before.
void allocate(int descriptor, const std::filesystem::path& path) {
  if (::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, kLockFileBytes) == 0) return;
  if (errno == ENOSPC || errno == EDQUOT) throw systemError(errno, "fallocate", path);
}

// By this process or another.
bool isUsed(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return false;
  bool isUsed = true;
  doWhileUnregistered(identityOf(status), [&] {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    isUsed = file.valid() && !isFree(file.get(), kAllPlaces, path);
  });
  return isUsed;
}

}  // namespace

std::filesystem::path lockFileOf(const std::filesystem::path& dataFile) {
  return dataFile.string() + "-lock";
}

LockFile::LockFile(std::filesystem::path path, FileIdentity identity,
                   std::unique_ptr<Registration> registration)
    : registration_(std::move(registration)),
      path_(std::move(path)),
      identity_(identity),
      file_(openRegularFile(path_, O_RDWR)),
      generation_(forkGeneration()) {
  closeInChild(file_.get());
}

LockFile::~LockFile() {
  const int descriptor = file_.release();
  // In a child it was closed when the child began, and the number may be another file's by now.
  if (generation_ == forkGeneration()) closeGuarded(descriptor);
}

std::unique_ptr<LockFile> LockFile::use(const std::filesystem::path& dataFile, const struct stat& data,
                                        bool readOnly) {
  const std::filesystem::path path = lockFileOf(dataFile);
  refuseOthers(path);
  if (readOnly && !mayBeUsedByReader(path)) return nullptr;
  if (!readOnly) createWhereMissing(path, data);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw systemError(errno, "stat", path);
  auto registration = tryRegister(identityOf(status));
  if (!registration) throwInUse(path);
  std::unique_ptr<LockFile> file(new LockFile(path, identityOf(status), std::move(registration)));
  const int descriptor = file->file_.get();
  refuseUnlessLockFile(descriptor, path);
  if (!readOnly) allocate(descriptor, path);
  // In this order: of two that come at the same time with different data files, one at least sees the other.
  if (!tryLock(descriptor, F_RDLCK, placeOf(data.st_ino), path) ||
      isPresentElsewhere(descriptor, data.st_ino, path)) {
    throwInUse(path);
  }
  return file;
}

// Of each process that may begin snapshots LMDB holds a lock on the byte of its number.
std::optional<pid_t> LockFile::userNumbered(pid_t number) const noexcept {
  if (number == ::getpid()) return number;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = number;
  lock.l_len = 1;
  if (::fcntl(file_.get(), F_OFD_GETLK, &lock) != 0) return 0;  // it may live
  if (lock.l_type == F_UNLCK) return std::nullopt;
  return lock.l_pid == number ? number : 0;
}

void LockFile::refuseUseWithout(const std::filesystem::path& dataFile) {
  const std::filesystem::path path = lockFileOf(dataFile);
  std::error_code ignored;
  // Looked at last: who creates a store uses the lock file only once the data file is there.
  if (isUsed(path) && !std::filesystem::exists(dataFile, ignored)) throwInUse(path);
}

}  // namespace instar::storage
