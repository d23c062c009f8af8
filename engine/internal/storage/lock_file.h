#pragma once

// The LMDB lock file beside a data file. LMDB keeps the number of the newest commit there, and which of the
// data file's two first pages that is follows from it: so all who use a lock file at the same time must have
// the same data file open. Whoever comes with another one, because a file was moved to the name of one that
// is open or made anew under it, is refused.
//
// Closing any descriptor of the lock file drops the locks by which LMDB knows that this process lives. So a
// process uses a lock file once, and a LockFile outlives the LMDB handle that uses it. Any thread.

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "instar/engine/internal/storage/environment_registry.h"
#include "instar/engine/internal/storage/file_system.h"

namespace instar::storage {

class LockFile {
 public:
  // The lock file of the data file of this name and status, created unless readOnly. Null where the store
  // must be read without one. That is so only for readers: where there is no lock file, because a reader
  // creates none, and where it may not be written to. Throws Error(retry) where others use it with another
  // data file.
  static std::unique_ptr<LockFile> use(const std::filesystem::path& dataFile, const struct stat& data,
                                       bool readOnly);
  // Throws Error(retry) where somebody uses the lock file of a data file that does not exist.
  static void refuseUseWithout(const std::filesystem::path& dataFile);

  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;
  ~LockFile();

  const std::filesystem::path& path() const noexcept { return path_; }
  std::uint64_t inode() const noexcept { return identity_.inode; }
  // The process that uses the lock file through LMDB under this number, as it is seen from here: 0 for one in
  // another container. Nothing where none lives, which a process that has got the number since does not hide.
  std::optional<pid_t> userNumbered(pid_t number) const noexcept;
  bool hasItsName() const noexcept { return stillNames(path_, identity_); }

 private:
  LockFile(std::filesystem::path path, FileIdentity identity, std::unique_ptr<Registration> registration);

  std::unique_ptr<Registration> registration_;  // first, so that it ends last
  std::filesystem::path path_;
  FileIdentity identity_;
  FileDescriptor file_;
  std::uint32_t generation_;
};

std::filesystem::path lockFileOf(const std::filesystem::path& dataFile);

}  // namespace instar::storage
