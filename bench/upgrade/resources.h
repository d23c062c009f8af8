#pragma once
// What a run takes of the machine: bytes, memory, processor.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include "instar/bench/upgrade/subject.h"

namespace instar::bench {

// On the disk, of all files in the folder.
std::uint64_t bytesOnDisk(const std::filesystem::path& folder);

// Looks at this process and a folder fifty times a second, in a thread of its own, from its making until
// stop(). Then what it has seen can be read. One thread calls it.
class ResourceWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // Figures at the end of a second from `start` on.
  struct Second {
    std::uint64_t migrated = 0;  // rows, so far
    std::uint64_t written = 0;   // bytes, so far
  };

  ResourceWatch(std::filesystem::path folder, const MigrationProgress& progress, Clock::time_point start);
  ResourceWatch(const ResourceWatch&) = delete;
  ResourceWatch& operator=(const ResourceWatch&) = delete;
  ~ResourceWatch() { stop(); }

  // What comes behind belongs to no second any more, only to what was highest.
  void endSeconds();
  void stop();

  const std::vector<Second>& seconds() const noexcept { return seconds_; }
  std::uint64_t highestOnDisk() const noexcept { return highestOnDisk_; }
  std::uint64_t highestMemory() const noexcept { return highestMemory_; }
  // Until endSeconds().
  std::uint64_t written() const noexcept { return seconds_.empty() ? 0 : seconds_.back().written; }

 private:
  void run();
  void look();
  void addSecond();

  const std::filesystem::path folder_;
  const MigrationProgress& progress_;
  const Clock::time_point start_;
  const std::uint64_t writtenBefore_;
  std::atomic<bool> ended_ = false;
  std::mutex mutex_;  // the rest, until the thread has ended
  bool secondsEnded_ = false;
  std::uint64_t highestOnDisk_ = 0;
  std::uint64_t highestMemory_ = 0;
  std::vector<Second> seconds_;
  std::thread thread_;
};

}  // namespace instar::bench
