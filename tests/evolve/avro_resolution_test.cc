// Apache Avro resolves a writer's schema against a reader's when data is read; the cases are those of "Schema
// Resolution" in its specification (1.11). Each stands here with what Avro does and with what Instar does
// instead, which never guesses: what old bytes already mean is additive, what has to be computed is declared
// in the schema, and the rest is refused.

#include <capnp/message.h>
#include <capnp/serialize-text.h>
#include <gtest/gtest.h>

#include "instar/evolve/difference.h"
#include "instar/evolve/plan.h"
#include "instar/evolve/verdict.h"
#include "instar/format/error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using capnp::DynamicStruct;

enum class Outcome : std::uint8_t { same, additive, additiveWithFloors, derived, refused };

struct Case {
  const char* name;
  const char* avro;    // what it does with such a pair
  const char* writer;  // fields of the record in version 1, and types behind it
  const char* reader;  // in version 2
  Outcome outcome;
  const char* row = "";       // of the writer
  const char* expected = "";  // as the reader sees it, or "! " and why it does not
};

void PrintTo(const Case& one, std::ostream* stream) { *stream << one.name; }

RecordSchema record(const char* fields, int version) {
  return parseDeclarations(
      "struct R @0xa000000000000001 $Instar.version(" + std::to_string(version) + ") { " + fields, "R");
}

Outcome outcomeOf(const std::vector<Judgement>& judgements) {
  if (judgements.empty()) return Outcome::same;
  if (isRefused(judgements)) return Outcome::refused;
  for (const Judgement& one : judgements) {
    if (one.verdict == Verdict::derived) return Outcome::derived;
  }
  return floorEffect(judgements) == FloorEffect::none ? Outcome::additive : Outcome::additiveWithFloors;
}

std::string readAs(const RecordSchema& reader, const RecordSchema& writer, const char* row) {
  capnp::MallocMessageBuilder message;
  capnp::TextCodec().decode(kj::StringPtr(row), message.initRoot<DynamicStruct>(writer.root()));
  auto read = message.getRoot<DynamicStruct>(reader.root());
  try {
    Plans(reader).from(1).run(read);
    return kj::str(read.asReader()).cStr();
  } catch (const Error& error) {
    return "! " + std::string(error.fact("reason"));
  }
}

class AvroResolution : public ::testing::TestWithParam<Case> {};

TEST_P(AvroResolution, IsInInstar) {
  const Case& one = GetParam();
  const RecordSchema writer = record(one.writer, 1);
  const RecordSchema reader = record(one.reader, 2);
  const auto judgements = judge(difference(writer, reader));
  EXPECT_EQ(outcomeOf(judgements), one.outcome) << "Avro: " << one.avro << "\n" << describe(judgements);
  if (one.outcome == Outcome::refused) return;
  EXPECT_EQ(readAs(reader, writer, one.row), one.expected) << "Avro: " << one.avro;
}

#define DERIVED(how) " $Instar.derived(since = 2, " how ")"
#define CONVERTED(from, to) "old @0 :" from "; a @1 :" to DERIVED("convert = \"old\"") "; }"
#define E "enum E @0xa000000000000002 "
#define OTHER_E "enum F @0xa000000000000003 "
#define S "struct S @0xa000000000000004 "
#define OTHER_S "struct T @0xa000000000000005 "

constexpr const char* kPromoted = "the reader gets the number in the wider type";
constexpr const char* kError = "an error";

