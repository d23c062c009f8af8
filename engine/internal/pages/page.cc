#include "instar/engine/internal/pages/page.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

namespace instar::pages {
namespace {

constexpr std::uint32_t kMagic = 0xbeefc0de;
constexpr std::uint32_t kMagicInOtherOrder = 0xdec0efbe;
constexpr std::uint32_t kDataVersion = 1;
constexpr unsigned kBranch = 0x01;
constexpr unsigned kLeaf = 0x02;
constexpr unsigned kOverflow = 0x04;
constexpr unsigned kMeta = 0x08;
constexpr unsigned kValueOnOverflowPages = 0x01;
constexpr unsigned kValueIsTree = 0x02;
constexpr std::size_t kMetaStart = kPageHeaderLength;
constexpr std::size_t kFreeTree = kMetaStart + 24;
constexpr std::size_t kMainTree = kFreeTree + kTreeRecordLength;

constexpr std::size_t even(std::size_t length) noexcept { return (length + 1) & ~std::size_t{1}; }

}  // namespace

std::uint64_t loadNumber(Bytes bytes, std::size_t offset, unsigned width) noexcept {
  std::uint64_t number = 0;
  for (unsigned i = 0; i < width; ++i) number |= static_cast<std::uint64_t>(bytes[offset + i]) << 8 * i;
  return number;
}

bool isBefore(Bytes left, Bytes right, bool numbers) noexcept {
  if (numbers && left.size() == 8 && right.size() == 8)
    return loadNumber(left, 0, 8) < loadNumber(right, 0, 8);
  return compareBytes(left, right) < 0;
}

std::optional<TreeRecord> decodeTree(Bytes value) noexcept {
  if (value.size() != kTreeRecordLength) return std::nullopt;
  return TreeRecord{.padding = static_cast<std::uint32_t>(loadNumber(value, 0, 4)),
                    .flags = static_cast<std::uint16_t>(loadNumber(value, 4, 2)),
                    .depth = static_cast<std::uint16_t>(loadNumber(value, 6, 2)),
                    .branchPages = loadNumber(value, 8, 8),
                    .leafPages = loadNumber(value, 16, 8),
                    .overflowPages = loadNumber(value, 24, 8),
                    .entries = loadNumber(value, 32, 8),
                    .root = loadNumber(value, 40, 8)};
}

MetaDamage decodeMeta(Bytes page, Meta& meta) noexcept {
  if (page.size() < kMetaLength) return MetaDamage::notMeta;
  const std::uint64_t magic = loadNumber(page, kMetaStart, 4);
  if (magic == kMagicInOtherOrder) return MetaDamage::otherByteOrder;
  if (magic != kMagic || (loadNumber(page, 10, 2) & kMeta) == 0) return MetaDamage::notMeta;
  if (loadNumber(page, kMetaStart + 4, 4) != kDataVersion) return MetaDamage::otherVersion;
  const auto pageSize = static_cast<std::uint32_t>(loadNumber(page, kFreeTree, 4));
  if (pageSize < kMinPageSize || pageSize > kMaxPageSize || !std::has_single_bit(pageSize))
    return MetaDamage::pageSize;
  meta.pageSize = pageSize;
  meta.freeTree = *decodeTree(page.subspan(kFreeTree, kTreeRecordLength));
  meta.mainTree = *decodeTree(page.subspan(kMainTree, kTreeRecordLength));
  meta.lastPage = loadNumber(page, kMainTree + kTreeRecordLength, 8);
  meta.transaction = loadNumber(page, kMainTree + kTreeRecordLength + 8, 8);
  return MetaDamage::none;
}

const char* Page::decode(Bytes bytes, PageNumber number) noexcept {
  if (bytes.size() < kMinPageSize) return "it is cut short";
  if (loadNumber(bytes, 0, 8) != number) return "it has the number of another page";
  const std::uint64_t flags = loadNumber(bytes, 10, 2);
  bytes_ = bytes;
  if (flags == kOverflow) {
    kind_ = PageKind::overflow;
    overflowPages_ = static_cast<std::uint32_t>(loadNumber(bytes, 12, 4));
    return overflowPages_ == 0 ? "it counts no overflow pages" : nullptr;
  }
  if (flags != kBranch && flags != kLeaf) return "it is neither branch nor leaf";
  kind_ = flags == kBranch ? PageKind::branch : PageKind::leaf;
  const std::uint64_t lower = loadNumber(bytes, 12, 2);
  upper_ = loadNumber(bytes, 14, 2);
  if (lower < kPageHeaderLength || lower % 2 != 0 || upper_ % 2 != 0 || lower > upper_ ||
      upper_ > bytes.size())
    return "the bounds of its nodes are wrong";
  nodes_ = (lower - kPageHeaderLength) / 2;
  if (nodes_ == 0) return "it has no nodes";
  return nullptr;
}

bool Page::nodeAt(std::size_t offset, std::size_t from, Node& node) const noexcept {
  if (offset < from || offset > bytes_.size() || bytes_.size() - offset < kNodeHeaderLength) return false;
  const std::size_t keyLength = loadNumber(bytes_, offset + 6, 2);
  std::size_t room = bytes_.size() - offset - kNodeHeaderLength;
  if (keyLength > room) return false;
  node = {};
  node.key = bytes_.subspan(offset + kNodeHeaderLength, keyLength);
  if (kind_ == PageKind::branch) {
    node.child = loadNumber(bytes_, offset, 6);
    return true;
  }
  room -= keyLength;
  const std::uint64_t flags = loadNumber(bytes_, offset + 4, 2);
  node.length = static_cast<std::uint32_t>(loadNumber(bytes_, offset, 4));
  node.isTree = (flags & kValueIsTree) != 0;
  node.isOverflow = (flags & kValueOnOverflowPages) != 0;
  node.isOdd = (flags & ~(kValueIsTree | kValueOnOverflowPages)) != 0;
  const std::size_t stored = node.isOverflow ? sizeof(PageNumber) : node.length;
  if (stored > room || keyLength == 0) return false;
  node.value = bytes_.subspan(offset + kNodeHeaderLength + keyLength, stored);
  if (node.isOverflow) node.overflowPage = loadNumber(node.value, 0, 8);
  return true;
}

bool Page::node(std::size_t index, Node& node) const noexcept {
  const std::size_t offset = loadNumber(bytes_, kPageHeaderLength + 2 * index, 2);
  return offset % 2 == 0 && nodeAt(offset, upper_, node);
}

std::size_t Page::lengthOf(const Node& node) const noexcept {
  return even(kNodeHeaderLength + node.key.size() + node.value.size());
}

const char* Page::findDisorder(bool numbers) const {
  std::vector<std::pair<std::size_t, std::size_t>> extents;
  extents.reserve(nodes_);
  Node node;
  Bytes last;
  for (std::size_t i = 0; i < nodes_; ++i) {
    if (!this->node(i, node)) return "a node reaches out of it";
    const std::size_t offset = loadNumber(bytes_, kPageHeaderLength + 2 * i, 2);
    extents.emplace_back(offset, lengthOf(node));
    const bool hasKey = isLeaf() || i != 0;  // the first key of a branch page is never looked at
    if (hasKey && node.key.empty()) return "an entry has no key";
    if (hasKey && i > (isLeaf() ? 0U : 1U) && !isBefore(last, node.key, numbers))
      return "its keys are not in order";
    if (hasKey) last = node.key;
  }
  std::sort(extents.begin(), extents.end());
  std::size_t end = upper_;
  for (const auto& [offset, length] : extents) {
    if (offset != end) return "its nodes lie over one another or leave holes";
    end = offset + length;
  }
  return end == bytes_.size() ? nullptr : "its nodes do not fill it";
}

bool NodeSearch::next(Node& node) noexcept {
  while (offset_ + kNodeHeaderLength < page_.bytes_.size()) {
    const std::size_t offset = offset_;
    offset_ += 2;
    if (page_.nodeAt(offset, kPageHeaderLength, node)) return true;
  }
  return false;
}

}  // namespace instar::pages
