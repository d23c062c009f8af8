#pragma once

// What can still be had of a damaged file. LMDB has no part in it until the new file is written: the pages of
// the old one are read one by one, and nothing in them is believed, so that no damage ends in a signal. The
// old file is not written to. Nobody may write to it meanwhile. Any thread; one file at a time in each.
//
// Brought out is every row whose checksum holds and which belongs to the newest commit: what the trees lead
// to, and what lies in pages in use that nothing leads to any more, where only one collection can have it.
// Rows come out of their blocks; compaction packs them again. So do pre-images that are kept.
//
// Left out, unless asked for (`swept`), are rows that may be out of date or erased since: of pages that were
// free, of pages that are damaged themselves, and out of blocks where entries are lost that could have
// covered them. None of these takes the place of a row that is brought out.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "instar/engine/options.h"
#include "instar/format/key.h"

namespace instar {

struct SalvageOptions {
  bool swept = false;              // also rows that may be out of date or erased
  std::uint64_t maxListed = 1000;  // of damaged pages, and of lost ranges of each collection; all are counted
  ProgressCallback progress = {};  // pages, then rows without a total
};

// Something that is wrong with a page, or with a tree as a whole.
struct PageProblem {
  std::optional<std::uint64_t> page = {};
  std::string tree = {};  // empty: of none, or nobody knows
  std::string message = {};
};

// Keys from `from` up to and without `to`, the end where there is none: what was stored there and is not in
// the new file is lost.
struct LostRange {
  Key from = {};
  std::optional<Key> to = {};
  bool cold = false;  // rows in blocks
  std::optional<std::uint64_t> page = {};
  std::string reason = {};
};

struct SalvagedCollection {
  std::string name;
  std::uint64_t rows = 0;        // in the new file
  std::uint64_t coldRows = 0;    // among these, those that were in blocks
  std::uint64_t orphanRows = 0;  // and those of pages that nothing led to
  std::uint64_t sweptRows = 0;   // and those that may be out of date or erased
  std::uint64_t leftOut = 0;     // rows of that kind that were not asked for
  // Entries that the file counts and that could not be read; nothing where what it counts is lost too.
  std::optional<std::uint64_t> lostRows = {};
  std::optional<std::uint64_t> lostColdRows = {};
  std::uint64_t lostRangeCount = 0;
  std::vector<LostRange> lost = {};
  std::vector<std::uint16_t> lostVersions = {};  // that rows have, and whose schema is lost
  // Rows as they were before compaction replaced them (engine/preimages.h), and what is lost of these.
  std::uint64_t preimageRows = 0;
  std::uint64_t lostPreimageRangeCount = 0;
  std::vector<LostRange> lostPreimages = {};
  bool isRebuilt = false;  // its record in the catalog is lost, and made anew or taken from an older commit
  bool isUsable = true;    // false: its schemas are lost; the program that has them can still open it
};

struct SalvageReport {
  std::uint64_t pages = 0;        // of the file
  std::uint32_t pageSize = 0;     // bytes
  std::uint64_t transaction = 0;  // the commit that was read; 0: unknown
  // The newest commit could not be read as a whole: rows may be as an older one had them, and newer ones
  // missing.
  bool mayBeOlder = false;
  // What names the collections is lost, or cut off: there may be others than those below.
  bool mayLackCollections = false;
  // In use, and read by the disk at one time and not at another: what was on them may be missing, and it may
  // not be said what that is.
  std::uint64_t unsteadyPages = 0;
  std::uint64_t problemCount = 0;
  std::vector<PageProblem> problems;
  std::uint64_t lostCatalogRecords = 0;   // that are damaged, or whose content cannot be right
  std::uint64_t olderCatalogRecords = 0;  // taken from an older commit
  bool auditIsLost = false;          // what compaction and staging have written down is not in the new file
  std::uint64_t unassignedRows = 0;  // sound ones, of which nobody can say which collection they belong to
  std::vector<SalvagedCollection> collections;

  // Whether all that was stored is in the new file.
  bool isComplete() const noexcept;
};

// Writes what can be had of `from` to the new file `to`: synced, and under its name only when it is whole.
// Throws Error(fixEnvironment): `from` is missing or nothing in it is of an Instar file, `to` exists;
// Error(freeSpace).
SalvageReport salvage(const std::filesystem::path& from, const std::filesystem::path& to,
                      const SalvageOptions& options = {});

// What is wrong with the pages alone; rows are not looked at.
struct PageReport {
  std::uint64_t pages = 0;
  std::uint64_t transaction = 0;
  // Somebody writes to the file, and its pages could not be held for the time of a look (no lock file, no
  // free slot): what was found means nothing. Otherwise that is done where pages look damaged.
  bool changes = false;
  std::uint64_t problemCount = 0;
  std::vector<PageProblem> problems;

  bool sound() const noexcept { return problemCount == 0; }
};
PageReport checkPages(const std::filesystem::path& path, const SalvageOptions& options = {});

}  // namespace instar
