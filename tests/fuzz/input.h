#pragma once

// What the fuzzers share: the promise that is kept, or the program ends.

#include <cstdio>
#include <cstdlib>

#include "instar/format/bytes.h"

namespace instar::fuzz {

// Ends the program, which is how libFuzzer learns that an input breaks a promise.
inline void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", promise);
  std::abort();
}

inline Bytes inputBytes(const std::uint8_t* data, std::size_t size) {
  return std::as_bytes(std::span(data, size));
}

}  // namespace instar::fuzz
