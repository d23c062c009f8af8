#include "instar/evolve/canary.h"

#include <capnp/dynamic.h>
#include <capnp/message.h>
#include <capnp/serialize-text.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using capnp::DynamicStruct;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

RecordSchema record(unsigned version, const std::string& fields, const std::string& annotations = "") {
  return parseDeclarations("struct R @0xa000000000000001 $Instar.version(" + std::to_string(version) + ") " +
                               annotations + " { " + fields +
                               " } enum Size @0xb000000000000001 { small @0; large @1; }"
                               " struct Inner @0xb000000000000002 { a @0 :Text; b @1 :UInt8; }",
                           "R");
}

constexpr const char* kName = "name @0 :Text; ";
constexpr const char* kSplitName =
    "name @0 :Text $Instar.mirrored(since = 2, concat = [(field = \"first\"), (text = \" \"), (field = "
    "\"last\")]); "
    "first @1 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \", part = 0)); "
    "last @2 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \", part = 1)); ";

// Two versions, and rows that are read through both.
class Trial {
 public:
  Trial(RecordSchema active, RecordSchema staged, std::shared_ptr<const Functions> functions = nullptr)
      : active_(std::move(active), functions),
        staged_(staged, functions, [before = active_.schema()](std::uint16_t) { return before; }),
        canary_(active_, staged_) {}

  // A row that a program of that version has put, as .capnp text spells it.
  CanaryFindings read(const std::string& row, std::uint16_t version = 1) {
    const Plans& writer = version >= staged_.schema().version() ? staged_ : active_;
    capnp::MallocMessageBuilder stored;
    capnp::TextCodec().decode(kj::StringPtr(row.c_str(), row.size()),
                              stored.initRoot<DynamicStruct>(writer.schema().root()));
    return read(stored.getRoot<capnp::AnyPointer>().asReader(), version);
  }

  CanaryFindings read(capnp::AnyPointer::Reader stored, std::uint16_t version = 1) {
    capnp::MallocMessageBuilder active;
    capnp::MallocMessageBuilder staged;
    CanaryRead read{.version = version,
                    .activeTime = std::chrono::nanoseconds(100),
                    .stagedTime = std::chrono::nanoseconds(250)};
    CanaryFindings findings;
    try {
      read.active = upgraded(active_, stored, version, active);
      read.staged = upgraded(staged_, stored, version, staged);
      findings = canary_.examine(read);
    } catch (const Error& error) {
      findings = Canary::failure(error);
      read = {};
    }
    canary_.count(read, findings, statistics_);
    return findings;
  }

  const CanaryStatistics& statistics() const { return statistics_; }
  const Canary& canary() const { return canary_; }
  const Plans& staged() const { return staged_; }

  CanaryField field(const std::string& name) const {
    for (const CanaryField& one : statistics_.fields) {
      if (one.name == name) return one;
    }
    ADD_FAILURE() << "the field " << name << " is not counted";
    return {};
  }

  std::string counted() const {
    std::string names;
    for (const CanaryField& one : statistics_.fields) names += one.name + " ";
    return names;
  }

 private:
  static capnp::AnyStruct::Reader upgraded(const Plans& plans, capnp::AnyPointer::Reader stored,
                                           std::uint16_t version, capnp::MessageBuilder& message) {
    const Plan plan = plans.from(version);
    const auto root = plans.schema().root();
    if (plan.replaces()) {
      plan.replace(stored.getAs<DynamicStruct>(plan.before().schema().root()),
                   message.initRoot<DynamicStruct>(root));
    } else {
      message.initRoot<capnp::AnyPointer>().set(stored);
    }
    plan.run(message.getRoot<DynamicStruct>(root));
    return message.getRoot<DynamicStruct>(root).asReader();
  }

  Plans active_;
  Plans staged_;
  Canary canary_;
  CanaryStatistics statistics_;
};

