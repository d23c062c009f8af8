#pragma once

// Memory that lives as long as a batch, and is used again by the next one. One thread.

#include <cstring>
#include <memory>
#include <vector>

#include "instar/format/bytes.h"

namespace instar {

class Arena {
 public:
  Bytes copy(Bytes bytes) {
    if (bytes.empty()) return {};
    const std::span<std::byte> place = allocate(bytes.size());
    std::memcpy(place.data(), bytes.data(), bytes.size());
    return place;
  }

  void clear() noexcept {
    large_.clear();
    chunk_ = 0;
    used_ = 0;
  }

 private:
  static constexpr std::size_t kChunk = std::size_t{256} << 10;

  std::span<std::byte> allocate(std::size_t size) {
    const std::size_t aligned = (size + 7) / 8 * 8;
    if (aligned > kChunk / 4) {
      large_.push_back(std::make_unique_for_overwrite<std::byte[]>(aligned));
      return {large_.back().get(), size};
    }
    if (used_ + aligned > kChunk || chunks_.empty()) {
      if (!chunks_.empty()) ++chunk_;
      if (chunk_ == chunks_.size()) chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(kChunk));
      used_ = 0;
    }
    std::byte* const place = chunks_[chunk_].get() + used_;
    used_ += aligned;
    return {place, size};
  }

  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::vector<std::unique_ptr<std::byte[]>> large_;
  std::size_t chunk_ = 0;  // that is being filled
  std::size_t used_ = 0;   // bytes of it
};

}  // namespace instar
