#pragma once
// A migration that is killed on its way, in memory that outlives its process: a file that it maps, and
// whoever has started it. What the process has written there until then the other one reads. Any thread.

#include <atomic>
#include <cstdint>
#include <filesystem>

#include "instar/bench/upgrade/subject.h"

namespace instar::bench {

// Moments are those of steadyNanoseconds(); 0: it has not come to that.
struct Attempt {
  MigrationProgress progress{};
  std::atomic<std::int64_t> began = 0;
  std::atomic<std::int64_t> killed = 0;
};

// Seconds from the last durable commit that brought rows over, or from the beginning where there was none, to
// the kill: what was done in them is lost. -1: it was not killed.
double lostByKill(const Attempt& attempt) noexcept;

class SharedAttempt {
 public:
  // Whoever comes first makes the file.
  explicit SharedAttempt(const std::filesystem::path& path);
  SharedAttempt(const SharedAttempt&) = delete;
  SharedAttempt& operator=(const SharedAttempt&) = delete;
  ~SharedAttempt();

  Attempt& operator*() const noexcept { return *attempt_; }
  Attempt* operator->() const noexcept { return attempt_; }

 private:
  Attempt* attempt_;
};

}  // namespace instar::bench