TEST(Canary, FindsNothingInARowThatComesOutRight) {
  Trial trial(record(1, kName), record(2, kSplitName));
  const auto findings = trial.read("(name = \"Ada Lovelace\")");
  EXPECT_FALSE(findings.failure);
  EXPECT_THAT(findings.diverged, IsEmpty());
  EXPECT_THAT(findings.brokenRules, IsEmpty());
  const CanaryStatistics& seen = trial.statistics();
  EXPECT_EQ(seen.samples, 1U);
  EXPECT_EQ(seen.errors() + seen.diverged + seen.unexpectedlyUnset, 0U);
  EXPECT_EQ(seen.activeLatency.count(), 1U);
  EXPECT_NEAR(static_cast<double>(seen.stagedLatency.quantile(0.5).count()), 250, 250.0 / 32);
  EXPECT_EQ(trial.field("first").staged.mean(), 3);
}

TEST(Canary, CountsWhatCannotBeDerived) {
  Trial trial(record(1, "text @0 :Text;"),
              record(2, "text @0 :Text; number @1 :Int32 $Instar.derived(since = 2, convert = \"text\");"));
  trial.read("(text = \"12\")");
  const auto findings = trial.read("(text = \"twelve\")");
  ASSERT_TRUE(findings.failure);
  EXPECT_EQ(findings.failure->field, "number");
  EXPECT_EQ(findings.failure->reason, "the text is not a value of the type");
  const CanaryStatistics& seen = trial.statistics();
  EXPECT_EQ(seen.samples, 2U);
  EXPECT_EQ(seen.failed, 1U);
  EXPECT_EQ(seen.failures.mostFrequent(), findings.failure);
  EXPECT_EQ(seen.stagedLatency.count(), 1U);
  EXPECT_EQ(trial.field("number").staged.rows, 1U);
}

TEST(Canary, CountsWhatCannotBeMirrored) {
  Trial trial(
      record(1, "small @0 :UInt8;"),
      record(2, "small @0 :UInt8 $Instar.mirrored(since = 2, convert = \"large\"); large @1 :UInt32;"));
  const auto findings = trial.read("(small = 7, large = 256)", 2);
  ASSERT_TRUE(findings.failure);
  EXPECT_EQ(findings.failure->field, "small");
  EXPECT_EQ(trial.statistics().failed, 1U);
}

TEST(Canary, ComparesMirrorsWithTheirSources) {
  Trial trial(record(1, kName), record(2, kSplitName));
  EXPECT_THAT(trial.read("(name = \"Ada Lovelace\")").diverged, IsEmpty());
  EXPECT_THAT(trial.read("(name = \"Augusta Ada King\")").diverged, ElementsAre("name"));
  EXPECT_EQ(trial.statistics().diverged, 1U);
  EXPECT_EQ(trial.field("name").diverged, 1U);
  EXPECT_EQ(trial.field("first").diverged, 0U);
}

// A mirror of each type, and two values for what it is made from.
TEST(Canary, ComparesMirrorsOfEachType) {
  const struct {
    const char* type;
    const char* one;
    const char* other;
  } cases[] = {
      {"Bool", "true", "false"},
      {"Int32", "-5", "5"},
      {"UInt64", "18446744073709551615", "5"},
      {"Float32", "0.5", "nan"},
      {"Float64", "nan", "-1"},
      {"Size", "large", "small"},
      {"Text", "\"x\"", "\"y\""},
      {"Data", "\"x\"", "\"y\""},
      {"List(UInt8)", "[1]", "[1, 2]"},
      {"Inner", "(b = 1)", "(a = \"x\")"},
  };
  for (const auto& [type, one, other] : cases) {
    const std::string old = std::string("old @0 :") + type;
    Trial trial(record(1, old + ";"),
                record(2, old + " $Instar.mirrored(since = 2, copy = \"new\"); new @1 :" + type +
                              " $Instar.derived(since = 2, copy = \"old\");"));
    const auto row = [](const std::string& left, const std::string& right) {
      return "(old = " + left + ", new = " + right + ")";
    };
    for (const char* value : {one, other})
      EXPECT_THAT(trial.read(row(value, value), 2).diverged, IsEmpty()) << type << " " << value;
    EXPECT_THAT(trial.read(row(one, other), 2).diverged, ElementsAre("old")) << type;
    EXPECT_THAT(trial.read(row(other, one), 2).diverged, ElementsAre("old")) << type;
  }
}

