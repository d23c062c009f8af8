// What the pacer promises whatever batches cost and whoever waits.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "instar/engine/internal/compaction/pacer.h"

namespace instar {
namespace {

using namespace std::chrono_literals;
using Time = Pacer::Clock::time_point;

constexpr Time kStart{24h};

template <typename Number>
Number between(Number least, Number most) {
  return *rc::gen::inRange<Number>(least, most + 1);
}

struct Batch {
  Time end;  // when it is accounted
  std::uint64_t written;
  std::uint64_t read;
};

// A run that does as it is told, only later: threads oversleep. Batches are as large as the rate allows in
// a fifth of a second, and take a quarter of the time in which they are paid for.
std::vector<Batch> run(std::uint64_t rate, std::chrono::nanoseconds oversleep, Time end, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::uint64_t> bytes(rate / 100, rate / 5);
  Pacer pacer({.rate = rate, .minFreeDisk = 0}, kStart, 1);
  std::vector<Batch> batches;
  for (Time now = kStart; now < end;) {
    const Answer answer = pacer.ask(now, {});
    if (!answer.go) {
      now += answer.wait + oversleep;
      continue;
    }
    const Batch batch{now, bytes(random), bytes(random)};
    now += std::chrono::nanoseconds(std::max(batch.written, batch.read) * 250000000 / rate);
    pacer.spent(now, batch.written, batch.read);
    batches.push_back({now, batch.written, batch.read});
  }
  return batches;
}

RC_GTEST_PROP(PacerProperty, InNoSecondMoreThanTheRateAndATenthAndOneBatch, (std::uint64_t seed)) {
  const auto rate = between<std::uint64_t>(1000, std::uint64_t{1} << 30);
  const auto oversleep = std::chrono::microseconds(between(0, 50000));
  const std::vector<Batch> batches = run(rate, oversleep, kStart + 10s, seed);
  const std::uint64_t most = rate + rate / 10 + 1;
  for (auto first = batches.begin(); first != batches.end(); ++first) {
    std::uint64_t written = 0;
    std::uint64_t read = 0;
    for (auto last = first; last != batches.end() && last->end - first->end < 1s; ++last) {
      // The last batch in the window may go beyond, by all of itself.
      RC_ASSERT(written <= most);
      RC_ASSERT(read <= most);
      written += last->written;
      read += last->read;
    }
  }
}

RC_GTEST_PROP(PacerProperty, WhereNothingHindersTheRateIsUsed, (std::uint64_t seed)) {
  const auto rate = between<std::uint64_t>(1000, std::uint64_t{1} << 30);
  const auto oversleep = std::chrono::microseconds(between(0, 5000));
  const Time end = kStart + 20s;
  double bytes = 0;  // at each batch the larger of both
  for (const Batch& batch : run(rate, oversleep, end, seed))
    bytes += static_cast<double>(std::max(batch.written, batch.read));
  RC_ASSERT(bytes >= 0.85 * 20 * static_cast<double>(rate));
}

RC_GTEST_PROP(PacerProperty, NobodyMakesItWaitForLongerThanTheBound, (std::uint64_t seed)) {
  std::mt19937_64 random(seed);
  const auto most = std::chrono::milliseconds(between(1, 2000));
  Pacer pacer({.rate = 0, .minFreeDisk = 0, .latencyBudget = 1us, .mostDeference = most}, kStart, 1);
  const auto oversleep = std::chrono::microseconds(between(0, 20000));
  Time now = kStart;
  Time went = kStart;
  for (int asked = 0; asked < 1000; ++asked) {
    const bool writer = random() % 2 == 0;
    const Load load{.writersWaiting = writer ? 1U : 0U, .foregroundLatency = 1h};
    const Answer answer = pacer.ask(now, load);
    RC_ASSERT(now - went <= most + oversleep);
    if (answer.go) {
      RC_ASSERT(now - went >= most);
      went = now;
    } else {
      RC_ASSERT(answer.reason == (writer ? WaitReason::writersWaiting : WaitReason::latency));
      RC_ASSERT(answer.wait > 0ns && answer.wait <= 10ms);
      now += answer.wait + oversleep;
    }
  }
}

RC_GTEST_PROP(PacerProperty, BackoffIsDrawnBetweenItsBounds, (std::uint64_t seed)) {
  const auto least = std::chrono::milliseconds(between(1, 1000));
  const auto most = std::chrono::milliseconds(between(1000, 60000));
  const unsigned failures = between(1U, 60U);
  const CompactionOptions options{
      .minFreeDisk = 0, .maxFailuresInARow = 100, .backoffMin = least, .backoffMax = most};
  Pacer pacer(options, kStart, seed);
  Pacer same(options, kStart, seed);
  auto ceiling = least;
  for (unsigned i = 0; i < failures; ++i) {
    pacer.failed(kStart);
    same.failed(kStart);
    ceiling = std::min(ceiling * 2, most);
    const Answer answer = pacer.ask(kStart, {});
    RC_ASSERT(answer.reason == WaitReason::backoff);
    RC_ASSERT(answer.wait >= least && answer.wait <= ceiling);
    RC_ASSERT(same.ask(kStart, {}) == answer);
  }
}

TEST(PacerProperty, JitterSpreadsOverAllOfItsRange) {
  std::map<std::int64_t, int> quarters;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    Pacer pacer({.minFreeDisk = 0, .backoffMin = 1000ms, .backoffMax = 2000ms}, kStart, seed);
    pacer.failed(kStart);
    ++quarters[(pacer.ask(kStart, {}).wait - 1s) / 250ms];
  }
  for (std::int64_t quarter = 0; quarter < 4; ++quarter) {
    EXPECT_GT(quarters[quarter], 800) << quarter;
    EXPECT_LT(quarters[quarter], 1200) << quarter;
  }
}

}  // namespace
}  // namespace instar
