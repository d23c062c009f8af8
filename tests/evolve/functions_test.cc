// Fields that functions of the program make.

#include "instar/evolve/functions.h"

#include <capnp/message.h>
#include <capnp/serialize-text.h>
#include <gtest/gtest.h>
#include <instar_evolve_tests/everything.capnp.h>

#include <map>

#include "instar/evolve/plan.h"
#include "instar/evolve/verdict.h"
#include "instar/format/error.h"
#include "instar/schema.capnp.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using capnp::DynamicStruct;
using capnp::DynamicValue;

constexpr std::string_view kTypes =
    " enum Size @0xb000000000000001 { small @0; large @1; }"
    " struct Name @0xb000000000000003 { first @0 :Text; rank @1 :UInt8 = 3; }"
    " struct Secret @0xb000000000000004 { pin @0 :Text $Instar.sensitive; self @1 :Secret; }"
    " struct Outer @0xb000000000000005 { outer @0 :Outer; inner @1 :List(Secret); }";

RecordSchema record(std::string_view fields, unsigned version = 2) {
  return parseDeclarations("struct R @0xa000000000000001 $Instar.version(" + std::to_string(version) +
                               ") { " + std::string(fields) + " }" + std::string(kTypes),
                           "R");
}

#define TO(type, from) \
  "to @0 :" type " $Instar.derived(since = 2, call = (function = \"f\", from = " from ")); "

template <class Function>
std::shared_ptr<const Functions> f(Function function) {
  auto functions = std::make_shared<Functions>();
  functions->value("f", std::move(function));
  return functions;
}

// The record after the upgrade from version 1, or the reason why not.
std::string upgraded(const Plans& plans, const char* row) {
  capnp::MallocMessageBuilder message;
  auto record = message.initRoot<DynamicStruct>(plans.schema().root());
  capnp::TextCodec().decode(kj::StringPtr(row), record);
  try {
    plans.from(1).run(record);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::fixRow);
    EXPECT_EQ(error.fact("field"), "to");
    EXPECT_EQ(error.fact("function"), "f");
    return "! " + std::string(error.fact("reason"));
  }
  return kj::str(record.asReader()).cStr();
}

template <class Function>
std::string upgraded(const char* fields, const char* row, Function function) {
  const Plans plans(record(fields), f(std::move(function)));
  plans.requireFunctions();
  return upgraded(plans, row);
}

TEST(ValueFunction, TakesAndMakesTheTypesOfTheProgram) {
  EXPECT_EQ(
      upgraded(
          TO("Text", "[\"a\", \"b\"]") "a @1 :Text; b @2 :Text;", "(a = \"Ada\", b = \"Lovelace\")",
          [](capnp::Text::Reader a, const capnp::Text::Reader& b) { return std::string(1, a[0]) + b[0]; }),
      "(to = \"AL\", a = \"Ada\", b = \"Lovelace\")");
  for (const auto& [row, made] : std::map<const char*, const char*>{
           {"(a = \"Émile\", b = \"Zola\")", "(to = \"Zola, Émile\", a = \"Émile\", b = \"Zola\")"},
           {"(b = \"Zola\")", "(to = \"Zola\", b = \"Zola\")"}}) {
    EXPECT_EQ(upgraded(TO("Text", "[\"a\", \"b\"]") "a @1 :Text; b @2 :Text;", row,
                       [](capnp::Text::Reader given, capnp::Text::Reader family) {
                         return given.size() == 0 ? std::string(family)
                                                  : std::string(family) + ", " + given.cStr();
                       }),
              made)
        << "the example of the header";
  }
  EXPECT_EQ(upgraded(TO("UInt8", "[\"a\"]") "a @1 :Float64;", "(a = 2.5)",
                     [](double a) -> std::uint8_t { return static_cast<std::uint8_t>(a * 2); }),
            "(to = 5, a = 2.5)");
  EXPECT_EQ(upgraded(TO("Data", "[\"a\"]") "a @1 :Data;", "(a = \"xy\")",
                     [](capnp::Data::Reader a) {
                       return std::vector<std::byte>{std::byte(a[1]), std::byte(a[0])};
                     }),
            "(to = \"yx\", a = \"xy\")");
  EXPECT_EQ(upgraded(TO("UInt64", "[\"a\"]") "a @1 :List(UInt16);", "(a = [1, 2, 3])",
                     [](capnp::List<std::uint16_t>::Reader a) {
                       std::uint64_t sum = 0;
                       for (const auto one : a) sum += one;
                       return sum;
                     }),
            "(to = 6, a = [1, 2, 3])");
  EXPECT_EQ(upgraded(TO("Bool", "[\"a\"]") "a @1 :Int8;", "(a = -1)", [](std::int8_t a) { return a < 0; }),
            "(to = true, a = -1)");
}