TEST(Canary, TakesNothingAndEmptyForTheSame) {
  Trial trial(record(1, "old @0 :Text; olds @1 :List(Text);"),
              record(2,
                     "old @0 :Text $Instar.mirrored(since = 2, concat = [(field = \"new\")]);"
                     "olds @1 :List(Text) $Instar.mirrored(since = 2, copy = \"news\");"
                     "new @2 :Text; news @3 :List(Text);"));
  EXPECT_THAT(trial.read("()").diverged, IsEmpty());
  EXPECT_THAT(trial.read("(olds = [])").diverged, IsEmpty());
  EXPECT_THAT(trial.read("(old = \"x\", olds = [\"\"])").diverged, ElementsAre("old", "olds"));
}

TEST(Canary, DoesNotHoldMirrorsOfTheActiveVersionAgainstTheStagedOne) {
  Trial trial(record(2, kSplitName), record(3, std::string(kSplitName) + "added @3 :UInt8;"));
  EXPECT_THAT(trial.read("(name = \"Augusta Ada King\")").diverged, IsEmpty());
}

// The copy that mirrors are made in has only their sources.
TEST(Canary, MakesMirrorsAsAPutDoes) {
  const std::string fields =
      "m1 @0 :Text $Instar.mirrored(since = 2, copy = \"inner.a\");"
      "m2 @1 :Text $Instar.mirrored(since = 2, copy = \"group.a\");"
      "m3 @2 :Text $Instar.mirrored(since = 2, copy = \"choice.first.a\");"
      "m4 @3 :UInt8 $Instar.mirrored(since = 2, copy = \"choice.first.b\");"
      "m5 @4 :UInt8 $Instar.mirrored(since = 2, copy = \"choice.second\");"
      "m6 @5 :List(UInt8) $Instar.mirrored(since = 2, copy = \"list\");"
      "m7 @6 :Text $Instar.mirrored(since = 2, concat = [(field = \"m1\"), (field = \"size\")]);"
      "m8 @15 :Inner $Instar.mirrored(since = 2, copy = \"inner\");"
      "m9 @16 :Float64 $Instar.mirrored(since = 2, scale = (field = \"number\", divide = 3));"
      "inner @7 :Inner; group :group { a @8 :Text; }"
      "choice :union { none @9 :Void; first :group { a @10 :Text; b @11 :UInt8; } second @12 :UInt8; }"
      "list @13 :List(UInt8); size @14 :Size; number @17 :Float64;";
  Trial trial(record(1,
                     "m1 @0 :Text; m2 @1 :Text; m3 @2 :Text; m4 @3 :UInt8; m5 @4 :UInt8; m6 @5 :List(UInt8); "
                     "m7 @6 :Text;"),
              record(2, fields));
  const std::string filled =
      "inner = (a = \"i\", b = 2), group = (a = \"g\"), list = [1, 2], size = large, number = 7";
  for (const std::string choice : {"(first = (a = \"c\", b = 5))", "(second = 6)", "(none = void)"}) {
    for (const std::string& row :
         {"(" + filled + ", choice = " + choice + ")", "(choice = " + choice + ")"}) {
      capnp::MallocMessageBuilder message;
      auto put = message.initRoot<DynamicStruct>(trial.staged().schema().root());
      capnp::TextCodec().decode(kj::StringPtr(row.c_str(), row.size()), put);
      trial.staged().prepareToPut(put);
      const auto stored = message.getRoot<capnp::AnyPointer>().asReader();
      EXPECT_THAT(trial.read(stored, 2).diverged, IsEmpty()) << row;
      for (const char* mirror : {"m1", "m2", "m3", "m7"}) put.set(mirror, "other");
      for (const char* mirror : {"m4", "m5", "m9"}) put.set(mirror, 99);
      put.init("m6", 3);
      put.init("m8").as<DynamicStruct>().set("a", "other");
      EXPECT_THAT(trial.read(stored, 2).diverged,
                  ElementsAre("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"))
          << row;
    }
  }
  EXPECT_EQ(trial.statistics().failed, 0U);
}

