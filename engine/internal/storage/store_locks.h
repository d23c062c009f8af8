#pragma once

// The locks on a data file by which processes keep out of each other's way. They are open-file-description
// locks on single bytes far beyond any data, so they end with their process, and closing some other
// descriptor of the file does not drop them:
//
//     opening          exclusive while a process opens the file or compacts it
//     writing          exclusive during a write transaction; LMDB's own mutex cannot be waited for with a limit
//     compacting       exclusive while a thread of the process compacts
//     writer presence  shared by all that have the file open for writing
//     presence         shared by all that have it open, at a place that depends on the LMDB lock file that they use: two that
//                      use different lock files for one data file (hard links, a file that was renamed while open) would
//                      overwrite each other's pages, and find each other out here
//
// A process has one StoreLocks for a file; its threads come in turn. The child of a fork holds none of its
// parent's.

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/storage/presence.h"

namespace instar::storage {

using Deadline = std::chrono::steady_clock::time_point;

class StoreLocks {
 public:
  // Takes over a descriptor of the data file, opened for writing unless only presence will be asked for.
  StoreLocks(FileDescriptor file, std::filesystem::path path);
  StoreLocks(const StoreLocks&) = delete;
  StoreLocks& operator=(const StoreLocks&) = delete;
  ~StoreLocks();

  int descriptor() const noexcept { return file_.get(); }

  // Each waits until the deadline, then throws Error(retry) that says who is in the way.
  void lockOpening(Deadline deadline);
  void lockOpeningShared(Deadline deadline);  // for those who may not write to the file
  void lockWriting(Deadline deadline);
  void unlockOpening() noexcept;
  void unlockWriting() noexcept;
  bool tryLockCompaction() const;  // does not know whether a thread of this process has it
  void unlockCompaction() noexcept;

  // `lockFile` is the inode of the LMDB lock file, 0 for a reader that uses none.
  void enter(std::uint64_t lockFile, bool writer);
  bool isOpenWithOtherLockFile(std::uint64_t lockFile) const;
  bool isOpenForWriting() const;  // by another process
  // Keeps everybody else out, until this object is gone. False where somebody is in.
  bool excludeAll();

 private:
  void lockUntil(short type, ByteRange range, Deadline deadline, const char* message) const;

  FileDescriptor file_;
  std::filesystem::path path_;
  std::uint32_t generation_;
};

}  // namespace instar::storage
