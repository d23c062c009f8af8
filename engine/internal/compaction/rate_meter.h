#pragma once

// How fast work has gone in the last minute, and what that says of the rest. It is told the time. One thread.

#include <array>
#include <chrono>
#include <cstdint>

namespace instar {

class RateMeter {
 public:
  using Clock = std::chrono::steady_clock;

  explicit RateMeter(Clock::time_point now) : start_(now) {}

  void add(Clock::time_point now, std::uint64_t bytes, std::uint64_t rows);

  struct Rates {
    double bytesPerSecond = 0;
    double rowsPerSecond = 0;
  };
  // Over the last 59 whole seconds and the one that runs, or since the beginning; over a second at the least.
  Rates rates(Clock::time_point now) const;

 private:
  struct Second {
    std::int64_t number = -1;  // since start_; -1: none
    std::uint64_t bytes = 0;
    std::uint64_t rows = 0;
  };

  std::int64_t secondAt(Clock::time_point now) const;

  static constexpr std::int64_t kSeconds = 60;

  Clock::time_point start_;
  std::array<Second, kSeconds> seconds_{};
};

}  // namespace instar
