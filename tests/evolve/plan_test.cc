#include "instar/evolve/plan.h"

#include <capnp/message.h>
#include <capnp/serialize-text.h>
#include <gtest/gtest.h>

#include "instar/evolve/mirror_check.h"
#include "instar/format/error.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using capnp::DynamicStruct;

constexpr std::string_view kTypes =
    " enum Size @0xb000000000000001 { small @0; large @1; }"
    " enum Grade @0xb000000000000002 { a @0; b @1; c @2; }"
    " struct Name @0xb000000000000003 { first @0 :Text; rank @1 :UInt8 = 3; }";

RecordSchema record(std::string_view fields, unsigned version = 2) {
  return parseDeclarations("struct R @0xa000000000000001 $Instar.version(" + std::to_string(version) +
                               ") { " + std::string(fields) + " }" + std::string(kTypes),
                           "R");
}

void decode(const char* text, DynamicStruct::Builder record) {
  capnp::TextCodec().decode(kj::StringPtr(text), record);
}

std::string fieldText(DynamicStruct::Reader record, const char* field) {
  if (!record.getSchema().getFieldByName(field).getType().isText()) return kj::str(record.get(field)).cStr();
  return record.has(field) ? record.get(field).as<capnp::Text>().cStr() : "unset";
}

struct Case {
  const char* name;
  const char* fields;    // one of them is called to
  const char* row;       // before
  const char* expected;  // `to` afterwards, or the reason why not
};

class Derivations : public ::testing::TestWithParam<Case> {};

TEST_P(Derivations, MakeAFieldFromOthers) {
  const Case& one = GetParam();
  const RecordSchema schema = record(one.fields);
  capnp::MallocMessageBuilder message;
  auto row = message.initRoot<DynamicStruct>(schema.root());
  decode(one.row, row);
  const Plan plan = Plans(schema).from(1);
  EXPECT_FALSE(plan.isIdentity());
  EXPECT_TRUE(Plans(schema).from(2).isIdentity());
  try {
    plan.run(row);
    EXPECT_EQ(fieldText(row.asReader(), "to"), one.expected);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::fixRow);
    EXPECT_EQ(error.fact("field"), "to");
    EXPECT_EQ("! " + std::string(error.fact("reason")), one.expected);
  }
}

#define TO(type, how) "to @0 :" type " $Instar.derived(since = 2, " how "); "

