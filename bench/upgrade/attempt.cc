#include "instar/bench/upgrade/attempt.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <type_traits>

namespace instar::bench {

// The file is made of zeros, which are an attempt that has not begun.
static_assert(std::is_standard_layout_v<Attempt> && std::is_trivially_destructible_v<Attempt>);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

double lostByKill(const Attempt& attempt) noexcept {
  if (attempt.killed == 0) return -1;
  const std::int64_t kept = std::max<std::int64_t>(attempt.began, attempt.progress.committedAt);
  return static_cast<double>(std::max<std::int64_t>(attempt.killed - kept, 0)) / 1e9;
}

SharedAttempt::SharedAttempt(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) throw std::system_error(errno, std::generic_category(), path.string());
  void* mapped = MAP_FAILED;
  if (::ftruncate(file, sizeof(Attempt)) == 0)
    mapped = ::mmap(nullptr, sizeof(Attempt), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  const int error = errno;
  ::close(file);
  if (mapped == MAP_FAILED) throw std::system_error(error, std::generic_category(), path.string());
  attempt_ = static_cast<Attempt*>(mapped);
}

SharedAttempt::~SharedAttempt() { ::munmap(attempt_, sizeof(Attempt)); }

}  // namespace instar::bench
