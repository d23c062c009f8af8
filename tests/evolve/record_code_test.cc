// $Instar.upgraded and $Instar.validated as the schemas say them.

#include "instar/evolve/internal/record_code.h"

#include <capnp/message.h>
#include <capnp/serialize-text.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instar/evolve/plan.h"
#include "instar/evolve/schema_text.h"
#include "instar/evolve/verdict.h"
#include "instar/format/error.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using ::testing::HasSubstr;

RecordSchema record(unsigned version, const char* annotations, const char* fields = "a @0 :Text;") {
  return parseDeclarations("struct R @0xa000000000000001 $Instar.version(" + std::to_string(version) + ") " +
                               annotations + " { " + fields + " }",
                           "R");
}

constexpr const char* kStep = "$Instar.upgraded([(to = 3, call = \"fix\")])";
constexpr const char* kRule = "$Instar.validated([\"isRight\"])";

TEST(Step, RaisesBothFloorsAndStaysAsItIs) {
  const auto judgements = judge(difference(record(2, ""), record(3, kStep)));
  ASSERT_EQ(judgements.size(), 1U);
  EXPECT_EQ(judgements[0].verdict, Verdict::derived);
  EXPECT_EQ(judgements[0].floor, FloorEffect::readerAndWriter);
  EXPECT_EQ(judgements[0].what, "R: upgraded (to = 3, call = \"fix\")");
  EXPECT_TRUE(difference(record(3, kStep), record(4, kStep)).empty());
  EXPECT_THAT(describe(judge(difference(record(3, ""), record(4, kStep)))),
              HasSubstr("instead: write to = 4"));
  EXPECT_TRUE(isRefused(judge(difference(record(3, kStep), record(4, "")))));
  EXPECT_TRUE(isRefused(
      judge(difference(record(3, kStep), record(4, "$Instar.upgraded([(to = 3, call = \"other\")])")))));
  EXPECT_FALSE(isRefused(judge(
      difference(record(3, kStep),
                 record(4, "$Instar.upgraded([(to = 4, call = \"fix\"), (to = 3, call = \"fix\")])")))));
}

TEST(Step, StandsInThePlanAmongTheDerivations) {
  const auto schema = record(4, kStep,
                             "a @0 :Text;"
                             "d @1 :Text $Instar.derived(since = 4, copy = \"a\");"
                             "b @2 :Text $Instar.derived(since = 2, copy = \"a\");"
                             "c @3 :Text $Instar.derived(since = 3, copy = \"a\");");
  auto functions = std::make_shared<Functions>();
  functions->step<capnp::DynamicStruct>("fix", [](capnp::DynamicStruct::Builder r) { r.set("a", "fixed"); });
  const Plans plans(schema, functions);
  std::string fields;
  for (const auto& step : plans.from(1).steps()) fields += (step.field.empty() ? step.how : step.field) + " ";
  EXPECT_EQ(fields, "b c upgraded (to = 3, call = \"fix\") d ");
  EXPECT_NE(plans.from(2).hash(), plans.from(3).hash());
  capnp::MallocMessageBuilder message;
  auto row = message.initRoot<capnp::DynamicStruct>(schema.root());
  capnp::TextCodec().decode(kj::StringPtr("(a = \"old\")"), row);
  plans.from(1).run(row);
  EXPECT_STREQ(kj::str(row.asReader()).cStr(), R"((a = "fixed", d = "fixed", b = "old", c = "old"))");
  plans.from(3).run(row);
  EXPECT_STREQ(kj::str(row.asReader()).cStr(), R"((a = "fixed", d = "fixed", b = "old", c = "old"))");
}

// One that throws what is no exception, and one that takes the record for another.
std::shared_ptr<Functions> throwing() {
  auto functions = std::make_shared<Functions>();
  functions->step<capnp::DynamicStruct>("fix", [](capnp::DynamicStruct::Builder) { throw 42; });
  functions->step<capnp::DynamicStruct>("mistake", [](capnp::DynamicStruct::Builder r) { r.set("x", 1); });
  functions->validator<capnp::DynamicStruct>(
      "isRight", [](capnp::DynamicStruct::Reader) -> std::optional<std::string> { throw 42; });
  functions->validator<capnp::DynamicStruct>(
      "mistake", [](capnp::DynamicStruct::Reader r) -> std::optional<std::string> {
        return kj::str(r.get("x")).cStr();
      });
  return functions;
}

