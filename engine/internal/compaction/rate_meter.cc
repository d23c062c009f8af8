#include "instar/engine/internal/compaction/rate_meter.h"

#include <algorithm>

namespace instar {
std::int64_t RateMeter::secondAt(Clock::time_point now) const {
  return std::chrono::floor<std::chrono::seconds>(now - start_).count();
}

void RateMeter::add(Clock::time_point now, std::uint64_t bytes, std::uint64_t rows) {
  const std::int64_t number = secondAt(now);
  Second& second = seconds_[static_cast<std::size_t>(number % kSeconds)];
  if (second.number != number) second = {.number = number};
  second.bytes += bytes;
  second.rows += rows;
}

RateMeter::Rates RateMeter::rates(Clock::time_point now) const {
  const std::int64_t first = std::max<std::int64_t>(secondAt(now) - kSeconds + 1, 0);
  const std::chrono::duration<double> passed = now - start_ - std::chrono::seconds(first);
  const double seconds = std::max(passed.count(), 1.0);
  Rates rates;
  for (const Second& second : seconds_) {
    if (second.number < first) continue;
    rates.bytesPerSecond += static_cast<double>(second.bytes) / seconds;
    rates.rowsPerSecond += static_cast<double>(second.rows) / seconds;
  }
  return rates;
}

}  // namespace instar
