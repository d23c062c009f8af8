#pragma once

// The records of a recording, as the recorder appends them and the disk model reads them. Plain bytes of this
// machine: a recording is replayed where it was made.

#include <cstdint>

namespace instar::powercut {

enum class Operation : std::uint8_t {
  create = 1,       // file; payload: its path
  write,            // file, offset; payload: the bytes that came to be written
  writeThrough,     // the same on a descriptor with O_DSYNC or O_SYNC: durable when the call returns
  truncate,         // file; offset: the new size
  syncBegin,        // file; number: of the sync
  syncEnd,          // which has succeeded
  rename,           // payload: from, a zero byte, to
  link,             // likewise
  unlink,           // payload: the path
  folderSyncBegin,  // payload: the folder; number: of the sync
  folderSyncEnd,
  mark,     // payload: what the program says of itself
  unknown,  // payload: a call that is not modelled
};

inline constexpr std::uint32_t kRecordMagic = 0x7043754c;

// Paths are relative to the folder that is watched; "." is that folder. Files are numbered from 1 on.
struct RecordHeader {
  std::uint32_t magic = kRecordMagic;
  Operation operation = Operation::mark;
  std::uint8_t reserved[3] = {};
  std::uint32_t file = 0;
  std::uint32_t number = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // of the payload that follows, in bytes
};
static_assert(sizeof(RecordHeader) == 32);

// What the recorder is told by its environment.
inline constexpr const char* kFolderVariable = "INSTAR_POWERCUT_FOLDER";  // absolute, without symbolic links
inline constexpr const char* kLogVariable = "INSTAR_POWERCUT_LOG";        // outside of that folder

// The recorder's function for marks, to be found by dlsym().
inline constexpr const char* kMarkFunction = "instarPowercutMark";
using MarkFunction = void(const char* text, std::uint64_t size);

}  // namespace instar::powercut
