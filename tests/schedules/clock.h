#pragma once

// The clock on the wall, which an operator, a time server or a sleeping laptop sets: the program's own
// clock_gettime(), gettimeofday() and time() stand before libc's and add an offset that all processes share.
// CLOCK_MONOTONIC goes on as it is. Any thread.

#include <atomic>
#include <cstdint>

namespace instar::schedules {

// Nanoseconds that the clock on the wall is ahead; null: it is right. Set before threads and processes are
// made; it has to live until all of them are gone.
void useClockOffset(const std::atomic<std::int64_t>* offset) noexcept;

}  // namespace instar::schedules
