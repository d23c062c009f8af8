#pragma once

// What the kernel has accounted to the thread that made this object: the bytes that it handed to write calls
// (wchar in /proc/thread-self/io) and those that were read from the device for it, by page faults too
// (read_bytes). Not its write_bytes: these count the whole folio that a page lies in, which for a file that
// was written in large pieces is up to 130 times what goes to the device (measured: Linux 6.18, ext4).
// One thread.

#include <cstdint>
#include <optional>

namespace instar {

struct IoBytes {
  std::uint64_t written = 0;
  std::uint64_t read = 0;  // from the device
};

class IoAccount {
 public:
  IoAccount() noexcept;
  ~IoAccount();
  IoAccount(const IoAccount&) = delete;
  IoAccount& operator=(const IoAccount&) = delete;

  // Since this object was made; 0 where the kernel did not say then, and what it said last where it does not
  // say now.
  IoBytes total() const noexcept;
  // Since this was called last.
  IoBytes take() noexcept;

 private:
  std::optional<IoBytes> look() const noexcept;

  const int file_;  // -1: there is no account
  const std::optional<IoBytes> start_;
  IoBytes taken_;  // of total()
};

}  // namespace instar
