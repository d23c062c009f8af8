#pragma once

// LMDB's return codes, and the one place where they become Errors. Any thread.

#include <filesystem>

#include "instar/format/error.h"

namespace instar::storage::lmdb {

// Checked against <lmdb.h> where that is included. Positive codes are errno.
inline constexpr int kNotFound = -30798;
inline constexpr int kPageNotFound = -30797;
inline constexpr int kCorrupted = -30796;
inline constexpr int kPanic = -30795;
inline constexpr int kVersionMismatch = -30794;
inline constexpr int kInvalid = -30793;
inline constexpr int kMapFull = -30792;
inline constexpr int kTooManyTrees = -30791;
inline constexpr int kReadersFull = -30790;
inline constexpr int kTransactionFull = -30788;
inline constexpr int kMapResized = -30785;
inline constexpr int kIncompatible = -30784;
inline constexpr int kBadReaderSlot = -30783;
inline constexpr int kBadTransaction = -30782;
inline constexpr int kBadTree = -30780;
// Not LMDB's: the tree has flags that none of Instar's has.
inline constexpr int kOddTree = -29999;

// `code` is not 0. `call` is the call that failed, for example "mdb_put".
Error error(int code, const char* call, const std::filesystem::path& path);

}  // namespace instar::storage::lmdb
