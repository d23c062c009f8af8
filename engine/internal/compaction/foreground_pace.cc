#include "instar/engine/internal/compaction/foreground_pace.h"

#include <algorithm>
#include <thread>

namespace instar {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::nanoseconds kLongestSleep = std::chrono::milliseconds(50);

CompactionOptions rateAlone(std::uint64_t rate) { return {.rate = rate, .minFreeDisk = 0}; }

}  // namespace

ForegroundPace::ForegroundPace(std::uint64_t rate) : pacer_(rateAlone(rate), Clock::now(), 0) {}

void ForegroundPace::settle(const Done& done, const std::function<void()>& waiting) {
  const IoBytes spent = account_.take();
  // At least what was stored, where the kernel accounts nothing.
  pacer_.spent(Clock::now(), std::max(spent.written, done.stored), spent.read + done.readElsewhere);
  while (true) {
    const Answer answer = pacer_.ask(Clock::now(), {});
    if (answer.go) return;
    std::this_thread::sleep_for(std::min(answer.wait, kLongestSleep));
    waiting();
  }
}

std::chrono::microseconds ForegroundPace::waited() const noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(pacer_.waited(WaitReason::rate));
}

}  // namespace instar
