#include "instar/format/cold_block.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <random>
#include <string>

#include "instar/format/checksum.h"
#include "instar/format/internal/block_header.h"
#include "instar/format/key_text.h"

namespace instar {
namespace {

using Rows = std::map<std::string, std::string>;  // payloads by key, in the order of keys

std::vector<ColdRow> asRows(const Rows& rows) {
  std::vector<ColdRow> cold;
  for (const auto& [key, payload] : rows) cold.push_back({asBytes(key), asBytes(payload)});
  return cold;
}

const Rows kThreeRows = {{"apple", "payload1"}, {"apply", "payload2payload3"}, {"pear", "payload4"}};

struct Opened {
  std::shared_ptr<const UnpackedBlock> block;
  BlockDamage damage = BlockDamage::none;
};

Opened open(std::string_view lastKey, Bytes value, const Dictionary* dictionary = nullptr) {
  Opened opened;
  opened.block = UnpackedBlock::unpack(asBytes(lastKey), value, dictionary, opened.damage);
  EXPECT_EQ(opened.block == nullptr, opened.damage != BlockDamage::none);
  return opened;
}

Rows rowsOf(const UnpackedBlock& block) {
  Rows rows;
  for (std::size_t i = 0; i < block.rows(); ++i) rows.emplace(asText(block.key(i)), asText(block.payload(i)));
  return rows;
}

std::vector<std::byte> packThree() {
  std::vector<std::byte> block;
  EXPECT_EQ(BlockPacker(0x0302).pack(asRows(kThreeRows), 0x1122334455667788, block), 3U);
  return block;
}

// A block by hand, with a right checksum: what a header or the rows in it can have wrong beside that.
struct Handmade {
  BlockHeaderBytes header;
  std::string firstKey = "apple";
  std::string lastKey = "pear";
  std::vector<std::uint32_t> words = {1, 2, 1};
  std::vector<std::uint16_t> shared = {0, 4, 0};
  std::vector<std::uint16_t> ends = {5, 1, 4};
  std::string rest = "payload1payload2payload3payload4appleypear";

  Handmade() {
    header.version = 1;
    header.rows = 3;
    header.number = 1;
    header.firstKeyLength = 5;
    header.unpackedLength = 3 * 8 + 42;
  }

  std::string unpacked() const {
    std::string all;
    const auto add = [&all](const auto& column) {
      all.append(reinterpret_cast<const char*>(column.data()), column.size() * sizeof column[0]);
    };
    add(words);
    add(shared);
    add(ends);
    return all + rest;
  }

  std::vector<std::byte> bytes() const {
    const std::string all = unpacked();
    std::vector<std::byte> frame(Compressor::boundOf(all.size()));
    frame.resize(Compressor().compress(asBytes(all), frame));
    std::vector<std::byte> block(kBlockHeaderLength);
    std::memcpy(block.data(), &header, sizeof header);
    for (const Bytes part : {asBytes(firstKey), Bytes(frame)})
      block.insert(block.end(), part.begin(), part.end());
    std::uint64_t start;
    std::memcpy(&start, block.data(), sizeof start);
    const std::uint64_t checksum = blockChecksum(asBytes(lastKey), start, Bytes(block).subspan(16));
    std::memcpy(block.data() + 8, &checksum, sizeof checksum);
    return block;
  }

