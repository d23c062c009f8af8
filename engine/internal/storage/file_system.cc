#include "instar/engine/internal/storage/file_system.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <random>
#include <string>
#include <system_error>

namespace instar::storage {
namespace {

// Less than this is full: LMDB writes whole runs of pages, and a file system keeps some space to itself.
constexpr std::uint64_t kFullBelowBytes = std::uint64_t{1} << 20;

bool diskIsFull(const std::filesystem::path& path) noexcept { return freeBytesOf(path) < kFullBelowBytes; }

bool sizeLimitIsReached(const std::filesystem::path& path) noexcept {
  struct rlimit limit {};
  struct stat status {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
  return ::stat(path.c_str(), &status) == 0 &&
         static_cast<std::uint64_t>(status.st_size) + kFullBelowBytes > limit.rlim_cur;
}

struct Verdict {
  ErrorCode code;
  const char* message;
};

Verdict verdictOnIoError(const std::filesystem::path& path) noexcept {
  if (diskIsFull(path)) return {ErrorCode::freeSpace, "the disk is full: free space, then try again"};
  if (sizeLimitIsReached(path)) {
    return {ErrorCode::freeSpace, "the limit on file sizes is reached: raise it, then try again"};
  }
  return {ErrorCode::fixEnvironment, "the disk reports an error: look at the system's log"};
}

Verdict verdictOn(int number, const std::filesystem::path& path) noexcept {
  switch (number) {
    case ENOSPC:
      return {ErrorCode::freeSpace, "the disk is full: free space, then try again"};
    case EDQUOT:
      return {ErrorCode::freeSpace, "the disk quota is used up: free space, then try again"};
    case EFBIG:
      return {ErrorCode::freeSpace, "the limit on file sizes is reached: raise it, then try again"};
    case ENOMEM:
      return {ErrorCode::freeSpace, "memory or address space is used up: free some, then try again"};
    case EIO:
      return verdictOnIoError(path);
    case EINTR:
      return {ErrorCode::retry, "a signal has interrupted it: try again"};
    case ENOENT:
      return {ErrorCode::fixEnvironment, "there is no such file or folder"};
    case EACCES:
    case EPERM:
      return {ErrorCode::fixEnvironment, "permission is denied: change the permissions of file or folder"};
    case EROFS:
      return {ErrorCode::fixEnvironment, "the file system is read-only: open the store for reading only"};
    case EISDIR:
      return {ErrorCode::fixEnvironment, "this is a folder: name a file"};
    case ENOTDIR:
      return {ErrorCode::fixEnvironment, "a part of the path is not a folder: correct the path"};
    case EMFILE:
    case ENFILE:
      return {ErrorCode::fixEnvironment, "too many files are open: close some or raise the limit"};
    case EEXIST:
      return {ErrorCode::fixEnvironment, "the file exists: choose another name, or allow to replace it"};
    default:
      return {ErrorCode::fixEnvironment, "the system refuses: see the reason"};
  }
}

[[noreturn]] void throwSystemError(const char* call, const std::filesystem::path& path) {
  throw systemError(errno, call, path);
}

std::string randomSuffix() {
  std::random_device random;
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "-%07x%08x", random() >> 4, random());
  return text.data();
}

// rename(2) that refuses an existing target, also where the file system knows no RENAME_NOREPLACE.
int renameToNewName(const char* from, const char* to) noexcept {
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  if (::link(from, to) != 0) return -1;
  static_cast<void>(::unlink(from));  // the file has its name: that it has another one, too, is no failure
  return 0;
}

}  // namespace

std::uint64_t freeBytesOf(const std::filesystem::path& path) noexcept {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) return UINT64_MAX;
  const std::uint64_t blocks = ::geteuid() == 0 ? status.f_bfree : status.f_bavail;
  return blocks * status.f_frsize;
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    descriptor_ = other.release();
  }
  return *this;
}

