#include "instar/tools/memory_bound.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace instar::tools {
namespace {

#if defined(INSTAR_SANITIZES_ADDRESSES) || defined(INSTAR_SANITIZES_THREADS)
constexpr bool kIsSanitized = true;  // which takes the address space for itself
#else
constexpr bool kIsSanitized = false;
#endif

// In bytes, as Linux says it of this process; 0 where it does not.
std::uint64_t addressSpace(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == name && status >> kibibytes) return kibibytes << 10;
  }
  return 0;
}

}  // namespace

MemoryBound::MemoryBound(std::size_t bytes) {
  const std::uint64_t now = kIsSanitized ? 0 : addressSpace("VmSize:");
  rlimit before{};
  if (now == 0 || ::getrlimit(RLIMIT_AS, &before) != 0) return;
  // What is refused may have been three quarters of all: memory that grows is asked for by its double.
  suspicious_ = std::max(addressSpace("VmPeak:"), now + bytes / 4);
  rlimit bounded = before;
  bounded.rlim_cur = std::min<rlim_t>(before.rlim_cur, now + bytes);
  if (::setrlimit(RLIMIT_AS, &bounded) == 0) before_ = before;
}

MemoryBound::~MemoryBound() {
  if (before_) ::setrlimit(RLIMIT_AS, &*before_);
}

bool MemoryBound::wasReached() const { return before_ && addressSpace("VmPeak:") > suspicious_; }

}  // namespace instar::tools
