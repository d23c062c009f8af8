#include "instar/tests/schedules/clock.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
const std::atomic<std::int64_t>* clockOffset = nullptr;

// Sanitizers ask for the time before they are ready themselves.
#define INSTAR_EARLY __attribute__((no_sanitize("address", "thread", "undefined")))

INSTAR_EARLY int timeOf(clockid_t clock, struct timespec* time) noexcept {
  const int result = static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  if (result != 0 || clock != CLOCK_REALTIME || clockOffset == nullptr) return result;
  const std::int64_t sum =
      time->tv_sec * kSecond + time->tv_nsec + clockOffset->load(std::memory_order_relaxed);
  time->tv_sec = sum / kSecond;
  time->tv_nsec = sum % kSecond;
  return 0;
}

}  // namespace

namespace instar::schedules {

void useClockOffset(const std::atomic<std::int64_t>* offset) noexcept { clockOffset = offset; }

}  // namespace instar::schedules

extern "C" {

INSTAR_EARLY int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
  return timeOf(clock, time);
}

INSTAR_EARLY int gettimeofday(struct timeval* time, void*) noexcept {
  struct timespec precise {};
  const int result = timeOf(CLOCK_REALTIME, &precise);
  if (result == 0) *time = {precise.tv_sec, precise.tv_nsec / 1000};
  return result;
}

INSTAR_EARLY time_t time(time_t* result) noexcept {
  struct timespec precise {};
  timeOf(CLOCK_REALTIME, &precise);
  if (result != nullptr) *result = precise.tv_sec;
  return precise.tv_sec;
}

}  // extern "C"
