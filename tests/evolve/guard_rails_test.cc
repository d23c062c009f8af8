#include "instar/evolve/guard_rails.h"

#include <capnp/dynamic.h>
#include <capnp/message.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "instar/evolve/canary.h"
#include "instar/evolve/guard_reason.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using capnp::DynamicStruct;
using std::chrono::hours;
using std::chrono::nanoseconds;
using ::testing::HasSubstr;

// Of reads in which nothing is wrong, or so many of one kind.
struct Seen {
  std::uint64_t samples = 0;
  std::uint64_t failed = 0;
  std::uint64_t brokeRules = 0;
  std::uint64_t diverged = 0;
};

CanaryStatistics of(const Seen& seen) {
  CanaryStatistics statistics;
  statistics.samples = seen.samples;
  statistics.failed = seen.failed;
  statistics.brokeRules = seen.brokeRules;
  statistics.diverged = seen.diverged;
  if (seen.failed > 0)
    statistics.failures.add({.field = "first", .function = "split", .reason = "no part"}, seen.failed);
  if (seen.brokeRules > 0)
    statistics.brokenRules.add({.field = {}, .function = "isRight", .reason = "wrong"}, seen.brokeRules);
  statistics.fields.push_back({.name = "name", .diverged = seen.diverged});
  statistics.activeLatency.add(nanoseconds(100), seen.samples);
  statistics.stagedLatency.add(nanoseconds(400), seen.samples);
  return statistics;
}

GuardDecision decided(const GuardRails& rails, const Seen& seen, nanoseconds staged = hours(2)) {
  return decide(rails, of(seen), staged);
}

TEST(GuardRails, WaitForSamplesWhateverThereIs) {
  const auto decision = decided({}, {.samples = 1999, .failed = 1999});
  EXPECT_EQ(decision.verdict, GuardVerdict::undecided);
  EXPECT_EQ(decision.reason, "1999 canary reads of 2000 that are needed");
  EXPECT_EQ(decided({}, {.samples = 2000, .failed = 2000}).verdict, GuardVerdict::breach);
  EXPECT_EQ(decided({.minimumSamples = 0}, {}).verdict, GuardVerdict::undecided);
}

TEST(GuardRails, SayWhatIsBroken) {
  const auto failed = decided({}, {.samples = 4000, .failed = 20});
  EXPECT_EQ(failed.verdict, GuardVerdict::breach);
  EXPECT_EQ(
      failed.reason,
      "20 of 4000 canary reads failed or broke a rule (0.5 %; the limit is 0.1 %), most of them at first "
      "by split: no part");
  EXPECT_THAT(decided({}, {.samples = 4000, .failed = 3, .brokeRules = 17}).reason,
              HasSubstr("by isRight: wrong"));
  const auto diverged = decided({}, {.samples = 4000, .diverged = 20});
  EXPECT_EQ(diverged.verdict, GuardVerdict::breach);
  EXPECT_EQ(diverged.reason,
            "20 of 4000 canary reads diverged (0.5 %; the limit is 0.1 %), most of them at name");
}

TEST(GuardRails, AreSatisfiedOnceEnoughIsKnown) {
  EXPECT_EQ(decided({}, {.samples = 3995}).verdict, GuardVerdict::undecided);
  EXPECT_THAT(decided({}, {.samples = 3000}).reason, HasSubstr("it may be up to 0.133 %"));
  const auto satisfied = decided({}, {.samples = 3997});
  EXPECT_EQ(satisfied.verdict, GuardVerdict::satisfied);
  EXPECT_THAT(satisfied.reason, HasSubstr("0 of 3997 canary reads diverged (0 %"));
  const auto early = decided({}, {.samples = 3997}, std::chrono::minutes(59));
  EXPECT_EQ(early.verdict, GuardVerdict::undecided);
  EXPECT_THAT(early.reason, HasSubstr("staged for 3540 s of 3600 s"));
}

