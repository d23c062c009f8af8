#include "instar/engine/internal/storage/activity_gate.h"

namespace instar::storage {

void ActivityGate::waitOutside() noexcept {
  leave();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !closed(); });
}

void ActivityGate::wake() noexcept {
  // With the mutex, so that nobody can miss it between looking and waiting.
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

bool ActivityGate::close(std::chrono::milliseconds wait) noexcept {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  std::unique_lock lock(mutex_);
  if (!changed_.wait_until(lock, deadline, [&] { return !closed(); })) return false;
  state_.fetch_or(kClosed, std::memory_order_acq_rel);
  if (changed_.wait_until(lock, deadline,
                          [&] { return state_.load(std::memory_order_acquire) == kClosed; })) {
    return true;
  }
  state_.fetch_and(~kClosed, std::memory_order_acq_rel);
  changed_.notify_all();
  return false;
}

void ActivityGate::open() noexcept {
  const std::lock_guard lock(mutex_);
  state_.fetch_and(~kClosed, std::memory_order_acq_rel);
  changed_.notify_all();
}

}  // namespace instar::storage
