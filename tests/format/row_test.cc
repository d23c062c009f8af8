#include "instar/format/row.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "instar/format/key_text.h"

namespace instar {
namespace {

std::vector<std::byte> encode(std::string_view key, std::uint16_t version, std::string_view payload,
                              RowPlacement placement = RowPlacement::leaf) {
  std::vector<std::byte> out(rowHeaderLength(key.size(), placement) + payload.size());
  encodeRow(out, asBytes(key), version, asBytes(payload), placement);
  return out;
}

TEST(RowBytes, AreAsDocumented) {
  EXPECT_EQ(toHex(encode("key", 0x0302, "payload!")),
            "01"          // row format 1, no flags
            "0d"          // header length 13: 3 bytes of key + 13 = 16
            "0203"        // schema version 0x0302
            "fa88f215"    // checksum
            "0000000000"  // padding
            "7061796c6f616421");
}

TEST(RowBytes, KeyAndHeaderFillWholeWordsInALeaf) {
  for (std::size_t keyLength = 1; keyLength <= 511; ++keyLength) {
    const std::size_t length = rowHeaderLength(keyLength, RowPlacement::leaf);
    EXPECT_EQ((keyLength + length) % 8, 0U);
    EXPECT_GE(length, kMinRowHeaderLength);
    EXPECT_LE(length, kMaxRowHeaderLength);
    EXPECT_EQ(rowHeaderLength(keyLength, RowPlacement::overflow), kMinRowHeaderLength);
  }
}

TEST(RowBytes, HaveTheLimitsOfTheDocument) {
  EXPECT_EQ(kMaxPayloadLength, 1'073'741'824U);
  EXPECT_EQ(kMinRowHeaderLength, 8U);
  EXPECT_EQ(kMaxRowHeaderLength, 15U);
}

TEST(RowDecoding, AFlippedBitAnywhereIsFound) {
  const std::string key = "some key";
  for (const auto placement : {RowPlacement::leaf, RowPlacement::overflow}) {
    for (const std::size_t words : {1U, 3U, 40U}) {
      auto value = encode(key, 7, std::string(words * 8, 'p'), placement);
      RowView row;
      ASSERT_EQ(decodeRow(asBytes(key), value, Verify::yes, row), RowDamage::none);
      for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
        value[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_NE(decodeRow(asBytes(key), value, Verify::yes, row), RowDamage::none) << "bit " << bit;
        value[bit / 8] ^= std::byte{1} << (bit % 8);
      }
    }
  }
}

TEST(RowDecoding, ARowUnderAnotherKeyIsFound) {
  const auto value = encode("here", 1, "payload!");
  RowView row;
  EXPECT_EQ(decodeRow(asBytes("here"), value, Verify::yes, row), RowDamage::none);
  EXPECT_EQ(decodeRow(asBytes("her"), value, Verify::yes, row), RowDamage::checksum);
  EXPECT_EQ(decodeRow(asBytes("there"), value, Verify::yes, row), RowDamage::checksum);
}

TEST(RowDecoding, EveryKindOfDamageHasItsName) {
  const auto damage = [](std::size_t at, std::byte to) {
    auto value = encode("key", 1, "payload!");
    value[at] = to;
    RowView row;
    return decodeRow(asBytes("key"), value, Verify::yes, row);
  };
  EXPECT_EQ(damage(0, std::byte{0}), RowDamage::unknownFormat);
  EXPECT_EQ(damage(0, std::byte{0x11}), RowDamage::unknownFormat);
  EXPECT_EQ(damage(1, std::byte{7}), RowDamage::headerLength);
  EXPECT_EQ(damage(1, std::byte{16}), RowDamage::headerLength);
  EXPECT_EQ(damage(1, std::byte{12}), RowDamage::payloadLength);
  EXPECT_EQ(damage(2, std::byte{0}), RowDamage::version);
  EXPECT_EQ(damage(4, std::byte{0}), RowDamage::checksum);
  EXPECT_EQ(damage(8, std::byte{1}), RowDamage::padding);
  EXPECT_EQ(damage(13, std::byte{0}), RowDamage::checksum);
  RowView row;
  EXPECT_EQ(decodeRow(asBytes("key"), Bytes{}, Verify::yes, row), RowDamage::truncated);
}

TEST(RowDecoding, WithoutVerificationOnlyTheChecksumIsSkipped) {
  auto value = encode("key", 1, "payload!");
  value.back() ^= std::byte{1};
  RowView row;
  EXPECT_EQ(decodeRow(asBytes("key"), value, Verify::no, row), RowDamage::none);
  EXPECT_EQ(row.version, 1);
  value[0] = std::byte{0};
  EXPECT_EQ(decodeRow(asBytes("key"), value, Verify::no, row), RowDamage::unknownFormat);
}

// The flags were only ever compared with each other: a tombstone could have been stored as any byte.
TEST(RowEncoding, HasTheFlagsInTheHighBitsOfItsFirstByte) {
  const struct {
    RowFlags flags;
    int first;
    std::string payload;
  } cases[] = {{RowFlags::none, 0x01, "payload8"},
               {RowFlags::coversCold, 0x21, "payload8"},
               {kTombstoneFlags, 0x31, ""}};
  for (const auto& [flags, first, payload] : cases) {
    std::vector<std::byte> value(rowHeaderLength(3, RowPlacement::leaf) + payload.size());
    encodeRow(value, asBytes("key"), 7, asBytes(payload), RowPlacement::leaf, flags);
    EXPECT_EQ(std::to_integer<int>(value[0]), first);
    EXPECT_EQ(rowFlags(value), flags);
    RowView row;
    ASSERT_EQ(decodeRow(asBytes("key"), value, Verify::yes, row), RowDamage::none);
    EXPECT_EQ(row.flags, flags);
    EXPECT_EQ(row.isTombstone(), payload.empty());
  }
}

// Every test gave it a buffer of zeros, so the padding was right whoever had written it; LMDB's pages are
// dirty.
TEST(RowEncoding, FillsItsRoomAndTouchesNothingBeside) {
  constexpr std::byte kDirt{0xee};
  constexpr std::size_t kMargin = 8;
  for (std::size_t keyLength = 1; keyLength <= 8; ++keyLength) {
    const std::string key(keyLength, 'k');
    for (const auto placement : {RowPlacement::leaf, RowPlacement::overflow}) {
      for (const std::string payload : {"", "payload8"}) {
        const RowFlags flags = payload.empty() ? kTombstoneFlags : RowFlags::none;
        const std::size_t length = rowHeaderLength(keyLength, placement) + payload.size();
        std::vector<std::byte> clean(length);
        encodeRow(clean, asBytes(key), 7, asBytes(payload), placement, flags);
        std::vector<std::byte> page(kMargin + length + kMargin, kDirt);
        const auto room = std::span(page).subspan(kMargin, length);
        encodeRow(room, asBytes(key), 7, asBytes(payload), placement, flags);
        EXPECT_TRUE(std::ranges::equal(room, clean)) << toHex(room);
        for (std::size_t i = 0; i < kMargin; ++i) {
          EXPECT_EQ(page[i], kDirt);
          EXPECT_EQ(page[kMargin + length + i], kDirt);
        }
        RowView row;
        EXPECT_EQ(decodeRow(asBytes(key), room, Verify::yes, row), RowDamage::none);
      }
    }
  }
}

// The shortest value that is there: a tombstone under a key of whole words. One byte less is none.
TEST(RowDecoding, ATombstoneMayBeNothingButItsHeader) {
  const std::string key = "8 bytes!";
  std::vector<std::byte> value(rowHeaderLength(key.size(), RowPlacement::leaf));
  ASSERT_EQ(value.size(), 8U);
  encodeRow(value, asBytes(key), 7, {}, RowPlacement::leaf, kTombstoneFlags);
  RowView row;
  EXPECT_EQ(decodeRow(asBytes(key), value, Verify::yes, row), RowDamage::none);
  EXPECT_EQ(row.version, 7);
  EXPECT_EQ(decodeRow(asBytes(key), Bytes(value).first(7), Verify::yes, row), RowDamage::truncated);
}

TEST(RowDecoding, ARowThatIsRefusedLeavesTheViewAsItWas) {
  auto value = encode("key", 9, "payload!");
  RowView row;
  for (const std::size_t length : {0U, 7U, 8U, 12U, 13U, 20U}) {
    EXPECT_NE(decodeRow(asBytes("key"), Bytes(value).first(length), Verify::yes, row), RowDamage::none);
  }
  EXPECT_NE(decodeRow(asBytes("kei"), value, Verify::yes, row), RowDamage::none);
  EXPECT_EQ(row.version, 0);
  EXPECT_EQ(row.flags, RowFlags::none);
  EXPECT_TRUE(row.payload.empty());
}

// Fingerprints of schemas and shares of keys are in files: the value is XXH3's own for no bytes and seed 0.
TEST(Hash, IsPlainXxh3) {
  EXPECT_EQ(hash64({}), 0x2d06800538d394c2U);
  EXPECT_EQ(hash64({}, 0), hash64({}));
  EXPECT_NE(hash64({}, 1), hash64({}));
}

TEST(RowDamage, IsToldApartInWords) {
  std::set<std::string> words;
  const unsigned last = static_cast<unsigned>(RowDamage::checksum);
  for (unsigned damage = 0; damage <= last; ++damage) words.insert(describe(static_cast<RowDamage>(damage)));
  EXPECT_EQ(words.size(), last + 1);
  EXPECT_EQ(words.count(describe(static_cast<RowDamage>(last + 1))), 0U) << "a kind was added: put it here";
}

RC_GTEST_PROP(RowDecoding, ARowComesBack,
              (const std::string& key, std::uint16_t version, const std::string& payload)) {
  RC_PRE(version != 0);
  const std::string words = payload + std::string(8 - payload.size() % 8, '\0');
  const auto value = encode(key, version, words);
  RowView row;
  RC_ASSERT(decodeRow(asBytes(key), value, Verify::yes, row) == RowDamage::none);
  RC_ASSERT(row.version == version);
  RC_ASSERT(asText(row.payload) == words);
}

RC_GTEST_PROP(RowDecoding, AnyBytesAreDecodedOrRefused, (const std::string& key, const std::string& value)) {
  RowView row;
  if (decodeRow(asBytes(key), asBytes(value), Verify::no, row) != RowDamage::none) return;
  RC_ASSERT(row.payload.size() % 8 == 0U);
  RC_ASSERT(row.payload.data() + row.payload.size() == asBytes(value).data() + value.size());
}

}  // namespace
}  // namespace instar
