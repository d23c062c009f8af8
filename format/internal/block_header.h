#pragma once

// The fixed part of a cold block's header (cold_block.h), as it lies in the file.

#include <cstddef>
#include <cstdint>

#include "instar/format/cold_block.h"

namespace instar {

struct BlockHeaderBytes {
  std::uint8_t format = kBlockFormat;
  std::uint8_t sections = 0;
  std::uint16_t version = 0;
  std::uint32_t dictionary = 0;
  std::uint64_t checksum = 0;
  std::uint64_t number = 0;
};
static_assert(sizeof(BlockHeaderBytes) == kBlockHeaderLength);
static_assert(offsetof(BlockHeaderBytes, version) == 2 && offsetof(BlockHeaderBytes, dictionary) == 4);
static_assert(offsetof(BlockHeaderBytes, checksum) == 8 && offsetof(BlockHeaderBytes, number) == 16);

// What the checksum covers, beside the last key: the eight bytes before it and all that follow it.
inline constexpr std::size_t kChecksumOffset = 8;
inline constexpr std::size_t kChecksummedOffset = 16;

// In an unpacked section: a row's places in the three columns of lengths.
inline constexpr std::size_t kRowLengthsLength = sizeof(std::uint32_t) + 2 * sizeof(std::uint16_t);

}  // namespace instar
