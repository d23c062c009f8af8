#pragma once

// How a store is opened, and what it tells about itself. Plain values.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "instar/engine/compaction_options.h"

namespace instar {

class Functions;

enum class OpenMode : std::uint8_t {
  createOrOpen,  // creates the file where there is none
  openExisting,  // Error(fixEnvironment) where there is none
  // Never creates or changes a file. Where no other program has the store open, not even a lock file is made;
  // a program that opens it meanwhile ends the reading with Error(retry).
  readOnly,
};

// What survives a crash of the system. The death of the process loses no commit at any level.
enum class Durability : std::uint8_t {
  full,    // a commit that has returned survives
  normal,  // the last commits may be undone, the file stays consistent
  off,     // the file may be destroyed; for data that can be made again
};

struct StoreOptions {
  OpenMode mode = OpenMode::createOrOpen;
  Durability durability = Durability::full;
  // Checks the checksum of every row that is read.
  bool verifyChecksums = true;
  // Bytes of address space; 0 takes what is plenty. The file is only as large as its data.
  std::uint64_t mapSize = 0;
  // How long write() waits for another writer before Error(retry).
  std::chrono::milliseconds writeTimeout = std::chrono::seconds(30);
  // Opens a file on NFS, SMB and the like, where memory maps and locks cannot be relied upon.
  bool allowNetworkFileSystem = false;
  // Memory for unpacked blocks of cold rows, in bytes; 0 unpacks a block for every row that is read.
  std::size_t coldCacheBytes = std::size_t{8} << 20;
  // How many rows that were upgraded when they were read are remembered for Store::writeBack(); 0: none.
  std::size_t writeBackRows = 0;
  // Whether and how a thread of this store upgrades and packs what is cold (engine/compaction.h). Without
  // effect where the store is opened read-only.
  CompactionOptions compaction = {};
  // Opening releases the snapshots of programs that have died; without it they can be looked at first.
  bool clearStaleReaders = true;
  // The functions that schemas call (evolve/functions.h).
  std::shared_ptr<const Functions> functions = {};
  // Opens collections whose schemas call functions that are not among these; a row that needs one is
  // Error(fixRow) then. For programs that are not the application.
  bool allowMissingFunctions = false;
};

struct EnvironmentInfo {
  std::uint32_t pageSize = 0;         // bytes
  std::uint64_t fileSize = 0;         // bytes
  std::uint64_t mapSize = 0;          // bytes
  std::uint64_t usedPages = 0;        // pages that hold data
  std::uint64_t freePages = 0;        // pages inside the file that the next commits will use
  std::uint64_t lastTransaction = 0;  // number of the newest commit
  std::uint32_t readers = 0;          // reader slots in use
  std::uint32_t maxReaders = 0;
  std::string storageVersion;         // "LMDB 0.9.24"
  std::vector<std::string> warnings;  // what should be changed about the surroundings
};

// A reader slot of the file, in whatever process. One that holds a snapshot keeps what commits have freed
// since from being used again, so that the file grows: a snapshot that is long forgotten shows here by its
// age, as does one whose program is stopped. Those of programs that have died are cleared when a store is
// opened, and by its writers now and then.
struct ReaderInfo {
  pid_t process = 0;
  std::uint64_t transaction = 0;    // the snapshot that it holds, 0 where it holds none
  bool alive = false;               // also false where another program has got its number since
  std::uint64_t commitsBehind = 0;  // how many there were since its snapshot
  // How long its program has been running, so that no snapshot of it is older; LMDB notes no time. Nothing
  // where the program has died, or is not seen under this number from here, as out of another container.
  std::optional<std::chrono::seconds> programAge = {};
  // That were freed since, and could be used again if there were no reader as old as this one; nothing where
  // all slots are taken, so that nobody can look.
  std::optional<std::uint64_t> pinnedPages = 0;
};

// Called from time to time by long operations, on the calling thread; `total` is 0 where it is unknown.
struct Progress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};
using ProgressCallback = std::function<void(const Progress&)>;
inline constexpr std::uint64_t kRowsPerReport = 16384;  // about; where rows are gone over

struct CopyOptions {
  bool compact = false;            // leaves out free pages, and puts the rest in order
  bool replace = false;            // replaces a file that exists; otherwise that is Error(fixEnvironment)
  ProgressCallback progress = {};  // bytes
};

}  // namespace instar
