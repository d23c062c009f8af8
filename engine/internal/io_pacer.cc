#include "instar/engine/internal/io_pacer.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

namespace instar {
namespace {

constexpr double kBucketSeconds = 0.1;

// Bytes that the calling thread has written; 0 where the kernel does not say.
std::uint64_t writtenByThread() {
  std::ifstream account("/proc/thread-self/io");
  std::string name;
  for (std::uint64_t value = 0; account >> name >> value;) {
    if (name == "wchar:") return value;
  }
  return 0;
}

}  // namespace

IoPacer::IoPacer(std::uint64_t rate)
    : rate_(static_cast<double>(rate)),
      start_(writtenByThread()),
      accounted_(start_),
      tokens_(rate_ * kBucketSeconds),
      filled_(Clock::now()) {}

std::uint64_t IoPacer::bytesWritten() const { return writtenByThread() - start_; }

void IoPacer::refill() {
  const auto now = Clock::now();
  tokens_ += rate_ * std::chrono::duration<double>(now - filled_).count();
  tokens_ = std::min(tokens_, rate_ * kBucketSeconds);
  filled_ = now;
}

void IoPacer::settle(std::uint64_t atLeast, const std::function<void()>& look) {
  look();
  if (rate_ == 0) return;
  const std::uint64_t accounted = writtenByThread();
  tokens_ -= static_cast<double>(std::max(accounted - accounted_, atLeast));
  accounted_ = accounted;
  refill();
  while (tokens_ < 0) {
    constexpr std::chrono::duration<double> kLongest(0.05);
    const auto before = Clock::now();
    std::this_thread::sleep_for(std::min(kLongest, std::chrono::duration<double>(-tokens_ / rate_)));
    waited_ += Clock::now() - before;
    look();
    refill();
  }
}

}  // namespace instar
