#pragma once

// Looking at every row: is each one sound, and which versions are there? Both read in one snapshot and change
// nothing.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "instar/engine/options.h"
#include "instar/engine/store.h"
#include "instar/format/bytes.h"

namespace instar {

enum class Finding : std::uint8_t {
  damagedRow = 1,  // header, checksum or key do not hold together
  undecodableRow,  // the checksum holds, but the payload is not a record of its version
  unknownVersion,  // stamped with a version that the catalog does not have
  misplacedRow,    // stored under a key that its $key fields do not give
  invalidText,     // a Text field that is not UTF-8
  failedUpgrade,   // sound, but the current schema cannot derive what it derives from such rows
  damagedCatalog,  // a record of the catalog
  damagedTree,     // rows that cannot be reached, or are met out of their order
  damagedBlock,    // of cold rows: all of them are lost
  brokenRule,      // sound, but the current schema has a rule that the row breaks ($Instar.validated)
};
std::string_view findingName(Finding finding) noexcept;

struct Problem {
  Finding finding;
  std::string collection;
  std::string key;      // printed
  std::string message;  // what is wrong, and with which field
};

struct CheckOptions {
  bool quick = false;               // headers, checksums and the catalog only; payloads are not decoded
  std::uint64_t maxProblems = 100;  // more are counted, not listed
  ProgressCallback progress = {};   // rows
};

struct CheckReport {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;           // of stored values
  std::uint64_t misalignedRows = 0;  // sound, but read through a copy
  std::uint64_t unjudgedRows =
      0;  // sound; their upgrade or a rule needs a function that this program does not have
  std::uint64_t problemCount = 0;
  std::vector<Problem> problems;

  bool sound() const noexcept { return problemCount == 0; }
  // Whether data was lost, and not merely something is odd (invalidText, failedUpgrade, brokenRule).
  bool damaged() const noexcept { return damagedCount != 0; }
  std::uint64_t damagedCount = 0;
};

CheckReport check(const Store& store, const CheckOptions& options = {});

// Whether a walk over a whole tree is to be believed. LMDB sees no damage in the lists that its pages
// are made of: rows are then left out, or others are found in their place. One thread.
class WalkCheck {
 public:
  explicit WalkCheck(bool reverse = false) noexcept : reverse_(reverse) {}

  // Counts the key; false where it does not come behind the one before it.
  bool follows(Bytes key) {
    const bool isFirst = count_++ == 0;
    const bool inOrder = isFirst || (compareBytes(last_, key) < 0) != reverse_;
    last_.assign(key.begin(), key.end());
    return inOrder;
  }
  std::uint64_t count() const noexcept { return count_; }

 private:
  std::vector<std::byte> last_;
  std::uint64_t count_ = 0;
  bool reverse_;
};

struct VersionCount {
  std::uint16_t version = 0;  // 0: rows whose header is damaged
  std::uint64_t rows = 0;
  std::optional<std::uint64_t> bytes = {};  // of stored values; nothing where not all of them were read
};

struct Census {
  std::vector<VersionCount> versions;   // that rows have, ascending
  std::vector<std::uint16_t> gone;      // those of the catalog that no row has, the current one left out
  std::uint64_t settledPartitions = 0;  // whose floor is the current version: nothing else can be in them
  std::uint64_t walkedPartitions = 0;   // all others, whose rows were read
  std::uint64_t walkedRows = 0;
};

// Which versions the rows of a collection have. Exact; O(partitions), and O(rows) of those partitions that
// may have older ones, of which headers only are read. Damage in settled partitions is for check(). Throws
// Error(restoreFromBackup) where not every row can be reached, or a cold block is damaged.
Census countVersions(const Store& store, const Transaction& transaction, std::string_view collection,
                     const ProgressCallback& progress = {});

}  // namespace instar
