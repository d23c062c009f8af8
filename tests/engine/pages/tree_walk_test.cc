#include "instar/engine/internal/pages/tree_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instar/tests/engine/pages/made_pages.h"
#include "instar/tests/support/memory_file.h"

namespace instar::pages {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::madeBranch;
using testing::madeLeaf;
using testing::madeMeta;
using testing::madeRun;

// A file of these pages, behind two meta pages; the tree begins at page 2.
class Walk : public ::testing::Test {
 protected:
  TreeWalk walk(const std::string& pages, const std::vector<PageNumber>& free = {}) {
    const testing::MemoryFile memory(madeMeta(0, 6) + madeMeta(1, 7) + pages);
    const PageFile file(memory.descriptor(), "made");
    PageLedger ledger(file.pages());
    for (const PageNumber page : free) ledger.markFree(page, 5);
    return walkTree(file, ledger, {.root = 2}, {});
  }

  static std::vector<std::string> reasons(const TreeWalk& walk) {
    std::vector<std::string> all;
    for (const Gap& gap : walk.gaps) all.push_back(std::to_string(gap.page) + ' ' + gap.reason);
    return all;
  }
  static std::vector<std::string> oddities(const TreeWalk& walk) {
    std::vector<std::string> all;
    for (const Oddity& oddity : walk.oddities) all.push_back(std::to_string(oddity.page) + ' ' + oddity.what);
    return all;
  }

  const std::string branch_ = madeBranch(2).child("", 3).child("m", 4).bytes();
  const std::string left_ = madeLeaf(3).entry("a", "1").entry("b", "2").bytes();
  const std::string right_ = madeLeaf(4).entry("m", "3").bytes();
};

TEST_F(Walk, CountsWhatASoundTreeHas) {
  const TreeWalk found =
      walk(branch_ + left_ + madeLeaf(4).entry("m", "3").largeValue("n", 5000, 5).bytes() + madeRun(5, 2));
  EXPECT_THAT(found.gaps, IsEmpty());
  EXPECT_THAT(found.oddities, IsEmpty());
  EXPECT_THAT(found.leaves, ElementsAre(3, 4));
  EXPECT_EQ(found.depth, 2U);
  const TreeRecord record{.branchPages = 1, .leafPages = 2, .overflowPages = 2, .entries = 4, .root = 2};
  EXPECT_TRUE(found.matches(record));
  for (std::uint64_t TreeRecord::*const field :
       {&TreeRecord::branchPages, &TreeRecord::leafPages, &TreeRecord::overflowPages, &TreeRecord::entries}) {
    TreeRecord other = record;
    other.*field += 1;
    EXPECT_FALSE(found.matches(other));
  }
}

TEST_F(Walk, KnowsTheKeysThatAMissingPageCouldHave) {
  const TreeWalk found = walk(branch_ + left_);
  ASSERT_THAT(reasons(found), ElementsAre("4 it lies beyond the end of the file"));
  EXPECT_EQ(found.gaps.front().low, "m");
  EXPECT_FALSE(found.gaps.front().hasHigh);
  EXPECT_THAT(found.leaves, ElementsAre(3));
}

TEST_F(Walk, LeavesOutPagesThatTheTreeCannotHave) {
  EXPECT_THAT(reasons(walk(branch_ + left_ + madeLeaf(4).entry("l", "3").bytes())),
              ElementsAre("4 its keys belong elsewhere"));
  EXPECT_THAT(reasons(walk(branch_ + left_ + madeLeaf(9).entry("m", "3").bytes())),
              ElementsAre("4 it has the number of another page"));
  EXPECT_THAT(reasons(walk(branch_ + left_ + madeRun(4, 1))), ElementsAre("4 it is an overflow page"));
  EXPECT_THAT(reasons(walk(branch_ + left_ + right_, {4})),
              ElementsAre("4 it is on the list of free pages, so it is of an older commit"));
  EXPECT_THAT(reasons(walk(madeBranch(2).child("", 3).child("b", 3).bytes() + left_)),
              ElementsAre("3 its keys belong elsewhere", "3 its keys belong elsewhere"));
}

TEST_F(Walk, EndsInATreeThatLeadsToItself) {
  const TreeWalk found = walk(madeBranch(2).child("", 2).child("m", 2).bytes());
  EXPECT_EQ(found.branchPages, 1U);
  EXPECT_THAT(found.leaves, IsEmpty());
  EXPECT_EQ(found.gaps.size(), 2U);
}

// LMDB asserts that each branch page leads to two: `check` took such a page for sound, and the command was
// aborted. Its rows are there.
TEST_F(Walk, WondersAtABranchPageThatLeadsToOnePage) {
  const TreeWalk found = walk(madeBranch(2).child("", 3).bytes() + left_);
  EXPECT_THAT(oddities(found), ElementsAre("2 it leads to one page only"));
  EXPECT_THAT(found.gaps, IsEmpty());
  EXPECT_THAT(found.leaves, ElementsAre(3));
}

TEST_F(Walk, WondersAtLeavesOfSeveralDepths) {
  const TreeWalk found = walk(branch_ + left_ + madeBranch(4).child("", 5).child("p", 6).bytes() +
                              madeLeaf(5).entry("m", "3").bytes() + madeLeaf(6).entry("p", "4").bytes());
  EXPECT_THAT(oddities(found), ElementsAre("5 it lies at another depth than other leaves",
                                           "6 it lies at another depth than other leaves"));
  EXPECT_EQ(found.entries, 4U);
}

TEST_F(Walk, WondersAtFlagsThatEntriesOfRowsDoNotHave) {
  for (const unsigned flags : {0x02, 0x04, 0x08, 0x8000}) {
    const TreeWalk found = walk(madeLeaf(2).entry("a", "1", flags).bytes());
    EXPECT_THAT(oddities(found), ElementsAre("2 an entry has flags of something else")) << flags;
    EXPECT_EQ(found.entries, 1U);
  }
}

TEST_F(Walk, MissesALargeValueWhosePagesAreNotItsOwn) {
  const std::string leaf = madeLeaf(2).largeValue("a", 9000, 3).entry("b", "2").bytes();
  EXPECT_THAT(reasons(walk(leaf + madeRun(3, 3))), IsEmpty());
  EXPECT_THAT(reasons(walk(leaf + madeRun(3, 2))), ElementsAre("3 the pages of a large value are damaged"));
  EXPECT_THAT(reasons(walk(leaf + madeRun(3, 4))), IsEmpty());  // it was longer once
  for (const PageNumber free : {3, 4, 5}) {
    EXPECT_THAT(reasons(walk(leaf + madeRun(3, 3), {free})),
                ElementsAre("3 the pages of a large value are not its own"))
        << free;
  }
}

}  // namespace
}  // namespace instar::pages
