#pragma once

// Rows that a program has read and that are to be looked at through the staged version as well, on their way
// from the threads that read to the one that looks: copies, so that nobody has to wait. Bounded: what comes
// faster than it is looked at is passed over, and so is a row that is larger than all of the room. Any thread
// puts, one takes.

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "instar/format/row.h"

namespace instar {

class CanaryQueue {
 public:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 20;

  // What whoever puts has to tell the one who takes.
  enum class Put : std::uint8_t {
    more,       // nothing
    first,      // that there is something
    much,       // that it is time
    passedOver  // nothing: there is no room
  };

  // Throws std::bad_alloc.
  Put put(Bytes key, const RowView& row);

  // All rows, in the order in which they came, out of the way. They stay until it is called again.
  class Rows;
  Rows take();

  bool isEmpty();

 private:
  struct Header {
    std::uint32_t keySize;
    std::uint32_t payloadSize;
    std::uint16_t version;
  };

  std::mutex mutex_;
  std::vector<std::byte> waiting_;  // protected by mutex_: header, key, payload, the next row
  std::vector<std::byte> taken_;    // of the one who takes
};

// To be walked once.
class CanaryQueue::Rows {
 public:
  Rows() = default;
  explicit Rows(Bytes bytes) : rest_(bytes) {}

  bool isAtEnd() const noexcept { return rest_.empty(); }

  // False at the end. What it fills in is borrowed.
  bool next(Bytes& key, RowView& row);

 private:
  Bytes rest_;
};

}  // namespace instar
