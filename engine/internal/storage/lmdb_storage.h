#pragma once

// Opening a file as an LMDB environment, and what needs a file to oneself.
//
// Rules of the house: one environment for a file in a process, shared by all who open it; the lock file
// stands beside the file's real name, whatever link was followed; a file is created under another name and
// appears whole, with the permissions 0644 less the umask as SQLite's do, and its lock file has the same
// permissions and owner. Any thread.

#include <filesystem>
#include <memory>

#include "instar/engine/options.h"
#include "instar/engine/storage.h"

namespace instar::storage {

// Throws Error: fixEnvironment (missing, not an Instar file, empty, a folder or device, no permission,
// network file system, in use under another name), restoreFromBackup (cut short), fixCall (open in this
// process with options that conflict), retry (another process is opening or compacting it for longer than
// options.writeTimeout).
std::shared_ptr<Environment> openLmdb(const std::filesystem::path& path, const StoreOptions& options);

// As long as the result lives no page is used anew that a commit has, of those from the newest one on. Looks
// at no page but LMDB's own two, so that it is for damaged files too. Throws Error where the file cannot be
// opened, or is read without a lock file, which nobody would heed.
std::shared_ptr<const void> holdPages(const std::filesystem::path& path);

// Rewrites the file without its free pages: a copy beside it, synced, renamed over it. Nobody may have it
// open, in this process or another: Error(retry).
void compactInPlace(const std::filesystem::path& path, const ProgressCallback& progress = {});

// The real name behind links; the last part need not exist. Throws Error.
std::filesystem::path resolveStorePath(const std::filesystem::path& path);

}  // namespace instar::storage