// The types of generated code and those that come from the file are the same by their ids only.
TEST(ValueFunction, TakesGeneratedTypes) {
  const RecordSchema schema = parseDeclarations(
      "struct R @0xa000000000000001 $Instar.version(2) {"
      " to @0 :Int64 $Instar.derived(since = 2, call = (function = \"f\", from = [\"a\"]));"
      " a @1 :Instar.Derivation.Scale; }",
      "R");
  const Plans plans(schema, f([](annotation::Derivation::Scale::Reader a) { return a.getMultiply() + 1; }));
  plans.requireFunctions();
  EXPECT_EQ(upgraded(plans, "(a = (multiply = 41))"),
            "(to = 42, a = (subtract = 0, multiply = 41, divide = 1, add = 0))");
  EXPECT_EQ(upgraded(plans, "()"), "(to = 2)") << "what is not set has its defaults";
}

TEST(ValueFunction, TakesAndMakesGeneratedEnums) {
  const RecordSchema schema = parseDeclarations(
      "enum Colour @0xad51f6678821e8cd { red @0; green @1; blue @2; }"
      "struct R @0xa000000000000001 $Instar.version(2) {"
      " to @0 :Colour $Instar.derived(since = 2, call = (function = \"f\", from = [\"a\"])); a @1 :Colour; }",
      "R");
  const Plans plans(schema, f([](Colour a) { return a == Colour::BLUE ? Colour::GREEN : Colour::BLUE; }));
  plans.requireFunctions();
  EXPECT_EQ(upgraded(plans, "(a = blue)"), "(to = green, a = blue)");
  EXPECT_EQ(upgraded(plans, "()"), "(to = blue, a = red)");
}

TEST(ValueFunction, OfWhatIsNotSetGetsNothing) {
  const auto length = [](std::optional<capnp::Text::Reader> a) -> std::optional<std::uint32_t> {
    if (!a) return std::nullopt;
    return static_cast<std::uint32_t>(a->size());
  };
  EXPECT_EQ(upgraded(TO("UInt32 = 9", "[\"a\"]") "a @1 :Text;", "(to = 1)", length), "(to = 9)");
  EXPECT_EQ(upgraded(TO("UInt32 = 9", "[\"a\"]") "a @1 :Text;", "(a = \"xy\")", length),
            "(to = 2, a = \"xy\")");
  EXPECT_EQ(upgraded(TO("UInt32 = 9", "[\"a\"]") "a @1 :Text;", "()",
                     [](capnp::Text::Reader a) { return static_cast<std::uint32_t>(a.size()); }),
            "(to = 0)");
}

