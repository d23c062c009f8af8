#pragma once

// What compaction is asked for, and the words for why it waits. Plain values.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace instar {

enum class CompactionMode : std::uint8_t {
  off,       // nothing runs
  upgrade,   // rows of older versions are rewritten
  compress,  // and partitions that are cold are packed into blocks
};

// Which of the partitions that hold older rows comes first.
enum class PickPolicy : std::uint8_t {
  coldest,      // the least disturbance
  hottest,      // the sooner reads need no upgrade
  mostPending,  // the most rows
};

// Why compaction is not working at this moment.
enum class WaitReason : std::uint8_t {
  none,
  rate,            // its bytes per second are used up
  writersWaiting,  // others want to write
  latency,         // commits take longer than their budget
  diskSpace,       // less is free than has to stay free
  quietHours,      // outside the hours in which it may run
  paused,          // by the operator
  backoff,         // after a failure
  circuitOpen,     // failed too often in a row: until the operator resumes it
  standby,         // another process compacts this file
  idle,            // nothing is left to do
  stopped,
  newerRelease,      // a newer release has changed a collection: what is left of it is that one's work
  missingFunctions,  // that the schema of a collection calls: programs that have them do it
  abortedVersion,  // this program's was given up: programs of the current one, or this one opened anew, do it
};

// In words, as part of a sentence: "waits for writers".
std::string_view describe(WaitReason reason) noexcept;

// A part of the day, in minutes since midnight of local time, the end left out. Where the end is not after
// the beginning it is that of the next day; equal ends are the whole day.
struct AllowedHours {
  int fromMinute = 0;  // 0 to 1439
  int toMinute = 0;    // 0 to 1439

  bool contains(int minuteOfDay) const noexcept;
  std::chrono::minutes until(int minuteOfDay) const noexcept;  // its beginning; 0 inside

  friend bool operator==(const AllowedHours&, const AllowedHours&) = default;
};

// "22:00-06:00"; Error(fixInput) where the text is anything else.
AllowedHours parseAllowedHours(std::string_view text);

struct CompactionOptions {
  CompactionMode mode = CompactionMode::off;
  // Bytes a second that may be written, and as many that may be read from the device; 0: no limit.
  std::uint64_t rate = std::uint64_t{4} << 20;
  // After this time under the lock of writers a batch is committed; the sync comes on top. None: 1 ms where
  // rows are upgraded in place, 2 ms where they are packed, as few pages of each commit are blocks then.
  std::optional<std::chrono::microseconds> lockTime = {};
  std::optional<AllowedHours> allowedHours = {};        // none: at any time
  std::uint64_t minFreeDisk = std::uint64_t{64} << 20;  // bytes that stay free; 0: not looked at
  // Of waiting for the lock of writers and committing, on average; 0: not looked at.
  std::chrono::microseconds latencyBudget{0};
  std::chrono::milliseconds mostDeference{1000};  // then it works once, whoever waits
  unsigned maxFailuresInARow = 5;                 // then it stops until it is resumed
  std::chrono::milliseconds backoffMin{100};      // after a failure
  std::chrono::milliseconds backoffMax = std::chrono::minutes(1);
  PickPolicy policy = PickPolicy::coldest;
  double coldBelow = 1.0;  // accesses a second to a partition; one with fewer may be packed
  // At most so many prepare at the same time; as many as get a processor each, and one while there is
  // something to wait for. Functions of schemas are called by all of them.
  unsigned preparingThreads = 1;
  // Keeps what is replaced in the file, as it was stored, until the whole partition has been read back and
  // found sound; after a mismatch it stays (engine/preimages.h). It is written as large as it was.
  bool keepPreimages = false;
  bool lowPriority = true;  // of the thread, for processor and device, where the system has it
};

}  // namespace instar
