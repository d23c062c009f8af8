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
  // From now on what would take more than `bytes` beyond what the process has is refused, as if there were no
  // more memory.
  explicit MemoryBound(std::size_t bytes);
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;
  ~MemoryBound();

  // Whether memory that was refused was so for the bound. Where the process has had more before than it got
  // since, that cannot be told, and is denied.
  bool wasReached() const;

 private:
  std::uint64_t suspicious_ = 0;  // an address space that is larger has grown by the work
  std::optional<rlimit> before_;  // where it has been set
};

}  // namespace instar::tools
