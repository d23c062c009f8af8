#include "instar/engine/internal/storage/presence.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "instar/engine/internal/storage/file_system.h"

namespace instar::storage {
namespace {

static_assert(sizeof(off_t) == 8, "the locks lie beyond 2^62");

struct flock request(short type, ByteRange range) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(range.start);
  lock.l_len = static_cast<off_t>(range.length);
  return lock;
}

}  // namespace

bool tryLock(int descriptor, short type, ByteRange range, const std::filesystem::path& path) {
  struct flock lock = request(type, range);
  if (::fcntl(descriptor, F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES || errno == EINTR) return false;
  throw systemError(errno, "fcntl(F_OFD_SETLK)", path);
}

bool isFree(int descriptor, ByteRange range, const std::filesystem::path& path) {
  if (range.length == 0) return true;
  struct flock lock = request(F_WRLCK, range);
  if (::fcntl(descriptor, F_OFD_GETLK, &lock) != 0) throw systemError(errno, "fcntl(F_OFD_GETLK)", path);
  return lock.l_type == F_UNLCK;
}

void unlock(int descriptor, ByteRange range) noexcept {
  struct flock lock = request(F_UNLCK, range);
  ::fcntl(descriptor, F_OFD_SETLK, &lock);
}

ByteRange placeOf(std::uint64_t partner) noexcept {
  const std::uint64_t place = partner == 0 ? 0 : 1 + partner % (kAllPlaces.length - 1);
  return {kAllPlaces.start + place, 1};
}

bool isPresentElsewhere(int descriptor, std::uint64_t partner, const std::filesystem::path& path) {
  constexpr std::uint64_t kFirst = kAllPlaces.start + 1;  // behind the place of those who have no partner
  constexpr std::uint64_t kEnd = kAllPlaces.start + kAllPlaces.length;
  const std::uint64_t place = placeOf(partner).start;
  return !isFree(descriptor, {kFirst, place - kFirst}, path) ||
         !isFree(descriptor, {place + 1, kEnd - place - 1}, path);
}

}  // namespace instar::storage
