#pragma once

// Where a key lies among the keys that a version can be tried on: the same for whoever asks, so that a share
// of them is the same keys in every program. Any thread.

#include <cstdint>
#include <string_view>

#include "instar/format/bytes.h"
#include "instar/format/checksum.h"

namespace instar {

class KeyShare {
 public:
  KeyShare(std::string_view collection, std::uint16_t version) noexcept
      : seed_(hash64(asBytes(collection), version)) {}

  // 0 to below 100: the upper 53 bits of the hash, which a double can hold.
  double of(Bytes key) const noexcept {
    return static_cast<double>(hash64(key, seed_) >> 11) * (100.0 / 9007199254740992.0);
  }

 private:
  std::uint64_t seed_;
};

}  // namespace instar