constexpr Case kCases[] = {
    // Primitive types. A type in place stays; the wider one is a field that is derived from it.
    {"TheSamePrimitive", "the value", "a @0 :Int32; }", "a @0 :Int32; }", Outcome::same, "(a = 7)",
     "(a = 7)"},
    {"IntToLongInPlace", kPromoted, "a @0 :Int32; }", "a @0 :Int64; }", Outcome::refused},
    {"IntToLong", kPromoted, "a @0 :Int32; }", CONVERTED("Int32", "Int64"), Outcome::derived, "(a = -7)",
     "(old = -7, a = -7)"},
    {"IntToFloat", "the nearest float", "a @0 :Int32; }", CONVERTED("Int32", "Float32"), Outcome::derived,
     "(a = 16777217)", "(old = 16777217, a = 16777216)"},
    {"IntToDouble", kPromoted, "a @0 :Int32; }", CONVERTED("Int32", "Float64"), Outcome::derived,
     "(a = 16777217)", "(old = 16777217, a = 16777217)"},
    {"LongToFloat", "the nearest float", "a @0 :Int64; }", CONVERTED("Int64", "Float32"), Outcome::derived,
     "(a = 16777217)", "(old = 16777217, a = 16777216)"},
    {"LongToDouble", "the nearest double", "a @0 :Int64; }", CONVERTED("Int64", "Float64"), Outcome::derived,
     "(a = 9007199254740993)", "(old = 9007199254740993, a = 9007199254740992)"},
    {"FloatToDouble", "the same number", "a @0 :Float32; }", CONVERTED("Float32", "Float64"),
     Outcome::derived, "(a = 0.5)", "(old = 0.5, a = 0.5)"},
    {"StringToBytesInPlace", "the bytes of the text", "a @0 :Text; }", "a @0 :Data; }", Outcome::refused},
    {"StringToBytes", "the bytes of the text", "a @0 :Text; }", CONVERTED("Text", "Data"), Outcome::derived,
     "(a = \"xy\")", "(old = \"xy\", a = \"xy\")"},
    {"BytesToString", "the text, if it is one", "a @0 :Data; }", CONVERTED("Data", "Text"), Outcome::derived,
     "(a = \"xy\")", "(old = \"xy\", a = \"xy\")"},
    {"BytesThatAreNoString", "not said", "a @0 :Data; }", CONVERTED("Data", "Text"), Outcome::derived,
     "(a = \"\\xff\")", "! the bytes are not UTF-8"},
    {"LongToInt", kError, "a @0 :Int64; }", CONVERTED("Int64", "Int32"), Outcome::derived, "(a = 7)",
     "(old = 7, a = 7)"},
    {"LongThatIsNoInt", kError, "a @0 :Int64; }", CONVERTED("Int64", "Int32"), Outcome::derived,
     "(a = 2147483648)", "! the number is outside of the range of the type"},
    {"DoubleToFloat", kError, "a @0 :Float64; }", CONVERTED("Float64", "Float32"), Outcome::derived,
     "(a = 0.5)", "(old = 0.5, a = 0.5)"},
    {"StringToInt", kError, "a @0 :Text; }", CONVERTED("Text", "Int32"), Outcome::derived, "(a = \"7\")",
     "(old = \"7\", a = 7)"},
    {"BooleanToInt", kError, "a @0 :Bool; }", CONVERTED("Bool", "Int32"), Outcome::derived, "(a = true)",
     "(old = true, a = 1)"},
    {"PrimitiveToRecord", kError, "a @0 :Int32; } " S "{ x @0 :Int32; }", "a @0 :S; } " S "{ x @0 :Int32; }",
     Outcome::refused},

    // Arrays: by their items.
    {"ArrayOfTheSame", "the array", "a @0 :List(Int32); }", "a @0 :List(Int32); }", Outcome::same,
     "(a = [1, 2])", "(a = [1, 2])"},
    {"ArrayOfPromotedInPlace", "each item is promoted", "a @0 :List(Int32); }", "a @0 :List(Int64); }",
     Outcome::refused},
    {"ArrayOfPromoted", "each item is promoted", "a @0 :List(Int32); }",
     CONVERTED("List(Int32)", "List(Int64)"), Outcome::derived, "(a = [1, -2])",
     "(old = [1, -2], a = [1, -2])"},
    {"ArrayOfRecordsThatGrow", "each item gets the default", "a @0 :List(S); } " S "{ x @0 :Int32; }",
     "a @0 :List(S); } " S "{ x @0 :Int32; y @1 :Int32 = 5; }", Outcome::additive, "(a = [(x = 1)])",
     "(a = [(x = 1, y = 5)])"},
    {"ArrayOfAnotherType", kError, "a @0 :List(Int32); }", "a @0 :List(Text); }", Outcome::refused},
    {"ArrayToItem", kError, "a @0 :List(Int32); }", "a @0 :Int32; }", Outcome::refused},
    {"ArrayOfPrimitivesToRecords", kError, "a @0 :List(Int32); }",
     "a @0 :List(S); } " S "{ x @0 :Int32; y @1 :Text; }", Outcome::additive, "(a = [7])", "(a = [(x = 7)])"},

    // Maps, which are lists of entries: by their values.
    {"MapOfTheSame", "the map", "a @0 :List(S); } " S "{ key @0 :Text; value @1 :Int32; }",
     "a @0 :List(S); } " S "{ key @0 :Text; value @1 :Int32; }", Outcome::same,
     "(a = [(key = \"k\", value = 1)])", "(a = [(key = \"k\", value = 1)])"},
    {"MapOfPromoted", "each value is promoted", "a @0 :List(S); } " S "{ key @0 :Text; value @1 :Int32; }",
     "a @0 :List(S); } " S "{ key @0 :Text; value @1 :Int64; }", Outcome::refused},
    {"MapOfRecordsThatGrow", "each value gets the default",
     "a @0 :List(S); } " S "{ key @0 :Text; value @1 :Int32; }",
     "a @0 :List(S); } " S "{ key @0 :Text; value @1 :Int32; unit @2 :UInt8 = 5; }", Outcome::additive,
     "(a = [(key = \"k\", value = 1)])", "(a = [(key = \"k\", value = 1, unit = 5)])"},

    // Enums: Avro by the symbol's name, Instar by its number.
    {"EnumOfTheSame", "the symbol", "a @0 :E; } " E "{ x @0; y @1; }", "a @0 :E; } " E "{ x @0; y @1; }",
     Outcome::same, "(a = y)", "(a = y)"},
    {"EnumWithMoreSymbols", "the symbol", "a @0 :E; } " E "{ x @0; y @1; }",
     "a @0 :E; } " E "{ x @0; y @1; z @2; }", Outcome::additive, "(a = y)", "(a = y)"},
    {"EnumWithASymbolMissing", kError, "a @0 :E; } " E "{ x @0; y @1; }", "a @0 :E; } " E "{ x @0; }",
     Outcome::refused},
    {"EnumWithASymbolMissingAndADefault", "the reader's default symbol", "a @0 :E; } " E "{ x @0; y @1; }",
     "old @0 :E; a @1 :F" DERIVED("match = (field = \"old\", cases = [(from = \"x\", to = \"x\")], otherwise "
                                  "= \"unknown\")") "; } " E "{ x @0; y @1; } " OTHER_E
                                                    "{ unknown @0; x @1; }",
     Outcome::derived, "(a = y)", "(old = y, a = unknown)"},
    {"EnumWithASymbolMissingAndNoDefault", "an error for that symbol", "a @0 :E; } " E "{ x @0; y @1; }",
     "old @0 :E; a @1 :F" DERIVED(
         "match = (field = \"old\", cases = [(from = \"x\", to = \"x\")])") "; } " E
                                                                            "{ x @0; y @1; } " OTHER_E
                                                                            "{ x @0; }",
     Outcome::derived, "(a = y)", "! the value is not in the table of the match"},
    {"EnumWithSymbolsInAnotherOrder", "the symbol of that name", "a @0 :E; } " E "{ x @0; y @1; }",
     "a @0 :E; } " E "{ y @0; x @1; }", Outcome::refused},
    {"EnumWithASymbolRenamed", kError, "a @0 :E; } " E "{ x @0; y @1; }", "a @0 :E; } " E "{ x @0; z @1; }",
     Outcome::additive, "(a = y)", "(a = z)"},
    {"EnumOfAnotherNameThroughAnAlias", "the symbol", "a @0 :E; } " E "{ x @0; }",
     "a @0 :Kind; } enum Kind @0xa000000000000002 { x @0; }", Outcome::additive, "(a = x)", "(a = x)"},
    {"EnumOfAnotherName", kError, "a @0 :E; } " E "{ x @0; } " OTHER_E "{ x @0; }",
     "a @0 :F; } " E "{ x @0; } " OTHER_E "{ x @0; }", Outcome::refused},

    // Fixed, which is Data of any length.
    {"FixedOfTheSameSize", "the bytes", "a @0 :Data; }", "a @0 :Data; }", Outcome::same, "(a = \"abcd\")",
     "(a = \"abcd\")"},
    {"FixedOfAnotherSize", kError, "a @0 :Data; }", "a @0 :Data; }", Outcome::same, "(a = \"abcdef\")",
     "(a = \"abcdef\")"},
    {"FixedOfAnotherName", kError, "a @0 :S; } " S "{ bytes @0 :Data; }",
     "a @0 :Digest; } struct Digest @0xa000000000000004 { bytes @0 :Data; }", Outcome::additive,
     "(a = (bytes = \"abcd\"))", "(a = (bytes = \"abcd\"))"},

    // Records: Avro by the names of the fields, Instar by their numbers.
    {"FieldAddedWithDefault", "the default", "a @0 :Int32; }", "a @0 :Int32; b @1 :Int32 = 5; }",
     Outcome::additive, "(a = 1)", "(a = 1, b = 5)"},
    {"FieldAddedWithoutDefault", kError, "a @0 :Int32; }", "a @0 :Int32; b @1 :Int32; }", Outcome::additive,
     "(a = 1)", "(a = 1, b = 0)"},
    {"FieldAddedWithAnotherValueInOldRows", "cannot be said", "a @0 :Int32; }",
     "a @0 :Int32; b @1 :Int32 = 2" DERIVED("constant = \"1\"") "; }", Outcome::derived, "(a = 1)",
     "(a = 1, b = 1)"},
    {"FieldRemoved", "ignored", "a @0 :Int32; b @1 :Int32; }", "a @0 :Int32; }", Outcome::refused},
    {"FieldNoLongerUsed", "ignored", "a @0 :Int32; b @1 :Int32; }", "a @0 :Int32; obsoleteB @1 :Int32; }",
     Outcome::additive, "(a = 1, b = 2)", "(a = 1, obsoleteB = 2)"},
    {"FieldsInAnotherOrder", "by name", "a @0 :Int32; b @1 :Int32; }", "b @1 :Int32; a @0 :Int32; }",
     Outcome::same, "(a = 1, b = 2)", "(a = 1, b = 2)"},
    {"FieldsWithOtherNumbers", "does not know numbers", "a @0 :Int32; b @1 :Int32; }",
     "b @0 :Int32; a @1 :Int32; }", Outcome::refused},
    {"FieldRenamedThroughAnAlias", "the field of the older name", "a @0 :Int32; }", "b @0 :Int32; }",
     Outcome::additive, "(a = 1)", "(b = 1)"},
    {"FieldRenamedAndPromotedThroughAnAlias", kPromoted, "a @0 :Int32; }",
     "a @0 :Int32; b @1 :Int64" DERIVED("convert = \"a\"") "; }", Outcome::derived, "(a = 1)",
     "(a = 1, b = 1)"},
    {"RecordRenamedThroughAnAlias", "the record", "a @0 :S; } " S "{ x @0 :Int32; }",
     "a @0 :Point; } struct Point @0xa000000000000004 { x @0 :Int32; }", Outcome::additive, "(a = (x = 1))",
     "(a = (x = 1))"},
    {"RecordOfAnotherName", kError, "a @0 :S; } " S "{ x @0 :Int32; } " OTHER_S "{ x @0 :Int32; }",
     "a @0 :T; } " S "{ x @0 :Int32; } " OTHER_S "{ x @0 :Int32; }", Outcome::refused},
    {"RecordInARecordThatGrows", "the default", "a @0 :S; } " S "{ x @0 :Int32; }",
     "a @0 :S; } " S "{ x @0 :Int32; y @1 :Int32 = 5; }", Outcome::additive, "(a = (x = 1))",
     "(a = (x = 1, y = 5))"},
    {"RecordToEnum", kError, "a @0 :S; } " S "{ x @0 :Int32; }",
     "a @0 :E; } " S "{ x @0 :Int32; } " E "{ x @0; }", Outcome::refused},

    // Unions. A value that may be null is a pointer, and every pointer may be.
    {"ValueToOptional", "the value", "a @0 :Text; }", "a @0 :Text; }", Outcome::same, "(a = \"x\")",
     "(a = \"x\")"},
    {"OptionalThatIsNull", kError, "a @0 :Text; }", "a @0 :Text; }", Outcome::same, "()", "()"},
    {"ReaderHasAUnionThatBeginsWithIt", "the first member that matches", "a @0 :Int32; }",
     "union { a @0 :Int32; b @1 :Text; } }", Outcome::additiveWithFloors, "(a = 7)", "(a = 7)"},
    {"ReaderHasAUnionWithItBehind", "the first member that matches", "x @0 :Text; a @1 :Int32; }",
     "union { x @0 :Text; a @1 :Int32; } }", Outcome::refused},
    {"ReaderHasAUnionWithoutIt", kError, "a @0 :Int32; }", "union { a @0 :Text; b @1 :Bool; } }",
     Outcome::refused},
    {"ReaderHasAUnionWithAPromotedOne", "the first member that matches, promoted", "a @0 :Int32; }",
     "union { a @0 :Int64; b @1 :Text; } }", Outcome::refused},
    {"WriterHasAUnion", "the value, where it matches", "union { a @0 :Int32; b @1 :Text; } }",
     "a @0 :Int32; b @1 :Text; }", Outcome::refused},
    {"WriterHasAUnionAndTheMemberFits", "the value", "union { a @0 :Int32; b @1 :Text; } }",
     "union { old @0 :Int32; b @1 :Text; } a @2 :Int32" DERIVED("copy = \"old\"") "; }", Outcome::derived,
     "(a = 7)", "(old = 7, a = 7)"},
    {"WriterHasAUnionAndTheMemberDoesNotFit", kError, "union { a @0 :Int32; b @1 :Text; } }",
     "union { old @0 :Int32; b @1 :Text; } a @2 :Int32 = -1" DERIVED("copy = \"old\"") "; }",
     Outcome::derived, "(b = \"x\")", "(b = \"x\", a = -1)"},
    {"BothHaveUnionsOfTheSame", "the member", "union { a @0 :Int32; b @1 :Text; } }",
     "union { a @0 :Int32; b @1 :Text; } }", Outcome::same, "(b = \"x\")", "(b = \"x\")"},
    {"BothHaveUnionsInAnotherOrder", "the member that matches", "union { a @0 :Int32; b @1 :Text; } }",
     "union { b @1 :Text; a @0 :Int32; } }", Outcome::same, "(b = \"x\")", "(b = \"x\")"},
    {"BothHaveUnionsAndTheReadersHasMore", "the member", "union { a @0 :Int32; b @1 :Text; } }",
     "union { a @0 :Int32; b @1 :Text; c @2 :Bool; } }", Outcome::additive, "(b = \"x\")", "(b = \"x\")"},
    {"BothHaveUnionsAndTheReadersHasLess", "an error for that member",
     "union { a @0 :Int32; b @1 :Text; c @2 :Bool; } }", "union { a @0 :Int32; b @1 :Text; } }",
     Outcome::refused},
    {"BothHaveUnionsWithAPromotedMember", "the member, promoted", "union { a @0 :Int32; b @1 :Text; } }",
     "union { a @0 :Int64; b @1 :Text; } }", Outcome::refused},
};

