#include "instar/engine/internal/compaction/thread_count.h"

namespace instar {
namespace {

constexpr double kOnProcessor = 0.75;
constexpr double kSqueezed = 0.5;

}  // namespace

void ThreadCount::took(std::chrono::nanoseconds processor, std::chrono::nanoseconds passed) noexcept {
  if (passed.count() <= 0) return;
  const double share = static_cast<double>(processor.count()) / static_cast<double>(passed.count());
  if (share >= kOnProcessor && count_ < most_) ++count_;
  if (share < kSqueezed && count_ > 1) --count_;
}

}  // namespace instar