constexpr Case kCases[] = {
    {"CopyText", TO("Text", "copy = \"a\"") "a @1 :Text;", "(a = \"x\")", "x"},
    {"CopyNothing", TO("Text", "copy = \"a\"") "a @1 :Text;", "()", "unset"},
    {"CopyWhatAnOlderProgramHasCleared", TO("Text", "copy = \"a\"") "a @1 :Text;", "(to = \"stale\")",
     "unset"},
    {"CopyADefault", TO("Text", "copy = \"a\"") "a @1 :Text = \"d\";", "()", "d"},
    {"CopyAStruct", TO("Name", "copy = \"a\"") "a @1 :Name;", "(a = (first = \"x\"))",
     "(first = \"x\", rank = 3)"},
    {"CopyAList", TO("List(Text)", "copy = \"a\"") "a @1 :List(Text);", "(a = [\"x\", \"y\"])",
     "[\"x\", \"y\"]"},
    {"CopyFromAStruct", TO("UInt8", "copy = \"a.rank\"") "a @1 :Name;", "(a = (rank = 9))", "9"},
    {"CopyFromAStructThatIsNotThere", TO("UInt8", "copy = \"a.rank\"") "a @1 :Name;", "()", "0"},
    {"CopyFromAGroup", TO("Text", "copy = \"g.a\"") "g :group { a @1 :Text; }", "(g = (a = \"x\"))", "x"},
    {"CopyFromAUnion", TO("Text", "copy = \"a\"") "union { a @1 :Text; b @2 :Text; }", "(a = \"x\")", "x"},
    {"CopyFromAnInactiveMember", TO("Text", "copy = \"a\"") "union { a @1 :Text; b @2 :Text; }",
     "(b = \"x\")", "unset"},
    {"WidenANumber", TO("Int64", "convert = \"a\"") "a @1 :UInt32;", "(a = 4294967295)", "4294967295"},
    {"NarrowANumber", TO("UInt8", "convert = \"a\"") "a @1 :Int32;", "(a = 255)", "255"},
    {"NarrowANumberTooFar", TO("UInt8", "convert = \"a\"") "a @1 :Int32;", "(a = 256)",
     "! the number is outside of the range of the type"},
    {"LoseASign", TO("UInt64", "convert = \"a\"") "a @1 :Int64;", "(a = -1)",
     "! the number is outside of the range of the type"},
    {"LargestNumber", TO("Int64", "convert = \"a\"") "a @1 :UInt64;", "(a = 9223372036854775808)",
     "! the number is outside of the range of the type"},
    {"WholeFloat", TO("Int8", "convert = \"a\"") "a @1 :Float64;", "(a = -128)", "-128"},
    {"FloatWithAFraction", TO("Int8", "convert = \"a\"") "a @1 :Float64;", "(a = 1.5)",
     "! the number is not whole"},
    {"FloatThatIsNoNumber", TO("Int8", "convert = \"a\"") "a @1 :Float64;", "(a = nan)",
     "! the number is not whole"},
    {"FloatBeyondAll", TO("UInt64", "convert = \"a\"") "a @1 :Float64;", "(a = 1e300)",
     "! the number is outside of the range of the type"},
    {"FloatTooLarge", TO("Float32", "convert = \"a\"") "a @1 :Float64;", "(a = 1e300)",
     "! the number is outside of the range of the type"},
    {"NumberToText", TO("Text", "convert = \"a\"") "a @1 :Int32;", "(a = -7)", "-7"},
    {"TextToNumber", TO("Int32", "convert = \"a\"") "a @1 :Text;", "(a = \"-7\")", "-7"},
    {"TextThatIsNoNumber", TO("Int32", "convert = \"a\"") "a @1 :Text;", "(a = \"7 \")",
     "! the text is not a value of the type"},
    {"NoTextToNumber", TO("Int32 = 4", "convert = \"a\"") "a @1 :Text;", "(to = 9)", "4"},
    {"EnumToText", TO("Text", "convert = \"a\"") "a @1 :Size;", "(a = large)", "large"},
    {"TextToEnum", TO("Size", "convert = \"a\"") "a @1 :Text;", "(a = \"large\")", "large"},
    {"TextToNoEnum", TO("Size", "convert = \"a\"") "a @1 :Text;", "(a = \"huge\")",
     "! the text is not a value of the type"},
    {"EnumToNumber", TO("UInt8", "convert = \"a\"") "a @1 :Size;", "(a = large)", "1"},
    {"NumberToEnum", TO("Size", "convert = \"a\"") "a @1 :UInt8;", "(a = 1)", "large"},
    {"NumberToNoEnum", TO("Size", "convert = \"a\"") "a @1 :UInt8;", "(a = 2)",
     "! the enum has no enumerant of that number"},
    {"NumberToBool", TO("Bool", "convert = \"a\"") "a @1 :UInt8;", "(a = 1)", "true"},
    {"NumberToNoBool", TO("Bool", "convert = \"a\"") "a @1 :UInt8;", "(a = 2)",
     "! only 0 and 1 become a Bool"},
    {"BoolToText", TO("Text", "convert = \"a\"") "a @1 :Bool;", "(a = true)", "true"},
    {"TextToData", TO("Data", "convert = \"a\"") "a @1 :Text;", "(a = \"xy\")", "\"xy\""},
    {"DataToText", TO("Text", "convert = \"a\"") "a @1 :Data;", "(a = \"xy\")", "xy"},
    {"DataThatIsNoText", TO("Text", "convert = \"a\"") "a @1 :Data;", "(a = \"\\xff\")",
     "! the bytes are not UTF-8"},
    {"NumbersToTexts", TO("List(Text)", "convert = \"a\"") "a @1 :List(Int8);", "(a = [1, -2])",
     "[\"1\", \"-2\"]"},
    {"ANumberOfManyTooFar", TO("List(Int8)", "convert = \"a\"") "a @1 :List(Int32);", "(a = [1, 300])",
     "! the number is outside of the range of the type"},
    {"Multiply", TO("UInt64", "scale = (field = \"a\", multiply = 1024)") "a @1 :UInt32;", "(a = 4294967295)",
     "4398046510080"},
    {"DivideToTheNearest", TO("Int32", "scale = (field = \"a\", divide = 10)") "a @1 :Int32;", "(a = 15)",
     "2"},
    {"DivideToTheNearestBelowZero", TO("Int32", "scale = (field = \"a\", divide = 10)") "a @1 :Int32;",
     "(a = -15)", "-2"},
    {"DivideDown", TO("Int32", "scale = (field = \"a\", divide = 10)") "a @1 :Int32;", "(a = 14)", "1"},
    {"FahrenheitToCelsius",
     TO("Float64", "scale = (field = \"a\", subtract = 32, multiply = 5, divide = 9)") "a @1 :Int16;",
     "(a = 212)", "100"},
    {"CelsiusToFahrenheit",
     TO("Int16", "scale = (field = \"a\", multiply = 9, divide = 5, add = 32)") "a @1 :Float32;",
     "(a = 36.6)", "98"},
    {"MultiplyTooFar", TO("UInt8", "scale = (field = \"a\", multiply = 1024)") "a @1 :UInt32;", "(a = 1)",
     "! the number is outside of the range of the type"},
    {"MultiplyBeyondAll",
     TO("Int64", "scale = (field = \"a\", multiply = 9223372036854775807)") "a @1 :UInt64;",
     "(a = 18446744073709551615)", "! the number is outside of the range of the type"},
    {"ScaleAList", TO("List(Int32)", "scale = (field = \"a\", multiply = 3)") "a @1 :List(Int8);",
     "(a = [1, -2])", "[3, -6]"},
    {"Concat",
     TO("Text", "concat = [(field = \"a\"), (text = \" \"), (field = \"b\")]") "a @1 :Text; b @2 :UInt8;",
     "(a = \"x\", b = 7)", "x 7"},
    {"ConcatOfNothing", TO("Text", "concat = [(field = \"a\"), (text = \"-\")]") "a @1 :Text;", "()", "-"},
    {"SplitFirst", TO("Text", "split = (field = \"a\", by = \" \")") "a @1 :Text;", "(a = \"x y z\")", "x"},
    {"SplitSecond", TO("Text", "split = (field = \"a\", by = \" \", part = 1)") "a @1 :Text;",
     "(a = \"x y z\")", "y"},
    {"SplitRest", TO("Text", "split = (field = \"a\", by = \" \", part = 1, rest = true)") "a @1 :Text;",
     "(a = \"x y z\")", "y z"},
    {"SplitLast", TO("Text", "split = (field = \"a\", by = \" \", part = -1)") "a @1 :Text;",
     "(a = \"x y z\")", "z"},
    {"SplitAllButLast",
     TO("Text", "split = (field = \"a\", by = \" \", part = -2, rest = true)") "a @1 :Text;",
     "(a = \"x y z\")", "x y"},
    {"SplitMissing", TO("Text", "split = (field = \"a\", by = \" \", part = 3)") "a @1 :Text;",
     "(a = \"x y z\")", "unset"},
    {"SplitMissingFromTheEnd", TO("Text", "split = (field = \"a\", by = \" \", part = -4)") "a @1 :Text;",
     "(a = \"x y z\")", "unset"},
    {"SplitOfOne", TO("Text", "split = (field = \"a\", by = \" \")") "a @1 :Text;", "(a = \"x\")", "x"},
    {"SplitOfEmpty", TO("Text", "split = (field = \"a\", by = \" \")") "a @1 :Text;", "(a = \"\")", ""},
    {"SplitByALongerText",
     TO("Text", "split = (field = \"a\", by = \" <\", part = 1, trim = \" >\")") "a @1 :Text;",
     "(a = \"Ada <ada@example.org>\")", "ada@example.org"},
    {"TrimAll", TO("Text", "split = (field = \"a\", by = \",\", trim = \" \")") "a @1 :Text;",
     "(a = \"  ,x\")", ""},
    {"Match",
     TO("Grade",
        "match = (field = \"a\", cases = [(from = \"x\", to = \"b\"), (from = \"y\", to = \"c\")])") "a "
                                                                                                     "@1 "
                                                                                                     ":Te"
                                                                                                     "xt"
                                                                                                     ";",
     "(a = \"y\")", "c"},
    {"MatchOtherwise",
     TO("Grade",
        "match = (field = \"a\", cases = [(from = \"x\", to = \"b\")], otherwise = \"c\")") "a @1 :Text;",
     "(a = \"z\")", "c"},
    {"MatchNothing",
     TO("Grade", "match = (field = \"a\", cases = [(from = \"x\", to = \"b\")])") "a @1 :Text;",
     "(a = \"z\")", "! the value is not in the table of the match"},
    {"MatchNumbers",
     TO("Text",
        "match = (field = \"a\", cases = [(from = \"-1\", to = \"less\")], otherwise = \"\")") "a @1 "
                                                                                               ":Int8;",
     "(a = -1)", "less"},
    {"MatchEnums",
     TO("UInt8",
        "match = (field = \"a\", cases = [(from = \"small\", to = \"1\"), (from = \"large\", to = "
        "\"9\")])") "a @1 :Size;",
     "(a = large)", "9"},
    {"MatchAList",
     TO("List(UInt8)",
        "match = (field = \"a\", cases = [(from = \"x\", to = \"1\")], otherwise = "
        "\"2\")") "a @1 :List(Text);",
     "(a = [\"x\", \"z\"])", "[1, 2]"},
    {"ConstantText", TO("Text", "constant = \"x\""), "()", "x"},
    {"ConstantNumber", TO("Float32", "constant = \"0.5\""), "()", "0.5"},
    {"ConstantEnum", TO("Grade", "constant = \"b\""), "()", "b"},
    {"CoalesceFirst", TO("Text", "coalesce = [\"a\", \"b\"]") "a @1 :Text; b @2 :Text;",
     "(a = \"x\", b = \"y\")", "x"},
    {"CoalesceSecond", TO("Text", "coalesce = [\"a\", \"b\"]") "a @1 :Text; b @2 :Text;",
     "(a = \"\", b = \"y\")", "y"},
    {"CoalesceNumbers", TO("UInt8", "coalesce = [\"a\", \"b\"]") "a @1 :UInt8 = 5; b @2 :UInt8;", "(b = 2)",
     "2"},
    {"CoalesceWithDefaults", TO("Float32", "coalesce = [\"a\", \"b\"]") "a @1 :Float32 = 0.1; b @2 :Float32;",
     "(b = 5)", "5"},
    {"CoalesceTextWithDefault", TO("Text", "coalesce = [\"a\", \"b\"]") "a @1 :Text = \"none\"; b @2 :Text;",
     "(b = \"y\")", "y"},
    {"CoalesceTextThatIsSetToItsDefault",
     TO("Text", "coalesce = [\"a\", \"b\"]") "a @1 :Text = \"none\"; b @2 :Text;",
     "(a = \"none\", b = \"y\")", "y"},
    {"CoalesceListThatIsSetToItsDefault",
     TO("List(UInt8)", "coalesce = [\"a\", \"b\"]") "a @1 :List(UInt8) = [1]; b @2 :List(UInt8);",
     "(a = [1], b = [2])", "[2]"},
    {"TextToEnumOfANumberBeyond", TO("Size", "convert = \"a\"") "a @1 :Text;", "(a = \"2\")",
     "! the text is not a value of the type"},
    {"MultiplyAFloatTooFar", TO("Float64", "scale = (field = \"a\", multiply = 1000)") "a @1 :Float64;",
     "(a = 1e308)", "! the number is outside of the range of the type"},
    {"DivideByMinusOne", TO("Int64", "scale = (field = \"a\", divide = -1)") "a @1 :Int64;",
     "(a = -9223372036854775808)", "! the number is outside of the range of the type"},
    {"MatchMinusZero",
     TO("Text",
        "match = (field = \"a\", cases = [(from = \"0\", to = \"none\")], otherwise = \"some\")") "a @1 "
                                                                                                  ":Float64;",
     "(a = -0.0)", "none"},
    {"SplitFromTheFrontByOverlaps",
     TO("Text", "split = (field = \"a\", by = \"--\", part = 1)") "a @1 :Text;", "(a = \"x---y\")", "-y"},
    {"CoalesceNothing", TO("UInt8 = 8", "coalesce = [\"a\", \"b\"]") "a @1 :UInt8 = 5; b @2 :UInt8;", "()",
     "8"},
};

