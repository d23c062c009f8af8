#include "instar/engine/internal/compaction/picker.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace instar {
namespace {

using Partitions = std::vector<PartitionSummary>;

constexpr PickContext kUpgrade{
    .completeFrom = 3, .version = 4, .mode = CompactionMode::upgrade, .coldBelow = 1.0};

PickContext context(CompactionMode mode, PickPolicy policy = PickPolicy::coldest) {
  PickContext made = kUpgrade;
  made.mode = mode;
  made.policy = policy;
  return made;
}

PartitionSummary pending(double heat, std::uint64_t rows = 100) {
  return {.floor = 2, .rows = rows, .hotRows = rows, .heat = heat};
}

PartitionSummary settled(double heat, std::uint64_t hotRows) {
  return {.floor = 4, .passedFor = 4, .rows = 1600, .hotRows = hotRows, .heat = heat};
}

TEST(Picker, WhereNothingRunsNothingIsPicked) {
  EXPECT_EQ(pick(Partitions{pending(0)}, context(CompactionMode::off)), std::nullopt);
  EXPECT_EQ(pick(Partitions{}, kUpgrade), std::nullopt);
}

TEST(Picker, ThePolicyDecidesAmongPendingOnes) {
  const Partitions partitions{settled(0, 1600), pending(5, 10), pending(1, 20), pending(9, 30),
                              pending(1, 30)};
  EXPECT_EQ(pick(partitions, context(CompactionMode::upgrade, PickPolicy::coldest)), 2U);
  EXPECT_EQ(pick(partitions, context(CompactionMode::upgrade, PickPolicy::hottest)), 3U);
  EXPECT_EQ(pick(partitions, context(CompactionMode::upgrade, PickPolicy::mostPending)), 3U);
}

TEST(Picker, WhatWasBegunIsFinishedFirst) {
  Partitions partitions{pending(0), settled(9, 100)};
  partitions[1].inProgress = true;
  EXPECT_EQ(pick(partitions, kUpgrade), 1U);
}

TEST(Picker, RowsThatCannotBeUpgradedAreNotTriedAgainUntilSomethingChanges) {
  Partitions partitions{pending(0)};
  partitions[0].passedFor = 4;
  EXPECT_EQ(pick(partitions, kUpgrade), std::nullopt);
  partitions[0].disturbed = true;
  EXPECT_EQ(pick(partitions, kUpgrade), 0U);
  partitions[0] = pending(0);
  partitions[0].passedFor = 3;
  EXPECT_EQ(pick(partitions, kUpgrade), 0U) << "a newer schema";
}

TEST(Picker, AFloorFromWhichRowsAreCompleteIsNotPending) {
  Partitions partitions{pending(0)};
  partitions[0].floor = 3;
  EXPECT_EQ(pick(partitions, kUpgrade), std::nullopt);
}

TEST(Picker, PackingComesAfterUpgrading) {
  const Partitions partitions{settled(0, 1600), pending(50)};
  EXPECT_EQ(pick(partitions, context(CompactionMode::compress)), 1U);
}

TEST(Picker, TheColdestIsPackedAndWhatIsWarmIsNot) {
  EXPECT_EQ(pick(Partitions{settled(0.9, 1600), settled(0.1, 1600), settled(0, 0)},
                 context(CompactionMode::compress)),
            1U);
  EXPECT_EQ(pick(Partitions{settled(1.0, 1600)}, context(CompactionMode::compress)), std::nullopt);
  EXPECT_EQ(pick(Partitions{settled(0, 1600)}, kUpgrade), std::nullopt) << "only where asked for";
}

TEST(Picker, AFewHotRowsAreNotWorthPacking) {
  EXPECT_EQ(pick(Partitions{settled(0, 100)}, context(CompactionMode::compress)), std::nullopt);
  EXPECT_EQ(pick(Partitions{settled(0, 101)}, context(CompactionMode::compress)), 0U);
}

// They stay in the hot tree, so the partition would be picked for ever.
TEST(Picker, RowsThatCannotBeUpgradedAreNotToBePacked) {
  Partitions partitions{settled(0, 1600)};
  partitions[0].failedRows = 1550;
  EXPECT_EQ(pick(partitions, context(CompactionMode::compress)), std::nullopt);
  partitions[0].failedRows = 2000;
  EXPECT_EQ(pick(partitions, context(CompactionMode::compress)), std::nullopt);
}

Partitions arbitraryPartitions() {
  const auto small = [](std::uint64_t most) { return *rc::gen::inRange<std::uint64_t>(0, most + 1); };
  Partitions made(static_cast<std::size_t>(small(12)));
  for (PartitionSummary& partition : made) {
    partition = {.floor = static_cast<std::uint16_t>(small(5)),
                 .passedFor = static_cast<std::uint16_t>(small(4)),
                 .disturbed = small(1) == 1,
                 .inProgress = small(15) == 0,
                 .rows = small(40),
                 .hotRows = small(40),
                 .failedRows = small(5),
                 .heat = static_cast<double>(small(8)) / 4};
  }
  return made;
}

// Carries out what is picked, as a pass that is never disturbed does it. It has to come to an end.
RC_GTEST_PROP(Picker, EveryPartitionIsDealtWithInTheEnd, ()) {
  Partitions partitions = arbitraryPartitions();
  const auto mode = *rc::gen::element(CompactionMode::upgrade, CompactionMode::compress);
  const auto policy = *rc::gen::element(PickPolicy::coldest, PickPolicy::hottest, PickPolicy::mostPending);
  std::size_t passes = 0;
  while (const auto next = pick(partitions, context(mode, policy))) {
    RC_ASSERT(*next < partitions.size());
    RC_ASSERT(pick(partitions, context(mode, policy)) == next);
    RC_ASSERT(++passes <= 3 * partitions.size());
    PartitionSummary& partition = partitions[*next];
    const bool packs = mode == CompactionMode::compress && partition.heat < kUpgrade.coldBelow;
    partition.inProgress = partition.disturbed = false;
    partition.passedFor = kUpgrade.version;
    if (partition.failedRows == 0) partition.floor = kUpgrade.version;
    if (packs) partition.hotRows = partition.failedRows;
  }
  for (const PartitionSummary& partition : partitions) {
    RC_ASSERT(!partition.inProgress);
    RC_ASSERT(partition.floor >= kUpgrade.completeFrom ||
              (partition.passedFor == kUpgrade.version && !partition.disturbed));
  }
}

TEST(PartitionSize, NeitherSplittingNorMergingUndoesTheOther) {
  EXPECT_FALSE(shouldSplit(2 * kPartitionRows - 1));
  EXPECT_TRUE(shouldSplit(2 * kPartitionRows));
  EXPECT_FALSE(shouldMerge(kPartitionRows, 0)) << "the half that a split leaves";
  EXPECT_TRUE(shouldMerge(kPartitionRows / 4, kPartitionRows / 4 - 1));
  EXPECT_FALSE(shouldMerge(kPartitionRows / 4, kPartitionRows / 4));
  EXPECT_FALSE(shouldMerge(1, UINT64_MAX));
}

RC_GTEST_PROP(PartitionSize, WhatWasMergedIsNotSplit, (std::uint32_t left, std::uint32_t right)) {
  const std::uint64_t a = left % (2 * kPartitionRows);
  const std::uint64_t b = right % (2 * kPartitionRows);
  RC_ASSERT(shouldMerge(a, b) == shouldMerge(b, a));
  RC_ASSERT(shouldMerge(a, b) == (a + b < kPartitionRows / 2));
}

}  // namespace
}  // namespace instar
