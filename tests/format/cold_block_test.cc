#include "instar/format/cold_block.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <set>
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

// Two rows in the first section, one in the second.
constexpr BlockSettings kTwoSections = {.section = 50};

std::vector<std::byte> packThree() {
  std::vector<std::byte> block;
  EXPECT_EQ(BlockPacker(0x0302, nullptr, kTwoSections).pack(asRows(kThreeRows), 0x1122334455667788, block),
            3U);
  return block;
}

ColdBlockHeader headerOf(Bytes block) {
  ColdBlockHeader header;
  EXPECT_EQ(decodeBlockHeader(block, header), BlockDamage::none);
  return header;
}

// A block by hand, with a right checksum: what a table or the rows can have wrong beside that.
struct Handmade {
  struct Section {
    std::string bound;
    std::vector<std::uint32_t> words;
    std::vector<std::uint16_t> shared;
    std::vector<std::uint16_t> ends;
    std::string rest;

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
  };

  BlockHeaderBytes header;
  std::string lastKey = "pear";
  Section first = {"apple", {1, 2}, {0, 4}, {5, 1}, "payload1payload2payload3appley"};
  Section second = {"p", {1}, {0}, {4}, "payload4pear"};
  std::function<void(SectionEnds&, SectionEnds&)> changeTable = [](auto&, auto&) {};

  Handmade() {
    header.sections = 2;
    header.version = 1;
    header.number = 1;
  }

