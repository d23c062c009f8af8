#include "instar/engine/internal/storage/write_turn.h"

#include "instar/format/error.h"

namespace instar::storage {

void WriteTurn::take(std::chrono::milliseconds wait) {
  if (isMine()) {
    throw Error(ErrorCode::fixCall, "this thread has a write transaction open: commit or drop it first");
  }
  const auto deadline = std::chrono::steady_clock::now() + wait;
  std::unique_lock lock(mutex_);
  waiting_.fetch_add(1, std::memory_order_relaxed);
  const bool isFree = free_.wait_until(lock, deadline, [&] { return owner_.load() == std::thread::id(); });
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  if (!isFree) {
    throw Error(ErrorCode::retry, "another thread of this process holds the write lock: try again later",
                {{"waited", std::to_string(wait.count()) + " ms"}});
  }
  owner_.store(std::this_thread::get_id());
}

void WriteTurn::giveBack() noexcept {
  {
    const std::lock_guard lock(mutex_);
    owner_.store(std::thread::id());
  }
  free_.notify_one();
}

}  // namespace instar::storage
