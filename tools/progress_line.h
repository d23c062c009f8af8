#pragma once

// How far a long command is, as the passing line of its messages. One thread.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "instar/engine/options.h"
#include "instar/tools/messages.h"

namespace instar::tools {

class ProgressLine {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  // `unit` is what is counted: "rows", "bytes".
  ProgressLine(Messages& messages, std::string unit, Clock clock)
      : messages_(messages), unit_(std::move(unit)), clock_(std::move(clock)), start_(clock_()) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }

  // `total` is 0 where it is unknown. Cheap enough for every row.
  void update(std::uint64_t done, std::uint64_t total = 0);

  // Takes the line away, before data is printed; messages do that themselves.
  void clear() { messages_.clearPassing(); }

  std::chrono::duration<double> elapsed() const { return clock_() - start_; }

  // For the library's long operations; valid as long as this object.
  ProgressCallback callback() {
    return [this](const Progress& progress) { update(progress.done, progress.total); };
  }

 private:
  Messages& messages_;
  std::string unit_;
  Clock clock_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_{};
};

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t number);

// "12 rows", "1 row".
std::string counted(std::uint64_t number, std::string_view singular);

// "45 s", "3 min 20 s", "3 h 12 min".
std::string printDuration(std::uint64_t seconds);

// Nanoseconds since 1970 as "2024-05-06T07:08:09Z".
std::string printTime(std::int64_t nanoseconds);

}  // namespace instar::tools