INSTANTIATE_TEST_SUITE_P(Each, Derivations, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

struct Mistake {
  const char* name;
  const char* fields;
  const char* message;
};

class DerivationMistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(DerivationMistakes, AreRefused) {
  const Mistake& one = GetParam();
  EXPECT_ERROR(record(one.fields), fixSchema, one.message);
}

constexpr Mistake kMistakes[] = {
    {"NoSuchField", TO("Text", "copy = \"b\"") "a @1 :Text;",
     "source: b, type: R, field: to, annotation: derived"},
    {"NoFieldInAText", TO("Text", "copy = \"a.b\"") "a @1 :Text;", "only a group or a struct has fields"},
    {"CopyOfAnotherType", TO("Text", "copy = \"a\"") "a @1 :UInt8;", "from: UInt8, to: Text"},
    {"NoConversion", TO("Text", "convert = \"a\"") "a @1 :Name;", "no conversion between these types"},
    {"NoConversionOfLists", TO("Text", "convert = \"a\"") "a @1 :List(UInt8);",
     "from: List(UInt8), to: Text"},
    {"ScaleOfAText", TO("UInt8", "scale = (field = \"a\")") "a @1 :Text;", "only numbers can be scaled"},
    {"DivideByZero", TO("UInt8", "scale = (field = \"a\", divide = 0)") "a @1 :UInt8;", "divided by 0"},
    {"SplitOfANumber", TO("Text", "split = (field = \"a\", by = \" \")") "a @1 :UInt8;",
     "a split takes a Text"},
    {"SplitByNothing", TO("Text", "split = (field = \"a\")") "a @1 :Text;", "write what `by` is"},
    {"ConcatToANumber", TO("UInt8", "concat = [(field = \"a\")]") "a @1 :Text;", "a concat makes a Text"},
    {"ConcatOfAStruct", TO("Text", "concat = [(field = \"a\")]") "a @1 :Name;", "can be put together"},
    {"MatchToNoValue",
     TO("Grade", "match = (field = \"a\", cases = [(from = \"x\", to = \"z\")])") "a @1 :Text;",
     "value: z, to: Grade"},
    {"MatchTwice",
     TO("Grade",
        "match = (field = \"a\", cases = [(from = \"1\", to = \"a\"), (from = \"1\", to = \"b\")])") "a @1 "
                                                                                                     ":UInt8"
                                                                                                     ";",
     "twice in the table"},
    {"MatchOfAStruct",
     TO("Text", "match = (field = \"a\", cases = [(from = \"x\", to = \"z\")])") "a @1 :Name;",
     "a match looks up texts, numbers, Bool and enums"},
    {"MatchToAStruct",
     TO("Name", "match = (field = \"a\", cases = [(from = \"x\", to = \"z\")])") "a @1 :Text;",
     "value: z, to: Name"},
    {"CoalesceOfSeveralTypes", TO("Text", "coalesce = [\"a\", \"b\"]") "a @1 :Text; b @2 :UInt8;",
     "coalesce needs the same type on both sides"},
    {"ConstantOfAStruct", TO("Name", "constant = \"x\""), "value: x, to: Name"},
    {"SplitToANumber", TO("UInt8", "split = (field = \"a\", by = \" \")") "a @1 :Text;",
     "a split takes a Text"},
    {"ScaleToAText", TO("Text", "scale = (field = \"a\")") "a @1 :UInt8;", "only numbers can be scaled"},
    {"ConstantOutOfRange", TO("UInt8", "constant = \"256\""), "value: 256, to: UInt8"},
    {"CoalesceOfNothing", TO("UInt8", "coalesce = []"), "needs fields to choose from"},
    {"NothingSaid", "to @0 :Text $Instar.derived(since = 2);", "nothing says how the value is made"},
    {"TooEarly", "to @0 :Text $Instar.derived(since = 1, constant = \"x\");", "since: 1, version: 2"},
    {"TooLate", "to @0 :Text $Instar.derived(since = 3, constant = \"x\");", "since: 3, version: 2"},
    {"FromItself", TO("Text", "copy = \"to\""), "in a circle"},
    {"InACircle", TO("Text", "copy = \"a\"") "a @1 :Text $Instar.derived(since = 2, copy = \"to\");",
     "in a circle"},
    {"AKey", "to @0 :UInt8 $Instar.key(0) $Instar.derived(since = 2, constant = \"1\");",
     "a key field cannot be made"},
    {"AMemberOfAUnion", "union { to @0 :Text $Instar.derived(since = 2, constant = \"x\"); a @1 :Text; }",
     "a member of a union cannot be made"},
    {"TrimBeyondAscii", TO("Text", "split = (field = \"a\", by = \",\", trim = \"\xc2\xa0\")") "a @1 :Text;",
     "only ASCII"},
    {"MatchToAnEnumerantThatIsNotThere",
     TO("Size", "match = (field = \"a\", cases = [(from = \"x\", to = \"9\")])") "a @1 :Text;",
     "value: 9, to: Size"},
    {"InAnotherStruct",
     "a @0 :P; } struct P @0xb000000000000009 { q @0 :Text; r @1 :Text $Instar.derived(since = 2, copy = "
     "\"q\");",
     "type: P, field: r"},
    {"DerivedAndMirrored", TO("Text", "copy = \"a\") $Instar.mirrored(since = 2, copy = \"a\"") "a @1 :Text;",
     "not both"},
    {"RetiredTooEarly", "to @0 :Text $Instar.retired(1);", "retired: 1, version: 2, type: R, field: to"},
    {"RetiredTooLate", "to @0 :Text $Instar.retired(3);", "retired: 3, version: 2"},
    {"RetiredAndMirrored",
     "to @0 :Text $Instar.retired(2) $Instar.mirrored(since = 2, copy = \"a\"); a @1 :Text;",
     "mirrored for older programs or retired, not both"},
    {"RetiredKey", "to @0 :UInt8 $Instar.key(0) $Instar.retired(2);", "a key field cannot be retired"},
    {"RetiredMemberOfAUnion", "union { to @0 :Text $Instar.retired(2); a @1 :Text; }",
     "a member of a union cannot be retired"},
    {"MirrorOfARetiredField",
     "to @0 :Text $Instar.mirrored(since = 2, copy = \"a\"); a @1 :Text $Instar.retired(2);",
     "the source is retired before this begins; take it from elsewhere (source: a, retired: 2"},
    {"RetiredInAnotherStruct", "a @0 :P; } struct P @0xb000000000000009 { q @0 :Text $Instar.retired(2);",
     "type: P, field: q"},
    {"FromASensitiveField", TO("Text", "copy = \"a\"") "a @1 :Text $Instar.sensitive;",
     "write $Instar.sensitive here too"},
};

INSTANTIATE_TEST_SUITE_P(Each, DerivationMistakes, ::testing::ValuesIn(kMistakes),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Plan, MakesSourcesFirstWhereverTheyStand) {
  const RecordSchema schema = record(
      "c @0 :UInt8 $Instar.derived(since = 3, convert = \"b\");"
      "b @1 :Text $Instar.derived(since = 2, split = (field = \"a\", by = \"-\", part = 1));"
      "a @2 :Text;",
      3);
  capnp::MallocMessageBuilder message;
  auto row = message.initRoot<DynamicStruct>(schema.root());
  decode("(a = \"x-7\")", row);
  Plans(schema).from(1).run(row);
  EXPECT_STREQ(kj::str(row.asReader()).cStr(), "(c = 7, b = \"7\", a = \"x-7\")");
}

TEST(Plan, LeavesAloneWhatTheRowsVersionHasAlready) {
  const RecordSchema schema = record(
      "a @0 :Text;"
      "b @1 :Text $Instar.derived(since = 2, copy = \"a\");"
      "c @2 :Text $Instar.derived(since = 3, copy = \"b\");",
      4);
  capnp::MallocMessageBuilder message;
  auto row = message.initRoot<DynamicStruct>(schema.root());
  decode("(a = \"x\", b = \"changed\")", row);
  const Plan plan = Plans(schema).from(2);
  ASSERT_EQ(plan.steps().size(), 1U);
  EXPECT_EQ(plan.steps()[0].field, "c");
  EXPECT_EQ(plan.steps()[0].how, "(since = 3, copy = \"b\")");
  plan.run(row);
  EXPECT_STREQ(kj::str(row.asReader()).cStr(), "(a = \"x\", b = \"changed\", c = \"changed\")");
  EXPECT_TRUE(Plans(schema).from(3).isIdentity());
}

TEST(Plan, TakesRetiredFieldsAwayOnceTheirHeirsAreMade) {
  const RecordSchema schema = record(
      "a @0 :Text $Instar.retired(3); size @2 :UInt8 = 7 $Instar.retired(3);"
      "b @1 :Text $Instar.derived(since = 2, copy = \"a\"); ",
      3);
  const auto upgraded = [&](std::uint16_t from) -> std::string {
    capnp::MallocMessageBuilder message;
    auto row = message.initRoot<DynamicStruct>(schema.root());
    decode("(a = \"x\", b = \"y\", size = 9)", row);
    Plans(schema).from(from).run(row);
    return kj::str(row.asReader()).cStr();
  };
  EXPECT_EQ(upgraded(1), R"((b = "x", size = 7))");
  EXPECT_EQ(upgraded(2), R"((b = "y", size = 7))");
  EXPECT_EQ(schema.completeFrom(), 3);
  const auto steps = Plans(schema).from(2).steps();
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].field + ": " + steps[0].how, "a: retired");
  EXPECT_NE(Plans(schema).from(1).hash(), Plans(schema).from(2).hash());
  EXPECT_NE(Plans(schema).from(2).hash(), Plans(schema).from(3).hash());
}