void FileDescriptor::close() noexcept {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

FileIdentity identityOf(const struct stat& status) noexcept { return {status.st_dev, status.st_ino}; }

bool stillNames(const std::filesystem::path& path, FileIdentity file) noexcept {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && identityOf(status) == file;
}

Error systemError(int number, const char* call, const std::filesystem::path& path) {
  const Verdict verdict = verdictOn(number, path);
  return Error(
      verdict.code, verdict.message,
      {{"call", call}, {"path", path.string()}, {"reason", std::generic_category().message(number)}});
}

struct stat statusOf(int descriptor, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throwSystemError("fstat", path);
  return status;
}

FileDescriptor openRegularFile(const std::filesystem::path& path, int flags) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throwSystemError("stat", path);
  if (S_ISDIR(status.st_mode)) throw systemError(EISDIR, "stat", path);
  const auto refuseUnlessRegular = [&] {
    if (S_ISREG(status.st_mode)) return;
    throw Error(ErrorCode::fixEnvironment, "this is a device, a pipe or a socket: name a file",
                {{"path", path.string()}});
  };
  refuseUnlessRegular();
  FileDescriptor file(uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK); }));
  if (!file.valid()) throwSystemError("open", path);
  status = statusOf(file.get(), path);  // it may have been exchanged in between
  refuseUnlessRegular();
  return file;
}

void syncFolderOf(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const FileDescriptor descriptor(
      uninterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!descriptor.valid()) throwSystemError("open", folder);
  const int result = uninterrupted([&] { return ::fsync(descriptor.get()); });
  if (result != 0 && errno != EINVAL) throwSystemError("fsync", folder);
}

TemporaryFile::TemporaryFile(std::filesystem::path target, mode_t mode) : target_(std::move(target)) {
  constexpr int kAttempts = 16;
  for (int attempt = 0; attempt < kAttempts && !file_.valid(); ++attempt) {
    path_ = target_.parent_path() /
            std::string(1, '.').append(target_.filename().string()).append(randomSuffix());
    file_ = FileDescriptor(
        uninterrupted([&] { return ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode); }));
    if (!file_.valid() && errno != EEXIST) throw withTarget(systemError(errno, "open", path_));
  }
  if (!file_.valid()) throw withTarget(systemError(EEXIST, "open", path_));
}

TemporaryFile::~TemporaryFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

bool TemporaryFile::publish(Existing existing) {
  if (uninterrupted([&] { return ::fsync(file_.get()); }) != 0)
    throw withTarget(systemError(errno, "fsync", path_));
  const bool replace = existing == Existing::replace;
  const int result =
      replace ? ::rename(path_.c_str(), target_.c_str()) : renameToNewName(path_.c_str(), target_.c_str());
  if (result != 0 && errno == EEXIST) return false;
  if (result != 0) throwSystemError("rename", target_);
  path_.clear();
  syncFolderOf(target_);
  return true;
}

FileSystemKind fileSystemKind(std::uint64_t type) noexcept {
  switch (static_cast<std::uint32_t>(type)) {
    case 0x0000'6969:  // NFS
    case 0x0000'517b:  // SMB
    case 0xff53'4d42:  // CIFS
    case 0xfe53'4d42:  // SMB2 and later
    case 0x5346'414f:  // AFS
    case 0x6b41'4653:  // AFS in the kernel
    case 0x00c3'6400:  // Ceph
    case 0x0102'1997:  // 9P: shared folders of virtual machines, Windows drives under WSL
    case 0x7375'7245:  // Coda
    case 0x0000'564c:  // NCP
    case 0x0bd0'0bd0:  // Lustre
    case 0x0116'1970:  // GFS2: robust mutexes in a map work on one node only; so do the next three
    case 0x7461'636f:  // OCFS2
    case 0x4750'4653:  // GPFS
    case 0x1983'0326:  // BeeGFS
    case 0x786f'4256:  // shared folders of VirtualBox
    case 0xbacb'acbc:  // shared folders of VMware
      return FileSystemKind::network;
    case 0x6573'5546:
      return FileSystemKind::userSpace;  // FUSE
    default:
      return FileSystemKind::local;
  }
}

FileSystemKind fileSystemKindOf(int descriptor, const std::filesystem::path& path) {
  struct statfs status {};
  if (::fstatfs(descriptor, &status) != 0) throwSystemError("fstatfs", path);
  return fileSystemKind(static_cast<std::uint64_t>(status.f_type));
}

std::vector<std::string> judgeFileSystem(FileSystemKind kind, const std::filesystem::path& path,
                                         bool allowNetwork) {
  if (kind == FileSystemKind::local) return {};
  if (kind == FileSystemKind::userSpace)
    return {"the file system runs in user space (FUSE): make sure that it keeps maps and locks in step"};
  if (allowNetwork) return {"the file is on a network file system: only one machine may have it open"};
  throw Error(ErrorCode::fixEnvironment,
              "the file is on a network file system: move it to a local disk, or set allowNetworkFileSystem",
              {{"path", path.string()}});
}

}  // namespace instar::storage
