#define FIU_ENABLE
#include "instar/tests/faults/fault_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fiu-control.h>
#include <fiu.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "instar/tests/support/io_parts.h"

namespace instar::testing {
namespace {

struct CallName {
  std::string_view name;
  const char* point;
};
constexpr std::array<CallName, kFaultCalls> kCalls{{
    {"write", "posix/io/rw/write"},
    {"pwrite", "posix/io/rw/pwrite"},
    {"writev", "posix/io/rw/writev"},
    {"fdatasync", "posix/io/sync/fdatasync"},
    {"fsync", "posix/io/sync/fsync"},
    {"open", "posix/io/oc/open"},
    {"mmap", "posix/mm/mmap"},
    {"ftruncate", "posix/io/rw/ftruncate"},
    {"rename", "posix/io/dir/rename"},
    {"fallocate", "linux/io/fallocate"},
    {"read", "posix/io/rw/read"},
    {"pread", "posix/io/rw/pread"},
    {"unlink", "posix/io/dir/unlink"},
    {"allocate", "libc/mm/malloc"},
}};

struct ErrorName {
  int error;
  std::string_view name;
};
constexpr ErrorName kErrors[] = {{kShortWrite, "short"}, {kSuccessWithout, "lie"}, {EIO, "EIO"},
                                 {ENOSPC, "ENOSPC"},     {EINTR, "EINTR"},         {ENOMEM, "ENOMEM"},
                                 {EMFILE, "EMFILE"},     {EINVAL, "EINVAL"}};

constexpr std::size_t kMostFaults = 4;
constexpr std::uint64_t kLastingInterruptions = 20;

std::array<Fault, kMostFaults> armed;
std::atomic<std::size_t> armedCount{0};
std::array<std::atomic<bool>, kMostFaults> hits;
std::array<std::atomic<std::uint64_t>, kFaultCalls> counts;
std::atomic<bool> isArmed{false};
std::atomic<bool> commitPageFailed{false};
thread_local std::uint64_t numberOfThisCall = 0;

bool applies(const Fault& fault, FaultCall call, std::uint64_t number) {
  if (fault.call != call || number < fault.number) return false;
  if (!fault.isLasting) return number == fault.number;
  return fault.error != EINTR || number < fault.number + kLastingInterruptions;
}

// What libfiu asks at a point that is armed.
int decide(const char* point, int*, void** information, unsigned*) {
  const auto call = std::ranges::find_if(
      kCalls, [&](const CallName& known) { return std::string_view(known.point) == point; });
  for (std::size_t i = 0; i < armedCount; ++i) {
    if (!applies(armed[i], static_cast<FaultCall>(call - kCalls.begin()), numberOfThisCall)) continue;
    hits[i] = true;
    *information = reinterpret_cast<void*>(static_cast<std::intptr_t>(armed[i].error));
    return 1;
  }
  return 0;
}

struct Verdict {
  bool fails = false;
  int error = 0;
};

Verdict judge(FaultCall call) {
  if (!isArmed.load(std::memory_order_acquire)) return {};
  numberOfThisCall = counts[static_cast<std::size_t>(call)].fetch_add(1) + 1;
  if (fiu_fail(kCalls[static_cast<std::size_t>(call)].point) == 0) return {};
  return {true, static_cast<int>(reinterpret_cast<std::intptr_t>(fiu_failinfo()))};
}

template <class Function>
Function* next(const char* name) noexcept {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// A call that has no bytes.
template <class Result, class Run>
Result run(FaultCall call, Result failure, Run&& real) {
  const Verdict verdict = judge(call);
  if (!verdict.fails || verdict.error == kShortWrite) return real();
  if (verdict.error == kSuccessWithout) return Result{};
  errno = verdict.error;
  return failure;
}

// LMDB's two meta pages are the first ones of its file, and it writes a part of one; of other pages all.
bool isCommitPage(std::size_t bytes, off_t offset) {
  constexpr off_t kPage = 4096;
  return offset > 0 && offset < 2 * kPage && bytes < kPage;
}

// `real` makes the call with so many of its bytes.
template <class Run>
ssize_t runWithBytes(FaultCall call, int descriptor, std::size_t bytes, Run&& real, off_t offset = 0) {
  if (descriptor <= STDERR_FILENO) return real(bytes);
  const Verdict verdict = judge(call);
  if (!verdict.fails) return real(bytes);
  // One that is interrupted is made again.
  if (call == FaultCall::pwrite && verdict.error != EINTR && isCommitPage(bytes, offset))
    commitPageFailed = true;
  if (verdict.error == kShortWrite) return real(bytes > 1 ? bytes / 2 : bytes);
  if (verdict.error == kSuccessWithout) return static_cast<ssize_t>(bytes);
  errno = verdict.error;
  return -1;
}

template <class Value>
Value require(std::string_view text, bool isFound, Value value) {
  if (!isFound) throw std::invalid_argument("this is no fault: " + std::string(text));
  return value;
}

Fault parseFault(std::string_view text) {
  const std::size_t first = text.find(':');
  const std::size_t second = text.find(':', first == std::string_view::npos ? first : first + 1);
  require(text, second != std::string_view::npos, 0);
  const auto call = std::ranges::find(kCalls, text.substr(0, first), &CallName::name);
  const auto error = std::ranges::find(kErrors, text.substr(first + 1, second - first - 1), &ErrorName::name);
  require(text, call != kCalls.end() && error != std::end(kErrors), 0);
  std::string_view number = text.substr(second + 1);
  Fault fault{static_cast<FaultCall>(call - kCalls.begin()), error->error, 0, number.ends_with('+')};
  if (fault.isLasting) number.remove_suffix(1);
  const auto read = std::from_chars(number.data(), number.data() + number.size(), fault.number);
  return require(text, read.ec == std::errc() && fault.number > 0, fault);
}

}  // namespace

std::string_view nameOf(FaultCall call) { return kCalls[static_cast<std::size_t>(call)].name; }

std::string nameOfError(int error) {
  const auto known = std::ranges::find(kErrors, error, &ErrorName::error);
  return known == std::end(kErrors) ? std::to_string(error) : std::string(known->name);
}

std::string describe(std::span<const Fault> faults) {
  std::string text;
  for (const Fault& fault : faults) {
    if (!text.empty()) text += ',';
    text.append(nameOf(fault.call)).append(":").append(nameOfError(fault.error)).append(":");
    text.append(std::to_string(fault.number)).append(fault.isLasting ? "+" : "");
  }
  return text;
}

std::vector<Fault> parseFaults(std::string_view text) {
  std::vector<Fault> faults;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    faults.push_back(parseFault(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return faults;
}

void armFaults(std::span<const Fault> faults) {
  if (faults.size() > kMostFaults) throw std::invalid_argument("too many faults at a time");
  fiu_init(0);
  disarmFaults();
  std::ranges::copy(faults, armed.begin());
  for (auto& hit : hits) hit = false;
  for (auto& count : counts) count = 0;
  commitPageFailed = false;
  armedCount = faults.size();
  for (const Fault& fault : faults)
    fiu_enable_external(kCalls[static_cast<std::size_t>(fault.call)].point, 1, nullptr, 0, decide);
  isArmed.store(true, std::memory_order_release);
}

void disarmFaults() {
  isArmed.store(false, std::memory_order_release);
  for (std::size_t i = 0; i < armedCount; ++i)
    fiu_disable(kCalls[static_cast<std::size_t>(armed[i].call)].point);
}

std::uint64_t callsOf(FaultCall call) { return counts[static_cast<std::size_t>(call)]; }
bool wasHit(std::size_t fault) { return hits[fault]; }
bool hasCommitPageFailed() { return commitPageFailed; }
void forgetCommitPage() { commitPageFailed = false; }

}  // namespace instar::testing

using instar::testing::FaultCall;
using instar::testing::next;
using instar::testing::run;
using instar::testing::runWithBytes;

extern "C" {

ssize_t write(int descriptor, const void* data, size_t size) {
  static auto* const real = next<decltype(write)>("write");
  return runWithBytes(FaultCall::write, descriptor, size,
                      [&](size_t bytes) { return real(descriptor, data, bytes); });
}

ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  static auto* const real = next<decltype(pwrite)>("pwrite");
  return runWithBytes(
      FaultCall::pwrite, descriptor, size,
      [&](size_t bytes) { return real(descriptor, data, bytes, offset); }, offset);
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  static auto* const real = next<decltype(writev)>("writev");
  const std::span<const iovec> all(parts, static_cast<size_t>(count));
  const size_t size = instar::testing::bytesIn(all);
  return runWithBytes(FaultCall::writev, descriptor, size, [&](size_t bytes) {
    if (bytes == size) return real(descriptor, parts, count);
    return real(descriptor, instar::testing::firstBytes(all, bytes).data(), count);
  });
}

ssize_t read(int descriptor, void* data, size_t size) {
  static auto* const real = next<decltype(read)>("read");
  return runWithBytes(FaultCall::read, descriptor, size,
                      [&](size_t bytes) { return real(descriptor, data, bytes); });
}

ssize_t pread(int descriptor, void* data, size_t size, off_t offset) {
  static auto* const real = next<decltype(pread)>("pread");
  return runWithBytes(FaultCall::pread, descriptor, size,
                      [&](size_t bytes) { return real(descriptor, data, bytes, offset); });
}

int fdatasync(int descriptor) {
  static auto* const real = next<decltype(fdatasync)>("fdatasync");
  return run(FaultCall::fdatasync, -1, [&] { return real(descriptor); });
}

int fsync(int descriptor) {
  static auto* const real = next<decltype(fsync)>("fsync");
  return run(FaultCall::fsync, -1, [&] { return real(descriptor); });
}

int open(const char* path, int flags, ...) {
  static auto* const real = next<int(const char*, int, mode_t)>("open");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return run(FaultCall::open, -1, [&] { return real(path, flags, mode); });
}

void* mmap(void* address, size_t size, int protection, int flags, int descriptor, off_t offset) noexcept {
  static auto* const real = next<void*(void*, size_t, int, int, int, off_t)>("mmap");
  return run(FaultCall::mmap, MAP_FAILED,
             [&] { return real(address, size, protection, flags, descriptor, offset); });
}

int ftruncate(int descriptor, off_t size) noexcept {
  static auto* const real = next<int(int, off_t)>("ftruncate");
  return run(FaultCall::ftruncate, -1, [&] { return real(descriptor, size); });
}

int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  static auto* const real = next<int(int, int, off_t, off_t)>("fallocate");
  return run(FaultCall::fallocate, -1, [&] { return real(descriptor, mode, offset, size); });
}

int rename(const char* from, const char* to) noexcept {
  static auto* const real = next<int(const char*, const char*)>("rename");
  return run(FaultCall::rename, -1, [&] { return real(from, to); });
}

int renameat2(int fromFolder, const char* from, int toFolder, const char* to, unsigned flags) noexcept {
  static auto* const real = next<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return run(FaultCall::rename, -1, [&] { return real(fromFolder, from, toFolder, to, flags); });
}

int unlink(const char* path) noexcept {
  static auto* const real = next<int(const char*)>("unlink");
  return run(FaultCall::unlink, -1, [&] { return real(path); });
}

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) noexcept {
  return run(FaultCall::allocate, static_cast<void*>(nullptr), [&] { return __libc_malloc(size); });
}

void* calloc(size_t count, size_t size) noexcept {
  return run(FaultCall::allocate, static_cast<void*>(nullptr), [&] { return __libc_calloc(count, size); });
}

void* realloc(void* block, size_t size) noexcept {
  return run(FaultCall::allocate, static_cast<void*>(nullptr), [&] { return __libc_realloc(block, size); });
}

int posix_memalign(void** block, size_t alignment, size_t size) noexcept {
  void* const found =
      run(FaultCall::allocate, static_cast<void*>(nullptr), [&] { return __libc_memalign(alignment, size); });
  if (found == nullptr) return ENOMEM;
  *block = found;
  return 0;
}

// What operator new calls for types that are aligned more than others.
void* aligned_alloc(size_t alignment, size_t size) noexcept {
  return run(FaultCall::allocate, static_cast<void*>(nullptr),
             [&] { return __libc_memalign(alignment, size); });
}

}  // extern "C"