TEST(ValueFunction, InTheGeneralFormMakesStructsListsAndEnums) {
  EXPECT_EQ(
      upgraded(TO("Name", "[\"a\", \"b.rank\"]") "a @1 :Text; b @2 :Name;", "(a = \"Ada\", b = (rank = 7))",
               [](SourceValues sources, FieldTarget& target) {
                 auto name = target.initStruct();
                 name.set("first", sources[0]);
                 name.set("rank", sources[1].as<unsigned>() + 1);
               }),
      "(to = (first = \"Ada\", rank = 8), a = \"Ada\", b = (rank = 7))");
  EXPECT_EQ(upgraded(TO("List(UInt8)", "[\"a\"]") "a @1 :Text;", "(a = \"abc\")",
                     [](SourceValues sources, FieldTarget& target) {
                       const auto text = sources[0].as<capnp::Text>();
                       auto list = target.initList(static_cast<unsigned>(text.size()));
                       for (unsigned i = 0; i < list.size(); ++i) list.set(i, text[i] - 'a');
                     }),
            "(to = [0, 1, 2], a = \"abc\")");
  EXPECT_EQ(upgraded(TO("Size", "[\"a\"]") "a @1 :Text;", "()",
                     [](SourceValues sources, FieldTarget& target) {
                       EXPECT_EQ(sources[0].getType(), DynamicValue::VOID) << "not set";
                       target.set("large");
                     }),
            "(to = large)");
}

TEST(ValueFunction, RefusesARowByThrowing) {
  constexpr const char* kFields = TO("Text", "[\"a\"]") "a @1 :Text;";
  EXPECT_EQ(upgraded(kFields, "()",
                     [](capnp::Text::Reader) -> std::string { throw UpgradeFailure("no postcode"); }),
            "! no postcode");
  EXPECT_EQ(
      upgraded(kFields, "()", [](capnp::Text::Reader) -> std::string { throw std::runtime_error("secret"); }),
      "! the function threw an exception; throw UpgradeFailure to say why");
  EXPECT_EQ(upgraded(kFields, "()", [](capnp::Text::Reader) -> std::string { throw 42; }),
            "! the function threw an exception; throw UpgradeFailure to say why");
  EXPECT_EQ(
      upgraded(kFields, "(a = \"x\")",
               [](SourceValues sources, FieldTarget& target) { target.set(sources[0].as<unsigned>()); }),
      "! the function used a field or type that the record does not have, or made too large a value");
  EXPECT_EQ(upgraded(kFields, "()", [](capnp::Text::Reader) { return "\xff"; }), "! the text is not UTF-8");
  EXPECT_EQ(upgraded(kFields, "()", [](SourceValues, FieldTarget& target) { target.set(1); }),
            "! the function made a value that is not of the field's type, or too large");
}

TEST(ValueFunction, ClearsWhatAnOlderProgramHasKept) {
  EXPECT_EQ(upgraded(TO("Text", "[\"a\"]") "a @1 :Text;", "(to = \"stale\", a = \"x\")",
                     [](SourceValues, FieldTarget&) {}),
            "(a = \"x\")");
}

TEST(ValueFunction, IsOneStepOfThePlanAmongOthers) {
  const RecordSchema schema = record(
      "c @0 :Text $Instar.derived(since = 3, concat = [(field = \"b\"), (text = \"!\")]);"
      "b @1 :Text $Instar.derived(since = 2, call = (function = \"f\", from = [\"a\"]));"
      "a @2 :Text;",
      3);
  const Plans plans(schema, f([](capnp::Text::Reader a) { return std::string(a) + a.cStr(); }));
  EXPECT_EQ(upgraded(plans, "(a = \"x\")"), "(c = \"xx!\", b = \"xx\", a = \"x\")");
  ASSERT_EQ(plans.from(1).steps().size(), 2U);
  EXPECT_EQ(plans.from(1).steps()[0].field, "b");
  EXPECT_EQ(plans.from(1).steps()[0].how, "(since = 2, call = (function = \"f\", from = [\"a\"]))");
}

TEST(ValueFunction, IsMeantByItsName) {
  const auto hash = [](const char* how) {
    return Plans(
               record("a @0 :Text; b @1 :Text $Instar.derived(since = 2, call = " + std::string(how) + ");"))
        .from(1)
        .hash();
  };
  EXPECT_EQ(hash("(function = \"f\", from = [\"a\"])"), hash("(from = [\"a\"], function = \"f\")"));
  EXPECT_NE(hash("(function = \"f\", from = [\"a\"])"), hash("(function = \"g\", from = [\"a\"])"));
}