TEST(GuardRails, CanHoldForEver) {
  EXPECT_EQ(decided({.holdFor = std::chrono::seconds::max()}, {.samples = 5000}).verdict,
            GuardVerdict::undecided);
}

TEST(GuardRails, TellABreachFromCountsAlone) {
  const auto expectSame = [](const GuardRails& rails, const Seen& seen) {
    const auto statistics = of(seen);
    EXPECT_EQ(isBreach(rails, countsOf(statistics)),
              decide(rails, statistics, hours(2)).verdict == GuardVerdict::breach)
        << seen.samples << " " << seen.failed << " " << seen.diverged;
  };
  for (const std::uint64_t samples : {0U, 1U, 1999U, 2000U, 10'000U}) {
    for (const std::uint64_t wrong : {0U, 1U, 8U, 9U, 10U, 50U, 1999U}) {
      if (wrong > samples) continue;
      for (const GuardRails& rails : {GuardRails{}, GuardRails{.minimumSamples = 0, .maxErrorShare = 0}}) {
        expectSame(rails, {.samples = samples, .failed = wrong});
        expectSame(rails, {.samples = samples, .brokeRules = wrong});
        expectSame(rails, {.samples = samples, .diverged = wrong});
      }
    }
  }
  CanaryCounts counts{.samples = 1000, .errors = 10, .diverged = 0};
  EXPECT_FALSE(isBreach({}, counts));
  EXPECT_TRUE(isBreach({}, counts += {.samples = 1000, .errors = 10, .diverged = 0}));
}

TEST(GuardRails, TakeNoErrorAndAnyErrorAtTheirWord) {
  const GuardRails none{.maxErrorShare = 0};
  EXPECT_EQ(decided(none, {.samples = 5000}).verdict, GuardVerdict::satisfied);
  EXPECT_EQ(decided(none, {.samples = 5000, .failed = 1}).verdict, GuardVerdict::breach);
  const GuardRails any{.maxErrorShare = 1, .maxDivergenceShare = 1};
  EXPECT_EQ(decided(any, {.samples = 5000, .failed = 5000, .diverged = 5000}).verdict,
            GuardVerdict::satisfied);
}

TEST(GuardRails, LookAtLatencyWhereAsked) {
  EXPECT_EQ(decided({}, {.samples = 5000}).verdict, GuardVerdict::satisfied);
  const auto slow = decided({.maxLatencyRatio = 3}, {.samples = 5000});
  EXPECT_EQ(slow.verdict, GuardVerdict::breach);
  EXPECT_THAT(slow.reason, HasSubstr("the staged way takes 407 ns, the active one 101 ns"));
  EXPECT_THAT(slow.reason, HasSubstr("the limit is 3)"));
  EXPECT_EQ(decided({.maxLatencyRatio = 4}, {.samples = 5000}).verdict, GuardVerdict::undecided);
  EXPECT_EQ(decided({.maxLatencyRatio = 5}, {.samples = 5000}).verdict, GuardVerdict::satisfied);
}

TEST(GuardRails, SayTimesInUnitsThatAreRead) {
  const auto reason = [](nanoseconds active) {
    CanaryStatistics statistics = of({.samples = 5000});
    statistics.activeLatency = {};
    statistics.stagedLatency = {};
    statistics.activeLatency.add(active, 5000);
    statistics.stagedLatency.add(10 * active, 5000);
    return decide({.maxLatencyRatio = 3}, statistics, hours(2)).reason;
  };
  EXPECT_THAT(reason(nanoseconds(400)),
              ::testing::AllOf(HasSubstr(" us, the active one"), HasSubstr(" ns in the median")));
  EXPECT_THAT(reason(std::chrono::microseconds(400)), HasSubstr(" ms, the active one"));
  EXPECT_THAT(reason(std::chrono::milliseconds(400)), HasSubstr(" s, the active one"));
}

TEST(GuardRails, TakeAllRowsForWhatTheyAre) {
  const auto judged = [](const Seen& seen, const GuardRails& rails = {}) {
    return decideOnAll(rails, of(seen)).verdict;
  };
  EXPECT_EQ(judged({.samples = 1}), GuardVerdict::satisfied);
  EXPECT_EQ(judged({.samples = 999, .failed = 1}), GuardVerdict::breach);
  EXPECT_EQ(judged({.samples = 1000, .failed = 1}), GuardVerdict::satisfied);
  EXPECT_EQ(judged({.samples = 999, .diverged = 1}), GuardVerdict::breach);
  EXPECT_EQ(judged({.samples = 10, .failed = 10}, {.maxErrorShare = 1}), GuardVerdict::satisfied);
  EXPECT_EQ(judged({.samples = 5000}, {.maxLatencyRatio = 3}), GuardVerdict::breach);
  EXPECT_EQ(judged({}), GuardVerdict::undecided);
}

TEST(GuardRails, RefuseWhatCannotBe) {
  checkGuardRails({});
  for (const GuardRails& rails :
       {GuardRails{.maxErrorShare = -0.1}, GuardRails{.maxErrorShare = std::nan("")},
        GuardRails{.maxDivergenceShare = 1.1}, GuardRails{.maxLatencyRatio = -1},
        GuardRails{.maxLatencyRatio = INFINITY}, GuardRails{.holdFor = std::chrono::seconds(-1)}}) {
    EXPECT_ERROR(checkGuardRails(rails), fixCall, "a guard rail is a");
  }
}

constexpr int kLives = 200;
constexpr double kLimit = GuardRails{}.maxErrorShare;

// As guard_rails.h says.
std::uint64_t samplesToFind(double share) {
  const auto deviation = [](double one) { return 4 * std::sqrt(one * (1 - one)); };
  const double root = (deviation(share) + deviation(kLimit)) / (share - kLimit);
  return static_cast<std::uint64_t>(std::ceil(root * root));
}

// Of a row, by chance; the same for a row in one life.
bool isHit(std::uint64_t life, std::uint64_t id, double share) {
  std::uint64_t mixed = (life << 32) + id;  // splitmix64
  mixed += 0x9e3779b97f4a7c15;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  mixed ^= mixed >> 31;
  return static_cast<double>(mixed) < share * 0x1p64;
}

enum class Fault { none, refuses, makesAnother };

// Rows whose new field a function makes, and goes wrong in five of a thousand.
class FaultyVersion {
 public:
  explicit FaultyVersion(Fault fault)
      : functions_(functions(fault, life_)),
        active_(parse(1, "name @1 :Text;"), functions_),
        staged_(
            parse(2,
                  "name @1 :Text $Instar.mirrored(since = 2, copy = \"shown\");"
                  "shown @2 :Text $Instar.derived(since = 2, call = (function = \"show\", from = [\"id\", "
                  "\"name\"]));"),
            functions_),
        canary_(active_, staged_) {}

  // Returns how many reads it took to find out; 0 where it was not found.
  std::uint64_t live(std::uint64_t life, std::uint64_t samples) {
    life_ = life;
    CanaryStatistics statistics;
    capnp::MallocMessageBuilder message;
    auto row = message.initRoot<DynamicStruct>(staged_.schema().root());
    for (std::uint64_t id = 1; id <= samples; ++id) {
      row.set("id", id);
      if (!row.has("name")) row.set("name", "Ada");
      const auto reader = row.asReader();
      CanaryRead read{.version = 1, .active = reader, .staged = reader};
      CanaryFindings findings;
      try {
        staged_.from(1).run(row);
        findings = canary_.examine(read);
      } catch (const Error& error) {
        findings = Canary::failure(error);
      }
      canary_.count(read, findings, statistics);
      if (decide({}, statistics, hours(2)).verdict == GuardVerdict::breach) return id;
    }
    return 0;
  }

 private:
  static RecordSchema parse(unsigned version, const std::string& fields) {
    return parseDeclarations("struct R @0xa000000000000001 $Instar.version(" + std::to_string(version) +
                                 ") { id @0 :UInt64; " + fields + " }",
                             "R");
  }

  static std::shared_ptr<const Functions> functions(Fault fault, const std::uint64_t& life) {
    auto functions = std::make_shared<Functions>();
    functions->value("show", [fault, &life](std::uint64_t id, capnp::Text::Reader name) -> std::string {
      if (fault == Fault::none || !isHit(life, id, 0.005)) return name.cStr();
      if (fault == Fault::refuses) throw UpgradeFailure("injected");
      return "another";
    });
    return functions;
  }

  std::uint64_t life_ = 0;
  std::shared_ptr<const Functions> functions_;
  Plans active_;
  Plans staged_;
  Canary canary_;
};

TEST(GuardRails, FindAFaultInHalfAPercentOfTheDerivations) {
  const std::uint64_t within = samplesToFind(0.005);
  EXPECT_EQ(within, 10'433U);
  for (const Fault fault : {Fault::refuses, Fault::makesAnother}) {
    FaultyVersion version(fault);
    std::uint64_t all = 0;
    for (int life = 1; life <= kLives; ++life) {
      const auto found = version.live(static_cast<std::uint64_t>(life), within);
      ASSERT_NE(found, 0U) << "life " << life;
      all += found;
    }
    EXPECT_LT(all / kLives, 4000U);  // most are found much earlier
  }
}

TEST(GuardRails, LetACleanVersionLive) {
  FaultyVersion version(Fault::none);
  EXPECT_EQ(version.live(1, 50'000), 0U);
}

// Asked again after every error, which is when a breach can begin.
TEST(GuardRails, LetAVersionLiveWhoseErrorsAreAtHalfOfTheLimit) {
  constexpr std::uint64_t kSamples = 200'000;
  int satisfied = 0;
  for (int life = 1; life <= kLives; ++life) {
    std::mt19937_64 random(static_cast<std::uint64_t>(life));
    std::geometric_distribution<std::uint64_t> rowsBefore(kLimit / 2);
    Seen seen;
    for (;;) {
      const std::uint64_t next = seen.samples + rowsBefore(random) + 1;
      if (next > kSamples) break;
      seen.samples = next;
      ++seen.failed;
      const auto decision = decided({}, seen);
      ASSERT_NE(decision.verdict, GuardVerdict::breach) << "life " << life << ": " << decision.reason;
    }
    seen.samples = kSamples;
    satisfied += decided({}, seen).verdict == GuardVerdict::satisfied ? 1 : 0;
  }
  EXPECT_EQ(satisfied, kLives);
}

// Nobody but the reason itself knows where the words begin that may show a value.
TEST(GuardRails, AReasonTellsWhereTheWordsOfAFunctionBegin) {
  const auto shown = [](const std::string& reason) { return reason.substr(0, functionWords(reason)); };
  const std::string reason = decideOnAll({}, of({.samples = 10, .failed = 5})).reason;
  EXPECT_THAT(reason, HasSubstr("most of them at first by split: no part"));
  EXPECT_TRUE(shown("by force: " + reason).ends_with("most of them at first by split: "));
  const std::string ruled = decideOnAll({}, of({.samples = 10, .brokeRules = 5})).reason;
  EXPECT_TRUE(shown(ruled).ends_with("most of them by isRight: "));
  CanaryStatistics builtIn = of({.samples = 10});
  builtIn.failed = 5;
  builtIn.failures.add({.field = "first", .function = {}, .reason = "the part is missing"}, 5);
  const std::string whole = decideOnAll({}, builtIn).reason;
  EXPECT_EQ(shown(whole), whole);
  EXPECT_EQ(shown(""), "");
}

}  // namespace
}  // namespace instar::testing