  BlockDamage damage() const { return open(lastKey, bytes()).damage; }
};

TEST(BlockBytes, AreAsDocumented) {
  const std::string hex =
      "01"                // block format 1
      "00"                // zero
      "0203"              // schema version 0x0302
      "03000000"          // three rows
      "0000000000000000"  // checksum
      "8877665544332211"  // number of the block
      "42000000"          // 66 bytes unpacked
      "00000000"          // no dictionary
      "0500"              // length of the first key
      "000000000000"      // zero
      "6170706c65";       // "apple"
  std::vector<std::byte> block = packThree();
  ColdBlockHeader header;
  ASSERT_EQ(decodeBlockHeader(block, header), BlockDamage::none);
  std::vector<std::byte> unpacked(header.unpackedLength);
  ASSERT_TRUE(decompress(header.frame, unpacked, nullptr));
  EXPECT_EQ(toHex(unpacked),
            "01000000"
            "02000000"
            "01000000"  // words of the payloads
            "0000"
            "0400"
            "0000"  // bytes shared with the key before: "appl" of "apply"
            "0500"
            "0100"
            "0400"              // bytes of the keys after those
            "7061796c6f616431"  // payloads
            "7061796c6f6164327061796c6f616433"
            "7061796c6f616434"
            "6170706c65"
            "79"
            "70656172");  // "apple", "y" of "apply", "pear"
  std::fill(block.begin() + 8, block.begin() + 16, std::byte{0});
  EXPECT_EQ(toHex(Bytes(block).first(kBlockHeaderLength + 5)), hex);
}

// What was written once is read for ever, whatever zstd makes of the same rows today.
TEST(BlockBytes, OfEarlierBuildsAreRead) {
  std::string block;
  ASSERT_TRUE(
      fromHex("0100020303000000"                  // block format 1, schema version 0x0302, three rows
              "5530ebe56334feb6"                  // checksum
              "8877665544332211"                  // number
              "42000000000000000500000000000000"  // 66 bytes unpacked, no dictionary, first key of 5 bytes
              "6170706c65"                        // "apple"
              "28b52ffd0000bd0100d4020100000002000000010000000000040000000500010004007061796c6f"
              "6164313233346170706c65797065617203040440c0c5ca13",
              block));
  const Opened opened = open("pear", asBytes(block));
  ASSERT_EQ(opened.damage, BlockDamage::none) << describe(opened.damage);
  EXPECT_EQ(rowsOf(*opened.block), kThreeRows);
  EXPECT_EQ(opened.block->version(), 0x0302);
  EXPECT_EQ(opened.block->number(), 0x1122334455667788U);
}

TEST(BlockHeader, TellsWhatIsNeededToFindAKey) {
  const auto block = packThree();
  ColdBlockHeader header;
  ASSERT_EQ(decodeBlockHeader(block, header), BlockDamage::none);
  EXPECT_EQ(header.version, 0x0302);
  EXPECT_EQ(header.rows, 3U);
  EXPECT_EQ(header.dictionary, 0U);
  EXPECT_EQ(asText(header.firstKey), "apple");
  EXPECT_EQ(header.frame.data() + header.frame.size(), block.data() + block.size());
}

TEST(Unpacking, FindsRowsByKey) {
  const Opened opened = open("pear", packThree());
  ASSERT_NE(opened.block, nullptr);
  const auto find = [&](std::string_view key) { return opened.block->lowerBound(asBytes(key)); };
  EXPECT_EQ(find(""), 0U);
  EXPECT_EQ(find("apple"), 0U);
  EXPECT_EQ(find("applf"), 1U);
  EXPECT_EQ(find("apply"), 1U);
  EXPECT_EQ(find("apply!"), 2U);
  EXPECT_EQ(find("pear"), 2U);
  EXPECT_EQ(find("pears"), 3U);
}

TEST(Unpacking, FindsAFlippedBitAnywhere) {
  for (const bool large : {false, true}) {
    Rows rows = kThreeRows;
    for (int i = 0; large && i < 100; ++i)
      rows["b" + std::to_string(i)] = std::string(64, static_cast<char>(i));
    std::vector<std::byte> value;
    ASSERT_EQ(BlockPacker(1).pack(asRows(rows), 1, value), rows.size());
    for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
      value[bit / 8] ^= std::byte{1} << (bit % 8);
      EXPECT_NE(open("pear", value).damage, BlockDamage::none) << "bit " << bit;
      value[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    EXPECT_EQ(rowsOf(*open("pear", value).block), rows);
  }
}

TEST(Unpacking, FindsABlockUnderAnotherKeyAndOneCutShort) {
  const auto block = packThree();
  EXPECT_EQ(open("peas", block).damage, BlockDamage::checksum);
  for (std::size_t length = 0; length < block.size(); ++length)
    EXPECT_NE(open("pear", Bytes(block).first(length)).damage, BlockDamage::none) << length;
}

TEST(Unpacking, NamesWhatIsWrongWithTheHeader) {
  const auto damage = [](auto change) {
    Handmade block;
    change(block);
    return block.damage();
  };
  EXPECT_EQ(damage([](Handmade&) {}), BlockDamage::none);
  EXPECT_EQ(damage([](Handmade& b) { b.header.format = 0; }), BlockDamage::unknownFormat);
  EXPECT_EQ(damage([](Handmade& b) { b.header.format = 2; }), BlockDamage::unknownFormat);
  EXPECT_EQ(damage([](Handmade& b) { b.header.zero = 1; }), BlockDamage::reserved);
  EXPECT_EQ(damage([](Handmade& b) { b.header.zeros[5] = 1; }), BlockDamage::reserved);
  EXPECT_EQ(damage([](Handmade& b) { b.header.version = 0; }), BlockDamage::version);
  EXPECT_EQ(damage([](Handmade& b) { b.header.rows = 0; }), BlockDamage::rowCount);
  EXPECT_EQ(damage([](Handmade& b) { b.header.rows = 65'536; }), BlockDamage::rowCount);
  EXPECT_EQ(damage([](Handmade& b) { b.header.number = 0; }), BlockDamage::number);
  EXPECT_EQ(damage([](Handmade& b) { b.header.unpackedLength = 3 * 17 - 1; }), BlockDamage::unpackedLength);
  EXPECT_EQ(damage([](Handmade& b) { b.header.unpackedLength = (16 << 20) + 1; }),
            BlockDamage::unpackedLength);
  EXPECT_EQ(damage([](Handmade& b) { b.header.firstKeyLength = 0; }), BlockDamage::firstKeyLength);
  EXPECT_EQ(damage([](Handmade& b) { b.header.firstKeyLength = 512; }), BlockDamage::firstKeyLength);
  EXPECT_EQ(damage([](Handmade& b) { b.header.firstKeyLength = 511; }), BlockDamage::truncated);
  EXPECT_EQ(damage([](Handmade& b) { b.header.dictionary = 1; }), BlockDamage::dictionary);
  EXPECT_EQ(damage([](Handmade& b) { ++b.header.unpackedLength; }), BlockDamage::frame);
  EXPECT_EQ(damage([](Handmade& b) { b.header.rows = 2; }), BlockDamage::lengths);
  EXPECT_EQ(open("pear", Bytes{}).damage, BlockDamage::truncated);
}

TEST(Unpacking, NamesWhatIsWrongWithTheRows) {
  const auto damage = [](auto change) {
    Handmade block;
    change(block);
    block.header.unpackedLength = static_cast<std::uint32_t>(block.unpacked().size());
    return block.damage();
  };
  EXPECT_EQ(damage([](Handmade& b) { b.words = {0, 3, 1}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.words = {1, 2, 2}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.words = {1, 0xffffffff, 0xffffffff}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.ends = {5, 0, 5}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.ends = {5, 1, 5}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.shared = {1, 4, 0}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.shared = {0, 6, 0}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.shared = {0, 511, 0}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.rest += '!'; }), BlockDamage::lengths);
  const std::string payloads = Handmade().rest.substr(0, 32);
  EXPECT_EQ(damage([&](Handmade& b) { b.rest = payloads + "appledpear"; }), BlockDamage::keyOrder);
  EXPECT_EQ(damage([&](Handmade& b) { b.rest = payloads + "appleepear"; }), BlockDamage::keyOrder);
  EXPECT_EQ(damage([&](Handmade& b) { b.rest = payloads + "appleypeas"; }), BlockDamage::boundaries);
  EXPECT_EQ(damage([&](Handmade& b) { b.rest = payloads + "aaaaaypear"; }), BlockDamage::boundaries);
}

TEST(Unpacking, WantsTheDictionaryOfTheHeader) {
  const std::string content = "payload payload1 payload2 payload3";
  const auto dictionary = std::make_shared<const Dictionary>(5, asBytes(content));
  const Dictionary other(6, asBytes(content));
  std::vector<std::byte> block;
  BlockPacker(1, 1, dictionary).pack(asRows(kThreeRows), 1, block);
  EXPECT_EQ(rowsOf(*open("pear", block, dictionary.get()).block), kThreeRows);
  EXPECT_EQ(open("pear", block, &other).damage, BlockDamage::dictionary);
  EXPECT_EQ(open("pear", block).damage, BlockDamage::dictionary);
}

TEST(Unpacking, AlignsPayloadsAndCountsItsMemory) {
  Rows rows;
  for (int i = 0; i < 20; ++i) rows["key" + std::string(static_cast<std::size_t>(i), 'x')] = "payload!";
  std::vector<std::byte> block;
  BlockPacker(1).pack(asRows(rows), 1, block);
  const Opened opened = open(rows.rbegin()->first, block);
  ASSERT_NE(opened.block, nullptr);
  std::size_t keys = 0;
  for (std::size_t i = 0; i < opened.block->rows(); ++i) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(opened.block->payload(i).data()) % 8, 0U);
    keys += opened.block->key(i).size();
  }
  EXPECT_GE(opened.block->bytes(), sizeof(UnpackedBlock) + 20 * 8 + keys);
  EXPECT_LE(opened.block->bytes(), 2000U);
}

// --- packing

// Rows of some likeness: texts made of few words, and numbers.
Rows manyRows(int count, std::size_t mostWords) {
  static constexpr std::string_view kWords[] = {"river ", "stone ", "of the ", "quiet ",
                                                "north ", "mill ",  "and "};
  std::mt19937 random(7);
  Rows rows;
  for (int i = 0; i < count; ++i) {
    std::string payload = std::to_string(random());
    for (std::size_t word = random() % mostWords; word > 0; --word) payload += kWords[random() % 7];
    payload.resize((payload.size() + 8) / 8 * 8);
    rows["row/" + std::to_string(1'000'000 + i)] = payload;
  }
  return rows;
}

TEST(Packing, FillsBlocksToTheTarget) {
  const Rows rows = manyRows(20'000, 60);
  const std::vector<ColdRow> cold = asRows(rows);
  BlockPacker packer(1);
  std::size_t blocks = 0;
  std::size_t filled = 0;
  Rows seen;
  for (std::span<const ColdRow> rest = cold; !rest.empty(); ++blocks) {
    std::vector<std::byte> block;
    const std::size_t count =
        packer.pack(rest.first(std::min<std::size_t>(rest.size(), 500)), blocks + 1, block);
    ASSERT_LE(block.size(), kBlockTarget);
    if (count < rest.size()) {
      EXPECT_GE(block.size(), kBlockTarget * 85 / 100) << "block " << blocks;
      filled += block.size();
    }
    const Opened opened = open(asText(rest[count - 1].key), block);
    ASSERT_EQ(opened.damage, BlockDamage::none) << describe(opened.damage);
    seen.merge(rowsOf(*opened.block));
    rest = rest.subspan(count);
  }
  EXPECT_EQ(seen, rows);
  EXPECT_GE(filled, (blocks - 1) * kBlockTarget * 93 / 100);
}

TEST(Packing, TakesARowThatIsLargerThanTheTarget) {
  std::mt19937_64 random(1);
  std::string noise(kMostColdPayload, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  const Rows rows = {{"a", noise}, {"b", "payload!"}, {"c", noise}};
  const std::vector<ColdRow> cold = asRows(rows);
  BlockPacker packer(1);
  std::vector<std::byte> block;
  ASSERT_EQ(packer.pack(cold, 1, block), 1U);
  EXPECT_GT(block.size(), kBlockTarget);
  EXPECT_EQ(asText(open("a", block).block->payload(0)), noise);
  ASSERT_EQ(packer.pack(std::span(cold).subspan(1), 2, block), 1U) << "and the next block is a small one";
  EXPECT_LT(block.size(), 100U);
}

TEST(Packing, BoundsWhatOneReadUnpacks) {
  Rows rows;
  for (int i = 0; i < 10'000; ++i) rows["row/" + std::to_string(100'000 + i)] = std::string(200, 'x');
  std::vector<std::byte> block;
  const std::size_t count = BlockPacker(1).pack(asRows(rows), 1, block);
  ColdBlockHeader header;
  ASSERT_EQ(decodeBlockHeader(block, header), BlockDamage::none);
  EXPECT_EQ(header.rows, count);
  EXPECT_LE(header.unpackedLength, 64U << 10);
  EXPECT_GE(header.unpackedLength, 50U << 10);
}

TEST(Packing, IsTheSameAsOftenAsItIsDone) {
  const Rows rows = manyRows(300, 30);
  std::vector<std::byte> first;
  std::vector<std::byte> second;
  BlockPacker(1).pack(asRows(rows), 1, first);
  BlockPacker(1).pack(asRows(rows), 1, second);
  EXPECT_EQ(first, second);
}

RC_GTEST_PROP(Packing, AnyRowsComeBack,
              (const std::map<std::string, std::string>& given, std::uint16_t version)) {
  RC_PRE(version != 0);
  Rows rows;
  for (const auto& [key, payload] : given) {
    if (key.empty()) continue;
    rows[key] = payload + std::string(8 - payload.size() % 8, '\0');
  }
  RC_PRE(!rows.empty());
  const std::vector<ColdRow> cold = asRows(rows);
  BlockPacker packer(version, 1, nullptr, 600);
  Rows seen;
  std::uint64_t number = 0;
  for (std::span<const ColdRow> rest = cold; !rest.empty();) {
    std::vector<std::byte> value;
    const std::size_t count = packer.pack(rest, ++number, value);
    RC_ASSERT(count >= 1U && count <= rest.size());
    RC_ASSERT(count == 1U || value.size() <= 600U);
    const Opened opened = open(asText(rest[count - 1].key), value);
    RC_ASSERT(opened.damage == BlockDamage::none);
    RC_ASSERT(opened.block->version() == version && opened.block->number() == number);
    for (std::size_t i = 0; i < count; ++i) RC_ASSERT(opened.block->lowerBound(rest[i].key) == i);
    seen.merge(rowsOf(*opened.block));
    rest = rest.subspan(count);
  }
  RC_ASSERT(seen == rows);
}

}  // namespace
}  // namespace instar
