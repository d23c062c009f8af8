#pragma once

// The parts that writev() is given. Pure; any thread.

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

namespace instar::testing {

inline std::size_t bytesIn(std::span<const iovec> parts) {
  return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                         [](std::size_t sum, const iovec& part) { return sum + part.iov_len; });
}

inline std::vector<iovec> firstBytes(std::span<const iovec> parts, std::size_t bytes) {
  std::vector<iovec> first;
  for (iovec part : parts) {
    part.iov_len = std::min(part.iov_len, bytes);
    bytes -= part.iov_len;
    first.push_back(part);
  }
  return first;
}

}  // namespace instar::testing