constexpr const char* kThrew = "the function threw an exception; throw UpgradeFailure to say why";
constexpr const char* kMisuse =
    "the function used a field or type that the record does not have, or made too large a value";

TEST(Step, ThatThrowsAnythingRefusesTheRow) {
  capnp::MallocMessageBuilder message;
  const auto run = [&](const char* annotations) {
    const Plans plans(record(3, annotations), throwing());
    plans.from(1).run(message.initRoot<capnp::DynamicStruct>(plans.schema().root()));
  };
  EXPECT_ERROR(run(kStep), fixRow, std::string("function: fix, reason: ") + kThrew);
  EXPECT_ERROR(run("$Instar.upgraded([(to = 3, call = \"mistake\")])"), fixRow,
               std::string("function: mistake, reason: ") + kMisuse);
}

TEST(Rule, OfAFunctionThatThrowsAnythingIsBroken) {
  const Plans plans(record(3, "$Instar.validated([\"isRight\", \"mistake\"])"), throwing());
  capnp::MallocMessageBuilder message;
  const auto broken =
      plans.brokenRules(message.initRoot<capnp::DynamicStruct>(plans.schema().root()).asReader());
  ASSERT_EQ(broken.size(), 2U);
  EXPECT_EQ(broken[0].reason, kThrew);
  EXPECT_EQ(broken[1].reason, kMisuse);
}

TEST(Rule, IsAdditive) {
  EXPECT_EQ(judge(difference(record(2, ""), record(3, kRule))).at(0).verdict, Verdict::additive);
  EXPECT_EQ(judge(difference(record(3, kRule), record(4, ""))).at(0).verdict, Verdict::additive);
  EXPECT_TRUE(difference(record(3, kRule), record(4, kRule)).empty());
  EXPECT_NE(record(3, kRule).fingerprint(), record(3, "").fingerprint());
  EXPECT_EQ(record(3, "$Instar.validated([\"a\", \"b\"])").fingerprint(),
            record(3, "$Instar.validated([\"b\", \"a\"])").fingerprint());
}

TEST(RecordCode, NamesFunctionsInAnyLanguage) {
  EXPECT_EQ(record(3, "$Instar.validated([\"prüfe à 價\"])").code().validators.at(0), "prüfe à 價");
}

TEST(RecordCode, IsInTheSchemasText) {
  const auto schema =
      record(3, "$Instar.upgraded([(to = 3, call = \"fix\")]) $Instar.validated([\"x\", \"y\"])");
  const auto text = schemaText(schema);
  EXPECT_EQ(parseRecord(text, "R").fingerprint(), schema.fingerprint()) << text;
}

struct Mistake {
  const char* annotations;
  const char* words;
};

TEST(RecordCode, WithAMistakeIsRefusedWhenTheSchemaIsRead) {
  const Mistake mistakes[] = {
      {"$Instar.upgraded([(to = 1, call = \"f\")])", "to: 1, version: 3"},
      {"$Instar.upgraded([(to = 4, call = \"f\")])", "to: 4, version: 3"},
      {"$Instar.upgraded([(to = 3)])", "`call` is the name of the function of a step"},
      {"$Instar.upgraded([(to = 3, call = \"f\"), (to = 3, call = \"g\")])",
       "one step leads to each version"},
      {"$Instar.replaces(since = 2, type = 1, call = \"c\") $Instar.upgraded([(to = 2, call = \"f\")])",
       "rows of versions before are of another struct"},
      {"$Instar.validated([\"\"])", "a validator needs the name of a function"},
      {"$Instar.upgraded([(to = 3, call = \"f\\n\")])",
       "without control characters; write another (function: \"f\\n\""},
      {"$Instar.validated([\"f\", \"\\x7f\"])", "without control characters"},
      {"$Instar.validated([\"\\xc2\\x9b31m\"])", "without control characters"},
      {"$Instar.validated([\"\\xff\"])", "is UTF-8"},
      {"$Instar.validated([\"f\", \"f\"])", "a validator is named twice; take one away (function: f"},
  };
  for (const auto& [annotations, words] : mistakes) {
    EXPECT_ERROR(record(3, annotations), fixSchema, words);
    EXPECT_ERROR(record(3, annotations), fixSchema, "type: R, annotation: ");
  }
}

}  // namespace
}  // namespace instar::testing