  std::vector<std::byte> bytes() const {
    std::vector<std::byte> frames;
    SectionEnds table[2];
    SectionEnds ends;
    for (const Section* const section : {&first, &second}) {
      const std::string all = section->unpacked();
      std::vector<std::byte> frame(Compressor::boundOf(all.size()));
      frame.resize(Compressor().compress(asBytes(all), frame));
      frames.insert(frames.end(), frame.begin(), frame.end());
      ends.frame += static_cast<std::uint32_t>(frame.size());
      ends.unpacked += static_cast<std::uint32_t>(all.size());
      ends.rows = static_cast<std::uint16_t>(ends.rows + section->words.size());
      ends.bound = static_cast<std::uint16_t>(ends.bound + section->bound.size());
      table[section == &first ? 0 : 1] = ends;
    }
    changeTable(table[0], table[1]);
    std::vector<std::byte> block;
    for (const Bytes part :
         {Bytes(std::as_bytes(std::span(&header, 1))), Bytes(std::as_bytes(std::span(table))),
          asBytes(first.bound), asBytes(second.bound), Bytes(frames)})
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
  std::vector<std::byte> block = packThree();
  const ColdBlockHeader header = headerOf(block);
  ASSERT_EQ(header.sections, 2U);
  const std::string hex =
      "02"                // block format 2
      "02"                // two sections
      "0203"              // schema version 0x0302
      "00000000"          // no dictionary
      "0000000000000000"  // checksum
      "8877665544332211"  // number of the block
      "00000000"          // the first section's frame ends where zstd says
      "2e000000"          // 46 bytes unpacked
      "0200"              // two rows
      "0500"              // bound of 5 bytes
      "00000000"          // the second's, likewise
      "42000000"          // 66 bytes
      "0300"              // three rows
      "0600"              // bound of one byte more
      "6170706c65"        // "apple"
      "70";               // "p" of "pear"
  const auto unpacked = [&](std::size_t section) {
    std::vector<std::byte> bytes(header.section(section).unpackedLength);
    EXPECT_TRUE(decompress(header.section(section).frame, bytes, nullptr));
    return toHex(bytes);
  };
  EXPECT_EQ(unpacked(0),
            "01000000"
            "02000000"  // words of the payloads
            "0000"
            "0400"  // bytes shared with the key before: "appl" of "apply"
            "0500"
            "0100"              // bytes of the keys after those
            "7061796c6f616431"  // payloads
            "7061796c6f6164327061796c6f616433"
            "6170706c65"
            "79");  // "apple", "y" of "apply"
  EXPECT_EQ(unpacked(1),
            "01000000"
            "0000"
            "0400"
            "7061796c6f616434"
            "70656172");  // "pear"
  for (const std::size_t changing : {8, 24, 36})
    std::fill_n(block.begin() + static_cast<std::ptrdiff_t>(changing), changing == 8 ? 8 : 4, std::byte{0});
  EXPECT_EQ(toHex(Bytes(block).first(kBlockHeaderLength + 2 * kSectionEntryLength + 6)), hex);
}

// What was written once is read for ever, whatever zstd makes of the same rows today.
TEST(BlockBytes, OfEarlierBuildsAreRead) {
  std::string block;
  ASSERT_TRUE(fromHex(
      "0202020300000000"          // block format 2, two sections, schema version 0x0302, no dictionary
      "6d23fa44cc87c3b9"          // checksum
      "8877665544332211"          // number
      "320000002e00000002000500"  // the first section: 50 bytes of frame, 46 unpacked, two rows, bound of 5
      "4f0000004200000003000600"  // and the second
      "6170706c6570"              // "apple", "p"
      "28b52ffd00004d01000402010000000200000000000400050001007061796c6f6164313233617070"
      "6c65790200200b96953128b52ffd0000a1000001000000000004007061796c6f61643470656172"  // the frames
      ,
      block));
  const Opened opened = open("pear", asBytes(block));
  ASSERT_EQ(opened.damage, BlockDamage::none) << describe(opened.damage);
  EXPECT_EQ(rowsOf(*opened.block), kThreeRows);
  EXPECT_EQ(opened.block->version(), 0x0302);
  EXPECT_EQ(opened.block->number(), 0x1122334455667788U);
}

TEST(BlockHeader, TellsWhatIsNeededToFindAKey) {
  const auto block = packThree();
  const ColdBlockHeader header = headerOf(block);
  EXPECT_EQ(header.version, 0x0302);
  EXPECT_EQ(header.rows, 3U);
  EXPECT_EQ(header.dictionary, 0U);
  EXPECT_EQ(header.unpackedLength, 66U);
  EXPECT_EQ(asText(header.firstKey), "apple");
  const auto sectionOf = [&](std::string_view key) { return header.sectionOf(asBytes(key)); };
  EXPECT_EQ(sectionOf(""), 0U);
  EXPECT_EQ(sectionOf("apple"), 0U);
  EXPECT_EQ(sectionOf("orange"), 0U);
  EXPECT_EQ(sectionOf("p"), 1U);
  EXPECT_EQ(sectionOf("pears"), 1U);
  const Bytes last = header.section(1).frame;
  EXPECT_EQ(last.data() + last.size(), block.data() + block.size());
}

TEST(Unpacking, FindsRowsByKey) {
  std::vector<std::byte> value;
  BlockPacker(1).pack(asRows(kThreeRows), 1, value);
  BlockDamage damage;
  const auto section = UnpackedSection::unpack(asBytes("pear"), headerOf(value), 0, nullptr, damage);
  ASSERT_NE(section, nullptr);
  const auto find = [&](std::string_view key) { return section->lowerBound(asBytes(key)); };
  EXPECT_EQ(find(""), 0U);
  EXPECT_EQ(find("apple"), 0U);
  EXPECT_EQ(find("applf"), 1U);
  EXPECT_EQ(find("apply"), 1U);
  EXPECT_EQ(find("apply!"), 2U);
  EXPECT_EQ(find("pear"), 2U);
  EXPECT_EQ(find("pears"), 3U);
}

TEST(Unpacking, TakesASectionByItself) {
  const auto value = packThree();
  const ColdBlockHeader header = headerOf(value);
  BlockDamage damage;
  const auto first = UnpackedSection::unpack(asBytes("pear"), header, 0, nullptr, damage);
  const auto second = UnpackedSection::unpack(asBytes("pear"), header, 1, nullptr, damage);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->rows(), 2U);
  EXPECT_EQ(second->rows(), 1U);
  EXPECT_EQ(asText(second->key(0)), "pear");
  EXPECT_FALSE(first->isLast());
  EXPECT_TRUE(second->isLast());
  EXPECT_TRUE(second->isOf(header));
  for (const auto change : std::initializer_list<void (*)(ColdBlockHeader&)>{
           [](ColdBlockHeader& h) { ++h.number; }, [](ColdBlockHeader& h) { ++h.checksum; },
           [](ColdBlockHeader& h) { ++h.sections; }}) {
    ColdBlockHeader other = header;
    change(other);
    EXPECT_FALSE(second->isOf(other));
  }
}

