#include "instar/engine/internal/compaction/rate_meter.h"

#include <algorithm>
#include <cmath>

namespace instar {
namespace {

constexpr double kLongestSeconds = 1e9;  // some 30 years: beyond that it is only a number

}  // namespace

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

std::optional<std::chrono::seconds> RateMeter::timeLeft(Clock::time_point now, std::uint64_t rowsLeft) const {
  const double pace = rates(now).rowsPerSecond;
  if (pace == 0) return std::nullopt;
  const double seconds = std::min(static_cast<double>(rowsLeft) / pace, kLongestSeconds);
  return std::chrono::seconds(static_cast<std::int64_t>(std::ceil(seconds)));
}

}  // namespace instar
