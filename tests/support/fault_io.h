#pragma once

// Makes chosen system calls of this process fail, also those inside liblmdb: link fault_io.cc into the test
// executable, whose write, pwrite, writev, pwritev, fdatasync and fsync then stand before libc's. Any thread.

#include <sys/types.h>

#include <cstddef>
#include <functional>

namespace instar::testing {

enum class IoCall { write, pwrite, writev, pwritev, fdatasync, fsync };

struct IoEvent {
  IoCall call;
  int descriptor;
  off_t offset;       // of a pwrite or pwritev, otherwise -1
  std::size_t bytes;  // 0 for a sync
};

// What becomes of a call.
struct IoOutcome {
  int error = 0;             // errno; 0 lets it pass
  bool isDoneFirst = false;  // the call takes effect, and then reports the error
  bool isShort = false;      // half of the bytes are written, without an error
};

using IoRule = std::function<IoOutcome(const IoEvent&)>;

// The rule is asked for every call, from the thread that makes it, until this object is gone. One at a time.
class ScopedIoRule {
 public:
  explicit ScopedIoRule(IoRule rule);
  ScopedIoRule(const ScopedIoRule&) = delete;
  ScopedIoRule& operator=(const ScopedIoRule&) = delete;
  ~ScopedIoRule();
};

}  // namespace instar::testing
