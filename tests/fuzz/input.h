#pragma once

// Arbitrary bytes, and the choices that a fuzzer makes by them. Where they have come to their end every
// choice is the first one, so that any bytes are a whole input. One thread.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "instar/format/bytes.h"

namespace instar::fuzz {

// An input has broken a promise. Nothing that a fuzzer looks at throws or catches it, so libFuzzer's program
// ends, and the test over the corpora fails.
class BrokenPromise : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

inline void require(bool holds, const char* promise) {
  if (!holds) throw BrokenPromise(promise);
}

class Input {
 public:
  explicit Input(Bytes bytes) noexcept : rest_(bytes) {}

  std::size_t left() const noexcept { return rest_.size(); }
  Bytes rest() const noexcept { return rest_; }

  Bytes take(std::size_t length) noexcept {  // as much of it as there is
    const Bytes taken = rest_.first(std::min(length, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  std::uint8_t byte() noexcept {
    const Bytes taken = take(1);
    return taken.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(taken.front());
  }
  std::uint64_t number(std::size_t width) noexcept {  // of bytes, 8 at most
    std::uint64_t value = 0;
    const Bytes taken = take(width);
    std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  // Less than `count`, which is 65,536 at most.
  std::size_t below(std::size_t count) noexcept {
    if (count < 2) return 0;
    return static_cast<std::size_t>(count <= 256 ? byte() : number(2)) % count;
  }
  bool chance() noexcept { return (byte() & 1) != 0; }
  std::string text(std::size_t most) { return std::string(asText(take(below(most + 1)))); }

 private:
  Bytes rest_;
};

}  // namespace instar::fuzz
