#pragma once

// What a child was at, which its parent can read when it is gone. Made before the fork; one of the two looks
// at it at a time.

#include <sys/mman.h>

#include <new>
#include <stdexcept>
#include <type_traits>

namespace instar::testing {

template <class Content>
class SharedMemory {
 public:
  static_assert(std::is_trivially_destructible_v<Content>);

  SharedMemory()
      : memory_(::mmap(nullptr, sizeof(Content), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::runtime_error("mmap failed");
    new (memory_) Content{};
  }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory() { ::munmap(memory_, sizeof(Content)); }
  Content& operator*() const noexcept { return *static_cast<Content*>(memory_); }
  Content* operator->() const noexcept { return static_cast<Content*>(memory_); }

 private:
  void* memory_;
};

}  // namespace instar::testing
