// $Instar.replaces as the schemas say it.

#include <capnp/message.h>
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

RecordSchema person(unsigned version = 1,
                    const char* fields = "id @0 :UInt64 $Instar.key(0); name @1 :Text;") {
  return parseDeclarations(
      "struct Person @0xa000000000000001 $Instar.version(" + std::to_string(version) + ") { " + fields + " }",
      "Person");
}

RecordSchema contact(unsigned version, const char* replaces,
                     const char* fields = "name @0 :Text; key @1 :UInt64 $Instar.key(0);") {
  return parseDeclarations("struct Contact @0xa000000000000002 $Instar.version(" + std::to_string(version) +
                               ") " + replaces + " { " + fields + " }",
                           "Contact");
}

constexpr const char* kReplaces =
    "$Instar.replaces(since = 2, type = 0xa000000000000001, call = \"contactFromPerson\")";

TEST(Replacement, IsAVerdictOfItsOwnAndRaisesBothFloors) {
  const auto judgements = judge(difference(person(), contact(2, kReplaces)));
  ASSERT_EQ(judgements.size(), 1U);
  EXPECT_EQ(verdictName(judgements[0].verdict), "replaced");
  EXPECT_EQ(judgements[0].floor, FloorEffect::readerAndWriter);
  EXPECT_EQ(judgements[0].what,
            "Contact: replaces Person (since = 2, type = 0xa000000000000001, call = \"contactFromPerson\")");
}

TEST(Replacement, ThatLeavesRowsWithoutAConversionIsRefused) {
  const auto words = [](const RecordSchema& older, const RecordSchema& newer) {
    const auto judgements = judge(difference(older, newer));
    EXPECT_TRUE(isRefused(judgements));
    return describe(judgements);
  };
  EXPECT_THAT(words(person(), contact(2, "")), HasSubstr("name a function that converts rows"));
  EXPECT_THAT(
      words(person(2), contact(3, kReplaces)),
      HasSubstr(
          "rows of version 2 are of the old struct, and would not be converted; instead: write since = 3"));
  EXPECT_THAT(
      words(person(), contact(2, "$Instar.replaces(since = 2, type = 0xa000000000000009, call = \"f\")")),
      HasSubstr("name the id of that struct"));
  EXPECT_THAT(words(person(), contact(2, kReplaces, "name @0 :Text $Instar.key(0);")),
              HasSubstr("the key changed from id to name"));
}

TEST(Replacement, StaysAsItIs) {
  EXPECT_TRUE(difference(contact(2, kReplaces), contact(3, kReplaces)).empty());
  EXPECT_NE(contact(3, kReplaces).fingerprint(), contact(3, "").fingerprint());
  for (const char* later :
       {"", "$Instar.replaces(since = 3, type = 0xa000000000000001, call = \"contactFromPerson\")",
        "$Instar.replaces(since = 2, type = 0xa000000000000001, call = \"other\")"}) {
    const auto judgements = judge(difference(contact(2, kReplaces), contact(3, later)));
    ASSERT_EQ(judgements.size(), 1U) << later;
    EXPECT_EQ(judgements[0].verdict, Verdict::refused) << later;
    EXPECT_THAT(judgements[0].what, HasSubstr("Contact: replaces ")) << later;
  }
  EXPECT_TRUE(isRefused(judge(difference(contact(2, ""), contact(3, kReplaces)))))
      << "rows of version 2 are of the new struct already";
}

TEST(Replacement, IsInTheSchemasText) {
  const auto text = schemaText(contact(2, kReplaces));
  const auto again = parseRecord(text, "Contact");
  EXPECT_EQ(again.fingerprint(), contact(2, kReplaces).fingerprint()) << text;
}

TEST(Replacement, IsOneStepOfThePlan) {
  const auto newer =
      contact(3, kReplaces,
              "name @0 :Text; key @1 :UInt64 $Instar.key(0);"
              " loud @2 :Text $Instar.derived(since = 3, concat = [(field = \"name\"), (text = \"!\")]);");
  const auto older = person(1);
  const Plans plans(newer, nullptr, [&](std::uint16_t) { return older; });
  const Plan plan = plans.from(1);
  EXPECT_FALSE(plan.isIdentity());
  ASSERT_EQ(plan.steps().size(), 2U);
  EXPECT_EQ(plan.steps()[0].how,
            "replaces (since = 2, type = 0xa000000000000001, call = \"contactFromPerson\")");
  EXPECT_EQ(plan.steps()[1].field, "loud");
  EXPECT_TRUE(plan.replaces());
  EXPECT_FALSE(plans.from(2).replaces());
  EXPECT_NE(plan.hash(), plans.from(2).hash());
  EXPECT_ERROR(Plans(newer).from(1).before(), restoreFromBackup, "version: 1");
}

TEST(Replacement, ByAFunctionThatThrowsAnythingRefusesTheRow) {
  using capnp::DynamicStruct;
  const auto newer = contact(2, kReplaces);
  const auto older = person(1);
  const auto replace = [&](auto function) {
    auto functions = std::make_shared<Functions>();
    functions->conversion<DynamicStruct, DynamicStruct>("contactFromPerson", std::move(function));
    capnp::MallocMessageBuilder from;
    capnp::MallocMessageBuilder to;
    Plans(newer, functions, [&](std::uint16_t) { return older; })
        .from(1)
        .replace(from.initRoot<DynamicStruct>(older.root()).asReader(),
                 to.initRoot<DynamicStruct>(newer.root()));
  };
  EXPECT_ERROR(replace([](DynamicStruct::Reader, DynamicStruct::Builder) { throw 42; }), fixRow,
               "function: contactFromPerson, reason: the function threw an exception");
  EXPECT_ERROR(replace([](DynamicStruct::Reader person, DynamicStruct::Builder contact) {
                 contact.set("name", person.get("nme"));
               }),
               fixRow, "reason: the function used a field or type that the record does not have");
}

struct Mistake {
  const char* replaces;
  const char* words;
};

TEST(Replacement, WithAMistakeIsRefusedWhenTheSchemaIsRead) {
  const Mistake mistakes[] = {
      {"$Instar.replaces(type = 1, call = \"f\")", "since: 0, version: 2"},
      {"$Instar.replaces(since = 3, type = 1, call = \"f\")", "since: 3, version: 2"},
      {"$Instar.replaces(since = 2, call = \"f\")", "`type` is the id of the struct"},
      {"$Instar.replaces(since = 2, type = 0xa000000000000002, call = \"f\")", "cannot replace itself"},
      {"$Instar.replaces(since = 2, type = 1, call = \"f\\t\")", "without control characters"},
      {"$Instar.replaces(since = 2, type = 1)", "`call` is the name of the function"},
  };
  for (const auto& [replaces, words] : mistakes) {
    EXPECT_ERROR(contact(2, replaces), fixSchema, words);
    EXPECT_ERROR(contact(2, replaces), fixSchema, "type: Contact, annotation: replaces");
  }
  EXPECT_ERROR(
      contact(2, kReplaces,
              "name @0 :Text; loud @1 :Text $Instar.derived(since = 2, concat = [(field = \"name\")]);"),
      fixSchema, "type: Contact, field: loud");
}

}  // namespace
}  // namespace instar::testing