TEST(ValueFunction, ThatIsAnotherOneLaterIsRefused) {
  const auto version = [](unsigned number, const char* function) {
    return record("a @0 :Text; b @1 :Text $Instar.derived(since = 2, call = (function = \"" +
                      std::string(function) + "\", from = [\"a\"]));",
                  number);
  };
  const auto first = record("a @0 :Text;", 1);
  EXPECT_FALSE(isRefused(judge(difference(first, version(2, "f")))));
  EXPECT_EQ(floorEffect(judge(difference(first, version(2, "f")))), FloorEffect::writer);
  EXPECT_TRUE(isRefused(judge(difference(version(2, "f"), version(3, "g")))));
  EXPECT_TRUE(difference(version(2, "f"), version(3, "f")).empty());
}

TEST(ValueFunction, MirrorsToo) {
  const RecordSchema schema = record(
      "a @0 :Text $Instar.mirrored(since = 2, call = (function = \"back\", from = [\"b\"]));"
      "b @1 :UInt32 $Instar.derived(since = 2, call = (function = \"there\", from = [\"a\"]));");
  const auto first = record("a @0 :Text;", 1);
  EXPECT_EQ(floorEffect(judge(difference(first, schema))), FloorEffect::none)
      << "each is made from the other, so older programs may write";
  auto functions = std::make_shared<Functions>();
  functions->value("there", [](capnp::Text::Reader a) { return static_cast<std::uint32_t>(a.size()); });
  functions->value("back", [](std::uint32_t b) {
    if (b > 3) throw UpgradeFailure("too long");
    return std::string(b, 'x');
  });
  const Plans plans(schema, functions);
  plans.requireFunctions();
  capnp::MallocMessageBuilder message;
  auto row = message.initRoot<DynamicStruct>(schema.root());
  row.set("b", 3);
  plans.prepareToPut(row);
  EXPECT_STREQ(kj::str(row.asReader()).cStr(), "(a = \"xxx\", b = 3)");
  row.set("b", 4);
  EXPECT_ERROR(plans.prepareToPut(row), fixInput, "field: a, function: back, reason: too long");
  EXPECT_ERROR(Plans(schema).prepareToPut(row), fixInput,
               "function: back, reason: this program does not have the function");
  auto there = std::make_shared<Functions>();
  there->value("there", [](capnp::Text::Reader a) { return static_cast<std::uint32_t>(a.size()); });
  EXPECT_ERROR(Plans(schema, there).requireFunctions(), fixCall, "field: a, function: back");
}

RecordSchema recordWithStep(std::string_view fields) {
  return parseDeclarations(
      "struct R @0xa000000000000001 $Instar.version(3) $Instar.upgraded([(to = 2, call = \"mark\")]) { " +
          std::string(fields) + " }",
      "R");
}

std::string upgradedWithStep(const RecordSchema& schema, std::uint16_t from, const char* row) {
  auto functions = std::make_shared<Functions>();
  functions->step<DynamicStruct>("mark", [](DynamicStruct::Builder record) {
    record.set("b", (std::string(record.get("b").as<capnp::Text>().cStr()) + "!").c_str());
  });
  capnp::MallocMessageBuilder message;
  auto record = message.initRoot<DynamicStruct>(schema.root());
  capnp::TextCodec().decode(kj::StringPtr(row), record);
  Plans(schema, functions).from(from).run(record);
  return kj::str(record.asReader()).cStr();
}

TEST(Step, ComesBehindItsVersionAndBeforeWhatIsRetiredLater) {
  const auto schema = recordWithStep(
      "a @0 :Text $Instar.retired(3); b @1 :Text $Instar.derived(since = 2, copy = \"a\");"
      "c @2 :Text $Instar.derived(since = 3, copy = \"b\");");
  EXPECT_EQ(upgradedWithStep(schema, 1, "(a = \"x\")"), R"((b = "x!", c = "x!"))");
  EXPECT_EQ(upgradedWithStep(schema, 2, "(a = \"x\", b = \"y\")"), R"((b = "y", c = "y"))");
}

