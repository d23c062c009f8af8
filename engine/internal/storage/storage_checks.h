#pragma once

// The checks and the errors that every storage::Environment has in common, so that they read the same. Any
// thread.

#include <string>
#include <string_view>

#include "instar/format/bytes.h"
#include "instar/format/error.h"
#include "instar/format/key.h"
#include "instar/format/row.h"

namespace instar::storage {

inline constexpr std::size_t kMaxValueLength = kMaxPayloadLength + kMaxRowHeaderLength;
inline constexpr std::size_t kMaxTreeNameLength = kMaxKeyLength;  // LMDB keeps the names as keys

inline void checkKey(Bytes key) {
  if (!key.empty() && key.size() <= kMaxKeyLength) [[likely]]
    return;
  throw Error(ErrorCode::fixCall, "a key has 1 to 511 bytes: use another one",
              {{"bytes", std::to_string(key.size())}});
}

inline void checkValueSize(std::size_t size) {
  if (size <= kMaxValueLength) [[likely]]
    return;
  throw Error(ErrorCode::fixCall, "a value has at most 1 GiB: split it", {{"bytes", std::to_string(size)}});
}

inline void checkTreeName(std::string_view name) {
  if (!name.empty() && name.size() <= kMaxTreeNameLength && name.find('\0') == std::string_view::npos) return;
  throw Error(ErrorCode::fixCall, "the name of a tree has 1 to 511 bytes, none of them 0: use another one",
              {{"name", std::string(name)}});
}

[[noreturn]] inline void throwTransactionEnded() {
  throw Error(ErrorCode::fixCall, "the transaction has ended: begin another");
}

[[noreturn]] inline void throwNotWritable() {
  throw Error(ErrorCode::fixCall, "this transaction only reads: begin one that writes");
}

[[noreturn]] inline void throwReadOnlyStore() {
  throw Error(ErrorCode::fixCall, "the store is open for reading only: open it for writing");
}

[[noreturn]] inline void throwOtherThread() {
  throw Error(ErrorCode::fixCall, "a write transaction belongs to the thread that began it: commit it there");
}

[[noreturn]] inline void throwForked() {
  throw Error(ErrorCode::fixCall, "the store was opened before a fork: open it again in the child");
}

[[noreturn]] inline void throwCursorUnpositioned() {
  throw Error(ErrorCode::fixCall,
              "the transaction has changed since the cursor was positioned: position it again");
}

[[noreturn]] inline void throwUnknownTree() {
  throw Error(ErrorCode::fixCall, "the transaction began before the tree was opened: begin another");
}

}  // namespace instar::storage
