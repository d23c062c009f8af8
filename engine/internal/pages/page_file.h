#pragma once

// A file of LMDB's read with pread, page by page: no map, no call of LMDB, so that no damage can end in a
// signal. What cannot be read counts as a damaged page. One thread.

#include <array>
#include <filesystem>
#include <set>
#include <vector>

#include "instar/engine/internal/pages/page.h"

namespace instar::pages {

class PageFile {
 public:
  // Borrows the descriptor. Finds out the page size. Throws Error(fixEnvironment) where nothing in the file
  // is LMDB's, where it comes from a machine with another byte order, or where the disk reads nothing.
  PageFile(int descriptor, std::filesystem::path path);

  std::uint32_t pageSize() const noexcept { return pageSize_; }
  PageNumber pages() const noexcept { return pages_; }  // whole ones
  bool endsInPage() const noexcept { return size_ % pageSize_ != 0; }
  const std::filesystem::path& path() const noexcept { return path_; }

  // As they were when the file was opened; nothing where such a page is damaged.
  const std::array<std::optional<Meta>, 2>& metas() const noexcept { return metas_; }
  const std::array<const char*, 2>& metaProblems() const noexcept { return metaProblems_; }  // null: none
  // Whether somebody has committed since the file was opened.
  bool hasChanged() const;

  // `bytes` of the file from the page on; false where there are not as many.
  bool read(PageNumber page, std::size_t skip, std::span<std::byte> bytes) const;
  bool read(PageNumber page, std::vector<std::byte>& bytes) const;  // one page

  // Where reading began for which the disk has reported an error since the file was opened. Pages are read
  // more than once, and not everybody who reads one again says what it means that it cannot be.
  const std::set<PageNumber>& failed() const noexcept { return failed_; }

 private:
  void findPageSize();
  std::uint64_t plausiblePages(std::uint32_t pageSize) const;
  void readMetas();
  std::optional<Meta> readMeta(PageNumber number, const char*& problem) const;
  std::optional<Meta> judgeMeta(Bytes bytes, PageNumber number, const char*& problem) const;

  int descriptor_;
  std::filesystem::path path_;
  std::uint64_t size_ = 0;
  std::uint32_t pageSize_ = 0;
  PageNumber pages_ = 0;
  std::array<std::optional<Meta>, 2> metas_;
  std::array<const char*, 2> metaProblems_{};
  mutable std::set<PageNumber> failed_;
};

}  // namespace instar::pages