std::shared_ptr<Functions> rules() {
  auto functions = std::make_shared<Functions>();
  const auto isPositive = [](const char* field) {
    return [field](DynamicStruct::Reader r) -> std::optional<std::string> {
      if (r.get(field).as<std::int64_t>() > 0) return std::nullopt;
      return "it is not positive";
    };
  };
  functions->validator<DynamicStruct>("oldRule", isPositive("a"));
  functions->validator<DynamicStruct>("newRule", isPositive("a"));
  functions->step<DynamicStruct>("negate", [](DynamicStruct::Builder r) {
    r.set("a", -r.get("a").as<std::int64_t>());
    r.clear("text");
  });
  return functions;
}

TEST(Canary, JudgesByRulesThatTheActiveVersionHasNotBroken) {
  constexpr const char* kFields = "a @0 :Int64;";
  Trial trial(record(1, kFields, "$Instar.validated([\"oldRule\"])"),
              record(2, kFields, "$Instar.validated([\"oldRule\", \"newRule\"])"), rules());
  EXPECT_THAT(trial.read("(a = 5)").brokenRules, IsEmpty());
  const auto findings = trial.read("(a = -5)");
  ASSERT_EQ(findings.brokenRules.size(), 1U);
  EXPECT_EQ(findings.brokenRules[0].validator, "newRule");
  const CanaryStatistics& seen = trial.statistics();
  EXPECT_EQ(seen.brokeRules, 1U);
  EXPECT_EQ(seen.errors(), 1U);
  EXPECT_EQ(seen.brokenRules.mostFrequent(),
            (CanaryFailure{.field = {}, .function = "newRule", .reason = "it is not positive"}));
}

TEST(Canary, JudgesARuleOfBothByBothRecords) {
  constexpr const char* kFields = "a @0 :Int64; text @1 :Text;";
  Trial trial(
      record(1, kFields, "$Instar.validated([\"oldRule\"])"),
      record(2, kFields, "$Instar.validated([\"oldRule\"]) $Instar.upgraded([(to = 2, call = \"negate\")])"),
      rules());
  EXPECT_EQ(trial.read("(a = 5)").brokenRules.size(), 1U);  // it was right before
  EXPECT_THAT(trial.read("(a = -5)").brokenRules, IsEmpty());
}

TEST(Canary, MissesValuesThatAreGone) {
  Trial trial(record(1, kName), record(2, kSplitName));
  trial.read("(name = \"Ada Lovelace\")");
  trial.read("()");  // nothing to make them from
  EXPECT_EQ(trial.statistics().unexpectedlyUnset, 0U);
  trial.read("(name = \"Ada\")");
  trial.read("(name = \"Ada\")", 2);  // as it was put
  EXPECT_EQ(trial.statistics().unexpectedlyUnset, 1U);
  EXPECT_EQ(trial.field("last").unexpectedlyUnset, 1U);
  EXPECT_EQ(trial.field("first").unexpectedlyUnset, 0U);
  EXPECT_EQ(trial.field("last").staged.unset, 3U);
}

TEST(Canary, MissesValuesWhoseSourceIsRetiredWithIt) {
  Trial trial(
      record(1, "name @0 :Text; inner @1 :Inner;"),
      record(
          2,
          "name @0 :Text $Instar.retired(2); inner @1 :Inner $Instar.retired(2);"
          "last @2 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \", part = 1));"
          "part @3 :Text $Instar.derived(since = 2, split = (field = \"inner.a\", by = \" \", part = 1));"));
  trial.read("(name = \"Ada Lovelace\", inner = (a = \"x y\"))");
  EXPECT_EQ(trial.statistics().unexpectedlyUnset, 0U);
  trial.read("(name = \"Ada\", inner = (b = 1))");
  EXPECT_EQ(trial.field("last").unexpectedlyUnset, 1U);
  EXPECT_EQ(trial.field("part").unexpectedlyUnset, 0U);
  trial.read("(inner = (a = \"x\"))");
  EXPECT_EQ(trial.field("part").unexpectedlyUnset, 1U);
  EXPECT_EQ(trial.counted(), "last part ");  // what is retired is no surprise
}

