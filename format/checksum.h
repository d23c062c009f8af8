#pragma once

// The checksum of a row. XXH3-64 is used as a keyed chain, so that key, header and payload need not lie side
// by side:
//
//     seed     = XXH3_64(key, seed = first four bytes of the header as a little-endian number)
//     checksum = low 32 bits of XXH3_64(payload, seed)
//
// Pure; any thread.

#include <cstdint>

#include "instar/format/bytes.h"

namespace instar {

std::uint32_t rowChecksum(Bytes key, std::uint32_t headerStart, Bytes payload) noexcept;

// Plain XXH3-64, for fingerprints.
std::uint64_t hash64(Bytes bytes) noexcept;

}  // namespace instar
