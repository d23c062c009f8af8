#include "instar/format/payload.h"

#include <capnp/message.h>
#include <capnp/schema.h>
#include <capnp/serialize.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "instar/format/catalog.capnp.h"

namespace instar {
namespace {

using capnp::schema::Node;

Bytes bytesOf(kj::ArrayPtr<const capnp::word> words) {
  return std::as_bytes(std::span(words.begin(), words.size()));
}

using Words = std::vector<std::uint64_t>;

Bytes bytesOf(const Words& words) { return std::as_bytes(std::span(words)); }

Words flatten(capnp::MallocMessageBuilder& message) {
  const auto segments = message.getSegmentsForOutput();
  EXPECT_EQ(segments.size(), 1U);
  Words words(segments[0].size());
  std::memcpy(words.data(), segments[0].begin(), words.size() * sizeof(capnp::word));
  return words;
}

// A record with all that a payload can have: nested structs, lists of every kind, text, data.
Words richPayload() {
  capnp::MallocMessageBuilder message(16 * 1024);
  message.setRoot(capnp::Schema::from<catalog::Version>().getProto());
  return flatten(message);
}

const capnp::word* wordsOf(Bytes payload) { return reinterpret_cast<const capnp::word*>(payload.data()); }

// Follows every pointer with Cap'n Proto's own checks, which throw where one leads outside, and then without,
// which a sanitizer sees.
void readEverything(Bytes payload) {
  const kj::ArrayPtr<const capnp::word> segment(wordsOf(payload), payload.size() / sizeof(capnp::word));
  capnp::SegmentArrayMessageReader reader(kj::arrayPtr(&segment, 1), {UINT64_MAX, 1024});
  capnp::MallocMessageBuilder checked;
  checked.setRoot(reader.getRoot<capnp::AnyPointer>());
  capnp::MallocMessageBuilder unchecked;
  unchecked.setRoot(capnp::readMessageUnchecked<capnp::AnyPointer>(wordsOf(payload)));
}

bool canReadEverything(Bytes payload) {
  try {
    readEverything(payload);
    return true;
  } catch (const kj::Exception&) {
    return false;
  }
}

// A message in which text lies `depth` lists deep.
Words nestedLists(unsigned depth) {
  capnp::MallocMessageBuilder message(4096);
  auto place = message.initRoot<capnp::AnyPointer>();
  for (unsigned i = 0; i < depth; ++i) {
    auto list = place.initAsAnyList(capnp::ElementSize::POINTER, 1);
    place = list.as<capnp::List<capnp::AnyPointer>>()[0];
  }
  place.setAs<capnp::Text>("deep");
  return flatten(message);
}

TEST(PayloadIsWhole, WhenABuilderMadeIt) {
  EXPECT_TRUE(isWhole(bytesOf(richPayload())));
  capnp::MallocMessageBuilder empty;
  empty.initRoot<catalog::Generation>();
  EXPECT_TRUE(isWhole(bytesOf(empty.getSegmentsForOutput()[0])));
}

TEST(PayloadIsWhole, WhenItIsOneNullPointer) { EXPECT_TRUE(isWhole(bytesOf(Words(1)))); }

TEST(PayloadIsNotWhole, WhenNothingIsThere) { EXPECT_FALSE(isWhole({})); }

TEST(PayloadIsNotWhole, WhenItWasCutAnywhere) {
  const Words words = richPayload();
  for (std::size_t length = 0; length < words.size(); ++length) {
    EXPECT_FALSE(isWhole(bytesOf(words).first(length * sizeof(capnp::word)))) << length;
  }
}

TEST(PayloadIsNotWhole, WhenItNestsDeeperThanTheLimit) {
  EXPECT_TRUE(isWhole(bytesOf(nestedLists(kMaxWholeNesting))));
  EXPECT_FALSE(isWhole(bytesOf(nestedLists(kMaxWholeNesting + 1))));
}

// A list of two pointers, both to a list in the word behind it.
bool isWholeWithShared(std::uint64_t list) {
  const std::uint64_t words[] = {std::uint64_t{2} << 35 | std::uint64_t{6} << 32 | 1, list | 1 << 2 | 1,
                                 list | 1, 0};
  return isWhole(std::as_bytes(std::span(words)));
}

TEST(PayloadIsNotWhole, WhenTwoPointersShareAnObjectWithPointers) {
  EXPECT_FALSE(isWholeWithShared(std::uint64_t{1} << 35 | std::uint64_t{6} << 32));
}

TEST(PayloadIsWhole, AlsoWhenTwoPointersShareAText) {
  EXPECT_TRUE(isWholeWithShared(std::uint64_t{8} << 35 | std::uint64_t{2} << 32));
}

TEST(PayloadIsNotWhole, WhenAPointerIsFarOrACapability) {
  for (const std::uint64_t kind : {2, 3}) {
    const std::uint64_t words[] = {kind, 0};
    EXPECT_FALSE(isWhole(std::as_bytes(std::span(words)))) << kind;
  }
}

TEST(PayloadIsNotWhole, WhenAPointerLeadsBeforeTheBeginning) {
  const std::uint64_t words[] = {std::uint64_t{1} << 32 | (0xffff'ffff & static_cast<std::uint32_t>(-3 * 4)),
                                 0};
  EXPECT_FALSE(isWhole(std::as_bytes(std::span(words))));
}

TEST(PayloadIsWhole, OnlyIfCapnProtoFindsNothingOutside) {
  const Words sound = richPayload();
  std::size_t refused = 0;
  for (std::size_t word = 0; word < sound.size(); ++word) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      Words words = sound;
      words[word] ^= std::uint64_t{1} << bit;
      if (!isWhole(bytesOf(words))) {
        ++refused;
      } else if (!canReadEverything(bytesOf(words))) {
        FAIL() << "bit " << bit << " of word " << word;
      }
    }
  }
  EXPECT_GT(refused, 0U);
}

RC_GTEST_PROP(PayloadOfAnyBytes, IsWholeOnlyIfCapnProtoFindsNothingOutside,
              (const std::vector<std::uint64_t>& noise)) {
  // A struct of pointers with small numbers and small offsets, so that they often fit.
  const std::uint64_t pointers = std::min<std::size_t>(noise.size(), 4);
  std::vector<std::uint64_t> words{pointers << 48};
  for (const std::uint64_t bits : noise) words.push_back(bits & 0x0001'0009'0000'001d);
  const Bytes payload = std::as_bytes(std::span(words));
  RC_CLASSIFY(isWhole(payload), "whole");
  if (isWhole(payload)) RC_ASSERT(canReadEverything(payload));
}

}  // namespace
}  // namespace instar
