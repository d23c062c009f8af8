#include "instar/tests/support/fault_io.h"

#include <dlfcn.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <span>
#include <stdexcept>

#include "instar/tests/support/io_parts.h"

namespace instar::testing {
namespace {

std::atomic<const IoRule*> currentRule{nullptr};

IoOutcome outcomeOf(const IoEvent& event) {
  const IoRule* const rule = currentRule.load(std::memory_order_acquire);
  return rule == nullptr ? IoOutcome{} : (*rule)(event);
}

template <class Function>
Function* next(const char* name) noexcept {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// `run` makes the call with so many of its bytes.
template <class Run>
ssize_t apply(const IoEvent& event, Run run) {
  const IoOutcome outcome = outcomeOf(event);
  if (outcome.isShort) return run(event.bytes / 2);
  const ssize_t result = outcome.error == 0 || outcome.isDoneFirst ? run(event.bytes) : 0;
  if (outcome.error == 0) return result;
  errno = outcome.error;
  return -1;
}

}  // namespace

ScopedIoRule::ScopedIoRule(IoRule rule) {
  const IoRule* none = nullptr;
  if (!currentRule.compare_exchange_strong(none, new IoRule(std::move(rule)))) {
    throw std::logic_error("there is a rule already");
  }
}

ScopedIoRule::~ScopedIoRule() { delete currentRule.exchange(nullptr); }

}  // namespace instar::testing

using instar::testing::IoCall;

extern "C" {

ssize_t write(int descriptor, const void* data, size_t size) {
  static auto* const real = instar::testing::next<decltype(write)>("write");
  return instar::testing::apply({IoCall::write, descriptor, -1, size},
                                [&](size_t bytes) { return real(descriptor, data, bytes); });
}

ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  static auto* const real = instar::testing::next<decltype(pwrite)>("pwrite");
  return instar::testing::apply({IoCall::pwrite, descriptor, offset, size},
                                [&](size_t bytes) { return real(descriptor, data, bytes, offset); });
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  static auto* const real = instar::testing::next<decltype(writev)>("writev");
  const std::span<const iovec> all(parts, static_cast<size_t>(count));
  return instar::testing::apply(
      {IoCall::writev, descriptor, -1, instar::testing::bytesIn(all)},
      [&](size_t bytes) { return real(descriptor, instar::testing::firstBytes(all, bytes).data(), count); });
}

ssize_t pwritev(int descriptor, const iovec* parts, int count, off_t offset) {
  static auto* const real = instar::testing::next<decltype(pwritev)>("pwritev");
  const std::span<const iovec> all(parts, static_cast<size_t>(count));
  return instar::testing::apply(
      {IoCall::pwritev, descriptor, offset, instar::testing::bytesIn(all)}, [&](size_t bytes) {
        return real(descriptor, instar::testing::firstBytes(all, bytes).data(), count, offset);
      });
}

int fdatasync(int descriptor) {
  static auto* const real = instar::testing::next<decltype(fdatasync)>("fdatasync");
  return static_cast<int>(instar::testing::apply({IoCall::fdatasync, descriptor, -1, 0},
                                                 [&](size_t) { return real(descriptor); }));
}

int fsync(int descriptor) {
  static auto* const real = instar::testing::next<decltype(fsync)>("fsync");
  return static_cast<int>(
      instar::testing::apply({IoCall::fsync, descriptor, -1, 0}, [&](size_t) { return real(descriptor); }));
}

}  // extern "C"
