#pragma once

// What a disk may hold after a power cut, by a model of what file systems and disks promise:
//
//  - A write, and the size that a file gets by it, is durable when an fsync or fdatasync of the file that
//    began after it has ended; on a descriptor with O_DSYNC that write alone, when it returns. LMDB writes
//    so within one sector; a longer one is refused, as it could be torn.
//  - Of everything else each sector (512 bytes) holds what it held when it was last made durable or after any
//    of the writes since, whatever its neighbours hold; or it is torn: a part of it, from its beginning or
//    up to its end, holds what such a write put there, and the rest what was there before that write. The
//    sectors that LMDB's meta pages begin with are whole, unless asked for: in one that is torn a commit may
//    seem to be there with the tree of another, and LMDB has no checksum to tell.
//  - The file's size is the durable one or any that a write has given it since, whether or not the bytes of
//    that write are there: what is missing reads as zeros, what lies beyond the size is lost.
//  - Names come, change and go durably when an fsync of their folder that began afterwards has ended; before
//    that each such change is there or not, a rename as a whole. An fsync of the file does nothing for its
//    name.
//
// One thread. Holds views into the recording.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "instar/tests/powercut/recording.h"

namespace instar::powercut {

inline constexpr std::uint64_t kSectorSize = 512;
inline constexpr std::uint64_t kSectorsOfAPage = 8;

// The files of the folder, by name.
using Image = std::map<std::string, std::string>;

// A write, or a growth without bytes, that is not durable yet.
struct PendingWrite {
  std::size_t event = 0;
  std::uint32_t file = 0;
  std::uint64_t offset = 0;
  std::string_view bytes;
  std::uint64_t sizeAfter = 0;               // of the file, with all writes so far
  std::set<std::uint64_t> durableSectors{};  // of it, which a write with O_DSYNC has taken along

  std::uint64_t firstSector() const noexcept { return offset / kSectorSize; }
  std::uint64_t sectors() const noexcept {
    return bytes.empty() ? 0 : (offset + bytes.size() - 1) / kSectorSize - firstSector() + 1;
  }
};

struct PendingName {
  std::size_t event = 0;
  Operation operation = Operation::create;
  std::string from;
  std::string to;
  std::uint32_t file = 0;
};

// Bytes of a sector that are those of its last write; all others are what was there before it.
struct Tear {
  std::uint64_t begin = 0;
  std::uint64_t end = kSectorSize;
};

// What is there of that which is pending.
struct Survival {
  // Whether a sector of a write is there, counted from the write's first. Where a later write to the same
  // sector is there too, this one is underneath it, whatever is said here.
  std::function<bool(std::size_t write, std::uint64_t sector)> sector;
  // Which size a file has, among so many: 0 is the durable one, the last the one in memory.
  std::function<std::size_t(std::uint32_t file, std::size_t sizes)> size;
  std::function<bool(std::size_t name)> name;
  // Asked for the last write that is there in a sector.
  std::function<Tear(std::size_t write, std::uint64_t sector)> tear = [](std::size_t, std::uint64_t) {
    return Tear();
  };
};

class DiskModel {
 public:
  enum class Syncs : bool { kept, ignored };  // a disk that lies says that they were kept

  enum class MetaPages : bool { whole, torn };

  explicit DiskModel(const Recording& recording, Syncs syncs = Syncs::kept,
                     MetaPages metaPages = MetaPages::whole)
      : recording_(&recording), syncs_(syncs), metaPages_(metaPages) {}

  // The power is cut when the first `point` events have happened; never less than before.
  void advanceTo(std::size_t point);
  std::size_t point() const noexcept { return point_; }

  const std::vector<PendingWrite>& writes() const noexcept { return writes_; }
  const std::vector<PendingName>& names() const noexcept { return names_; }

  Image build(const Survival& survival) const;
  Image buildWithEverything() const;  // as the program's own process sees it

 private:
  struct File {
    std::string durable;
    std::uint64_t size = 0;  // in memory
  };

  bool mayBeTorn(std::uint64_t sector) const noexcept;
  void apply(std::size_t index);
  void addWrite(std::size_t index, const Event& event);
  void addName(std::size_t index, const Event& event);
  void makeDurable(std::uint32_t file, std::size_t before);
  void makeDurableThrough(const Event& event);
  void makeNamesDurable(std::string_view folder, std::size_t before);

  const Recording* recording_;
  Syncs syncs_;
  MetaPages metaPages_;
  std::size_t point_ = 0;
  std::map<std::uint32_t, File> files_;
  std::vector<PendingWrite> writes_;                   // in order
  std::vector<PendingName> names_;                     // in order
  std::map<std::string, std::uint32_t> durableNames_;  // files by name
  std::map<std::string, std::uint32_t> namesInMemory_;
  std::map<std::uint32_t, std::size_t> syncsBegun_;  // number of the sync, and the event with which it began
};

}  // namespace instar::powercut
