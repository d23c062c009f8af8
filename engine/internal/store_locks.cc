#include "instar/engine/internal/store_locks.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "instar/engine/internal/fork_guard.h"

namespace instar::storage {
namespace {

static_assert(sizeof(off_t) == 8, "the locks lie beyond 2^62");

constexpr std::uint64_t kFirst = std::uint64_t{1} << 62;
constexpr std::uint64_t kOpening = kFirst;
constexpr std::uint64_t kWriting = kFirst + 1;
constexpr std::uint64_t kWriterPresence = kFirst + 2;
constexpr std::uint64_t kPresence = kFirst + 3;
constexpr std::uint64_t kPresenceLength = std::uint64_t{1} << 61;

// Place 0 is for readers without a lock file.
std::uint64_t presencePlace(std::uint64_t lockFile) noexcept {
  return lockFile == 0 ? 0 : 1 + lockFile % (kPresenceLength - 1);
}

struct flock request(short type, std::uint64_t start, std::uint64_t length) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(start);
  lock.l_len = static_cast<off_t>(length);
  return lock;
}

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

bool StoreLocks::apply(short type, std::uint64_t start, std::uint64_t length) const {
  struct flock lock = request(type, start, length);
  if (::fcntl(file_.get(), F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES || errno == EINTR) return false;
  throw systemError(errno, "fcntl(F_OFD_SETLK)", path_);
}

bool StoreLocks::isFree(std::uint64_t start, std::uint64_t length) const {
  if (length == 0) return true;
  struct flock lock = request(F_WRLCK, start, length);
  if (::fcntl(file_.get(), F_OFD_GETLK, &lock) != 0) throw systemError(errno, "fcntl(F_OFD_GETLK)", path_);
  return lock.l_type == F_UNLCK;
}

void StoreLocks::unlock(std::uint64_t start, std::uint64_t length) const noexcept {
  struct flock lock = request(F_UNLCK, start, length);
  ::fcntl(file_.get(), F_OFD_SETLK, &lock);
}

void StoreLocks::lockUntil(short type, std::uint64_t start, Deadline deadline, const char* message) const {
  // There is no lock of this kind that can be waited for with a limit.
  constexpr std::chrono::microseconds kShortest{100};
  constexpr std::chrono::microseconds kLongest{5000};
  std::chrono::microseconds pause = kShortest;
  while (!apply(type, start, 1)) {
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

void StoreLocks::unlockOpening() noexcept { unlock(kOpening, 1); }

void StoreLocks::unlockWriting() noexcept { unlock(kWriting, 1); }

void StoreLocks::enter(std::uint64_t lockFile, bool writer) {
  // Whoever excludes all does it while he alone is opening, so these do not fail for long.
  const Deadline deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  constexpr const char* kMessage = "another process has the store to itself: try again later";
  lockUntil(F_RDLCK, kPresence + presencePlace(lockFile), deadline, kMessage);
  if (writer) lockUntil(F_RDLCK, kWriterPresence, deadline, kMessage);
}

bool StoreLocks::isOpenWithOtherLockFile(std::uint64_t lockFile) const {
  const std::uint64_t place = presencePlace(lockFile);
  return !isFree(kPresence + 1, place - 1) || !isFree(kPresence + place + 1, kPresenceLength - place - 1);
}

bool StoreLocks::isOpenForWriting() const { return !isFree(kWriterPresence, 1); }

bool StoreLocks::excludeAll() { return apply(F_WRLCK, kPresence, kPresenceLength); }

}  // namespace instar::storage
