#include "instar/engine/internal/pages/page_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "instar/engine/internal/storage/file_system.h"
#include "instar/format/error.h"

namespace instar::pages {
namespace {

constexpr PageNumber kMostPagesTried = 4096;  // when the page size has to be guessed

constexpr const char* kUnreadable = "it cannot be read";

const char* describe(MetaDamage damage) noexcept {
  switch (damage) {
    case MetaDamage::none:
      return nullptr;
    case MetaDamage::notMeta:
      return "it is no meta page";
    case MetaDamage::otherByteOrder:
      return "it is of a machine with another byte order";
    case MetaDamage::otherVersion:
      return "it is of another version of LMDB's files";
    case MetaDamage::pageSize:
      return "the page size in it is wrong";
  }
  return "it is damaged";
}

}  // namespace

PageFile::PageFile(int descriptor, std::filesystem::path path)
    : descriptor_(descriptor), path_(std::move(path)) {
  size_ = static_cast<std::uint64_t>(storage::statusOf(descriptor_, path_).st_size);
  findPageSize();
  readMetas();
  // Again: a program may have lengthened the file before it wrote the meta page that was read.
  size_ = static_cast<std::uint64_t>(storage::statusOf(descriptor_, path_).st_size);
  pages_ = size_ / pageSize_;
  failed_.clear();  // by other sizes of pages; what became of the meta pages is in metaProblems()
}

bool PageFile::read(PageNumber page, std::size_t skip, std::span<std::byte> bytes) const {
  if (page > size_ / pageSize_) return false;
  std::uint64_t offset = page * pageSize_ + skip;
  if (offset > size_ || bytes.size() > size_ - offset) return false;
  while (!bytes.empty()) {
    const ssize_t count = ::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) failed_.insert(page);
    if (count <= 0) return false;  // a sector that the disk cannot read is a damaged page
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return true;
}

bool PageFile::read(PageNumber page, std::vector<std::byte>& bytes) const {
  bytes.resize(pageSize_);
  return read(page, 0, bytes);
}

// The meta pages tell it. Where both are damaged: the size at which most pages have the number of their
// place.
void PageFile::findPageSize() {
  std::array<std::byte, kMetaLength> bytes{};
  Meta meta;
  pageSize_ = kMinPageSize;  // so that read() can be asked
  bool isForeign = false;
  std::vector<std::uint32_t> told;
  for (std::uint32_t offset = 0; offset <= kMaxPageSize; offset = offset == 0 ? kMinPageSize : 2 * offset) {
    if (!read(offset / kMinPageSize, 0, bytes)) continue;
    const MetaDamage damage = decodeMeta(bytes, meta);
    isForeign = isForeign || damage == MetaDamage::otherByteOrder;
    if (damage == MetaDamage::none && (offset == 0 || offset == meta.pageSize)) told.push_back(meta.pageSize);
  }
  // The last one lies where it says that the second page is, so two numbers agree.
  std::uint32_t best = told.empty() ? 0 : told.back();
  std::uint64_t most = best == 0 ? 1 : plausiblePages(best);
  for (std::uint32_t size = kMinPageSize; size <= kMaxPageSize; size *= 2) {
    if (size == best || told.size() == 2) continue;
    const std::uint64_t found = plausiblePages(size);
    if (found <= most) continue;
    best = size;
    most = found;
  }
  if (best != 0) {
    pageSize_ = best;
    return;
  }
  const std::vector<Error::Fact> facts{{"path", path_.string()}, {"bytes", std::to_string(size_)}};
  if (isForeign) {
    throw Error(ErrorCode::fixEnvironment,
                "the file was written by a machine with another byte order: read it on such a machine",
                facts);
  }
  if (!failed_.empty()) throw storage::systemError(EIO, "pread", path_);
  throw Error(ErrorCode::fixEnvironment, "nothing in this file is of an Instar file: name another one",
              facts);
}

std::uint64_t PageFile::plausiblePages(std::uint32_t pageSize) const {
  std::uint64_t found = 0;
  std::vector<std::byte> bytes(pageSize);
  for (PageNumber number = 2; number < std::min(size_ / pageSize, kMostPagesTried); ++number) {
    Page page;
    if (!read(number * (pageSize / kMinPageSize), 0, bytes)) continue;
    if (page.decode(bytes, number) == nullptr) ++found;
  }
  return found;
}

void PageFile::readMetas() {
  for (PageNumber number = 0; number < 2; ++number) metas_[number] = readMeta(number, metaProblems_[number]);
}

std::optional<Meta> PageFile::readMeta(PageNumber number, const char*& problem) const {
  std::array<std::byte, kMetaLength> bytes{};
  if (read(number, 0, bytes)) return judgeMeta(bytes, number, problem);
  problem = kUnreadable;
  return std::nullopt;
}

std::optional<Meta> PageFile::judgeMeta(Bytes bytes, PageNumber number, const char*& problem) const {
  Meta meta;
  problem = describe(decodeMeta(bytes, meta));
  if (problem == nullptr && meta.pageSize != pageSize_) problem = "it has another page size than the file";
  if (problem == nullptr && loadNumber(bytes, 0, 8) != number) problem = "it has the number of another page";
  // Commits take turns.
  if (problem == nullptr && meta.transaction != 0 && (meta.transaction & 1) != number)
    problem = "its commit belongs to the other one";
  return problem == nullptr ? std::optional(meta) : std::nullopt;
}

bool PageFile::hasChanged() const {
  for (PageNumber number = 0; number < 2; ++number) {
    const char* problem = nullptr;
    const auto now = readMeta(number, problem);
    // A disk that fails says nothing about commits.
    if (problem == kUnreadable || metaProblems_[number] == kUnreadable) continue;
    const auto& before = metas_[number];
    if (now.has_value() != before.has_value() || (now && now->transaction != before->transaction))
      return true;
  }
  return false;
}

}  // namespace instar::pages
