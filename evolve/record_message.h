#pragma once

// The message of a record in the making: capnp::MallocMessageBuilder for where memory may be refused. That
// one of Cap'n Proto 0.9.2 goes over its segments when it ends, if it was given room, and that list is not
// whole after an allocation failed while the message grew: a signal. It also forgets a segment then.
//
// Every word that is handed out is zero. Each segment behind the first is as large as all before it, so that
// there are few. Where memory is refused std::bad_alloc is thrown, and the message can be used further: what
// it held is as it was. But after that getSegmentsForOutput() is sound of a message that isOneSegment()
// alone.
//
// One thread at a time.

#include <capnp/message.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace instar::internal {

class RecordMessage : public capnp::MessageBuilder {
 public:
  // Allocates so many words with the first object. The default takes most records.
  explicit RecordMessage(std::size_t firstWords = 1024) noexcept : nextWords_(firstWords) {}
  // Begins in `room`, whatever is in it; the room lives longer.
  explicit RecordMessage(std::span<std::uint64_t> room) noexcept : room_(room), nextWords_(room.size()) {}
  // Goes on with the message in the first `used` words of `room`, all others of which are zero. Believes its
  // pointers. The room lives longer.
  RecordMessage(std::span<std::uint64_t> room, std::size_t used);
  RecordMessage(const RecordMessage&) = delete;
  RecordMessage& operator=(const RecordMessage&) = delete;
  ~RecordMessage() noexcept(false) override = default;

  kj::ArrayPtr<capnp::word> allocateSegment(unsigned minimumWords) final;

  // False also where memory was refused to a second one.
  bool isOneSegment() const noexcept { return segments_ <= 1; }

 private:
  struct Free {
    void operator()(void* words) const noexcept { std::free(words); }
  };

  RecordMessage(std::span<std::uint64_t> room, SegmentInit segment);

  std::span<std::uint64_t> room_;
  std::size_t nextWords_;
  std::size_t segments_ = 0;                            // that were asked for
  std::vector<std::unique_ptr<void, Free>> allocated_;  // those that do not lie in the room
};

// Room that is there before the message, and goes after it.
template <std::size_t words>
struct RecordRoom {
  std::uint64_t room[words];
};

// A message that begins in itself, so that a record of up to so many words is made without an allocation.
template <std::size_t words>
class RoomyMessage final : private RecordRoom<words>, public RecordMessage {
 public:
  RoomyMessage() noexcept : RecordMessage(std::span(RecordRoom<words>::room)) {}
};

}  // namespace instar::internal