TEST(Canary, MissesValuesThatAFunctionHasTaken) {
  constexpr const char* kFields = "a @0 :Int64; text @1 :Text;";
  Trial trial(record(1, kFields), record(2, kFields, "$Instar.upgraded([(to = 2, call = \"negate\")])"),
              rules());
  trial.read("(a = 2, text = \"x\")");
  trial.read("(a = 3)");
  EXPECT_EQ(trial.field("text").unexpectedlyUnset, 1U);
  EXPECT_EQ(trial.field("text").active.unset, 1U);
  EXPECT_EQ(trial.field("text").staged.unset, 2U);
  EXPECT_EQ(trial.field("a").active.mean(), 2.5);
  EXPECT_EQ(trial.field("a").staged.mean(), -2.5);
}

// A new field for each of these, since what a version cannot change is not counted.
TEST(Canary, CountsValuesOfEachType) {
  Trial trial(
      record(1, "id @0 :UInt64;"),
      record(2,
             "id @0 :UInt64; int @1 :Int8 = -3; float @2 :Float32; double @3 :Float64; bool @4 :Bool;"
             "size @5 :Size; text @6 :Text; data @7 :Data; list @8 :List(Inner); inner @9 :Inner;"
             "group :group { text @10 :Text; large @11 :UInt64; } union { left @12 :Int32; right @13 :Text; }"
             "secret @14 :Text $Instar.sensitive; count @15 :Int16 $Instar.sensitive; bool2 @16 :Bool = true;"
             "nothing @17 :Void; int16 @18 :Int16; int64 @19 :Int64;"));
  trial.read("()", 2);
  trial.read(
      "(int = 5, float = nan, double = -0.25, bool = true, size = large, text = \"four\", data = "
      "\"\\x01\\x02\","
      " list = [(), ()], inner = (), group = (text = \"in\", large = 18446744073709551615), right = \"xyz\","
      " int16 = -7, int64 = -4, secret = \"secret\", count = 17, bool2 = false)",
      2);
  struct Expected {
    const char* field;
    std::uint64_t unset, numbers;
    double least, greatest, mean;
  };
  for (const Expected& one :
       {Expected{"int", 0, 2, -3, 5, 1}, Expected{"float", 0, 1, 0, 0, 0},
        Expected{"double", 0, 2, -0.25, 0, -0.125}, Expected{"bool", 0, 2, 0, 1, 0.5},
        Expected{"bool2", 0, 2, 0, 1, 0.5}, Expected{"int16", 0, 2, -7, 0, -3.5},
        Expected{"int64", 0, 2, -4, 0, -2}, Expected{"size", 0, 2, 0, 1, 0.5},
        Expected{"text", 1, 1, 4, 4, 4}, Expected{"data", 1, 1, 2, 2, 2}, Expected{"list", 1, 1, 2, 2, 2},
        Expected{"group.text", 1, 1, 2, 2, 2}, Expected{"group.large", 0, 2, 0, 0x1p64, 0x1p63},
        Expected{"left", 1, 1, 0, 0, 0}, Expected{"right", 1, 1, 3, 3, 3}}) {
    const FieldDistribution found = trial.field(one.field).staged;
    EXPECT_EQ(found.rows, 2U) << one.field;
    EXPECT_EQ(found.unset, one.unset) << one.field;
    EXPECT_EQ(found.numbers, one.numbers) << one.field;
    EXPECT_EQ(found.least, one.least) << one.field;
    EXPECT_EQ(found.greatest, one.greatest) << one.field;
    EXPECT_EQ(found.mean(), one.mean) << one.field;
    EXPECT_EQ(trial.field(one.field).active.rows, 0U) << one.field;
  }
  for (const char* field : {"inner", "secret", "count"}) EXPECT_EQ(trial.field(field).staged.numbers, 0U);
  EXPECT_EQ(trial.field("inner").staged.unset, 1U);
  EXPECT_EQ(trial.field("secret").staged.unset, 1U);
  EXPECT_EQ(trial.field("count").staged.unset, 0U);
  EXPECT_EQ(trial.counted(),
            "bool bool2 count data double float group.large group.text inner int int16 int64 left list right "
            "secret size "
            "text ");
}

