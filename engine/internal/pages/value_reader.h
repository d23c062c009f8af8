#pragma once

// Values that several nodes of a damaged file can name: each may be a gigabyte, and a page has room for
// hundreds of such nodes. So what is read in all is bounded; where the bound is met, values count as damaged.
// One thread.

#include <vector>

#include "instar/engine/internal/pages/tree_walk.h"

namespace instar::pages {

class ValueReader {
 public:
  explicit ValueReader(const PageFile& file) noexcept
      : file_(file), left_(kTimesTheFile * file.pages() * file.pageSize()) {}

  // As valueOf().
  std::optional<Bytes> read(const Node& node, std::vector<std::byte>& copy) {
    if (node.isOverflow && node.length > left_) return std::nullopt;
    const auto value = valueOf(file_, node, copy);
    if (node.isOverflow && value) left_ -= node.length;
    return value;
  }

  const PageFile& file() const noexcept { return file_; }

 private:
  static constexpr std::uint64_t kTimesTheFile = 8;

  const PageFile& file_;
  std::uint64_t left_;  // bytes
};

}  // namespace instar::pages
