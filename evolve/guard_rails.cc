#include "instar/evolve/guard_rails.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "instar/evolve/guard_reason.h"
#include "instar/format/error.h"

namespace instar {
namespace {

// How sure one has to be.
struct Deviations {
  double breach = 4;
  double satisfied = 2;
};
constexpr Deviations kOfSamples{};
constexpr Deviations kOfAll{.breach = 0, .satisfied = 0};

bool isEnough(const GuardRails& rails, std::uint64_t samples) noexcept {
  return samples >= std::max<std::uint64_t>(rails.minimumSamples, 1);
}

// Wilson's interval: of which shares it would be no surprise to see `count` of `samples`.
struct ShareBounds {
  double least = 0;
  double most = 1;
};

ShareBounds shareBounds(std::uint64_t count, std::uint64_t samples, double deviations) noexcept {
  const auto all = static_cast<double>(samples);
  const double share = static_cast<double>(count) / all;
  const double square = deviations * deviations;
  const double middle = share + square / (2 * all);
  const double reach = deviations * std::sqrt(share * (1 - share) / all + square / (4 * all * all));
  const double scale = 1 + square / all;
  return {.least = count == 0 ? 0 : (middle - reach) / scale,
          .most = count == samples ? 1 : (middle + reach) / scale};
}

std::string figure(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

std::string percent(double share) { return figure(share * 100) + " %"; }

std::string duration(std::chrono::nanoseconds time) {
  const auto count = static_cast<double>(time.count());
  if (count < 1e3) return figure(count) + " ns";
  if (count < 1e6) return figure(count / 1e3) + " us";
  if (count < 1e9) return figure(count / 1e6) + " ms";
  return figure(count / 1e9) + " s";
}

std::string errorDetail(const CanaryStatistics& statistics) {
  const bool moreFail = statistics.failed >= statistics.brokeRules;
  return mostFrequentIn(moreFail ? statistics.failures : statistics.brokenRules);
}

std::string divergenceDetail(const CanaryStatistics& statistics) {
  const auto most =
      std::max_element(statistics.fields.begin(), statistics.fields.end(),
                       [](const auto& one, const auto& other) { return one.diverged < other.diverged; });
  if (most == statistics.fields.end() || most->diverged == 0) return {};
  return ", most of them at " + most->name;
}

struct Share {
  std::uint64_t count = 0;
  double limit = 0;
  const char* what;  // that the reads have done
  std::string detail;
};

// What one of the limits says.
GuardDecision judge(const Share& share, std::uint64_t samples, const Deviations& deviations) {
  const std::string seen = std::to_string(share.count) + " of " + std::to_string(samples) + " canary reads " +
                           share.what + " (" +
                           percent(static_cast<double>(share.count) / static_cast<double>(samples)) + "; ";
  const std::string limit = "the limit is " + percent(share.limit) + ")";
  const ShareBounds breach = shareBounds(share.count, samples, deviations.breach);
  if (breach.least > share.limit) return {GuardVerdict::breach, seen + limit + share.detail};
  const double most = shareBounds(share.count, samples, deviations.satisfied).most;
  const bool isWithin = most <= share.limit || (share.limit == 0 && share.count == 0);
  if (isWithin) return {GuardVerdict::satisfied, seen + limit};
  return {GuardVerdict::undecided, seen + "it may be up to " + percent(most) + ", " + limit + share.detail};
}

double ratio(std::chrono::nanoseconds one, std::chrono::nanoseconds other) noexcept {
  return static_cast<double>(one.count()) / static_cast<double>(std::max<std::int64_t>(other.count(), 1));
}

GuardDecision judgeLatency(const CanaryStatistics& statistics, double limit) {
  const auto& active = statistics.activeLatency;
  const auto& staged = statistics.stagedLatency;
  const auto bounds = [&](double deviations) {
    const auto one = staged.quantileBounds(0.5, deviations);
    const auto other = active.quantileBounds(0.5, deviations);
    return std::pair(ratio(one.least, other.most), ratio(one.most, other.least));
  };
  const std::string seen = "the staged way takes " + duration(staged.quantile(0.5)) + ", the active one " +
                           duration(active.quantile(0.5)) + " in the median (" +
                           figure(ratio(staged.quantile(0.5), active.quantile(0.5))) + " times; ";
  const std::string most = "the limit is " + figure(limit) + ")";
  if (bounds(kOfSamples.breach).first > limit) return {GuardVerdict::breach, seen + most};
  const double upper = bounds(kOfSamples.satisfied).second;
  if (upper <= limit) return {GuardVerdict::satisfied, seen + most};
  return {GuardVerdict::undecided, seen + "it may be up to " + figure(upper) + ", " + most};
}

// The first limit that is broken, or of which nobody can tell yet; where all hold, what they say together.
GuardDecision judgeAll(const GuardRails& rails, const CanaryStatistics& statistics,
                       const Deviations& deviations) {
  std::vector<GuardDecision> opinions{
      judge({statistics.errors(), rails.maxErrorShare, "failed or broke a rule", errorDetail(statistics)},
            statistics.samples, deviations),
      judge({statistics.diverged, rails.maxDivergenceShare, "diverged", divergenceDetail(statistics)},
            statistics.samples, deviations)};
  if (rails.maxLatencyRatio > 0) opinions.push_back(judgeLatency(statistics, rails.maxLatencyRatio));
  for (const GuardVerdict verdict : {GuardVerdict::breach, GuardVerdict::undecided}) {
    for (const GuardDecision& one : opinions) {
      if (one.verdict == verdict) return one;
    }
  }
  std::string reasons;
  for (const GuardDecision& one : opinions) reasons += (reasons.empty() ? "" : "; ") + one.reason;
  return {GuardVerdict::satisfied, reasons};
}

}  // namespace

void checkGuardRails(const GuardRails& rails) {
  const auto refuse = [](const char* message, const char* name, double value) {
    throw Error(ErrorCode::fixCall, message, {{"guardRail", name}, {"value", figure(value)}});
  };
  const auto checkShare = [&](const char* name, double share) {
    if (!(share >= 0 && share <= 1)) refuse("a guard rail is a share: give 0 to 1", name, share);
  };
  checkShare("maxErrorShare", rails.maxErrorShare);
  checkShare("maxDivergenceShare", rails.maxDivergenceShare);
  if (!(rails.maxLatencyRatio >= 0 && std::isfinite(rails.maxLatencyRatio)))
    refuse("a guard rail is a ratio: give 0 for none, or more", "maxLatencyRatio", rails.maxLatencyRatio);
  if (rails.holdFor.count() < 0)
    refuse("a guard rail is a time: give 0 or more", "holdFor", static_cast<double>(rails.holdFor.count()));
}

CanaryCounts& CanaryCounts::operator+=(const CanaryCounts& other) noexcept {
  samples += other.samples;
  errors += other.errors;
  diverged += other.diverged;
  return *this;
}

CanaryCounts countsOf(const CanaryStatistics& statistics) noexcept {
  return {statistics.samples, statistics.errors(), statistics.diverged};
}

bool isBreach(const GuardRails& rails, const CanaryCounts& counts) noexcept {
  if (!isEnough(rails, counts.samples)) return false;
  const auto isBroken = [&](std::uint64_t count, double limit) {
    return shareBounds(count, counts.samples, kOfSamples.breach).least > limit;
  };
  return isBroken(counts.errors, rails.maxErrorShare) || isBroken(counts.diverged, rails.maxDivergenceShare);
}

GuardDecision decide(const GuardRails& rails, const CanaryStatistics& statistics,
                     std::chrono::nanoseconds staged) {
  if (!isEnough(rails, statistics.samples)) {
    return {GuardVerdict::undecided, std::to_string(statistics.samples) + " canary reads of " +
                                         std::to_string(rails.minimumSamples) + " that are needed"};
  }
  GuardDecision decision = judgeAll(rails, statistics, kOfSamples);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(staged);  // holdFor may be for ever
  if (decision.verdict == GuardVerdict::satisfied && seconds < rails.holdFor) {
    return {GuardVerdict::undecided, "staged for " + std::to_string(seconds.count()) + " s of " +
                                         std::to_string(rails.holdFor.count()) + " s; so far " +
                                         decision.reason};
  }
  return decision;
}

GuardDecision decideOnAll(const GuardRails& rails, const CanaryStatistics& statistics) {
  if (statistics.samples == 0) return {GuardVerdict::undecided, "there is no row that could be tried"};
  return judgeAll(rails, statistics, kOfAll);
}

}  // namespace instar
