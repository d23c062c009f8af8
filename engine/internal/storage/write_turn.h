#pragma once

// Whose turn it is to write, among the threads of this process. Unlike a mutex it can be waited for with a
// limit, and it knows its owner, so that a thread that would wait for itself is told so.
//
// Any thread; the thread that took the turn gives it back.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace instar::storage {

class WriteTurn {
 public:
  // Throws Error(fixCall) where the calling thread has the turn, Error(retry) after `wait`.
  void take(std::chrono::milliseconds wait);
  void giveBack() noexcept;

  unsigned waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }  // threads
  bool isMine() const noexcept {
    return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

 private:
  std::mutex mutex_;
  std::condition_variable free_;
  std::atomic<unsigned> waiting_{0};
  std::atomic<std::thread::id> owner_{};  // changed under mutex_; no thread where the turn is free
};

}  // namespace instar::storage
