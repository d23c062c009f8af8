#include "instar/evolve/record_message.h"

#include <capnp/any.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

namespace instar::internal {
namespace {

// A list of texts, so that a message may grow a little at a time.
using Texts = capnp::List<capnp::Text>;

void addTexts(capnp::MessageBuilder& message, unsigned count, std::size_t length) {
  auto texts = message.initRoot<capnp::AnyPointer>().initAs<Texts>(count);
  for (unsigned i = 0; i < count; ++i) texts.set(i, std::string(length, static_cast<char>('a' + i % 26)));
}

void expectTexts(const capnp::AnyPointer::Reader& root, unsigned count, std::size_t length) {
  const auto texts = root.getAs<Texts>();
  ASSERT_EQ(texts.size(), count);
  for (unsigned i = 0; i < count; ++i)
    ASSERT_EQ(std::string(texts[i].cStr()), std::string(length, static_cast<char>('a' + i % 26)));
}

bool isZero(kj::ArrayPtr<const capnp::word> words) {
  for (const auto byte : words.asBytes()) {
    if (byte != 0) return false;
  }
  return true;
}

TEST(RecordMessageTest, HandsOutZerosWhateverWasInTheRoom) {
  std::array<std::uint64_t, 16> room;
  room.fill(~std::uint64_t{0});
  RecordMessage message(room);
  std::size_t total = 0;
  for (const unsigned least : {1U, 1U, 40U, 5000U, 1U}) {
    const auto segment = message.allocateSegment(least);
    EXPECT_GE(segment.size(), least);
    EXPECT_TRUE(isZero(segment));
    if (total == 0) {
      EXPECT_EQ(static_cast<const void*>(segment.begin()), room.data()) << "the room comes first";
      EXPECT_EQ(segment.size(), room.size());
    } else {
      EXPECT_GE(segment.size(), total) << "there are few, each as large as all before it";
    }
    std::fill(segment.asBytes().begin(), segment.asBytes().end(), kj::byte{0xff});
    total += segment.size();
  }
}

TEST(RecordMessageTest, LeavesRoomAloneThatIsTooSmallForTheFirstObject) {
  std::array<std::uint64_t, 2> room{7, 7};
  RecordMessage message(room);
  EXPECT_EQ(message.allocateSegment(3).size(), 3U);
  EXPECT_EQ(room[0], 7U);
}

TEST(RecordMessageTest, KeepsWhatIsPutIntoItHoweverLargeItBecomes) {
  for (const unsigned count : {0U, 1U, 40U, 3000U}) {
    RoomyMessage<32> roomy;
    RecordMessage allocating;
    RecordMessage tight(1);
    for (RecordMessage* const message : {static_cast<RecordMessage*>(&roomy), &allocating, &tight}) {
      addTexts(*message, count, 30);
      expectTexts(message->getRoot<capnp::AnyPointer>().asReader(), count, 30);
      EXPECT_EQ(message->isOneSegment(), message->getSegmentsForOutput().size() == 1);
    }
    EXPECT_EQ(roomy.isOneSegment(), count <= 1);
  }
}

TEST(RecordMessageTest, GoesOnWithAMessageThatIsThere) {
  RecordMessage first;
  addTexts(first, 5, 20);
  const auto words = first.getSegmentsForOutput()[0];
  std::vector<std::uint64_t> room(words.size() + 10);
  std::memcpy(room.data(), words.begin(), words.size() * sizeof(capnp::word));
  RecordMessage second(room, words.size());
  auto texts = second.getRoot<capnp::AnyPointer>().getAs<Texts>();
  texts.set(0, "in the room");
  EXPECT_TRUE(second.isOneSegment());
  EXPECT_EQ(static_cast<const void*>(second.getSegmentsForOutput()[0].begin()), room.data());
  texts.set(1, std::string(1000, 'z'));
  EXPECT_FALSE(second.isOneSegment());
  EXPECT_STREQ(texts.asReader()[0].cStr(), "in the room");
  EXPECT_EQ(texts.asReader()[1].size(), 1000U);
  EXPECT_EQ(texts.asReader()[4].size(), 20U);
}

}  // namespace
}  // namespace instar::internal
