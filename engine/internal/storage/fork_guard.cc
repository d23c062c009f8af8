#include "instar/engine/internal/storage/fork_guard.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace instar::storage {

namespace internal {
std::atomic<std::uint32_t> forkCount{0};
}

namespace {

// Never destroyed: a fork may happen after static destructors have begun.
struct Guarded {
  std::mutex mutex;
  std::vector<int> descriptors;
};
Guarded& guarded() {
  static Guarded* const instance = new Guarded;
  return *instance;
}

void beforeFork() { guarded().mutex.lock(); }

void afterForkInParent() { guarded().mutex.unlock(); }

void afterForkInChild() {
  internal::forkCount.fetch_add(1, std::memory_order_relaxed);
  for (const int descriptor : guarded().descriptors) ::close(descriptor);
  guarded().descriptors.clear();
  guarded().mutex.unlock();
}

}  // namespace

void installForkHandlers() {
  static const int installed = [] {
    guarded();
    return ::pthread_atfork(beforeFork, afterForkInParent, afterForkInChild);
  }();
  static_cast<void>(installed);
}

std::mutex& forkSafeMutex() { return guarded().mutex; }

void closeInChild(int descriptor) {
  const std::lock_guard lock(guarded().mutex);
  guarded().descriptors.push_back(descriptor);
}

void closeGuarded(int descriptor) noexcept {
  const std::lock_guard lock(guarded().mutex);
  std::erase(guarded().descriptors, descriptor);
  ::close(descriptor);
}

}  // namespace instar::storage
