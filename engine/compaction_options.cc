#include "instar/engine/compaction_options.h"

#include <string>

#include "instar/format/error.h"

namespace instar {
namespace {

constexpr int kMinutesPerDay = 24 * 60;

// Minutes since midnight of "hh:mm"; -1 where it is not a time of day.
int minuteOf(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return -1;
  int digits[4];
  for (int i = 0; const std::size_t at : {0U, 1U, 3U, 4U}) {
    if (text[at] < '0' || text[at] > '9') return -1;
    digits[i++] = text[at] - '0';
  }
  const int hour = digits[0] * 10 + digits[1];
  const int minute = digits[2] * 10 + digits[3];
  return hour < 24 && minute < 60 ? hour * 60 + minute : -1;
}

// From one minute of a day to the next time that it is another.
int minutesBetween(int from, int to) {
  return ((to - from) % kMinutesPerDay + kMinutesPerDay) % kMinutesPerDay;
}

}  // namespace

std::string_view describe(WaitReason reason) noexcept {
  switch (reason) {
    case WaitReason::none:
      return "works";
    case WaitReason::rate:
      return "waits for its rate";
    case WaitReason::writersWaiting:
      return "waits for writers";
    case WaitReason::latency:
      return "waits because reads or commits are slow";
    case WaitReason::diskSpace:
      return "waits for free disk space";
    case WaitReason::quietHours:
      return "waits for its hours of the day";
    case WaitReason::paused:
      return "is paused";
    case WaitReason::backoff:
      return "waits after a failure";
    case WaitReason::circuitOpen:
      return "has stopped after too many failures; resume it once their cause is gone";
    case WaitReason::standby:
      return "stands by: another process compacts this file";
    case WaitReason::idle:
      return "has nothing to do";
    case WaitReason::stopped:
      return "is stopped";
    case WaitReason::newerRelease:
      return "leaves the rest to a newer release of the program";
    case WaitReason::missingFunctions:
      return "leaves the rest to programs that have the functions of its schemas";
    case WaitReason::abortedVersion:
      return "leaves the rest to programs of the current version: that of this one was aborted";
  }
  return "unknown";
}

bool AllowedHours::contains(int minuteOfDay) const noexcept {
  const int length = minutesBetween(fromMinute, toMinute);
  return length == 0 || minutesBetween(fromMinute, minuteOfDay) < length;
}

std::chrono::minutes AllowedHours::until(int minuteOfDay) const noexcept {
  return std::chrono::minutes(contains(minuteOfDay) ? 0 : minutesBetween(minuteOfDay, fromMinute));
}

AllowedHours parseAllowedHours(std::string_view text) {
  AllowedHours hours{-1, -1};
  if (text.size() == 11 && text[5] == '-') hours = {minuteOf(text.substr(0, 5)), minuteOf(text.substr(6))};
  if (hours.fromMinute < 0 || hours.toMinute < 0) {
    throw Error(ErrorCode::fixInput, "not a part of the day: write it as 22:00-06:00",
                {{"hours", std::string(text)}});
  }
  return hours;
}

}  // namespace instar
