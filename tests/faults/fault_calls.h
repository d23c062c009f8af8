#pragma once

// Makes the n-th call of a kind fail in this process, also those inside liblmdb and the other libraries: the
// calls of fault_calls.cc stand before libc's, count, and ask libfiu whether to fail, each at a point named
// as libfiu's own preload library names it ("posix/io/rw/pwrite"); that one knows neither writev's number,
// nor fdatasync, nor which error it is to be.
//
// Arm and disarm on one thread; the calls may come from all. Calls on standard input, output and error are
// left alone. Not to be built with a sanitizer, which stands in the same places.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace instar::testing {

enum class FaultCall : std::uint8_t {
  write,
  pwrite,
  writev,
  fdatasync,
  fsync,
  open,
  mmap,
  ftruncate,
  rename,
  fallocate,
  read,
  pread,
  unlink,
  allocate,  // malloc, calloc, realloc, posix_memalign, aligned_alloc; so each operator new
};
inline constexpr std::size_t kFaultCalls = 14;

inline constexpr int kShortWrite = 0;       // in place of an errno: half of the bytes, and no error
inline constexpr int kSuccessWithout = -1;  // likewise: nothing is done, and success is reported

struct Fault {
  FaultCall call = FaultCall::write;
  int error = 0;             // errno
  std::uint64_t number = 1;  // of the call, from 1
  // All calls from this one on, too. Of EINTR so many that no correct loop gives up: a call that is
  // interrupted for ever may be repeated for ever.
  bool isLasting = false;
};

// "pwrite:EIO:3", lasting "pwrite:EIO:3+"; several with commas between. parse throws std::invalid_argument.
std::string_view nameOf(FaultCall call);
std::string nameOfError(int error);
std::string describe(std::span<const Fault> faults);
std::vector<Fault> parseFaults(std::string_view text);

// Counts from 0 again, from here on; `faults` may be empty. At most 4.
void armFaults(std::span<const Fault> faults);
void disarmFaults();  // nothing fails or counts any more; what was counted stays

std::uint64_t callsOf(FaultCall call);
bool wasHit(std::size_t fault);  // of those that were armed

// Whether a write of LMDB's meta page has failed, with which a commit begins to be there: the only call whose
// failure may leave it unknown whether that is stored. Since arming, or since it was forgotten.
bool hasCommitPageFailed();
void forgetCommitPage();

}  // namespace instar::testing