TEST(Plan, DerivesFromARetiredFieldOnlyForRowsThatHaveIt) {
  record("a @0 :Text $Instar.retired(3); b @1 :Text $Instar.derived(since = 3, copy = \"a\");", 4);
  EXPECT_ERROR(
      record("a @0 :Text $Instar.retired(3); b @1 :Text $Instar.derived(since = 4, copy = \"a\");", 4),
      fixSchema, "source: a, retired: 3, type: R, field: b, annotation: derived");
  EXPECT_ERROR(record("a @0 :Text $Instar.derived(since = 4, constant = \"x\") $Instar.retired(3);", 4),
               fixSchema, "the field is retired before it is derived");
}

TEST(Plan, HashIsOfWhatItDoes) {
  const RecordSchema one = record("a @0 :Text; b @1 :Text $Instar.derived(since = 2, copy = \"a\");");
  const RecordSchema renamed = record("old @0 :Text; b @1 :Text $Instar.derived(since = 2, copy = \"old\");");
  const RecordSchema other = record("a @0 :Text; b @1 :Text $Instar.derived(since = 2, constant = \"a\");");
  EXPECT_EQ(Plans(one).from(1).hash(), Plans(renamed).from(1).hash());
  EXPECT_NE(Plans(one).from(1).hash(), Plans(other).from(1).hash());
  EXPECT_NE(Plans(one).from(1).hash(), Plans(one).from(2).hash());
}

