#pragma once

// Detects that the process has forked since. LMDB's environments, and locks on open files, do not survive a
// fork: the child must neither use nor close what its parent opened, it opens again.
//
// A handler in the child counts generations and closes the descriptors that carry the parent's locks;
// otherwise a child that lives on would keep a dead parent's locks. Any thread.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace instar::storage {

namespace internal {
extern std::atomic<std::uint32_t> forkCount;
}

// Installs the handlers, once. Before the first descriptor is guarded.
void installForkHandlers();

// Differs between a process and its children.
inline std::uint32_t forkGeneration() noexcept { return internal::forkCount.load(std::memory_order_relaxed); }

// What a thread of the process waits for. Destroying one that somebody waits for never ends, and in the child
// of a fork those who did so are not there any more: it is left behind.
class ProcessCondition {
 public:
  ProcessCondition() = default;
  ProcessCondition(const ProcessCondition&) = delete;
  ProcessCondition& operator=(const ProcessCondition&) = delete;
  ~ProcessCondition() {
    if (generation_ == forkGeneration()) delete condition_;
  }
  std::condition_variable* operator->() const noexcept { return condition_; }

 private:
  std::condition_variable* const condition_ = new std::condition_variable;
  const std::uint32_t generation_ = forkGeneration();
};

// Held across a fork, so that what it protects is whole and free in the child.
std::mutex& forkSafeMutex();

// The child of a fork will close `descriptor` when it begins.
void closeInChild(int descriptor);
// Closes it here, and spares a later child from doing so.
void closeGuarded(int descriptor) noexcept;

}  // namespace instar::storage
