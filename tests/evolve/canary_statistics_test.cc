#include "instar/evolve/canary_statistics.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace instar::testing {
namespace {

FieldNumber number(double value) {
  return {.value = value, .steps = static_cast<decltype(FieldNumber::steps)>(std::round(value * 0x1p24))};
}

CanaryFailure failure(int kind) {
  return {.field = "f" + std::to_string(kind), .function = {}, .reason = "r"};
}

// One read: few values of everything, so that they meet, and more kinds of failures than are kept.
void addRead(CanaryStatistics& statistics, int seed) {
  ++statistics.samples;
  if (seed % 2 == 0) {
    ++statistics.failed;
    statistics.failures.add(failure(seed % 97));
    return;
  }
  if (seed % 5 == 0) {
    ++statistics.brokeRules;
    statistics.brokenRules.add(failure(seed % 61));
  }
  statistics.activeLatency.add(std::chrono::nanoseconds(seed * 13));
  statistics.stagedLatency.add(std::chrono::nanoseconds(seed * 31));
  CanaryStatistics field;
  field.fields.push_back({.name = "n" + std::to_string(seed % 4)});
  if (seed % 3 == 0)
    field.fields[0].active.addUnset();
  else
    field.fields[0].active.add(number(seed * 0.1 - 400));
  field.fields[0].staged.add(seed % 7 == 0 ? std::nullopt : std::optional(number(seed * 1e6)));
  field.fields[0].diverged = seed % 11 == 0 ? 1 : 0;
  statistics.merge(field);
}

CanaryStatistics of(const std::vector<int>& seeds) {
  CanaryStatistics statistics;
  for (const int seed : seeds) addRead(statistics, seed);
  return statistics;
}

CanaryStatistics merged(CanaryStatistics one, const CanaryStatistics& other) {
  one.merge(other);
  return one;
}

TEST(CanaryStatistics, AddUpInAnyOrderAndGrouping) {
  const auto seeds = rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 8000));
  const bool holds = rc::check([&] {
    const auto a = *seeds;
    const auto b = *seeds;
    const auto c = *seeds;
    std::vector<int> all(a);
    all.insert(all.end(), b.begin(), b.end());
    all.insert(all.end(), c.begin(), c.end());
    const CanaryStatistics whole = of(all);
    std::reverse(all.begin(), all.end());
    RC_ASSERT(of(all) == whole);
    RC_ASSERT(merged(merged(of(a), of(b)), of(c)) == whole);
    RC_ASSERT(merged(of(a), merged(of(b), of(c))) == whole);
    RC_ASSERT(merged(of(c), merged(of(b), of(a))) == whole);
    RC_ASSERT(merged(CanaryStatistics(), whole) == whole);
    RC_ASSERT(merged(whole, CanaryStatistics()) == whole);
  });
  EXPECT_TRUE(holds);
}

// As the one above would be with few kinds only.
TEST(CanaryStatistics, AddUpWithMoreKindsThanAreKept) {
  std::vector<int> seeds(3000);
  for (int i = 0; i < 3000; ++i) seeds[static_cast<std::size_t>(i)] = (i * 7919) % 8000;
  const CanaryStatistics whole = of(seeds);
  EXPECT_EQ(whole.failures.kinds().size(), FailureTally::kMaxKinds);
  EXPECT_GT(whole.failures.others(), 0U);
  for (std::size_t cut = 0; cut <= seeds.size(); cut += 500) {
    const auto middle = seeds.begin() + static_cast<std::ptrdiff_t>(cut);
    EXPECT_EQ(merged(of({middle, seeds.end()}), of({seeds.begin(), middle})), whole);
  }
  std::uint64_t counted = whole.failures.others();
  for (const auto& [kind, times] : whole.failures.kinds()) counted += times;
  EXPECT_EQ(counted, whole.failed);
}

TEST(CanaryStatistics, KeepsOneLineOfAReason) {
  FailureTally tally;
  const std::string umlauts(FailureTally::kMaxReasonLength - 1, 'x');
  tally.add({.field = {}, .function = "f", .reason = umlauts + "\xc3\xa4 and more"});
  EXPECT_EQ(tally.mostFrequent()->reason, umlauts);
  tally.add({.field = {}, .function = "g", .reason = "often"}, 2);
  EXPECT_EQ(tally.mostFrequent()->reason, "often");
}

TEST(FieldDistribution, IsOfWhatIsSet) {
  FieldDistribution field;
  EXPECT_EQ(field.mean(), std::nullopt);
  EXPECT_EQ(field.unsetShare(), 0);
  field.addUnset();
  field.add(number(1.5));
  field.add(number(-4));
  field.add(std::nullopt);
  EXPECT_EQ(field.unsetShare(), 0.25);
  EXPECT_EQ(field.mean(), -1.25);
  EXPECT_EQ(field.least, -4);
  EXPECT_EQ(field.greatest, 1.5);
}

}  // namespace
}  // namespace instar::testing
