#include "instar/format/compression.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "instar/format/error.h"

namespace instar {
namespace {

std::vector<std::byte> compress(Compressor& compressor, std::string_view text) {
  std::vector<std::byte> frame(Compressor::boundOf(text.size()));
  frame.resize(compressor.compress(asBytes(text), frame));
  return frame;
}

bool comesBack(Bytes frame, std::string_view text, const Dictionary* dictionary) {
  std::string out(text.size(), '?');
  return decompress(frame, std::as_writable_bytes(std::span(out)), dictionary) && out == text;
}

// Sentences that have most of their words in common.
std::vector<std::string> sentences() {
  std::vector<std::string> all;
  for (int i = 0; i < 4000; ++i)
    all.push_back("order " + std::to_string(i * 7919 % 10007) + " was delivered to the street of the " +
                  std::to_string(i % 97) + " roses on a day of rain");
  return all;
}

std::vector<std::byte> trained(std::size_t mostBytes) {
  const std::vector<std::string> all = sentences();
  std::vector<Bytes> samples;
  for (const std::string& sentence : all) samples.push_back(asBytes(sentence));
  return Dictionary::train(samples, mostBytes);
}

RC_GTEST_PROP(Compression, BringsBackWhatItWasGiven, (const std::string& text)) {
  for (const int level : {-5, 1, 3}) {
    Compressor compressor(level);
    RC_ASSERT(comesBack(compress(compressor, text), text, nullptr));
  }
}

TEST(Compression, RefusesWhatDoesNotFillTheRoomExactly) {
  Compressor compressor;
  const std::string text(1000, 'x');
  const auto frame = compress(compressor, text);
  EXPECT_TRUE(comesBack(frame, text, nullptr));
  std::vector<std::byte> room(1001);
  EXPECT_FALSE(decompress(frame, room, nullptr));
  room.resize(999);
  EXPECT_FALSE(decompress(frame, room, nullptr));
  room.resize(1000);
  EXPECT_FALSE(decompress(Bytes(frame).first(frame.size() - 1), room, nullptr));
  EXPECT_FALSE(decompress({}, room, nullptr));
}

TEST(Compression, SaysThatAFrameDoesNotFit) {
  Compressor compressor;
  const std::string text = sentences().front();
  const auto frame = compress(compressor, text);
  std::vector<std::byte> out(frame.size() - 1);
  EXPECT_EQ(compressor.compress(asBytes(text), out), 0U);
  EXPECT_EQ(compress(compressor, text), frame) << "and works as before afterwards";
}

TEST(Dictionaries, MakeSmallFramesSmaller) {
  const std::vector<std::byte> content = trained(4096);
  ASSERT_FALSE(content.empty());
  EXPECT_LE(content.size(), 4096U);
  const auto dictionary = std::make_shared<const Dictionary>(7, content);
  EXPECT_EQ(dictionary->id(), 7U);
  EXPECT_TRUE(std::ranges::equal(dictionary->content(), content));

  const std::string text = "order 99 was delivered to the street of the 12 roses on a day of rain";
  Compressor with(1, dictionary);
  Compressor without(1);
  const auto frame = compress(with, text);
  EXPECT_LT(frame.size() * 2, compress(without, text).size());
  EXPECT_TRUE(comesBack(frame, text, dictionary.get()));
  EXPECT_FALSE(comesBack(frame, text, nullptr));
}

TEST(Dictionaries, AreNotMadeOfNearlyNothing) {
  EXPECT_TRUE(Dictionary::train({}, 4096).empty());
  const Bytes one[] = {asBytes("a sample")};
  EXPECT_TRUE(Dictionary::train(one, 4096).empty());
}

TEST(Dictionaries, AreRefusedWhereTheyAreDamaged) {
  std::vector<std::byte> content = trained(4096);
  std::fill(content.begin() + 8, content.begin() + 40, std::byte{0xff});  // its entropy tables
  try {
    const Dictionary dictionary(3, content);
    FAIL() << "a damaged dictionary was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::restoreFromBackup);
    EXPECT_EQ(error.fact("dictionary"), "3");
  }
}

}  // namespace
}  // namespace instar
