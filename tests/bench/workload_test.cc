#include "instar/bench/upgrade/workload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace instar::bench {
namespace {

constexpr int kDraws = 200'000;

Scenario scenarioWith(Mix mix, Access access, std::uint64_t rows = 1000) {
  return {.mix = mix, .access = access, .rows = rows};
}

TEST(ZipfTest, RanksAreDrawnInProportionToTheirWeights) {
  const std::uint64_t count = 1000;
  const Zipf zipf(count);
  std::mt19937_64 random(7);
  std::vector<double> seen(count);
  for (int i = 0; i < kDraws; ++i) seen.at(zipf(random)) += 1;
  // The first two are exact; from there on the generator is an approximation, so in groups.
  const auto expected = [&](std::uint64_t from, std::uint64_t to) {
    return (Zipf::weight(to) - Zipf::weight(from)) / Zipf::weight(count) * kDraws;
  };
  const auto drawn = [&](std::uint64_t from, std::uint64_t to) {
    double sum = 0;
    for (std::uint64_t rank = from; rank < to; ++rank) sum += seen[rank];
    return sum;
  };
  for (const auto& [from, to] : {std::pair{0U, 1U}, {1U, 2U}}) {
    const double deviation = std::sqrt(expected(from, to));
    EXPECT_NEAR(drawn(from, to), expected(from, to), 5 * deviation) << from;
  }
  for (const auto& [from, to] : {std::pair{2U, 10U}, {10U, 100U}, {100U, 1000U}})
    EXPECT_NEAR(drawn(from, to) / expected(from, to), 1, 0.12) << from;
}

TEST(ZipfTest, TheWeightOfManyIsAsGoodAsTheirSum) {
  double sum = 0;
  for (int rank = 1; rank <= 1'000'000; ++rank) sum += std::pow(rank, -Zipf::kExponent);
  EXPECT_NEAR(Zipf::weight(1'000'000) / sum, 1, 1e-6);
}

TEST(ZipfTest, FewRanksAreAllThereIs) {
  std::mt19937_64 random(1);
  for (const std::uint64_t count : {1U, 2U, 3U}) {
    const Zipf zipf(count);
    for (int i = 0; i < 1000; ++i) EXPECT_LT(zipf(random), count);
  }
}

TEST(WorkloadTest, TheStreamIsTheSameForASeed) {
  Workload one(scenarioWith(Mix::a, Access::zipf), 5);
  Workload same(scenarioWith(Mix::a, Access::zipf), 5);
  Workload other(scenarioWith(Mix::a, Access::zipf), 6);
  bool differs = false;
  for (int i = 0; i < 1000; ++i) {
    const Operation operation = one.next();
    EXPECT_EQ(operation, same.next());
    differs = differs || !(operation == other.next());
  }
  EXPECT_TRUE(differs);
}

TEST(WorkloadTest, MixesHaveTheirSharesAndKinds) {
  using Kind = Operation::Kind;
  const std::map<Mix, std::map<Kind, double>> expected = {
      {Mix::a, {{Kind::read, 0.5}, {Kind::update, 0.5}}},
      {Mix::b, {{Kind::read, 0.95}, {Kind::update, 0.05}}},
      {Mix::c, {{Kind::read, 1}}},
      {Mix::d, {{Kind::read, 0.95}, {Kind::insert, 0.05}}},
      {Mix::e, {{Kind::scan, 0.95}, {Kind::insert, 0.05}}},
      {Mix::f, {{Kind::read, 0.5}, {Kind::readModifyWrite, 0.5}}}};
  for (const auto& [mix, shares] : expected) {
    Workload workload(scenarioWith(mix, Access::zipf));
    std::map<Kind, int> seen;
    for (int i = 0; i < 20'000; ++i) ++seen[workload.next().kind];
    EXPECT_EQ(seen.size(), shares.size()) << textOf(mix);
    for (const auto& [kind, share] : shares) EXPECT_NEAR(seen[kind] / 20'000.0, share, 0.02) << textOf(mix);
  }
}

TEST(WorkloadTest, FavouritesOfZipfAreScatteredAndThoseOfLatestAreTheNewest) {
  const auto mostFrequent = [](Access access) {
    Workload workload(scenarioWith(Mix::c, access, 1000));
    std::map<std::uint64_t, int> seen;
    for (int i = 0; i < 50'000; ++i) ++seen[workload.next().id];
    return *std::ranges::max_element(seen, {}, [](const auto& one) { return one.second; });
  };
  EXPECT_EQ(mostFrequent(Access::latest).first, 999U);
  EXPECT_NE(mostFrequent(Access::zipf).first, 999U);
  EXPECT_NE(mostFrequent(Access::zipf).first, 0U);
  EXPECT_GT(mostFrequent(Access::zipf).second, 5'000);
  EXPECT_LT(mostFrequent(Access::uniform).second, 150);
}

TEST(WorkloadTest, NewRowsAreInsertedInOrderAndNothingElseIsAskedFor) {
  Workload workload(scenarioWith(Mix::d, Access::latest, 10));
  std::uint64_t rows = 10;
  for (int i = 0; i < 10'000; ++i) {
    const Operation operation = workload.next();
    if (operation.kind == Operation::Kind::insert)
      EXPECT_EQ(operation.id, rows++);
    else
      EXPECT_LT(operation.id, rows);
  }
  EXPECT_GT(rows, 10U);
}

}  // namespace
}  // namespace instar::bench
