#include "instar/evolve/record_message.h"

#include <algorithm>
#include <new>

namespace instar::internal {
namespace {

constexpr std::size_t kLeastWords = 128;                        // of a segment behind the first
constexpr std::size_t kMostWords = (std::size_t{1} << 29) - 1;  // in a segment of Cap'n Proto

capnp::word* asWords(void* words) noexcept { return static_cast<capnp::word*>(words); }

}  // namespace

RecordMessage::RecordMessage(std::span<std::uint64_t> room, std::size_t used)
    : RecordMessage(room, {kj::arrayPtr(asWords(room.data()), room.size()), used}) {}

RecordMessage::RecordMessage(std::span<std::uint64_t> room, SegmentInit segment)
    : MessageBuilder(kj::arrayPtr(&segment, 1)),
      nextWords_(std::max(room.size(), kLeastWords)),
      segments_(1) {}

kj::ArrayPtr<capnp::word> RecordMessage::allocateSegment(unsigned minimumWords) {
  if (segments_ == 0 && minimumWords <= room_.size()) {
    segments_ = 1;
    std::ranges::fill(room_, 0);
    return kj::arrayPtr(asWords(room_.data()), room_.size());
  }
  const bool isFirst = segments_++ == 0;
  const std::size_t words = std::min(std::max<std::size_t>(minimumWords, nextWords_), kMostWords);
  std::unique_ptr<void, Free> segment(std::calloc(words, sizeof(capnp::word)));
  if (segment == nullptr) throw std::bad_alloc();
  allocated_.push_back(std::move(segment));
  nextWords_ = std::max(isFirst ? words : nextWords_ + words, kLeastWords);
  return kj::arrayPtr(asWords(allocated_.back().get()), words);
}

}  // namespace instar::internal