TEST(Mirror, SetsWhatOlderProgramsRead) {
  const RecordSchema schema = record(
      "name @0 :Text $Instar.mirrored(since = 2, concat = [(field = \"first\"), (text = \" \"), (field = "
      "\"last\")]);"
      "first @1 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \"));"
      "last @2 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \", part = 1, rest = "
      "true));");
  EXPECT_TRUE(schema.changesPuts());
  capnp::MallocMessageBuilder message;
  auto row = message.initRoot<DynamicStruct>(schema.root());
  decode("(name = \"stale\", first = \"Ada\", last = \"Lovelace\")", row);
  Plans(schema).prepareToPut(row);
  EXPECT_EQ(fieldText(row.asReader(), "name"), "Ada Lovelace");
  capnp::MallocMessageBuilder older;
  auto old = older.initRoot<DynamicStruct>(schema.root());
  decode("(name = \"Grace Brewster Hopper\")", old);
  Plans(schema).from(1).run(old);
  EXPECT_EQ(fieldText(old.asReader(), "last"), "Brewster Hopper");
}

TEST(Mirror, RefusesARecordThatOlderProgramsCouldNotRead) {
  const RecordSchema schema = record(
      "kibibytes @0 :UInt8 $Instar.mirrored(since = 2, scale = (field = \"bytes\", divide = 1024));"
      "bytes @1 :UInt64 $Instar.derived(since = 2, scale = (field = \"kibibytes\", multiply = 1024));");
  capnp::MallocMessageBuilder message;
  auto row = message.initRoot<DynamicStruct>(schema.root());
  row.set("bytes", 1U << 20);
  EXPECT_ERROR(Plans(schema).prepareToPut(row), fixInput, "field: kibibytes");
}

