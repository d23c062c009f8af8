#include "instar/engine/internal/storage/lmdb_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "instar/engine/internal/storage/file_system.h"
#include "instar/format/error.h"

namespace instar::storage {
namespace {

static_assert(std::endian::native == std::endian::little,
              "LMDB's files are in the byte order of their machine");

constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
constexpr std::uint32_t kLmdbMagic = 0xbeefc0de;
constexpr std::uint32_t kLmdbDataVersion = 1;
constexpr std::uint32_t kMinPageSize = 256;
constexpr std::uint32_t kMaxPageSize = 32768;
constexpr unsigned kMaxDepth = 32;  // LMDB's cursor stack

enum PageFlag : std::uint16_t { branchPage = 0x01, leafPage = 0x02, overflowPage = 0x04, metaPage = 0x08 };
// Of LMDB's two own trees. MDB_NOSUBDIR, which it writes beside the first, says nothing about them.
constexpr std::uint16_t kFreeTreeFlags = 0x08;
constexpr std::uint16_t kNoFolder = 0x4000;

enum NodeFlag : std::uint16_t { valueOnOverflowPages = 0x01 };

struct PageHeader {
  std::uint64_t number;
  std::uint16_t padding;
  std::uint16_t flags;
  std::uint16_t lower;  // end of the array of node offsets, which begins after this header
  std::uint16_t upper;
};
static_assert(sizeof(PageHeader) == 16);

struct TreeRecord {
  std::uint32_t padding;  // of the tree of free pages: the page size
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branchPages;
  std::uint64_t leafPages;
  std::uint64_t overflowPages;
  std::uint64_t entries;
  std::uint64_t root;
};
static_assert(sizeof(TreeRecord) == 48);

struct Meta {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t mapSize;
  TreeRecord freeTree;
  TreeRecord mainTree;
  std::uint64_t lastPage;
  std::uint64_t transaction;
};
static_assert(sizeof(Meta) == 136);

struct MetaPage {
  PageHeader header;
  Meta meta;
};

struct NodeHeader {
  std::uint16_t low;
  std::uint16_t high;
  std::uint16_t flags;
  std::uint16_t keyLength;
};
static_assert(sizeof(NodeHeader) == 8);

[[noreturn]] void throwCutShort(const std::filesystem::path& path, std::uint64_t size) {
  throw Error(ErrorCode::restoreFromBackup, "the file is cut short: restore it from a backup",
              {{"path", path.string()}, {"bytes", std::to_string(size)}});
}

std::size_t readAt(int descriptor, void* buffer, std::size_t size, std::uint64_t offset,
                   const std::filesystem::path& path) {
  const ssize_t count =
      uninterrupted([&] { return ::pread(descriptor, buffer, size, static_cast<off_t>(offset)); });
  if (count < 0) throw systemError(errno, "pread", path);
  return static_cast<std::size_t>(count);
}

MetaPage readMeta(int descriptor, std::uint64_t offset, const std::filesystem::path& path) {
  MetaPage page;
  if (readAt(descriptor, &page, sizeof page, offset, path) != sizeof page) {
    throwCutShort(path, static_cast<std::uint64_t>(statusOf(descriptor, path).st_size));
  }
  return page;
}

bool isMeta(const MetaPage& page) noexcept {
  return (page.header.flags & metaPage) != 0 && page.meta.magic == kLmdbMagic;
}

template <class T>
bool loadAt(std::span<const std::byte> bytes, std::size_t offset, T& value) noexcept {
  if (offset > bytes.size() || sizeof(T) > bytes.size() - offset) return false;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return true;
}

// Collects which of the pages from the file's end on are listed as free. Reads with pread, trusts no number,
// and reads no page twice, so that it does not read more than the file.
class FreePageReader {
 public:
  FreePageReader(int descriptor, const std::filesystem::path& path, std::uint32_t pageSize,
                 std::uint64_t firstMissing, std::uint64_t missing)
      : descriptor_(descriptor),
        path_(path),
        pageSize_(pageSize),
        firstMissing_(firstMissing),
        isRead_(firstMissing),
        isFree_(missing) {}

  // Whether the tree could be read.
  bool read(std::uint64_t page, unsigned depth) {
    std::vector<std::byte> bytes(pageSize_);
    PageHeader header{};
    if (depth == 0 || !take(page, 1) || !load(page, bytes) || !loadAt(bytes, 0, header) ||
        header.lower < sizeof header)
      return false;
    const std::size_t nodes = (header.lower - sizeof header) / sizeof(std::uint16_t);
    for (std::size_t index = 0; index < nodes; ++index) {
      std::uint16_t offset = 0;
      NodeHeader node{};
      if (!loadAt(bytes, sizeof header + index * sizeof offset, offset) || !loadAt(bytes, offset, node))
        return false;
      if ((header.flags & branchPage) != 0) {
        if (!read(childOf(node), depth - 1)) return false;
      } else if ((header.flags & leafPage) == 0 || !readLeafNode(bytes, offset, node)) {
        return false;
      }
    }
    return true;
  }

  bool allAreFree() const noexcept {
    return std::all_of(isFree_.begin(), isFree_.end(), [](bool isFree) { return isFree; });
  }

 private:
  static std::uint64_t childOf(const NodeHeader& node) noexcept {
    return node.low | std::uint64_t{node.high} << 16 | std::uint64_t{node.flags} << 32;
  }

