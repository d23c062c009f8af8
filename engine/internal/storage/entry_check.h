#pragma once

// Whether an entry that LMDB found can be read at all. LMDB believes what a node says about its lengths, so
// that one flipped bit makes an entry reach into other pages, or beyond the end of the file, where reading
// ends in a signal. Looks at where the bytes lie, and at the first bytes of a large value's pages; what is in
// them is for the checksum to judge. Any thread.
//
// The pages of a snapshot lie in the map, each at a multiple of the page size. A write transaction's own lie
// anywhere: of those only the lengths are looked at.

#include <cstdint>
#include <cstring>

#include "instar/engine/internal/storage/storage_checks.h"

namespace instar::storage {

class EntryCheck {
 public:
  // Of lengths only.
  EntryCheck() = default;
  // `pageSize` in bytes, a power of two that the map is aligned to.
  explicit EntryCheck(std::uintptr_t pageSize) noexcept : pageSize_(pageSize) {}

  bool isReadable(Bytes key, Bytes value) const noexcept {
    if (key.size() - 1 >= kMaxKeyLength) return false;
    if (pageSize_ != 0 && offset(key) + key.size() > pageSize_) return false;
    return isReadable(value);
  }

  bool isReadable(Bytes value) const noexcept {
    if (pageSize_ == 0) return value.size() <= kMaxValueLength;
    const std::uintptr_t start = offset(value);
    if (start == kPageHeader) [[unlikely]]
      return value.size() + kPageHeader <= pagesOf(value) * std::uint64_t{pageSize_};
    return start + value.size() <= pageSize_;
  }

  // Asks the processor for what isReadable() reads of a large value.
  void prefetch(Bytes value) const noexcept {
    if (pageSize_ != 0 && offset(value) == kPageHeader) __builtin_prefetch(value.data() - kPageHeader);
  }

 private:
  static constexpr std::uintptr_t kPageHeader = 16;  // no entry of a leaf page begins so early

  std::uintptr_t offset(Bytes bytes) const noexcept {
    return reinterpret_cast<std::uintptr_t>(bytes.data()) & (pageSize_ - 1);
  }

  // The header of the first page of a large value ends with the number of its pages.
  static std::uint32_t pagesOf(Bytes value) noexcept {
    std::uint32_t pages;
    std::memcpy(&pages, value.data() - sizeof pages, sizeof pages);
    return pages;
  }

  std::uintptr_t pageSize_ = 0;  // 0: where the pages lie is not known
};

}  // namespace instar::storage
