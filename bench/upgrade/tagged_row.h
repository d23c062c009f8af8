#pragma once
// Rows as programs store them in LMDB and RocksDB when they mean to migrate on reading: a version tag of four
// bytes, then the record as a flat Cap'n Proto message. Owns the memory of what it has decoded and encoded;
// one thread.

#include <capnp/common.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "instar/bench/upgrade/change.h"

namespace capnp {
class MessageBuilder;
}

namespace instar::bench {

class TaggedRows {
 public:
  explicit TaggedRows(Change change) noexcept : change_(change) {}
  TaggedRows(const TaggedRows&) = delete;
  TaggedRows& operator=(const TaggedRows&) = delete;

  struct Decoded {
    NewRow row;  // valid until the next decode(); what it was decoded from is no longer needed
    bool old;    // it was stored in an old form that had to be upgraded; never after an additive change
  };

  // Throws std::runtime_error where the tag is of neither release.
  Decoded decode(std::string_view value);

  // Valid until the next encode….
  std::string_view encodeOld(const OldRow& row);
  std::string_view encodeNew(const NewRow& row);

 private:
  std::string_view flatten(std::uint32_t tag, capnp::MessageBuilder& message);

  const Change change_;
  std::vector<capnp::word> words_;                  // of the message that was decoded, aligned
  std::string scratch_;                             // texts that an upgrade has put together
  std::array<capnp::word, 128> firstSegment_ = {};  // of a message that is encoded; zeros between two
  std::string encoded_;
};

}  // namespace instar::bench