TEST(Canary, KnowsAFieldThatWasRenamedByItsNumber) {
  constexpr const char* kStep = "$Instar.upgraded([(to = 2, call = \"nothing\")])";
  auto functions = std::make_shared<Functions>();
  functions->step<DynamicStruct>("nothing", [](DynamicStruct::Builder) {});
  Trial trial(record(1, "old @0 :Text; group :group { a @1 :UInt8; }"),
              record(2, "new @0 :Text; renamed :group { b @1 :UInt8; }", kStep), functions);
  trial.read("(old = \"abc\", group = (a = 7))");
  EXPECT_EQ(trial.field("new").active.mean(), 3);
  EXPECT_EQ(trial.field("renamed.b").active.mean(), 7);
}

TEST(Canary, CountsTheFieldsThatTheSchemaMakesFirst) {
  std::string fields;
  for (int i = 1; i <= 100; ++i) fields += "n" + std::to_string(i) + " @" + std::to_string(i) + " :UInt8; ";
  Trial trial(record(1, kName),
              record(2, kName + fields + "z @101 :Text $Instar.derived(since = 2, copy = \"name\");"));
  trial.read("(name = \"x\")");
  EXPECT_EQ(trial.statistics().fields.size(), Canary::kMaxFields);
  EXPECT_EQ(trial.field("z").staged.mean(), 1);
}

TEST(Canary, ComparesAStructWithTheOneThatItReplacesByName) {
  auto functions = std::make_shared<Functions>();
  functions->conversion<DynamicStruct, DynamicStruct>(
      "convert", [](DynamicStruct::Reader older, DynamicStruct::Builder newer) {
        copyField(older, newer, "name");
        newer.set("length", older.get("name").as<capnp::Text>().size());
      });
  const auto newer = parseDeclarations(
      "struct Other @0xa000000000000009 $Instar.version(2)"
      " $Instar.replaces(since = 2, type = 0xa000000000000001, call = \"convert\")"
      " { length @0 :UInt32; name @1 :Text; }",
      "Other");
  Trial trial(record(1, kName), newer, functions);
  trial.read("(name = \"four\")");
  EXPECT_EQ(trial.field("name").active.mean(), 4);
  EXPECT_EQ(trial.field("name").staged.mean(), 4);
  EXPECT_EQ(trial.field("length").staged.mean(), 4);
  EXPECT_EQ(trial.statistics().failed, 0U);
}

// Counted, and not thrown at anybody.
TEST(Canary, CountsARecordThatIsNotSound) {
  Trial trial(record(1, kName), record(2, kSplitName));
  alignas(8) const std::uint64_t words[] = {std::uint64_t{3} << 48, 0, ~std::uint64_t{0} - 6, 0};
  const kj::ArrayPtr<const capnp::word> segments[] = {
      kj::arrayPtr(reinterpret_cast<const capnp::word*>(words), 4)};
  capnp::SegmentArrayMessageReader message(kj::arrayPtr(segments, 1));
  const auto row = message.getRoot<capnp::AnyStruct>();
  const CanaryRead read{.version = 1, .active = row, .staged = row};
  CanaryStatistics seen;
  const auto findings = trial.canary().examine(read);
  EXPECT_TRUE(findings.failure);
  trial.canary().count(read, findings, seen);
  trial.canary().count(read, {}, seen);
  EXPECT_EQ(seen.samples, 2U);
  EXPECT_EQ(seen.failed, 2U);
}

}  // namespace
}  // namespace instar::testing
