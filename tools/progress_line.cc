#include "instar/tools/progress_line.h"

#include <ctime>

namespace instar::tools {
namespace {

constexpr std::chrono::milliseconds kRedrawn(200);

}  // namespace

void ProgressLine::update(std::uint64_t done, std::uint64_t total) {
  if (!messages_.areSeen()) return;
  const auto now = clock_();
  if (now - start_ < kRedrawn || now - last_ < kRedrawn) return;
  last_ = now;
  const std::chrono::duration<double> taken = now - start_;
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(done) / taken.count());
  std::string text = grouped(done);
  if (total != 0) text += " of " + grouped(total);
  messages_.showPassing(text + ' ' + unit_ + ", " + grouped(rate) + " per second");
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string printDuration(std::uint64_t seconds) {
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  return grouped(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
}

std::string counted(std::uint64_t number, std::string_view singular) {
  return grouped(number) + ' ' + std::string(singular) + (number == 1 ? "" : "s");
}

std::string printTime(std::int64_t nanoseconds) {
  const std::time_t seconds = static_cast<std::time_t>(nanoseconds / 1'000'000'000);
  std::tm utc{};
  char text[32];
  if (gmtime_r(&seconds, &utc) == nullptr ||
      std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
    return std::to_string(nanoseconds);
  }
  return text;
}

}  // namespace instar::tools
