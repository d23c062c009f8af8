#pragma once

// What the storage needs of files and file systems beyond the standard library: descriptors that close
// themselves, files that appear whole or not at all, errors of the system in Instar's words. No state; any
// thread.

#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "instar/format/error.h"

namespace instar::storage {

// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() noexcept = default;
  explicit FileDescriptor(int descriptor) noexcept : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { close(); }

  int get() const noexcept { return descriptor_; }
  bool valid() const noexcept { return descriptor_ >= 0; }
  int release() noexcept { return std::exchange(descriptor_, -1); }
  void close() noexcept;

 private:
  int descriptor_ = -1;
};

// The same file under whatever name: what distinguishes files on one machine.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};
FileIdentity identityOf(const struct stat& status) noexcept;
bool stillNames(const std::filesystem::path& path, FileIdentity file) noexcept;

// An error number of the system as an Error: a full disk, quota or file size limit is freeSpace, also where
// it only shows as EIO (LMDB reports a short write so) and the disk turns out to be full; a call that a
// signal has interrupted is retry; everything else is fixEnvironment.
Error systemError(int number, const char* call, const std::filesystem::path& path);

// Makes the call again as long as a signal interrupts it; it returns less than 0 where it fails.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

// Opens an existing regular file, never anything else: Error(fixEnvironment) for a folder, a device, a pipe,
// for what is missing and for what may not be opened. `flags` as for open(2); O_CLOEXEC is added.
FileDescriptor openRegularFile(const std::filesystem::path& path, int flags);

struct stat statusOf(int descriptor, const std::filesystem::path& path);

// Bytes that the file system of `path` has left for this user; UINT64_MAX where it does not say.
std::uint64_t freeBytesOf(const std::filesystem::path& path) noexcept;

// Makes the names in the folder of `path` durable.
void syncFolderOf(const std::filesystem::path& path);

// A file under construction beside its target. It is removed unless it was published. One thread.
class TemporaryFile {
 public:
  // Creates an empty file in the folder of `target`, with `mode` less the umask.
  TemporaryFile(std::filesystem::path target, mode_t mode);
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();

  const std::filesystem::path& path() const noexcept { return path_; }
  int descriptor() const noexcept { return file_.get(); }

  // Calls `write`. An Error about this file, whose name nobody knows, gets the target as another fact.
  template <class Write>
  void fill(Write write) const {
    try {
      write();
    } catch (const Error& error) {
      if (error.fact("path") != path_.native()) throw;
      throw withTarget(error);
    }
  }

  enum class Existing : bool { refuse, replace };
  // Syncs the file, gives it its name and syncs the folder. False where the target exists and is refused.
  bool publish(Existing existing);

 private:
  Error withTarget(const Error& error) const { return error.with("target", target_.string()); }

  std::filesystem::path target_;
  std::filesystem::path path_;
  FileDescriptor file_;
};

enum class FileSystemKind : std::uint8_t {
  local = 1,
  network,    // another machine or host can change the file: maps and locks cannot be relied upon
  userSpace,  // FUSE: may be either
};

// From statfs(2)'s f_type. Unknown file systems count as local.
FileSystemKind fileSystemKind(std::uint64_t type) noexcept;
FileSystemKind fileSystemKindOf(int descriptor, const std::filesystem::path& path);

// What it means for a store there: warnings, or Error(fixEnvironment) where it cannot hold one.
std::vector<std::string> judgeFileSystem(FileSystemKind kind, const std::filesystem::path& path,
                                         bool allowNetwork);

}  // namespace instar::storage