  // False where one of the pages is not in the file, or was read before: a tree has each page once.
  bool take(std::uint64_t page, std::uint64_t count) {
    if (page >= firstMissing_ || count > firstMissing_ - page) return false;
    const auto first = isRead_.begin() + static_cast<std::ptrdiff_t>(page);
    const auto end = first + static_cast<std::ptrdiff_t>(count);
    if (std::find(first, end, true) != end) return false;
    std::fill(first, end, true);
    return true;
  }

  bool load(std::uint64_t page, std::span<std::byte> bytes) const {
    return readAt(descriptor_, bytes.data(), bytes.size(), page * pageSize_, path_) == bytes.size();
  }

  bool readLeafNode(std::span<const std::byte> bytes, std::size_t offset, const NodeHeader& node) {
    const std::size_t size = node.low | std::size_t{node.high} << 16;
    const std::size_t start = offset + sizeof node + node.keyLength;
    if ((node.flags & valueOnOverflowPages) == 0) {
      if (start > bytes.size() || size > bytes.size() - start) return false;
      return readList(bytes.subspan(start, size));
    }
    std::uint64_t page = 0;
    const std::uint64_t pages = (sizeof(PageHeader) + std::uint64_t{size} + pageSize_ - 1) / pageSize_;
    if (!loadAt(bytes, start, page) || !take(page, pages)) return false;
    std::vector<std::byte> value(size);
    return readAt(descriptor_, value.data(), size, page * pageSize_ + sizeof(PageHeader), path_) == size &&
           readList(value);
  }

  // A count, then as many page numbers.
  bool readList(std::span<const std::byte> list) {
    std::uint64_t count = 0;
    if (!loadAt(list, 0, count) || count > list.size() / sizeof count - 1) return false;
    for (std::uint64_t index = 1; index <= count; ++index) {
      std::uint64_t page = 0;
      loadAt(list, index * sizeof page, page);
      if (page >= firstMissing_ && page - firstMissing_ < isFree_.size())
        isFree_[page - firstMissing_] = true;
    }
    return true;
  }

  int descriptor_;
  const std::filesystem::path& path_;
  std::uint32_t pageSize_;
  std::uint64_t firstMissing_;
  std::vector<bool> isRead_;
  std::vector<bool> isFree_;
};

}  // namespace

void checkLooksLikeLmdb(int descriptor, const std::filesystem::path& path) {
  const auto size = static_cast<std::uint64_t>(statusOf(descriptor, path).st_size);
  const std::vector<Error::Fact> facts{{"path", path.string()}, {"bytes", std::to_string(size)}};
  if (size == 0) {
    throw Error(ErrorCode::fixEnvironment, "the file is empty: remove it to create a store, or restore it",
                facts);
  }
  MetaPage first{};
  readAt(descriptor, &first, sizeof first, 0, path);
  if (!isMeta(first)) {
    throw Error(ErrorCode::fixEnvironment, "this is not an Instar file: name another one", facts);
  }
  if (first.meta.version != kLmdbDataVersion) {
    throw Error(ErrorCode::fixEnvironment, "this is an LMDB file of another data version: name another one",
                facts);
  }
  const std::uint32_t pageSize = first.meta.freeTree.padding;
  if (pageSize < kMinPageSize || pageSize > kMaxPageSize || !std::has_single_bit(pageSize)) {
    throw Error(ErrorCode::restoreFromBackup, "the file's first page is damaged: restore it from a backup",
                facts);
  }
  if (size < 2 * std::uint64_t{pageSize}) throwCutShort(path, size);
  if (!isMeta(readMeta(descriptor, pageSize, path))) {
    throw Error(ErrorCode::restoreFromBackup, "the file's second page is damaged: restore it from a backup",
                facts);
  }
}

bool checkIsWhole(int descriptor, const std::filesystem::path& path, std::uint64_t transaction) {
  const std::uint32_t pageSize = readMeta(descriptor, 0, path).meta.freeTree.padding;
  const Meta meta = readMeta(descriptor, (transaction & 1) * std::uint64_t{pageSize}, path).meta;
  if (meta.transaction != transaction) return false;
  if ((meta.freeTree.flags & ~kNoFolder) != kFreeTreeFlags || meta.mainTree.flags != 0) {
    throw Error(ErrorCode::restoreFromBackup,
                "the file's first pages are damaged: restore it from a backup, or use instar salvage",
                {{"path", path.string()}});
  }
  const auto size = static_cast<std::uint64_t>(statusOf(descriptor, path).st_size);
  const std::uint64_t firstMissing = size / pageSize;
  if (meta.lastPage < firstMissing) return true;
  // A number of pages that the file has no room to list would otherwise become an enormous allocation.
  const std::uint64_t missing = meta.lastPage - firstMissing + 1;
  if (meta.freeTree.root == kNoPage || missing > size / sizeof(std::uint64_t)) throwCutShort(path, size);
  FreePageReader reader(descriptor, path, pageSize, firstMissing, missing);
  if (!reader.read(meta.freeTree.root, kMaxDepth) || !reader.allAreFree()) throwCutShort(path, size);
  return true;
}

std::optional<std::string> warningAboutLmdb(int major, int minor, int patch) {
  constexpr int kFirstWithRaces = 26;
  constexpr int kLastWithRaces = 31;
  if (major != 0 || minor != 9 || patch < kFirstWithRaces || patch > kLastWithRaces) return std::nullopt;
  return "LMDB 0.9." + std::to_string(patch) +
         " has races in its lock file (0.9.26 to 0.9.31 have): use 0.9.24, or 0.9.32 and later";
}

}  // namespace instar::storage
