#include "instar/engine/internal/storage/lmdb_error.h"

#include <cerrno>
#include <string>

#include "instar/engine/internal/storage/file_system.h"

namespace instar::storage::lmdb {
namespace {

struct Verdict {
  int code;
  ErrorCode next;
  const char* message;
};

constexpr Verdict kVerdicts[] = {
    {kPageNotFound, ErrorCode::restoreFromBackup,
     "a page of the file is missing: restore the file from a backup"},
    {kCorrupted, ErrorCode::restoreFromBackup,
     "a page of the file is damaged: restore the file from a backup"},
    {kOddTree, ErrorCode::restoreFromBackup,
     "what the file says about a tree is damaged: restore it from a backup, or bring its rows out with "
     "instar salvage"},
    {kPanic, ErrorCode::retry, "a commit failed on its last page: the store is being opened anew, try again"},
    {kVersionMismatch, ErrorCode::fixEnvironment,
     "file or lock file come from another version of LMDB: use one"},
    {kInvalid, ErrorCode::fixEnvironment,
     "this is not an Instar file, or its lock file is not LMDB's: name another"},
    {kMapFull, ErrorCode::retry,
     "the map was too small, the next write transaction enlarges it: do this one again"},
    {kTooManyTrees, ErrorCode::fixCall, "the store has no room for another tree: use fewer collections"},
    {kReadersFull, ErrorCode::retry, "all reader slots are taken: close snapshots, then try again"},
    {kTransactionFull, ErrorCode::fixCall, "the transaction is too large: commit more often"},
    {kMapResized, ErrorCode::retry, "another process enlarged the file: close snapshots, then try again"},
    {kIncompatible, ErrorCode::fixEnvironment,
     "this is not an Instar file: a name stands for something else"},
    {kBadReaderSlot, ErrorCode::retry, "the reader slot was taken away: begin another transaction"},
    {kBadTransaction, ErrorCode::fixCall, "the transaction has failed before: drop it and begin another"},
    {kBadTree, ErrorCode::fixCall, "the tree is not open: open it first"},
    // All other arguments are checked before.
    {EINVAL, ErrorCode::fixCall, "the transaction began before the tree was opened: begin another"},
};

}  // namespace

Error error(int code, const char* call, const std::filesystem::path& path) {
  for (const Verdict& verdict : kVerdicts) {
    if (verdict.code != code) continue;
    return Error(verdict.next, verdict.message,
                 {{"call", call}, {"path", path.string()}, {"code", std::to_string(code)}});
  }
  if (code > 0) return systemError(code, call, path);
  return Error(ErrorCode::fixEnvironment, "LMDB refuses: see the code",
               {{"call", call}, {"path", path.string()}, {"code", std::to_string(code)}});
}

}  // namespace instar::storage::lmdb
