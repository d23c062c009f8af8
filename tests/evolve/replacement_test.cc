// $Instar.replaces as the schemas say it.

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
  EXPECT_THAT(words(person(), contact(2, kReplaces, "id @0 :Text $Instar.key(0);")),
              HasSubstr("the key changed from id @0 :UInt64 to id @0 :Text"));
}

// The key is the same value under both structs, so the mark stays with it.
TEST(Replacement, ThatUnmasksTheKeyIsRefused) {
  const auto masked = person(1, "id @0 :UInt64 $Instar.key(0) $Instar.sensitive;");
  const auto grouped = person(1, "g :group $Instar.sensitive { id @0 :UInt64 $Instar.key(0); }");
  for (const auto& older : {masked, grouped}) {
    const auto judgements = judge(difference(older, contact(2, kReplaces)));
    EXPECT_TRUE(isRefused(judgements));
    EXPECT_THAT(
        describe(judgements),
        HasSubstr("Contact.key: the key is not sensitive, in the replaced struct it is; rows stay under "
                  "their keys, which every output would show; instead: write $Instar.sensitive here too"));
  }
  EXPECT_FALSE(isRefused(judge(difference(
      masked, contact(2, kReplaces, "name @0 :Text; key @1 :UInt64 $Instar.key(0) $Instar.sensitive;")))));
}

// What both structs share comes from two files, in which the types are the same by their ids only.
class CopyField : public ::testing::Test {
 protected:
  static constexpr const char* kTypes =
      " struct Address @0xa000000000000003 { city @0 :Text; } enum Tier @0xa000000000000004 { x @0; y @1; }";

  static RecordSchema schema(const char* name, const char* id, const char* fields) {
    return parseDeclarations(
        "struct " + std::string(name) + " @" + id + " $Instar.version(1) { " + fields + " }" + kTypes, name);
  }

  CopyField() {
    capnp::TextCodec().decode(
        kj::StringPtr("(name = \"Ada\", address = (city = \"Rome\"), tier = y, all = [(city = \"Pisa\"), ()],"
                      " tiers = [y, x], age = 36, bytes = \"xy\")"),
        from);
  }

  ~CopyField() noexcept override {}  // a message's own may throw

  std::string copied(std::string_view field, std::string_view as = {}) {
    auto record = to.initRoot<capnp::DynamicStruct>(newer.root());
    try {
      copyField(from.asReader(), record, field, as);
    } catch (const UpgradeFailure& failure) {
      return std::string("! ") + failure.what();
    }
    return kj::str(record.asReader()).cStr();
  }

  const RecordSchema older =
      schema("Person", "0xa000000000000001",
             "age @0 :UInt8; name @1 :Text; address @2 :Address; tier @3 :Tier; all @4 :List(Address);"
             " tiers @5 :List(Tier); bytes @6 :Data; home @7 :Address; same @8 :Text = \"same\";"
             " union { x @9 :Text; y @10 :Text; }");
  const RecordSchema newer =
      schema("Contact", "0xa000000000000002",
             "tiers @0 :List(Tier); all @1 :List(Address); tier @2 :Tier; address @3 :Address; name @4 :Text;"
             " same @5 :Text; bytes @6 :Data; age @7 :Text; home @8 :Address; group :group { u @9 :Address; }"
             " union { y @10 :Text; where @11 :Address; }");
  capnp::MallocMessageBuilder first;
  capnp::DynamicStruct::Builder from = first.initRoot<capnp::DynamicStruct>(older.root());
  capnp::MallocMessageBuilder to;
};

TEST_F(CopyField, TakesWhatBothStructsShare) {
  EXPECT_THAT(copied("name"), HasSubstr("name = \"Ada\""));
  EXPECT_THAT(copied("bytes"), HasSubstr("bytes = \"xy\""));
  EXPECT_THAT(copied("address"), HasSubstr("address = (city = \"Rome\")"));
  EXPECT_THAT(copied("tier"), HasSubstr("tier = y"));
  EXPECT_THAT(copied("all"), HasSubstr("all = [(city = \"Pisa\"), ()]"));
  EXPECT_THAT(copied("tiers"), HasSubstr("tiers = [y, x]"));
}

TEST_F(CopyField, TakesPathsAndOtherNames) {
  EXPECT_THAT(copied("address.city", "name"), HasSubstr("name = \"Rome\""));
  EXPECT_THAT(copied("address", "group.u"), HasSubstr("group = (u = (city = \"Rome\"))"));
  EXPECT_THAT(copied("name", "address.city"), HasSubstr("address = (city = \"Ada\")"));
  EXPECT_THAT(copied("address", "where"), HasSubstr("where = (city = \"Rome\")")) << "a member of a union";
}

TEST_F(CopyField, LeavesWhatIsNotSet) {
  const std::string nothing = kj::str(to.initRoot<capnp::DynamicStruct>(newer.root()).asReader()).cStr();
  EXPECT_EQ(copied("home"), nothing);
  EXPECT_EQ(copied("y"), nothing) << "x is active";
  EXPECT_THAT(copied("same"), HasSubstr("same = \"same\"")) << "a default is a value";
}

TEST_F(CopyField, RefusesOtherTypesAndFieldsThatAreNotThere) {
  EXPECT_EQ(copied("age"), "! the function copies the field age, which is UInt8, to age, which is Text");
  EXPECT_EQ(copied("all", "address"),
            "! the function copies the field all, which is List(Address), to address, which is Address");
  EXPECT_EQ(copied("nme"), "! the function copies the field nme, which Person does not have");
  EXPECT_EQ(copied("x"), "! the function copies the field x, which Contact does not have");
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
