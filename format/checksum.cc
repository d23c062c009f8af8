#include "instar/format/checksum.h"

#define XXH_INLINE_ALL  // one call on the read path, inlined for short inputs
#include <xxhash.h>

namespace instar {

std::uint32_t rowChecksum(Bytes key, std::uint32_t headerStart, Bytes payload) noexcept {
  const XXH64_hash_t seed = XXH3_64bits_withSeed(key.data(), key.size(), headerStart);
  return static_cast<std::uint32_t>(XXH3_64bits_withSeed(payload.data(), payload.size(), seed));
}

std::uint64_t blockChecksum(Bytes lastKey, std::uint64_t headerStart, Bytes rest) noexcept {
  return XXH3_64bits_withSeed(rest.data(), rest.size(),
                              XXH3_64bits_withSeed(lastKey.data(), lastKey.size(), headerStart));
}

std::uint64_t rowSum(Bytes key, Bytes payload) noexcept {
  return XXH3_64bits_withSeed(payload.data(), payload.size(), XXH3_64bits(key.data(), key.size()));
}

std::uint64_t hash64(Bytes bytes, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace instar
