#pragma once

// One page of an LMDB 0.9 file, read without trust: nothing in it is assumed to be right, and every number is
// checked before it is used. LMDB writes numbers as its machine has them; only little-endian files are read.
//
//      0  u64  number of the page: where it lies in the file, in pages
//      8  u16  not used
//     10  u16  flags: 01 branch, 02 leaf, 04 overflow, 08 meta
//     12  u16  lower: end of the list of nodes, which are u16 offsets from byte 16 on
//     14  u16  upper: where the first node lies; nodes fill the page from there to its end without holes
//     12  u32  in place of both, in the first of some overflow pages: how many they are
//
//     a node: three u16, u16 length of the key, key, value. The first three are, in a branch page, the
//     number of the page below; in a leaf the length of the value and flags: 01 the value is the number of an
//     overflow page, 02 it is the record of a tree. LMDB knows more flags, and follows null pointers where Instar's
//     files have one of those
//
// Pure functions over memory; any thread.

#include <cstdint>
#include <optional>
#include <string>

#include "instar/format/bytes.h"

namespace instar::pages {

using PageNumber = std::uint64_t;

inline constexpr std::size_t kPageHeaderLength = 16;
inline constexpr std::size_t kNodeHeaderLength = 8;
inline constexpr std::size_t kMetaLength = kPageHeaderLength + 136;
// LMDB 0.9 takes the system's page size, and no more than 32 KiB.
inline constexpr std::uint32_t kMinPageSize = 512;
inline constexpr std::uint32_t kMaxPageSize = 32768;
inline constexpr PageNumber kNoPage = ~PageNumber{0};
inline constexpr PageNumber kPagesPerReport = 4096;  // of progress
inline constexpr unsigned kMaxDepth = 32;            // LMDB's cursors have no room for more

enum class PageKind : std::uint8_t { branch = 1, leaf, overflow };

// What is stored about a tree.
struct TreeRecord {
  std::uint32_t padding = 0;  // of the list of free pages: the page size; otherwise 0
  std::uint16_t flags = 0;    // how LMDB orders keys, and whether one has several values: 0
  std::uint16_t depth = 0;
  std::uint64_t branchPages = 0;
  std::uint64_t leafPages = 0;
  std::uint64_t overflowPages = 0;
  std::uint64_t entries = 0;
  PageNumber root = kNoPage;

  // Whether LMDB orders the tree as Instar does; with other flags it looks for keys in wrong places.
  bool isOrdinary() const noexcept { return padding == 0 && flags == 0; }
  bool isFreeList(std::uint32_t pageSize) const noexcept {
    constexpr std::uint16_t kKeysAreNumbers = 0x08;
    constexpr std::uint16_t kMadeWithoutFolder = 0x4000;  // MDB_NOSUBDIR, which means nothing here
    return padding == pageSize && (flags & ~kMadeWithoutFolder) == kKeysAreNumbers;
  }
};
inline constexpr std::size_t kTreeRecordLength = 48;
std::optional<TreeRecord> decodeTree(Bytes value) noexcept;

struct Meta {
  std::uint32_t pageSize = 0;
  TreeRecord freeTree;
  TreeRecord mainTree;
  PageNumber lastPage = 0;
  std::uint64_t transaction = 0;
};
enum class MetaDamage : std::uint8_t { none = 0, notMeta, otherByteOrder, otherVersion, pageSize };
// From the first kMetaLength bytes of a page.
MetaDamage decodeMeta(Bytes page, Meta& meta) noexcept;

struct Node {
  Bytes key;
  PageNumber child = 0;         // of a branch page
  std::uint32_t length = 0;     // of the value
  Bytes value;                  // where it lies in the leaf
  bool isOverflow = false;      // it lies on overflow pages
  PageNumber overflowPage = 0;  // and these begin here
  bool isTree = false;          // the value is the record of a tree
  bool isOdd = false;           // it has flags that no entry of a leaf has
};

// A branch or leaf page whose header is sound, or the first of some overflow pages. Borrows the bytes.
class Page {
 public:
  // Null, or what is wrong with the header. `number` is where the page lies.
  const char* decode(Bytes bytes, PageNumber number) noexcept;

  PageKind kind() const noexcept { return kind_; }
  bool isLeaf() const noexcept { return kind_ == PageKind::leaf; }
  std::size_t nodes() const noexcept { return nodes_; }
  std::uint32_t overflowPages() const noexcept { return overflowPages_; }

  // False where the node reaches out of the part of the page that nodes lie in.
  bool node(std::size_t index, Node& node) const noexcept;

  // Null, or what is wrong with the nodes as a whole: they lie over one another, leave holes, or are not in
  // order. `numbers`: keys are numbers of eight bytes in the machine's order, as those of the free list.
  const char* findDisorder(bool numbers) const;

 private:
  friend class NodeSearch;
  bool nodeAt(std::size_t offset, std::size_t from, Node& node) const noexcept;
  std::size_t lengthOf(const Node& node) const noexcept;

  Bytes bytes_;
  PageKind kind_ = PageKind::leaf;
  std::size_t nodes_ = 0;
  std::size_t upper_ = 0;
  std::uint32_t overflowPages_ = 0;
};

// Nodes of leaves anywhere in a page whose header cannot be believed. Most of what it finds is none.
class NodeSearch {
 public:
  explicit NodeSearch(Bytes page) noexcept { page_.bytes_ = page; }
  bool next(Node& node) noexcept;

 private:
  Page page_;
  std::size_t offset_ = kPageHeaderLength;
};

// How keys of the free list are ordered, and those of all other trees.
bool isBefore(Bytes left, Bytes right, bool numbers) noexcept;

std::uint64_t loadNumber(Bytes bytes, std::size_t offset,
                         unsigned width) noexcept;  // little-endian; inside `bytes`

}  // namespace instar::pages
