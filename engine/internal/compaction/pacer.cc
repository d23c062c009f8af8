#include "instar/engine/internal/compaction/pacer.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace instar {
namespace {

using namespace std::chrono_literals;

constexpr double kBucketSeconds = 0.1;
constexpr std::chrono::nanoseconds kFirstDeference = 1ms;
constexpr std::chrono::nanoseconds kLongestDeference = 10ms;
constexpr std::chrono::nanoseconds kAskAgain = 1s;  // at what changes without notice
// Clocks jump and other processes change things: no answer holds longer.
constexpr std::chrono::nanoseconds kLongestWait = 1min;

Answer waitFor(WaitReason reason, std::chrono::nanoseconds wait) {
  return {.go = false, .reason = reason, .wait = std::min(wait, kLongestWait)};
}

// Rounded up, so that whoever waits so long finds the debt paid.
std::chrono::nanoseconds timeToEarn(double bytes, double rate) {
  const double seconds = std::min(bytes / rate, 60.0);
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::ceil(seconds * 1e9)) + 1);
}

}  // namespace

Pacer::Pacer(const CompactionOptions& options, Clock::time_point now, std::uint64_t seed)
    : options_(options),
      rate_(options.rate),
      writeTokens_(static_cast<double>(rate_) * kBucketSeconds),
      readTokens_(writeTokens_),
      filled_(now),
      backoffEnd_(now),
      random_(seed),
      asked_(now) {}

Answer Pacer::ask(Clock::time_point now, const Load& load) {
  waited_[static_cast<std::size_t>(answered_)] += now - asked_;
  asked_ = now;
  refill(now);
  const Answer answer = judge(now, load);
  const bool defers = answer.reason == WaitReason::writersWaiting || answer.reason == WaitReason::latency;
  if (!defers) nextDeference_ = 0ns;
  answered_ = answer.reason;
  return answer;
}

Answer Pacer::judge(Clock::time_point now, const Load& load) {
  if (circuitIsOpen()) return waitFor(WaitReason::circuitOpen, kAskAgain);
  if (paused_) return waitFor(WaitReason::paused, kAskAgain);
  if (options_.allowedHours && !options_.allowedHours->contains(load.minuteOfDay))
    return waitFor(WaitReason::quietHours, options_.allowedHours->until(load.minuteOfDay));
  if (now < backoffEnd_) return waitFor(WaitReason::backoff, backoffEnd_ - now);
  if (load.freeDiskBytes < options_.minFreeDisk) return waitFor(WaitReason::diskSpace, kAskAgain);
  const double tokens = std::min(writeTokens_, readTokens_);
  if (rate_ != 0 && tokens < 0)
    return waitFor(WaitReason::rate, timeToEarn(-tokens, static_cast<double>(rate_)));
  if (load.writersWaiting != 0) return deferTo(now, WaitReason::writersWaiting);
  if (options_.latencyBudget > 0us && load.foregroundLatency > options_.latencyBudget)
    return deferTo(now, WaitReason::latency);
  return {.go = true};
}

Answer Pacer::deferTo(Clock::time_point now, WaitReason reason) {
  if (nextDeference_ == 0ns) {
    nextDeference_ = kFirstDeference;
    deferenceBegan_ = now;
  }
  const auto left = options_.mostDeference - (now - deferenceBegan_);
  if (left <= 0ns) return {.go = true};
  const auto wait = std::min<std::chrono::nanoseconds>(nextDeference_, left);
  nextDeference_ = std::min(nextDeference_ * 2, kLongestDeference);
  return waitFor(reason, wait);
}

void Pacer::refill(Clock::time_point now) {
  const auto rate = static_cast<double>(rate_);
  const double earned = rate * std::chrono::duration<double>(now - filled_).count();
  for (double* tokens : {&writeTokens_, &readTokens_})
    *tokens = std::min(*tokens + earned, rate * kBucketSeconds);
  filled_ = now;
}

void Pacer::spent(Clock::time_point now, std::uint64_t writtenBytes, std::uint64_t readBytes) {
  refill(now);
  if (rate_ == 0) return;
  writeTokens_ -= static_cast<double>(writtenBytes);
  readTokens_ -= static_cast<double>(readBytes);
}

void Pacer::setRate(std::uint64_t bytesPerSecond) {
  rate_ = bytesPerSecond;
  if (rate_ == 0) writeTokens_ = readTokens_ = 0;
}

void Pacer::failed(Clock::time_point now) {
  ++failures_;
  const auto longest = std::max(options_.backoffMin, options_.backoffMax);
  auto ceiling = options_.backoffMin;
  for (unsigned i = 0; i < failures_ && ceiling < longest; ++i) ceiling = std::min(ceiling * 2, longest);
  std::uniform_int_distribution<std::chrono::nanoseconds::rep> draw(
      std::chrono::nanoseconds(options_.backoffMin).count(), std::chrono::nanoseconds(ceiling).count());
  backoffEnd_ = now + std::chrono::nanoseconds(draw(random_));
}

void Pacer::succeeded() noexcept { failures_ = 0; }

void Pacer::closeCircuit() noexcept {
  failures_ = 0;
  backoffEnd_ = {};
}

Pacer::Clock::duration Pacer::waited(WaitReason reason) const noexcept {
  return waited_[static_cast<std::size_t>(reason)];
}

}  // namespace instar
