#include "instar/engine/internal/storage/store_locks.h"

#include <fcntl.h>

#include <algorithm>
#include <thread>

#include "instar/engine/internal/storage/fork_guard.h"

namespace instar::storage {
namespace {

constexpr ByteRange kOpening{kFirstLockByte, 1};
constexpr ByteRange kWriting{kFirstLockByte + 1, 1};
constexpr ByteRange kWriterPresence{kFirstLockByte + 2, 1};
constexpr ByteRange kCompacting{kFirstLockByte - 1, 1};

}  // namespace

StoreLocks::StoreLocks(FileDescriptor file, std::filesystem::path path)
    : file_(std::move(file)), path_(std::move(path)), generation_(forkGeneration()) {
  closeInChild(file_.get());
}

StoreLocks::~StoreLocks() {
  const int descriptor = file_.release();
  // In a child it was closed when the child began, and the number may be another file's by now.
  if (generation_ == forkGeneration()) closeGuarded(descriptor);
}

void StoreLocks::lockUntil(short type, ByteRange range, Deadline deadline, const char* message) const {
  // There is no lock of this kind that can be waited for with a limit.
  constexpr std::chrono::microseconds kShortest{100};
  constexpr std::chrono::microseconds kLongest{5000};
  std::chrono::microseconds pause = kShortest;
  while (!tryLock(file_.get(), type, range, path_)) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) throw Error(ErrorCode::retry, message, {{"path", path_.string()}});
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(pause, deadline - now));
    pause = std::min(pause * 2, kLongest);
  }
}

void StoreLocks::lockOpening(Deadline deadline) {
  lockUntil(F_WRLCK, kOpening, deadline,
            "another process is opening or compacting the store: try again later");
}

void StoreLocks::lockOpeningShared(Deadline deadline) {
  lockUntil(F_RDLCK, kOpening, deadline,
            "another process is opening or compacting the store: try again later");
}

void StoreLocks::lockWriting(Deadline deadline) {
  lockUntil(F_WRLCK, kWriting, deadline, "another process holds the write lock: try again later");
}

void StoreLocks::unlockOpening() noexcept { unlock(file_.get(), kOpening); }

void StoreLocks::unlockWriting() noexcept { unlock(file_.get(), kWriting); }

bool StoreLocks::tryLockCompaction() const { return tryLock(file_.get(), F_WRLCK, kCompacting, path_); }

void StoreLocks::unlockCompaction() noexcept { unlock(file_.get(), kCompacting); }

void StoreLocks::enter(std::uint64_t lockFile, bool writer) {
  // Whoever excludes all does it while he alone is opening, so these do not fail for long.
  const Deadline deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  constexpr const char* kMessage = "another process has the store to itself: try again later";
  lockUntil(F_RDLCK, placeOf(lockFile), deadline, kMessage);
  if (writer) lockUntil(F_RDLCK, kWriterPresence, deadline, kMessage);
}

bool StoreLocks::isOpenWithOtherLockFile(std::uint64_t lockFile) const {
  return isPresentElsewhere(file_.get(), lockFile, path_);
}

bool StoreLocks::isOpenForWriting() const { return !isFree(file_.get(), kWriterPresence, path_); }

bool StoreLocks::excludeAll() { return tryLock(file_.get(), F_WRLCK, kAllPlaces, path_); }

}  // namespace instar::storage