TEST(Unpacking, FindsAFlippedBitAnywhere) {
  for (const bool large : {false, true}) {
    Rows rows = kThreeRows;
    for (int i = 0; large && i < 100; ++i)
      rows["b" + std::to_string(i)] = std::string(64, static_cast<char>(i));
    std::vector<std::byte> value;
    const BlockSettings settings = {.section = large ? 2048U : 40U};
    ASSERT_EQ(BlockPacker(1, nullptr, settings).pack(asRows(rows), 1, value), rows.size());
    ASSERT_GE(headerOf(value).sections, 2U);
    for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
      value[bit / 8] ^= std::byte{1} << (bit % 8);
      EXPECT_NE(open("pear", value).damage, BlockDamage::none) << "bit " << bit;
      ColdBlockHeader header;
      if (decodeBlockHeader(value, header) == BlockDamage::none) {
        for (std::size_t i = 0; i < header.sections; ++i) {
          BlockDamage damage;
          EXPECT_EQ(UnpackedSection::unpack(asBytes("pear"), header, i, nullptr, damage), nullptr);
          EXPECT_EQ(damage, BlockDamage::checksum);
        }
      }
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
  EXPECT_EQ(damage([](Handmade& b) { b.header.format = 1; }), BlockDamage::unknownFormat);
  EXPECT_EQ(damage([](Handmade& b) { b.header.format = 3; }), BlockDamage::unknownFormat);
  EXPECT_EQ(damage([](Handmade& b) { b.header.version = 0; }), BlockDamage::version);
  EXPECT_EQ(damage([](Handmade& b) { b.header.number = 0; }), BlockDamage::number);
  EXPECT_EQ(damage([](Handmade& b) { b.header.sections = 0; }), BlockDamage::sections);
  EXPECT_EQ(damage([](Handmade& b) { b.header.sections = 65; }), BlockDamage::sections);
  EXPECT_EQ(damage([](Handmade& b) { b.header.sections = 64; }), BlockDamage::truncated);
  EXPECT_EQ(damage([](Handmade& b) { b.header.dictionary = 1; }), BlockDamage::dictionary);
  EXPECT_EQ(open("pear", Bytes{}).damage, BlockDamage::truncated);
}

TEST(Unpacking, NamesWhatIsWrongWithTheTable) {
  const auto damage = [](auto change) {
    Handmade block;
    block.changeTable = change;
    return block.damage();
  };
  using Ends = SectionEnds;
  EXPECT_EQ(damage([](Ends&, Ends& second) { ++second.frame; }), BlockDamage::truncated);
  EXPECT_EQ(damage([](Ends&, Ends& second) { second.frame = 0xffffffff; }), BlockDamage::truncated);
  EXPECT_EQ(damage([](Ends&, Ends& second) { --second.frame; }), BlockDamage::sections);
  EXPECT_EQ(damage([](Ends& first, Ends& second) { first.frame = second.frame; }), BlockDamage::sections);
  EXPECT_EQ(damage([](Ends& first, Ends&) { first.frame = 0; }), BlockDamage::sections);
  EXPECT_EQ(damage([](Ends& first, Ends&) { --first.frame; }), BlockDamage::frame);
  EXPECT_EQ(damage([](Ends& first, Ends&) { first.rows = 0; }), BlockDamage::rowCount);
  EXPECT_EQ(damage([](Ends& first, Ends& second) { first.rows = second.rows; }), BlockDamage::unpackedLength);
  EXPECT_EQ(damage([](Ends& first, Ends&) { first.rows = 1; }), BlockDamage::unpackedLength);
  EXPECT_EQ(damage([](Ends&, Ends& second) { --second.rows; }), BlockDamage::rowCount);
  EXPECT_EQ(damage([](Ends& first, Ends&) { first.unpacked = 2 * 17 - 1; }), BlockDamage::unpackedLength);
  EXPECT_EQ(damage([](Ends&, Ends& second) { second.unpacked = 46 + 16; }), BlockDamage::unpackedLength);
  EXPECT_EQ(damage([](Ends&, Ends& second) { second.unpacked = (16 << 20) + 1; }),
            BlockDamage::unpackedLength);
  EXPECT_EQ(damage([](Ends&, Ends& second) { ++second.unpacked; }), BlockDamage::frame);
  EXPECT_EQ(damage([](Ends& first, Ends&) { first.bound = 0; }), BlockDamage::bounds);
  EXPECT_EQ(damage([](Ends& first, Ends&) { first.bound = 6; }), BlockDamage::bounds);
  EXPECT_EQ(damage([](Ends& first, Ends&) { first.bound = 0xffff; }), BlockDamage::bounds);
  EXPECT_EQ(damage([](Ends& first, Ends&) { first.bound = 4; }), BlockDamage::boundaries);
}

TEST(Unpacking, NamesWhatIsWrongWithTheRows) {
  const auto damage = [](auto change) {
    Handmade block;
    change(block);
    return block.damage();
  };
  EXPECT_EQ(damage([](Handmade& b) { b.first.words = {0, 3}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.first.words = {1, 3}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.first.words = {0xffffffff, 0xffffffff}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.first.ends = {5, 0}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.first.ends = {5, 2}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.first.shared = {1, 4}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.first.shared = {0, 6}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.first.shared = {0, 511}; }), BlockDamage::lengths);
  EXPECT_EQ(damage([](Handmade& b) { b.second.rest += '!'; }), BlockDamage::lengths);
  const std::string payloads = Handmade().first.rest.substr(0, 24);
  EXPECT_EQ(damage([&](Handmade& b) { b.first.rest = payloads + "appled"; }), BlockDamage::keyOrder);
  EXPECT_EQ(damage([&](Handmade& b) { b.first.rest = payloads + "applee"; }), BlockDamage::keyOrder);
  EXPECT_EQ(damage([&](Handmade& b) { b.first.rest = payloads + "aaaaay"; }), BlockDamage::boundaries);
  EXPECT_EQ(damage([](Handmade& b) { b.second.rest = "payload4peas"; }), BlockDamage::boundaries);
}

TEST(Unpacking, WantsTheKeysOfASectionBetweenItsBounds) {
  const auto damage = [](std::string_view first, std::string_view second) {
    Handmade block;
    block.first.bound = first;
    block.second.bound = second;
    return block.damage();
  };
  EXPECT_EQ(damage("apple", "pe"), BlockDamage::none);
  EXPECT_EQ(damage("apple", "pear"), BlockDamage::none);
  EXPECT_EQ(damage("apple", "apply!"), BlockDamage::boundaries) << "which is not how the second begins";
  EXPECT_EQ(damage("apple", "q"), BlockDamage::boundaries);
  EXPECT_EQ(damage("apple", "apple"), BlockDamage::bounds);
  EXPECT_EQ(damage("apple", "a"), BlockDamage::bounds);
  EXPECT_EQ(damage("apple", "apply"), BlockDamage::boundaries) << "the last key of the first";
  EXPECT_EQ(damage("appl", "p"), BlockDamage::boundaries) << "the first bound is a whole key";
}

TEST(Unpacking, WantsTheDictionaryOfTheHeader) {
  const std::string content = "payload payload1 payload2 payload3";
  const auto dictionary = std::make_shared<const Dictionary>(5, asBytes(content));
  const Dictionary other(6, asBytes(content));
  std::vector<std::byte> block;
  BlockPacker(1, dictionary).pack(asRows(kThreeRows), 1, block);
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
  EXPECT_GE(opened.block->bytes(), sizeof(UnpackedSection) + 20 * 8 + keys);
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

TEST(Packing, FillsBlocksWithSections) {
  constexpr std::size_t kSection = 1024;
  const Rows rows = manyRows(5'000, 20);
  const std::vector<ColdRow> cold = asRows(rows);
  BlockPacker packer(1, nullptr, {.section = kSection});
  std::size_t blocks = 0;
  std::size_t filled = 0;
  std::vector<std::byte> block;
  for (std::span<const ColdRow> rest = cold; !rest.empty(); ++blocks) {
    const std::size_t count = packer.pack(rest, blocks + 1, block);
    ASSERT_LE(block.size(), kBlockTarget);
    rest = rest.subspan(count);
    if (rest.empty()) break;
    filled += block.size();
    const ColdBlockHeader header = headerOf(block);
    EXPECT_GE(header.sections, 4U);
    for (std::size_t i = 0; i < header.sections; ++i) {
      const std::size_t length = header.section(i).unpackedLength;
      EXPECT_LE(length, kSection * 16 / 10) << "section " << i << " of " << header.sections;
      EXPECT_GE(length, kSection / 5) << "section " << i << " of " << header.sections;
    }
  }
  EXPECT_GE(filled, blocks * kBlockTarget * 95 / 100);
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

TEST(Packing, BoundsWhatABlockUnpacksTo) {
  Rows rows;
  for (int i = 0; i < 10'000; ++i) rows["row/" + std::to_string(100'000 + i)] = std::string(200, 'x');
  std::vector<std::byte> block;
  const std::size_t count = BlockPacker(1).pack(asRows(rows), 1, block);
  const ColdBlockHeader header = headerOf(block);
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
  BlockPacker packer(version, nullptr, {.section = 100, .target = 600});
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
    const ColdBlockHeader header = headerOf(value);
    RC_ASSERT(header.rows == count);
    for (const ColdRow& row : rest.first(count)) {
      BlockDamage damage;
      const auto section =
          UnpackedSection::unpack(rest[count - 1].key, header, header.sectionOf(row.key), nullptr, damage);
      const std::size_t place = section->lowerBound(row.key);
      RC_ASSERT(place < section->rows() && compareBytes(section->key(place), row.key) == 0);
    }
    seen.merge(rowsOf(*opened.block));
    rest = rest.subspan(count);
  }
  RC_ASSERT(seen == rows);
}

TEST(BlockDamage, IsToldApartInWords) {
  std::set<std::string> words;
  const unsigned last = static_cast<unsigned>(BlockDamage::boundaries);
  for (unsigned damage = 0; damage <= last; ++damage)
    words.insert(describe(static_cast<BlockDamage>(damage)));
  EXPECT_EQ(words.size(), last + 1);
  EXPECT_EQ(words.count(describe(static_cast<BlockDamage>(last + 1))), 0U) << "a kind was added: put it here";
}

}  // namespace
}  // namespace instar