TEST(Step, LetsAFieldBeRetiredOnlyBehindWhatIsMadeFromItLate) {
  const auto schema = recordWithStep(
      "a @0 :Text $Instar.retired(2);"
      "b @1 :Text $Instar.derived(since = 2, concat = [(field = \"a\"), (field = \"c\")]);"
      "c @2 :Text $Instar.derived(since = 3, constant = \"+\");");
  EXPECT_EQ(upgradedWithStep(schema, 1, "(a = \"x\")"), R"((b = "x+", c = "+"))");
}

TEST(MissingFunction, IsNamedBeforeItIsNeeded) {
  const Plans plans(record(TO("Text", "[\"a\"]") "a @1 :Text;"));
  EXPECT_ERROR(plans.requireFunctions(), fixCall,
               "type: R, field: to, function: f, reason: this program does not have the function");
  ASSERT_EQ(plans.from(1).unusable().size(), 1U);
  EXPECT_EQ(plans.from(1).unusable()[0].function, "f");
  EXPECT_TRUE(plans.from(2).unusable().empty()) << "rows that have the field do not need it";
  EXPECT_EQ(upgraded(plans, "()"), "! this program does not have the function");
}

struct Misfit {
  const char* name;
  std::shared_ptr<const Functions> functions;
  const char* reason;
};

TEST(MisfitFunction, IsNamedBeforeItIsCalled) {
  const RecordSchema schema = record(TO("Text", "[\"a\", \"b\"]") "a @1 :Text; b @2 :List(Size);");
  using Text = capnp::Text::Reader;
  const Misfit misfits[] = {
      {"count", f([](Text) { return ""; }), "reason: it takes 1 fields, and the schema names 2"},
      {"result", f([](Text, Text) { return 1; }), "reason: it makes Int32, the field is Text"},
      {"argument", f([](std::uint8_t, Text) { return ""; }),
       "reason: its argument 1 is UInt8, the field is Text"},
      {"element", f([](Text, capnp::List<std::uint8_t>::Reader) { return ""; }),
       "reason: its argument 2 is List(UInt8), the field is List(Size)"},
      {"list", f([](Text, capnp::List<Colour>::Reader) { return ""; }),
       "reason: its argument 2 is List(Colour), which only the general form can take"},
      {"struct", f([](annotation::Derivation::Reader, Text) { return ""; }),
       "reason: its argument 1 is Derivation, the field is Text"},
  };
  for (const Misfit& one : misfits) {
    SCOPED_TRACE(one.name);
    EXPECT_ERROR(Plans(schema, one.functions).requireFunctions(), fixCall, one.reason);
  }
}

TEST(Functions, HaveNamesOfTheirOwn) {
  Functions functions;
  functions.value("f", [](double a) { return a; });
  EXPECT_ERROR(functions.value("f", [](double a) { return a; }), fixCall, "function: f");
  EXPECT_ERROR(functions.value("", [](double a) { return a; }), fixCall, "needs a name");
}

// What is copied as a whole keeps the marks inside; and what is marked may hold anything.
TEST(SensitiveSources, MayLeadToMarkedFieldsAndToTheSameStruct) {
  record(
      "to @0 :Text $Instar.derived(since = 2, call = (function = \"f\", from = [\"a\"])) $Instar.sensitive;"
      "a @1 :Secret;");
  record("to @0 :Secret $Instar.derived(since = 2, copy = \"a\"); a @1 :Secret;");
  record(TO("Text", "[\"a\"]") "a @1 :Name;");
}