// Avro: an error, unless an alias says that the two are one. Instar goes by the id.
TEST(AvroResolutionOfTheRoot, OfAnotherNameIsTheSameById) {
  const auto reader =
      parseDeclarations("struct Q @0xa000000000000001 $Instar.version(2) { a @0 :Int32; }", "Q");
  EXPECT_EQ(outcomeOf(judge(difference(record("a @0 :Int32; }", 1), reader))), Outcome::additive);
}

TEST(AvroResolutionOfTheRoot, OfAnotherNameAndIdIsReplacedByAFunction) {
  const auto writer = record("a @0 :Int32; }", 1);
  const auto reader = [](const char* replaces) {
    return parseDeclarations(
        "struct Q @0xa000000000000006 $Instar.version(2) " + std::string(replaces) + " { b @0 :Text; }", "Q");
  };
  EXPECT_EQ(outcomeOf(judge(difference(writer, reader("")))), Outcome::refused);
  const auto declared = reader("$Instar.replaces(since = 2, type = 0xa000000000000001, call = \"convert\")");
  const auto judgements = judge(difference(writer, declared));
  ASSERT_EQ(judgements.size(), 1U);
  EXPECT_EQ(judgements[0].verdict, Verdict::replaced);
  auto functions = std::make_shared<Functions>();
  functions->conversion<DynamicStruct, DynamicStruct>(
      "convert", [](DynamicStruct::Reader older, DynamicStruct::Builder newer) {
        newer.set("b", std::to_string(older.get("a").as<std::int32_t>()).c_str());
      });
  const Plans plans(declared, functions, [&](std::uint16_t) { return writer; });
  capnp::MallocMessageBuilder from;
  capnp::MallocMessageBuilder to;
  const auto row = from.initRoot<DynamicStruct>(writer.root());
  capnp::TextCodec().decode(kj::StringPtr("(a = 7)"), row);
  const auto read = to.initRoot<DynamicStruct>(declared.root());
  plans.from(1).replace(row.asReader(), read);
  EXPECT_STREQ(kj::str(read.asReader()).cStr(), "(b = \"7\")");
}

INSTANTIATE_TEST_SUITE_P(Each, AvroResolution, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace instar::testing
