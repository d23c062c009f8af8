#pragma once

// How many threads prepare the next batch: as many as get a processor each, and one where preparing is not
// what takes the time. Arithmetic only. One thread.

#include <chrono>

namespace instar {

class ThreadCount {
 public:
  explicit ThreadCount(unsigned most) : most_(most == 0 ? 1 : most) {}

  unsigned get() const noexcept { return count_; }

  // What the last preparation has taken, all its threads together. One more where they had nearly all of
  // that on processors, one fewer where they had to wait for these, or for the device.
  void took(std::chrono::nanoseconds processor, std::chrono::nanoseconds passed) noexcept;

  // Compaction has had to wait for its rate or for others: more threads would only wait longer.
  void waited() noexcept { count_ = 1; }

 private:
  const unsigned most_;
  unsigned count_ = 1;
};

}  // namespace instar
