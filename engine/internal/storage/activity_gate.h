#pragma once

// Counts what is going on, and can be closed until nothing is: LMDB's map may be moved only while this
// process has no transaction. Entering an open gate is one atomic addition.
//
// Invariant: while close() has returned true and until open(), nothing is inside. Any thread; a thread that
// is inside must not close the gate.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace instar::storage {

class ActivityGate {
 public:
  // Waits while the gate is closed.
  void enter() noexcept {
    while ((state_.fetch_add(1, std::memory_order_acquire) & kClosed) != 0) waitOutside();
  }
  void leave() noexcept {
    if (state_.fetch_sub(1, std::memory_order_acq_rel) == (kClosed | 1)) wake();
  }

  // Keeps others out and waits until nothing is inside. False where that took longer, or where another thread
  // closed the gate and kept it so; then it is as if nothing had happened.
  bool close(std::chrono::milliseconds wait) noexcept;
  void open() noexcept;

  std::uint64_t inside() const noexcept { return state_.load(std::memory_order_relaxed) & ~kClosed; }

 private:
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63;

  void waitOutside() noexcept;
  void wake() noexcept;
  bool closed() const noexcept { return (state_.load(std::memory_order_acquire) & kClosed) != 0; }

  std::atomic<std::uint64_t> state_{0};  // how many are inside, or on their way out again; and kClosed
  std::mutex mutex_;
  std::condition_variable changed_;
};

// Is inside for as long as it lives, or hands its place over to somebody who will leave.
class Activity {
 public:
  explicit Activity(ActivityGate& gate) noexcept : gate_(gate) { gate_.enter(); }
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;
  ~Activity() {
    if (!isHandedOver_) gate_.leave();
  }
  void handOver() noexcept { isHandedOver_ = true; }

 private:
  ActivityGate& gate_;
  bool isHandedOver_ = false;
};

}  // namespace instar::storage
