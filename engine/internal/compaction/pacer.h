#pragma once

// How fast compaction may go, and why it waits: arithmetic only. It is told the time and never sleeps.
//
// 1. Bytes written and bytes read from the device each have a token bucket that holds a tenth of a second of
//    the rate. Both have to be out of debt; so in no second more than 1.1 times the rate and one batch.
// 2. A waiting writer or a latency over budget is given way to in steps that double from 1 to 10 ms. After
//    mostDeference of nothing else one batch may go, so that compaction never starves.
// 3. A failure is followed by a pause between backoffMin and backoffMin * 2^failures, evenly drawn and
//    at most backoffMax; maxFailuresInARow open the circuit until closeCircuit().
//
// One thread.

#include <array>
#include <chrono>
#include <cstdint>
#include <random>

#include "instar/engine/compaction_options.h"

namespace instar {

// What the surroundings look like when the pacer is asked.
struct Load {
  unsigned writersWaiting = 0;
  std::chrono::nanoseconds foregroundLatency{0};  // of recent reads and commits; 0: unknown
  std::uint64_t freeDiskBytes = 0;
  int minuteOfDay = 0;  // local time
};

struct Answer {
  bool go = false;
  WaitReason reason = WaitReason::none;  // none with `go`
  std::chrono::nanoseconds wait{0};      // until it is worth asking again; at most a minute

  friend bool operator==(const Answer&, const Answer&) = default;
};

class Pacer {
 public:
  using Clock = std::chrono::steady_clock;

  // Of the options only those that say when to wait are used; they are copied.
  Pacer(const CompactionOptions& options, Clock::time_point now, std::uint64_t seed);

  // Whether the next batch may begin. Times must not go backwards.
  Answer ask(Clock::time_point now, const Load& load);

  // What a batch has cost, in bytes. May be more than there was room for: then the next one waits.
  void spent(Clock::time_point now, std::uint64_t writtenBytes, std::uint64_t readBytes);

  // In bytes a second; 0: no limit. The time since the last call with a time counts at the new rate.
  void setRate(std::uint64_t bytesPerSecond);
  std::uint64_t rate() const noexcept { return rate_; }

  void pause() noexcept { paused_ = true; }
  void resume() noexcept { paused_ = false; }

  void failed(Clock::time_point now);
  void succeeded() noexcept;
  void closeCircuit() noexcept;  // forgets the failures in a row
  bool circuitIsOpen() const noexcept { return failures_ != 0 && failures_ >= options_.maxFailuresInARow; }

  // Between an answer of this reason and the next question, all in all.
  Clock::duration waited(WaitReason reason) const noexcept;

 private:
  static constexpr std::size_t kReasons = static_cast<std::size_t>(WaitReason::abortedVersion) + 1;

  void refill(Clock::time_point now);
  Answer judge(Clock::time_point now, const Load& load);
  Answer deferTo(Clock::time_point now, WaitReason reason);

  CompactionOptions options_;
  std::uint64_t rate_;  // bytes a second
  double writeTokens_;  // bytes; below 0 after a batch
  double readTokens_;
  Clock::time_point filled_;
  bool paused_ = false;
  unsigned failures_ = 0;  // in a row
  Clock::time_point backoffEnd_;
  std::mt19937_64 random_;
  std::chrono::nanoseconds nextDeference_{0};  // 0: nobody is given way to
  Clock::time_point deferenceBegan_;
  Clock::time_point asked_;
  WaitReason answered_ = WaitReason::none;
  std::array<Clock::duration, kReasons> waited_{};
};

}  // namespace instar
