#include "instar/bench/upgrade/resources.h"

#include <sys/stat.h>

#include <algorithm>
#include <system_error>

#include "instar/bench/process_account.h"

namespace instar::bench {
namespace {

constexpr std::chrono::milliseconds kLookEvery{20};
constexpr std::uint64_t kBlockBytes = 512;  // that st_blocks counts

}  // namespace

std::uint64_t bytesOnDisk(const std::filesystem::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code gone;  // files may go while they are looked at
  for (std::filesystem::recursive_directory_iterator entry(folder, gone), end; !gone && entry != end;
       entry.increment(gone)) {
    struct stat status {};
    if (::lstat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
      bytes += static_cast<std::uint64_t>(status.st_blocks) * kBlockBytes;
  }
  return bytes;
}

ResourceWatch::ResourceWatch(std::filesystem::path folder, const MigrationProgress& progress,
                             Clock::time_point start)
    : folder_(std::move(folder)),
      progress_(progress),
      start_(start),
      writtenBefore_(bytesWritten()),
      thread_([this] { run(); }) {}

void ResourceWatch::endSeconds() {
  const std::lock_guard lock(mutex_);
  addSecond();
  secondsEnded_ = true;
}

void ResourceWatch::stop() {
  ended_ = true;
  if (!thread_.joinable()) return;
  thread_.join();
  look();
  if (!secondsEnded_) endSeconds();
}

void ResourceWatch::look() {
  highestOnDisk_ = std::max(highestOnDisk_, bytesOnDisk(folder_));
  highestMemory_ = std::max(highestMemory_, ownMemory());
}

void ResourceWatch::addSecond() {
  seconds_.push_back({.migrated = progress_.rows, .written = bytesWritten() - writtenBefore_});
}

void ResourceWatch::run() {
  auto nextSecond = start_ + std::chrono::seconds(1);
  for (auto next = start_; !ended_; std::this_thread::sleep_until(next += kLookEvery)) {
    const std::lock_guard lock(mutex_);
    look();
    for (; !secondsEnded_ && Clock::now() >= nextSecond; nextSecond += std::chrono::seconds(1)) addSecond();
  }
}

}  // namespace instar::bench
