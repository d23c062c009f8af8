#pragma once

// Open-file-description locks on ranges of a file's bytes, and a use of them: presence at places. Who uses
// two files together holds a shared lock on each, at a place that depends on the other one's inode; so
// whoever comes with another partner finds out. All bytes lie far beyond any data. No state; any thread.

#include <cstdint>
#include <filesystem>

namespace instar::storage {

struct ByteRange {
  std::uint64_t start = 0;
  std::uint64_t length = 0;
};

// `type` is F_RDLCK or F_WRLCK. False where somebody else is in the way. Throw Error where the file system
// refuses.
bool tryLock(int descriptor, short type, ByteRange range, const std::filesystem::path& path);
bool isFree(int descriptor, ByteRange range, const std::filesystem::path& path);  // of others' locks
void unlock(int descriptor, ByteRange range) noexcept;

inline constexpr std::uint64_t kFirstLockByte = std::uint64_t{1} << 62;
inline constexpr ByteRange kAllPlaces{kFirstLockByte + 3, std::uint64_t{1} << 61};

// Inode 0 stands for no partner, with whom everybody gets along.
ByteRange placeOf(std::uint64_t partner) noexcept;
bool isPresentElsewhere(int descriptor, std::uint64_t partner, const std::filesystem::path& path);

}  // namespace instar::storage
