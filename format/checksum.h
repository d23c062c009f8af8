#pragma once

// The checksums of rows and of cold blocks. XXH3-64 is used as a keyed chain, so that key and value need not
// lie side by side. Of a row:
//
//     seed     = XXH3_64(key, seed = first four bytes of the header as a little-endian number)
//     checksum = low 32 bits of XXH3_64(payload, seed)
//
// Of a block, where the checksum lies between its first eight bytes and the rest:
//
//     seed     = XXH3_64(last key, seed = first eight bytes as a little-endian number)
//     checksum = XXH3_64(the block from byte 16 on, seed)
//
// Pure; any thread.

#include <cstdint>

#include "instar/format/bytes.h"

namespace instar {

std::uint32_t rowChecksum(Bytes key, std::uint32_t headerStart, Bytes payload) noexcept;

std::uint64_t blockChecksum(Bytes lastKey, std::uint64_t headerStart, Bytes rest) noexcept;

// What a row adds to the checksum of many, which is the sum of them modulo 2^64, in whatever order:
// XXH3_64(payload, seed = XXH3_64(key)).
std::uint64_t rowSum(Bytes key, Bytes payload) noexcept;

// Plain XXH3-64, for fingerprints and shares of keys.
std::uint64_t hash64(Bytes bytes, std::uint64_t seed = 0) noexcept;

}  // namespace instar