TEST(Mirror, LetsWhatIsMadeFromItBeMadeAgainAndNothingElse) {
  const RecordSchema schema = parseDeclarations(
      "struct R @0xa000000000000001 $Instar.version(3) $Instar.upgraded([(to = 2, call = \"gone\")]) {"
      "  name  @0 :Text $Instar.mirrored(since = 3, copy = \"first\");"
      "  first @1 :Text $Instar.derived(since = 2, copy = \"name\");"
      "  shown @2 :Text $Instar.derived(since = 3, copy = \"first\");"
      "  other @3 :Text;"
      "  mine  @4 :Text $Instar.derived(since = 2, copy = \"other\"); }",
      "R");
  const MirrorCheck check{Plans(schema)};
  capnp::MallocMessageBuilder message;
  auto row = message.initRoot<DynamicStruct>(schema.root());
  decode(R"((name = "Ada", first = "Augusta", shown = "A.", other = "old", mine = "kept"))", row);
  EXPECT_EQ(check.diverged(row.asReader()), std::vector<std::string>{"name"});
  Plans(schema).deriveAgain(row, {"name"});  // without the function that has all of a record in its hands
  EXPECT_STREQ(kj::str(row).cStr(),
               R"((name = "Ada", first = "Ada", shown = "Ada", other = "old", mine = "kept"))");
  EXPECT_TRUE(check.diverged(row.asReader()).empty());
}

}  // namespace
}  // namespace instar::testing
