#pragma once

// A bound on the memory that a part of the work may take, for work whose input comes from strangers and that
// a library does without bounds of its own. It bounds the address space of the whole process, so it is for
// programs of one thread, and only one at a time. Where the system has no such bound, and under sanitizers,
// which take address space for themselves, there is none.

#include <cstddef>
#include <cstdint>
#include <optional>

#include <sys/resource.h>

namespace instar::tools {

class MemoryBound {
 public:
  // From now on what would take more than `bytes` beyond what the process has is refused, with std::bad_alloc.
  explicit MemoryBound(std::size_t bytes);
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;
  ~MemoryBound();

  // Whether the work has come near to the bound, so that memory was refused for that.
  bool wasReached() const;

 private:
  std::uint64_t bound_ = 0;  // of the address space
  std::size_t bytes_;
  std::optional<rlimit> before_;  // where it has been set
};

}  // namespace instar::tools
