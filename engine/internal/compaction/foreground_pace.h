#pragma once

// The pace of work over a whole collection that the caller waits for: nobody is given way to but by the rate,
// which is that of the thread that made this object. One thread.

#include <chrono>
#include <cstdint>
#include <functional>

#include "instar/engine/internal/compaction/io_account.h"
#include "instar/engine/internal/compaction/pacer.h"

namespace instar {

class ForegroundPace {
 public:
  // Bytes that may be written in a second, and as many read from the device; 0: as fast as possible.
  explicit ForegroundPace(std::uint64_t rate);

  // What was done elsewhere than by this thread, or beyond what the kernel accounts to it.
  struct Done {
    std::uint64_t stored = 0;         // bytes of rows: at the least what was written
    std::uint64_t readElsewhere = 0;  // bytes, by other threads
  };
  // Waits until what has been written and read since the last call fits the rate; calls `waiting` each
  // twentieth of a second of it.
  void settle(const Done& done, const std::function<void()>& waiting);

  IoBytes total() const noexcept { return account_.total(); }  // of this thread
  std::chrono::microseconds waited() const noexcept;

 private:
  IoAccount account_;
  Pacer pacer_;
};

}  // namespace instar