// Each would be called by several threads at once, or does not go together with any field.
TEST(Functions, OfOtherShapesDoNotCompile) {
  using internal::HasSignature;
  using internal::SignatureOf;
  int calls = 0;
  auto changing = [calls](double a) mutable { return a + ++calls; };
  static_assert(!SignatureOf<decltype(changing)>::isCallable<decltype(changing)>);
  auto general = [calls](SourceValues, FieldTarget&) mutable { ++calls; };
  static_assert(!internal::GeneralValue<decltype(general)>);
  auto generic = [](auto a) { return a; };
  static_assert(!HasSignature<decltype(generic)>);
  auto wrongArgument = [](double, std::string) { return 1; };
  static_assert(!SignatureOf<decltype(wrongArgument)>::takesFields);
  auto wrongResult = [](double) { return std::map<int, int>(); };
  static_assert(!SignatureOf<decltype(wrongResult)>::makesField);
  auto noResult = [](double) {};
  static_assert(!SignatureOf<decltype(noResult)>::makesField);
  auto writesArgument = [](double& a) { return a; };
  static_assert(!SignatureOf<decltype(writesArgument)>::isCallable<decltype(writesArgument)>);
  auto right = [](std::optional<Colour>, capnp::List<Colour>::Reader, const capnp::Text::Reader&) {
    return std::optional("");
  };
  static_assert(SignatureOf<decltype(right)>::takesFields && SignatureOf<decltype(right)>::makesField &&
                SignatureOf<decltype(right)>::isCallable<decltype(right)>);

  auto step = [calls](DynamicStruct::Builder) mutable { ++calls; };
  static_assert(!internal::StepOf<decltype(step), DynamicStruct>);
  auto noStep = [](DynamicStruct::Reader, int) {};
  static_assert(!internal::StepOf<decltype(noStep), DynamicStruct>);
  auto validator = [](DynamicStruct::Reader) { return 1; };
  static_assert(!internal::ValidatorOf<decltype(validator), DynamicStruct>);
  auto conversion = [calls](DynamicStruct::Reader, DynamicStruct::Builder) mutable { ++calls; };
  static_assert(!internal::ConversionOf<decltype(conversion), DynamicStruct, DynamicStruct>);
}

struct Mistake {
  const char* name;
  const char* fields;
  const char* words;
};

class CallMistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(CallMistakes, AreFoundWhenTheSchemaIsRead) {
  EXPECT_ERROR(record(GetParam().fields), fixSchema, GetParam().words);
  EXPECT_ERROR(record(GetParam().fields), fixSchema, "type: R, field: to");
}

constexpr Mistake kMistakes[] = {
    {"NoFunction", "to @0 :Text $Instar.derived(since = 2, call = (from = [\"a\"])); a @1 :Text;",
     "needs the name of a function"},
    {"NoFields", TO("Text", "[]"), "needs fields to make the value from"},
    {"AControlCharacter",
     "to @0 :Text $Instar.derived(since = 2, call = (function = \"f\\x1b[2J\", from = [\"a\"])); a @1 :Text;",
     "without control characters; write another (function: \"f\\x1b[2J\""},
    {"AFieldThatIsNotThere", TO("Text", "[\"x\"]"), "source: x"},
    {"FromItself", TO("Text", "[\"to\"]"), "in a circle"},
    {"FromASensitiveField", TO("Text", "[\"b\", \"a\"]") "a @1 :Text $Instar.sensitive; b @2 :Text;",
     "the source is sensitive and this field is not"},
    {"FromAStructWithASensitiveField", TO("Text", "[\"a\"]") "a @1 :Secret;",
     "a field inside the source is sensitive and this field is not; write $Instar.sensitive here too "
     "(source: a"},
    {"FromAListOfThem", TO("Text", "[\"a\"]") "a @1 :List(List(Secret));", "a field inside the source"},
    {"FromAGroupWithOne", TO("Text", "[\"g\"]") "g :group { a @1 :Text; b @2 :Text $Instar.sensitive; }",
     "a field inside the source"},
    {"FromAStructWithOneDeepInside", TO("Text", "[\"a\"]") "a @1 :Outer;", "a field inside the source"},
};

INSTANTIATE_TEST_SUITE_P(Each, CallMistakes, ::testing::ValuesIn(kMistakes),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace instar::testing
