#include "instar/engine/internal/pages/page.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "instar/tests/engine/pages/made_pages.h"

namespace instar::pages {
namespace {

using testing::madeBranch;
using testing::madeLeaf;
using testing::madeMeta;
using testing::MadePage;
using testing::numberKey;

std::string decoded(const std::string& bytes, PageNumber number = 7) {
  Page page;
  const char* const problem = page.decode(asBytes(bytes), number);
  return problem == nullptr ? "" : problem;
}

std::string disorderOf(const MadePage& made, bool numbers = false) {
  Page page;
  EXPECT_EQ(page.decode(asBytes(made.bytes()), 7), nullptr);
  const char* const problem = page.findDisorder(numbers);
  return problem == nullptr ? "" : problem;
}

MadePage twoEntries() { return madeLeaf(7).entry("a", "one").entry("b", "two"); }

TEST(Page, WhoseHeaderIsWrongIsNone) {
  struct Case {
    std::size_t place;
    std::uint64_t number;
    std::size_t width;
    const char* problem;
  };
  constexpr Case kCases[] = {
      {8, 0xffff, 2, ""},  // not used
      {0, 8, 8, "it has the number of another page"},
      {0, std::uint64_t{7} | std::uint64_t{1} << 63, 8, "it has the number of another page"},
      {10, 0, 2, "it is neither branch nor leaf"},
      {10, 0x03, 2, "it is neither branch nor leaf"},
      {10, 0x08, 2, "it is neither branch nor leaf"},
      {10, 0x12, 2, "it is neither branch nor leaf"},
      {10, 0x22, 2, "it is neither branch nor leaf"},
      {10, 0x8002, 2, "it is neither branch nor leaf"},
      {12, 14, 2, "the bounds of its nodes are wrong"},
      {12, 17, 2, "the bounds of its nodes are wrong"},
      {12, 4096, 2, "the bounds of its nodes are wrong"},
      {14, 18, 2, "the bounds of its nodes are wrong"},
      {14, 4071, 2, "the bounds of its nodes are wrong"},
      {14, 4098, 2, "the bounds of its nodes are wrong"},
      {12, 16, 2, "it has no nodes"},
  };
  for (const Case& one : kCases) {
    EXPECT_EQ(decoded(twoEntries().put(one.place, one.number, one.width).bytes()), one.problem)
        << one.place << ": " << one.number;
  }
  EXPECT_EQ(decoded(twoEntries().bytes().substr(0, kMinPageSize - 1)), "it is cut short");
  EXPECT_EQ(decoded(testing::madeRun(7, 1).replace(12, 4, 4, '\0')), "it counts no overflow pages");
}

TEST(Page, TellsItsKind) {
  Page page;
  const std::string run = testing::madeRun(7, 3);
  ASSERT_EQ(page.decode(asBytes(run), 7), nullptr);
  EXPECT_EQ(page.kind(), PageKind::overflow);
  EXPECT_EQ(page.overflowPages(), 3U);
  const std::string branch = madeBranch(7).child("", 3).child("m", 4).bytes();
  ASSERT_EQ(page.decode(asBytes(branch), 7), nullptr);
  EXPECT_FALSE(page.isLeaf());
  Node node;
  ASSERT_TRUE(page.node(1, node));
  EXPECT_EQ(asText(node.key), "m");
  EXPECT_EQ(node.child, 4U);
}

TEST(Page, TellsTheFlagsOfEntriesFromOthers) {
  for (unsigned bit = 0; bit < 16; ++bit) {
    MadePage made = madeLeaf(7).entry("a", "12345678");
    made.put(made.lastEntry() + 4, 1U << bit, 2);
    Page page;
    Node node;
    ASSERT_EQ(page.decode(asBytes(made.bytes()), 7), nullptr);
    ASSERT_TRUE(page.node(0, node)) << bit;
    EXPECT_EQ(node.isOverflow, bit == 0);
    EXPECT_EQ(node.isTree, bit == 1);
    EXPECT_EQ(node.isOdd, bit > 1);
  }
}

TEST(Page, WhoseNodesDoNotFillItInOrderIsInDisorder) {
  EXPECT_EQ(disorderOf(twoEntries()), "");
  EXPECT_EQ(disorderOf(madeLeaf(7).entry("b", "two").entry("a", "one")), "its keys are not in order");
  EXPECT_EQ(disorderOf(madeLeaf(7).entry("a", "one").entry("a", "two")), "its keys are not in order");
  EXPECT_EQ(disorderOf(madeLeaf(7).entry("", "one")), "a node reaches out of it");
  MadePage pointed = twoEntries();
  EXPECT_EQ(disorderOf(pointed.put(16, 4096 - 4, 2)), "a node reaches out of it");
  MadePage askew = twoEntries();
  EXPECT_EQ(disorderOf(askew.put(18, askew.lastEntry() + 1, 2)), "a node reaches out of it");
  MadePage longKey = twoEntries();
  EXPECT_EQ(disorderOf(longKey.put(longKey.lastEntry() + 6, 4000, 2)), "a node reaches out of it");
  MadePage shorter = twoEntries();
  EXPECT_EQ(disorderOf(shorter.put(shorter.lastEntry(), 1, 4)),
            "its nodes lie over one another or leave holes");
  MadePage twice = twoEntries();
  EXPECT_EQ(disorderOf(twice.put(16, twice.lastEntry(), 2)), "its keys are not in order");
  MadePage shortest = madeLeaf(7).entry("a", "12345678");
  EXPECT_EQ(disorderOf(shortest.put(shortest.lastEntry(), 2, 4)), "its nodes do not fill it");
}

TEST(Page, OrdersKeysOfTheFreeListAsNumbers) {
  const MadePage made = madeLeaf(7).entry(numberKey(255), "x").entry(numberKey(256), "x");
  EXPECT_EQ(disorderOf(made, true), "");
  EXPECT_EQ(disorderOf(made, false), "its keys are not in order");
}

TEST(Page, OfABranchNeedsNoFirstKey) {
  EXPECT_EQ(disorderOf(madeBranch(7).child("", 3).child("m", 4).child("p", 5)), "");
  EXPECT_EQ(disorderOf(madeBranch(7).child("z", 3).child("m", 4)), "");
  EXPECT_EQ(disorderOf(madeBranch(7).child("", 3).child("p", 4).child("m", 5)), "its keys are not in order");
  EXPECT_EQ(disorderOf(madeBranch(7).child("", 3).child("", 4)), "an entry has no key");
}

TEST(MetaPage, IsReadOrSaysWhatIsWrong) {
  struct Case {
    std::size_t place;
    std::uint64_t number;
    std::size_t width;
    MetaDamage damage;
  };
  constexpr Case kCases[] = {
      {10, 0, 2, MetaDamage::notMeta},
      {16, 0xbeefc0df, 4, MetaDamage::notMeta},
      {16, 0xdec0efbe, 4, MetaDamage::otherByteOrder},
      {20, 2, 4, MetaDamage::otherVersion},
      {40, 0, 4, MetaDamage::pageSize},
      {40, 256, 4, MetaDamage::pageSize},
      {40, 4095, 4, MetaDamage::pageSize},
      {40, 65536, 4, MetaDamage::pageSize},
      {40, 512, 4, MetaDamage::none},
      {40, 32768, 4, MetaDamage::none},
      {44, 0xffff, 2, MetaDamage::none},  // said of the tree, not of the page
  };
  Meta meta;
  EXPECT_EQ(decodeMeta(asBytes(madeMeta(0, 6)).first(kMetaLength - 1), meta), MetaDamage::notMeta);
  ASSERT_EQ(decodeMeta(asBytes(madeMeta(0, 6)), meta), MetaDamage::none);
  EXPECT_EQ(meta.transaction, 6U);
  EXPECT_EQ(meta.lastPage, 1U);
  EXPECT_EQ(meta.pageSize, 4096U);
  EXPECT_EQ(meta.mainTree.root, kNoPage);
  EXPECT_TRUE(meta.freeTree.isFreeList(4096));
  EXPECT_TRUE(meta.mainTree.isOrdinary());
  for (const Case& one : kCases) {
    std::string bytes = madeMeta(0, 6);
    testing::storeNumber(bytes, one.place, one.number, one.width);
    EXPECT_EQ(decodeMeta(asBytes(bytes), meta), one.damage) << one.place << ": " << one.number;
  }
}

TEST(TreeRecord, OfOtherFlagsIsNotOrdinary) {
  for (unsigned bit = 0; bit < 16; ++bit) {
    TreeRecord record;
    record.flags = static_cast<std::uint16_t>(1U << bit);
    EXPECT_FALSE(record.isOrdinary()) << bit;
    record.padding = 4096;
    EXPECT_EQ(record.isFreeList(4096), bit == 3) << bit;
    record.flags = static_cast<std::uint16_t>(record.flags ^ 0x08U);
    EXPECT_EQ(record.isFreeList(4096), bit == 14) << bit;
    EXPECT_FALSE(record.isFreeList(8192)) << bit;
  }
  EXPECT_FALSE((TreeRecord{.padding = 1}.isOrdinary()));
  EXPECT_FALSE(decodeTree(asBytes(std::string(kTreeRecordLength - 1, 'x'))).has_value());
}

}  // namespace
}  // namespace instar::pages
