#include "instar/bench/upgrade/tagged_row.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/io.h>

#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "instar/bench/upgrade/releases.h"

namespace instar::bench {
namespace {

constexpr std::uint32_t kOldTag = 1;
constexpr std::uint32_t kNewTag = 2;
constexpr std::size_t kTagSize = sizeof kOldTag;

}  // namespace

TaggedRows::Decoded TaggedRows::decode(std::string_view value) {
  std::uint32_t tag = 0;
  if (value.size() >= kTagSize) std::memcpy(&tag, value.data(), kTagSize);
  if (tag != kOldTag && tag != kNewTag) throw std::runtime_error("a row is of neither release");
  const std::size_t size = value.size() - kTagSize;
  words_.resize(size / sizeof(capnp::word));
  if (size != 0) std::memcpy(words_.data(), value.data() + kTagSize, words_.size() * sizeof(capnp::word));
  capnp::FlatArrayMessageReader message(kj::arrayPtr(words_.data(), words_.size()));
  if (tag == kOldTag && change_ != Change::additive)
    return {upgraded(change_, readOld(message.getRoot<Order>()), scratch_), true};
  return {withRelease(
              change_,
              [&](auto* type) { return readNew(message.getRoot<std::remove_pointer_t<decltype(type)>>()); }),
          false};
}

std::string_view TaggedRows::encodeOld(const OldRow& row) {
  capnp::MallocMessageBuilder message(kj::arrayPtr(firstSegment_.data(), firstSegment_.size()));
  fill(message.initRoot<Order>(), row);
  return flatten(kOldTag, message);
}

std::string_view TaggedRows::encodeNew(const NewRow& row) {
  capnp::MallocMessageBuilder message(kj::arrayPtr(firstSegment_.data(), firstSegment_.size()));
  withRelease(change_,
              [&](auto* type) { writeNew(message.initRoot<std::remove_pointer_t<decltype(type)>>(), row); });
  return flatten(kNewTag, message);
}

std::string_view TaggedRows::flatten(std::uint32_t tag, capnp::MessageBuilder& message) {
  const std::size_t size = capnp::computeSerializedSizeInWords(message) * sizeof(capnp::word);
  encoded_.resize(kTagSize + size);
  std::memcpy(encoded_.data(), &tag, kTagSize);
  kj::ArrayOutputStream out(kj::arrayPtr(reinterpret_cast<kj::byte*>(encoded_.data()) + kTagSize, size));
  capnp::writeMessage(out, message);
  return encoded_;
}

}  // namespace instar::bench
