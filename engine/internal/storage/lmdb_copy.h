#pragma once

// A consistent copy of an environment as a stream of bytes, while others read and write. LMDB writes into a
// pipe on a thread of its own; the calling thread puts the bytes into the file, so that it can tell how far
// it is, and stop.

#include <cstdint>
#include <filesystem>

#include "instar/engine/internal/storage/lmdb_binding.h"
#include "instar/engine/options.h"

namespace instar::storage {

// Writes the copy to `descriptor`, which is at its beginning; `target` is its name for messages. What
// `progress` throws ends the copy. `path` is the environment's. The handle must stay open and its map in
// place meanwhile; the calling thread has no write transaction.
void copyEnvironment(const LmdbHandle& lmdb, const std::filesystem::path& path, int descriptor,
                     const std::filesystem::path& target, bool compact, const ProgressCallback& progress);

// A compact copy keeps what pages say about themselves and leaves out the rest, so that it makes the loss of
// what cannot be reached permanent. Throws Error(restoreFromBackup) where a walk over a tree of `copy`, a
// finished file that nobody else has open, does not meet as many entries as the tree counts, or meets them
// out of order.
void checkCompactCopy(const std::filesystem::path& copy, const std::filesystem::path& source);

}  // namespace instar::storage
