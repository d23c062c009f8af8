#pragma once

// Keeps what a thread writes below a rate: a token bucket of a tenth of a second, filled by the clock
// and emptied by the bytes that the thread has handed to the kernel (wchar in /proc/thread-self/io). Not
// by its write_bytes: these count the whole folio that a page lies in, which for a file that was written
// in large pieces is up to 130 times what goes to the device (measured: Linux 6.18, ext4). One thread.

#include <chrono>
#include <cstdint>
#include <functional>

namespace instar {

class IoPacer {
 public:
  using Clock = std::chrono::steady_clock;

  // In bytes a second; 0: there is no limit.
  explicit IoPacer(std::uint64_t rate);

  // Waits until what has been written fits the rate. `atLeast` counts where the kernel accounts nothing.
  // Calls `look` at least every 50 ms while it waits; what that throws ends it.
  void settle(std::uint64_t atLeast, const std::function<void()>& look);

  std::uint64_t bytesWritten() const;  // by the thread, since this object was made
  Clock::duration waited() const noexcept { return waited_; }

 private:
  void refill();

  const double rate_;
  const std::uint64_t start_;  // what the kernel had accounted then
  std::uint64_t accounted_;
  double tokens_ = 0;  // bytes; below 0 after a batch
  Clock::time_point filled_;
  Clock::duration waited_{0};
};

}  // namespace instar
