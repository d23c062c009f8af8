#include "instar/evolve/verdict.h"

#include <capnp/schema-loader.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "instar/evolve/difference.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

// A line for each change: '+' additive, '^' additive with risen floors, '!' refused.
std::string verdictLines(const std::vector<Judgement>& judgements) {
  std::string lines;
  for (const auto& judgement : judgements) {
    bool rises = judgement.floor != FloorEffect::none;
    const bool derived = judgement.verdict == Verdict::derived;
    lines += judgement.verdict == Verdict::refused ? "! " : rises ? "^ " : derived ? "~ " : "+ ";
    lines += judgement.what + "\n";
  }
  return lines;
}

// Whether Cap'n Proto itself takes the second schema for a newer form of the first.
bool schemaLoaderAccepts(const RecordSchema& older, const RecordSchema& newer) {
  capnp::SchemaLoader loader;
  try {
    for (auto node : older.nodes()) loader.load(node);
    for (auto node : newer.nodes()) loader.load(node);
    return true;
  } catch (const kj::Exception&) {
    return false;
  }
}

struct Rule {
  const char* name;
  const char* older;
  const char* newer;
  const char* lines;
  // Cap'n Proto 0.9.2 compares the defaults of a field whose type was replaced by a parameter, and fails on
  // that alone.
  bool loaderFails = false;
};

void PrintTo(const Rule& rule, std::ostream* stream) { *stream << rule.name; }

// Every declaration has an id, so that a type stays the same type. R is the record.
#define R "struct R @0xa000000000000001 "
#define A "struct A @0xa000000000000002 "
#define E "enum E @0xa000000000000003 "
constexpr Rule kRules[] = {
    {"NothingChanged", R "{ a @0 :Text; b @1 :UInt8; }", R "{ b @1 :UInt8; a @0 :Text; }", ""},
    {"FieldAdded", R "{ a @0 :Text; }", R "{ a @0 :Text; b @1 :UInt8 = 7; }", "+ R.b: a new field @1\n"},
    {"FieldAddedInGroup", R "{ g :group { a @0 :Text; } }", R "{ g :group { a @0 :Text; b @1 :Bool; } }",
     "+ R.g.b: a new field @1\n"},
    {"FieldAddedInNestedType", R "{ a @0 :List(A); } " A "{ x @0 :Text; }",
     R "{ a @0 :List(A); } " A "{ x @0 :Text; y @1 :Text; }", "+ A.y: a new field @1\n"},
    {"FieldAddedInRecursiveType", R "{ a @0 :List(R); b @1 :A; } " A "{ up @0 :R; }",
     R "{ a @0 :List(R); b @1 :A; c @2 :Text; } " A "{ up @0 :R; }", "+ R.c: a new field @2\n"},
    {"FieldRemoved", R "{ a @0 :Text; tier @1 :UInt8; }", R "{ a @0 :Text; }",
     "! R.tier: field @1 was removed\n"},
    {"FieldRenamed", R "{ a @0 :Text; b @1 :Text; }", R "{ z @0 :Text; b @1 :Text; }",
     "+ R.z: the field was called a\n"},
    {"OldNameForANewField", R "{ tier @0 :UInt8; }", R "{ obsoleteTier @0 :UInt8; tier @1 :Text; }",
     "+ R.obsoleteTier: the field was called tier\n+ R.tier: a new field @1\n"},
    {"NamesSwapped", R "{ a @0 :Text; b @1 :Text; }", R "{ b @0 :Text; a @1 :Text; }",
     "! R.b: the name of @1 now stands at @0\n+ R.b: the field was called a\n"
     "! R.a: the name of @0 now stands at @1\n+ R.a: the field was called b\n"},
    {"NameTakenFromAnotherField", R "{ a @0 :Text; b @1 :Text; }", R "{ b @0 :Text; c @1 :Text; }",
     "! R.b: the name of @1 now stands at @0\n+ R.b: the field was called a\n+ R.c: the field was called "
     "b\n"},
    {"TypeChanged", R "{ a @0 :UInt32; }", R "{ a @0 :UInt64; }",
     "! R.a: the type changed from UInt32 to UInt64\n"},
    {"SignChanged", R "{ a @0 :UInt32; }", R "{ a @0 :Int32; }",
     "! R.a: the type changed from UInt32 to Int32\n"},
    {"ScalarToList", R "{ a @0 :Text; }", R "{ a @0 :List(Text); }",
     "! R.a: the type changed from Text to List(Text)\n"},
    {"EnumToNumber", R "{ a @0 :E; } " E "{ x @0; }", R "{ a @0 :UInt16; }",
     "! R.a: the type changed from E to UInt16\n"},
    {"DefaultChanged", R "{ tier @0 :UInt8 = 1; }", R "{ tier @0 :UInt8 = 2; }",
     "! R.tier: the default changed from 1 to 2\n"},
    {"TextDefaultAdded", R "{ a @0 :Text; }", R "{ a @0 :Text = \"x\"; }",
     "! R.a: the default changed from \"\" to \"x\"\n"},
    {"ListDefaultChanged", R "{ a @0 :List(UInt8) = [1]; }", R "{ a @0 :List(UInt8) = [2]; }",
     "! R.a: the default changed from a value to a value\n"},
    {"StructDefaultAdded", R "{ a @0 :A; } " A "{ x @0 :Text; }",
     R "{ a @0 :A = (x = \"y\"); } " A "{ x @0 :Text; }",
     "! R.a: the default changed from none to a value\n"},
    {"DefaultsOfEachType",
     R "{ a @0 :Bool; b @1 :Int8 = -1; c @2 :UInt64 = 1; d @3 :Float32 = 0.5; e @4 :Float64 = inf; f @5 :E; "
       "g @6 :Data = 0x\"01\"; h @7 :Int64 = 3; i @8 :Int16 = 4; } " E "{ x @0; y @1; }",
     R "{ a @0 :Bool = true; b @1 :Int8 = -2; c @2 :UInt64 = 18446744073709551615; d @3 :Float32 = nan; "
       "e @4 :Float64 = -inf; f @5 :E = y; g @6 :Data = 0x\"01 02\"; h @7 :Int64 = -3; i @8 :Int16 = -4; } " E
       "{ x @0; y @1; }",
     "! R.a: the default changed from false to true\n! R.b: the default changed from -1 to -2\n"
     "! R.c: the default changed from 1 to 18446744073709551615\n"
     "! R.d: the default changed from 0.5 to nan\n! R.e: the default changed from inf to -inf\n"
     "! R.f: the default changed from @0 to @1\n! R.g: the default changed from 0x\"01\" to 0x\"01 02\"\n"
     "! R.h: the default changed from 3 to -3\n! R.i: the default changed from 4 to -4\n"},
    {"EmptyDefaultWritten", R "{ a @0 :Text; b @1 :List(Text); }",
     R "{ a @0 :Text = \"\"; b @1 :List(Text) = []; }", ""},
    {"NewUnion", R "{ a @0 :Text; }", R "{ a @0 :Text; union { b @1 :Text; c @2 :UInt8; } }",
     "+ R.b: a new field @1 in a new union\n+ R.c: a new field @2 in a new union\n"},
    {"MemberAddedToUnion", R "{ union { a @0 :Text; b @1 :UInt8; } }",
     R "{ union { a @0 :Text; b @1 :UInt8; c @2 :Data; } }",
     "+ R.c: a new field @2, a new member of a union\n"},
    {"MemberAddedToNamedUnion", R "{ u :union { a @0 :Text; b @1 :UInt8; } }",
     R "{ u :union { a @0 :Text; b @1 :UInt8; c @2 :Data; } }",
     "+ R.u.c: a new field @2, a new member of a union\n"},
    {"FieldMovedIntoNewUnion", R "{ a @0 :Text; z @1 :Bool; }",
     R "{ union { a @0 :Text; b @2 :UInt8; } z @1 :Bool; }",
     "^ R.a: the field moved into a union\n+ R.b: a new field @2 in a new union\n"},
    {"FieldMovedIntoNewNamedUnion", R "{ a @0 :Text; }", R "{ u :union { a @0 :Text; b @1 :UInt8; } }",
     "+ R.u.a: the field moved, it was a\n^ R.u.a: the field moved into a union\n"
     "+ R.u.b: a new field @1 in a new union\n"},
    {"TwoFieldsMovedIntoUnion", R "{ a @0 :Text; b @1 :Text; }", R "{ union { a @0 :Text; b @1 :Text; } }",
     "^ R.a: the field moved into a union\n! R.b: the field moved into a union\n! R.b: it lies elsewhere in "
     "the bytes\n"},
    {"FieldMovedIntoExistingUnion", R "{ a @0 :Text; u :union { b @1 :UInt8; c @2 :UInt8; } }",
     R "{ u :union { a @0 :Text; b @1 :UInt8; c @2 :UInt8; } }",
     "! R.u.a: the field moved, it was a\n! R.u.a: the field moved into a union\n"
     "! R.u.b: it lies elsewhere in the bytes\n! R.u.c: it lies elsewhere in the bytes\n"},
    {"FieldMovedOutOfUnion", R "{ union { a @0 :UInt8; b @1 :UInt8; c @2 :UInt8; } }",
     R "{ a @0 :UInt8; union { b @1 :UInt8; c @2 :UInt8; } }", nullptr},
    {"FieldMovedIntoNewGroup", R "{ a @0 :Text; b @1 :Text; }",
     R "{ g :group { a @0 :Text; c @2 :Text; } b @1 :Text; }",
     "+ R.g.a: the field moved, it was a\n+ R.g.c: a new field @2\n"},
    {"TwoFieldsMovedIntoGroup", R "{ a @0 :Text; b @1 :Text; }", R "{ g :group { a @0 :Text; b @1 :Text; } }",
     "! R.g.a: the field moved, it was a\n! R.g.b: the field moved, it was b\n"},
    {"FieldMovedOutOfGroup", R "{ g :group { a @0 :Text; } }", R "{ a @0 :Text; }",
     "! R.a: the field moved, it was g.a\n"},
    {"GroupRenamed", R "{ g :group { a @0 :Text; b @1 :Text; } }",
     R "{ h :group { a @0 :Text; b @1 :Text; } }", "+ R.h: the group was called g\n"},
    {"EnumerantAdded", R "{ a @0 :E; } " E "{ x @0; }", R "{ a @0 :E; } " E "{ x @0; y @1; }",
     "+ E.y: a new enumerant\n"},
    {"EnumerantRemoved", R "{ a @0 :E; } " E "{ x @0; y @1; }", R "{ a @0 :E; } " E "{ x @0; }",
     "! E.y: the enumerant was removed\n"},
    {"EnumerantRenamed", R "{ a @0 :E; } " E "{ x @0; }", R "{ a @0 :E; } " E "{ y @0; }",
     "+ E.y: the enumerant was called x\n"},
    {"EnumerantsSwapped", R "{ a @0 :E; } " E "{ x @0; y @1; }", R "{ a @0 :E; } " E "{ y @0; x @1; }",
     "+ E.y: the enumerant was called x\n! E.y: the name of @1 now stands at @0\n"
     "+ E.x: the enumerant was called y\n! E.x: the name of @0 now stands at @1\n"},
    {"ScalarListToStructList", R "{ a @0 :List(UInt32); }",
     R "{ a @0 :List(A); } " A "{ x @0 :UInt32; y @1 :Text; }",
     "+ R.a: the type changed from List(UInt32) to List(A)\n"},
    {"TextListToStructList", R "{ a @0 :List(Text); }",
     R "{ a @0 :List(A); } " A "{ x @0 :Text; y @1 :Text; }",
     "+ R.a: the type changed from List(Text) to List(A)\n"},
    {"BoolListToStructList", R "{ a @0 :List(Bool); }", R "{ a @0 :List(A); } " A "{ x @0 :Bool; }",
     "! R.a: the type changed from List(Bool) to List(A)\n"},
    {"ListToStructListOfAnotherType", R "{ a @0 :List(UInt32); }",
     R "{ a @0 :List(A); } " A "{ x @0 :UInt16; }", "! R.a: the type changed from List(UInt32) to List(A)\n"},
    {"ListToStructListWithDefault", R "{ a @0 :List(UInt32); }",
     R "{ a @0 :List(A); } " A "{ x @0 :UInt32 = 1; }",
     "! R.a: the type changed from List(UInt32) to List(A)\n"},
    {"StructListToScalarList", R "{ a @0 :List(A); } " A "{ x @0 :UInt32; }", R "{ a @0 :List(UInt32); }",
     "! R.a: the type changed from List(A) to List(UInt32)\n"},
    {"TextToData", R "{ a @0 :Text; }", R "{ a @0 :Data; }", "! R.a: the type changed from Text to Data\n"},
    {"ByteListToData", R "{ a @0 :List(UInt8); }", R "{ a @0 :Data; }",
     "! R.a: the type changed from List(UInt8) to Data\n"},
    {"PointerToAny", R "{ a @0 :Text; }", R "{ a @0 :AnyPointer; }",
     "! R.a: the type changed from Text to AnyPointer\n"},
    {"PointersToAnyOfTheirKind", R "{ a @0 :A; b @1 :List(Text); c @2 :List(Text); } " A "{ x @0 :Text; }",
     R "{ a @0 :AnyStruct; b @1 :AnyList; c @2 :AnyStruct; }",
     "! R.a: the type changed from A to AnyStruct\n! R.b: the type changed from List(Text) to AnyList\n"
     "! R.c: the type changed from List(Text) to AnyStruct\n"},
    {"AnyToPointer", R "{ a @0 :AnyPointer; }", R "{ a @0 :Text; }",
     "! R.a: the type changed from AnyPointer to Text\n"},
    {"RecordReplaced", R "{ a @0 :Text; }", "struct R @0xa000000000000009 { a @0 :Text; }",
     "! R: a replaced type, @0xa000000000000001 became @0xa000000000000009\n"},
    {"NestedTypeReplaced", R "{ a @0 :A; } " A "{ x @0 :Text; }",
     R "{ a @0 :A; } struct A @0xa000000000000009 { x @0 :Text; }",
     "! R.a: the id of its type A changed, from @0xa000000000000002 to @0xa000000000000009\n"},
    {"NestedEnumReplaced", R "{ a @0 :E; } " E "{ x @0; }",
     R "{ a @0 :E; } enum E @0xa000000000000009 { x @0; }",
     "! R.a: the id of its type E changed, from @0xa000000000000003 to @0xa000000000000009\n"},
    {"TypeOfAListReplaced", R "{ a @0 :List(A); } " A "{ x @0 :Text; }",
     R "{ a @0 :List(A); } struct A @0xa000000000000009 { x @0 :Text; }",
     "! R.a: the id of its type List(A) changed, from @0xa000000000000002 to @0xa000000000000009\n"},
    {"ArgumentReplaced",
     R "{ a @0 :B(A); } struct B @0xa000000000000004 (T) { t @0 :T; } " A "{ x @0 :Text; }",
     R "{ a @0 :B(A); } struct B @0xa000000000000004 (T) { t @0 :T; } "
       "struct A @0xa000000000000009 { x @0 :Text; }",
     "+ R.a: the type changed from B(A) to B(A)\n"
     "! B.t: the id of its type A changed, from @0xa000000000000002 to @0xa000000000000009\n"},
    {"TypeRenamed", R "{ a @0 :A; } " A "{ x @0 :Text; }",
     R "{ a @0 :B; } struct B @0xa000000000000002 { x @0 :Text; }", "+ B: the type was called A\n"},
    {"KindChanged", R "{ a @0 :A; } " A "{ x @0 :Text; }",
     R "{ a @0 :UInt8; e @1 :A; } enum A @0xa000000000000002 { x @0; }",
     "! R.a: the type changed from A to UInt8\n+ R.e: a new field @1\n"
     "! A: a struct became an enum, or an enum a struct\n"},
    {"KeyAdded", R "{ a @0 :Text; }", R "{ a @0 :Text $Instar.key(0); }",
     "! R: the key changed from byte strings to a\n"},
    {"KeyChanged", R "{ a @0 :Text $Instar.key(0); b @1 :Text; }",
     R "{ a @0 :Text; b @1 :Text $Instar.key(0); }", "! R: the key changed from a to b\n"},
    {"KeyOrderChanged", R "{ a @0 :Text $Instar.key(0); b @1 :Text $Instar.key(1); }",
     R "{ a @0 :Text $Instar.key(1); b @1 :Text $Instar.key(0); }",
     "! R: the key changed from a, b to b, a\n"},
    {"KeyFieldRenamed", R "{ a @0 :Text $Instar.key(0); }", R "{ b @0 :Text $Instar.key(0); }",
     "+ R.b: the field was called a\n"},
    {"EnumerantAddedToKey", R "{ a @0 :E $Instar.key(0); } " E "{ x @0; }",
     R "{ a @0 :E $Instar.key(0); } " E "{ x @0; y @1; }", "+ E.y: a new enumerant\n"},
    {"SensitiveAdded", R "{ a @0 :Text; }", R "{ a @0 :Text $Instar.sensitive; }", "+ R.a: now sensitive\n"},
    {"SensitiveRemoved", R "{ a @0 :Text $Instar.sensitive; }", R "{ a @0 :Text; }",
     "+ R.a: no longer sensitive; masked as long as a version in the file has the mark\n"},
    {"SensitiveGroup", R "{ g :group { a @0 :Text; } }", R "{ g :group $Instar.sensitive { a @0 :Text; } }",
     "+ R.g.a: now sensitive\n"},
    {"FieldAddedInGeneric", R "{ a @0 :A(Text); b @1 :A(Data); } " A "(T) { t @0 :T; }",
     R "{ a @0 :A(Text); b @1 :A(Data); } " A "(T) { t @0 :T; u @1 :T; }", "+ A.u: a new field @1\n"},
    {"ArgumentChanged", R "{ a @0 :A(Text); } " A "(T) { t @0 :T; }",
     R "{ a @0 :A(List(Text)); } " A "(T) { t @0 :T; }",
     "+ R.a: the type changed from A(Text) to A(List(Text))\n! A.t: the type changed from Text to "
     "List(Text)\n"},
    {"UnusedArgumentChanged", R "{ a @0 :A(Text); } " A "(T) { t @0 :UInt8; }",
     R "{ a @0 :A(Data); } " A "(T) { t @0 :UInt8; }", "+ R.a: the type changed from A(Text) to A(Data)\n"},
    {"ParameterAdded", R "{ a @0 :A(Text); } " A "(T) { t @0 :T; }",
     R "{ a @0 :A(Text, Data); } " A "(T, U) { t @0 :T; u @1 :U; }",
     "+ R.a: the type changed from A(Text) to A(Text, Data)\n+ A: type parameters, 1 became 2\n"
     "+ A.u: a new field @1\n"},
    {"MadeGeneric", R "{ a @0 :A; } " A "{ t @0 :Text; }", R "{ a @0 :A(Text); } " A "(T) { t @0 :T; }",
     "+ R.a: the type changed from A to A(Text)\n+ A: type parameters, 0 became 1\n", true},
    {"ParameterUsedDifferently", R "{ a @0 :A(Text); } " A "(T) { t @0 :T; u @1 :Text; }",
     R "{ a @0 :A(Text); } " A "(T) { t @0 :T; u @1 :T; }", "+ R: type parameters are used differently\n",
     true},
    {"GenericScopeKept",
     R "{ a @0 :O(Text).I; } struct O @0xa000000000000004 (T) { struct I @0xa000000000000005 { t @0 :T; } }",
     R "{ a @0 :O(Text).I; } struct O @0xa000000000000004 (T) { struct I @0xa000000000000005 { t @0 :T; u @1 "
       ":Text; } }",
     "+ I.u: a new field @1\n"},
};
// What a generic type says, it says once, however many bindings it is met in; and two changes of one kind are
// two.
#define USES R "{ a @0 :A(Text); b @1 :A(Data); } " A "(T) "
constexpr Rule kRepeatedRules[] = {
    {"FieldsAdded", USES "{ t @0 :T; }", USES "{ t @0 :T; u @1 :Text; v @2 :Text; }",
     "+ A.u: a new field @1\n+ A.v: a new field @2\n"},
    {"FieldsRemoved", USES "{ t @0 :T; u @1 :Text; v @2 :Text; }", USES "{ t @0 :T; }",
     "! A.u: field @1 was removed\n! A.v: field @2 was removed\n"},
    {"FieldsRenamed", USES "{ t @0 :T; u @1 :Text; v @2 :Text; }",
     USES "{ t @0 :T; x @1 :Text; y @2 :Text; }",
     "+ A.x: the field was called u\n+ A.y: the field was called v\n"},
    {"NamesSwappedTwice", USES "{ t @0 :T; u @1 :Text; v @2 :Text; }",
     USES "{ t @0 :T; v @1 :Text; u @2 :Text; }",
     "! A.v: the name of @2 now stands at @1\n+ A.v: the field was called u\n"
     "! A.u: the name of @1 now stands at @2\n+ A.u: the field was called v\n"},
    {"FieldsMoved", USES "{ t @0 :T; u @1 :Text; v @2 :Text; }",
     USES "{ t @0 :T; g :group { u @1 :Text; v @2 :Text; } }",
     "! A.g.u: the field moved, it was u\n! A.g.v: the field moved, it was v\n"},
    {"GroupsRenamed", USES "{ t @0 :T; g :group { u @1 :Text; } h :group { v @2 :Text; } }",
     USES "{ t @0 :T; i :group { u @1 :Text; } j :group { v @2 :Text; } }",
     "+ A.i: the group was called g\n+ A.j: the group was called h\n"},
    {"FieldsMovedIntoAUnion", USES "{ t @0 :T; u @1 :UInt8; v @2 :UInt8; }",
     USES "{ t @0 :T; union { u @1 :UInt8; v @2 :UInt8; } }",
     "^ A.u: the field moved into a union\n! A.v: the field moved into a union\n"
     "! A.v: it lies elsewhere in the bytes\n"},
    {"FieldsMovedOutOfAUnion", USES "{ t @0 :T; union { u @1 :Text; v @2 :Data; } }",
     USES "{ t @0 :T; u @1 :Text; v @2 :Data; }", nullptr},
    {"TypesChanged", USES "{ t @0 :T; u @1 :UInt8; v @2 :UInt8; }",
     USES "{ t @0 :T; u @1 :Int8; v @2 :Int8; }",
     "! A.u: the type changed from UInt8 to Int8\n! A.v: the type changed from UInt8 to Int8\n"},
    {"DefaultsChanged", USES "{ t @0 :T; u @1 :UInt8; v @2 :UInt8; }",
     USES "{ t @0 :T; u @1 :UInt8 = 1; v @2 :UInt8 = 1; }",
     "! A.u: the default changed from 0 to 1\n! A.v: the default changed from 0 to 1\n"},
    {"NowSensitive", USES "{ t @0 :T; u @1 :Text; v @2 :Text; }",
     USES "{ t @0 :T; u @1 :Text $Instar.sensitive; v @2 :Text $Instar.sensitive; }",
     "+ A.u: now sensitive\n+ A.v: now sensitive\n"},
    {"NoLongerSensitive", USES "{ t @0 :T; u @1 :Text $Instar.sensitive; v @2 :Text $Instar.sensitive; }",
     USES "{ t @0 :T; u @1 :Text; v @2 :Text; }",
     "+ A.u: no longer sensitive; masked as long as a version in the file has the mark\n"
     "+ A.v: no longer sensitive; masked as long as a version in the file has the mark\n"},
    {"EnumerantsAdded", R "{ a @0 :E; } " E "{ x @0; }", R "{ a @0 :E; } " E "{ x @0; y @1; z @2; }",
     "+ E.y: a new enumerant\n+ E.z: a new enumerant\n"},
    {"EnumerantsRemoved", R "{ a @0 :E; } " E "{ x @0; y @1; z @2; }", R "{ a @0 :E; } " E "{ x @0; }",
     "! E.y: the enumerant was removed\n! E.z: the enumerant was removed\n"},
    {"TypesRenamed", R "{ a @0 :A; e @1 :E; } " A "{ x @0 :Text; } " E "{ x @0; }",
     R "{ a @0 :B; e @1 :F; } struct B @0xa000000000000002 { x @0 :Text; } enum F @0xa000000000000003 { x "
       "@0; }",
     "+ B: the type was called A\n+ F: the type was called E\n"},
};
#undef USES
#undef A
#undef E
#define S "struct R @0xa000000000000001 $Instar.version(2) "
#define COPY(field) "$Instar.derived(since = 2, copy = \"" field "\")"
constexpr Rule kDerivationRules[] = {
    {"Derived", R "{ a @0 :Text; }", S "{ a @0 :Text; b @1 :Text " COPY("a") "; }",
     "+ R.b: a new field @1\n^ R.b: derived (since = 2, copy = \"a\")\n"},
    {"DerivedFromAKey", R "{ a @0 :Text $Instar.key(0); }",
     S "{ a @0 :Text $Instar.key(0); b @1 :Text " COPY("a") "; }",
     "+ R.b: a new field @1\n^ R.b: derived (since = 2, copy = \"a\")\n"},
    {"DerivedFromNothing", R "{ a @0 :Text; }",
     S "{ a @0 :Text; b @1 :Text $Instar.derived(since = 2, constant = \"x\"); }",
     "+ R.b: a new field @1\n^ R.b: derived (since = 2, constant = \"x\")\n"},
    {"DerivedFromAMirrorOfAnother", R "{ a @0 :Text; }",
     S "{ a @0 :Text $Instar.mirrored(since = 2, constant = \"x\"); b @1 :Text " COPY("a") "; }",
     "+ R.b: a new field @1\n^ R.b: derived (since = 2, copy = \"a\")\n^ R.a: mirrored (since = 2, constant "
     "= \"x\")\n"},
    {"MirrorOfAFieldThatIsNotDerived", R "{ a @0 :Text; b @1 :Text; }",
     S "{ a @0 :Text $Instar.mirrored(since = 2, copy = \"b\"); b @1 :Text; }",
     "^ R.a: mirrored (since = 2, copy = \"b\")\n"},
    {"MirrorThatBeginsBehindItsDerivation", S "{ a @0 :Text; b @1 :Text " COPY("a") "; }",
     "struct R @0xa000000000000001 $Instar.version(3) { a @0 :Text $Instar.mirrored(since = 3, copy = "
     "\"b\"); b @1 :Text " COPY("a") "; }",
     "^ R.a: mirrored (since = 3, copy = \"b\")\n"},
    {"MirrorOfTheKey", R "{ a @0 :UInt8 $Instar.key(0); b @1 :UInt8; }",
     S "{ a @0 :UInt8 $Instar.key(0); b @1 :UInt8 $Instar.mirrored(since = 2, copy = \"a\"); }",
     "^ R.b: mirrored (since = 2, copy = \"a\")\n"},
    {"EnumerantRenamedThatIsReadAsText",
     S "{ a @0 :Text; b @1 :E $Instar.derived(since = 2, convert = \"a\"); } enum E @0xa000000000000003 { x "
       "@0; }",
     S "{ a @0 :Text; b @1 :E $Instar.derived(since = 2, convert = \"a\"); } enum E @0xa000000000000003 { y "
       "@0; }",
     "! E.y: the enumerant was called x\n"},
    {"EnumerantRenamedInATable",
     S "{ a @0 :Text; b @1 :E $Instar.derived(since = 2, match = (field = \"a\", cases = [(from = \"1\", to "
       "= \"x\")])); } "
       "enum E @0xa000000000000003 { x @0; }",
     S "{ a @0 :Text; b @1 :E $Instar.derived(since = 2, match = (field = \"a\", cases = [(from = \"1\", to "
       "= \"y\")])); } "
       "enum E @0xa000000000000003 { y @0; }",
     "+ E.y: the enumerant was called x\n"},
    {"MirrorThatComesTooEarly", S "{ a @0 :Text; }",
     "struct R @0xa000000000000001 $Instar.version(3) { a @0 :Text $Instar.mirrored(since = 2, constant = "
     "\"x\"); }",
     "! R.a: mirrored (since = 2, constant = \"x\")\n"},
    {"DerivedAndMirrored", R "{ a @0 :Text; }",
     S "{ a @0 :Text $Instar.mirrored(since = 2, copy = \"b\"); b @1 :Text " COPY("a") "; }",
     "+ R.b: a new field @1\n~ R.b: derived (since = 2, copy = \"a\")\n~ R.a: mirrored (since = 2, copy = "
     "\"b\")\n"},
    {"DerivationOfAnOldField", R "{ a @0 :Text; b @1 :Text; }", S "{ a @0 :Text; b @1 :Text " COPY("a") "; }",
     "! R.b: derived (since = 2, copy = \"a\")\n"},
    {"DerivationThatComesTooEarly", S "{ a @0 :Text; }",
     "struct R @0xa000000000000001 $Instar.version(3) { a @0 :Text; b @1 :Text " COPY("a") "; }",
     "+ R.b: a new field @1\n! R.b: derived (since = 2, copy = \"a\")\n"},
    {"DerivationChanged", S "{ a @0 :Text; b @1 :Text " COPY("a") "; }",
     S "{ a @0 :Text; b @1 :Text $Instar.derived(since = 2, constant = \"x\"); }",
     "! R.b: derived in another way, (since = 2, copy = \"a\") became (since = 2, constant = \"x\")\n"},
    {"DerivationRemoved", S "{ a @0 :Text; b @1 :Text " COPY("a") "; }", S "{ a @0 :Text; b @1 :Text; }",
     "! R.b: no longer derived\n"},
    {"SourceRenamed", S "{ a @0 :Text; b @1 :Text " COPY("a") "; }",
     S "{ old @0 :Text; b @1 :Text " COPY("old") "; }", "+ R.old: the field was called a\n"},
    {"MirrorRemoved", S "{ a @0 :Text $Instar.mirrored(since = 2, copy = \"b\"); b @1 :Text; }",
     S "{ a @0 :Text; b @1 :Text; }", "^ R.a: no longer mirrored\n"},
    {"MirrorChanged", S "{ a @0 :Text $Instar.mirrored(since = 2, copy = \"b\"); b @1 :Text; c @2 :Text; }",
     S "{ a @0 :Text $Instar.mirrored(since = 2, copy = \"c\"); b @1 :Text; c @2 :Text; }",
     "! R.a: mirrored in another way, (since = 2, copy = \"b\") became (since = 2, copy = \"c\")\n"},
    {"Retired", R "{ a @0 :Text; }", S "{ a @0 :Text $Instar.retired(2); }",
     "^ R.a: retired from version 2\n"},
    {"NewAndRetiredAtOnce", R "{ b @0 :Text; }", S "{ b @0 :Text; a @1 :Text $Instar.retired(2); }",
     "+ R.a: a new field @1\n~ R.a: retired from version 2\n"},
    {"RetiredAfterRowsWereWritten", S "{ a @0 :Text; }",
     "struct R @0xa000000000000001 $Instar.version(3) { a @0 :Text $Instar.retired(2); }",
     "! R.a: retired from version 2\n"},
    {"RetirementRemoved", S "{ a @0 :Text $Instar.retired(2); }", S "{ a @0 :Text; }",
     "! R.a: no longer retired\n"},
    {"RetirementMoved", S "{ a @0 :Text $Instar.retired(2); }",
     "struct R @0xa000000000000001 $Instar.version(3) { a @0 :Text $Instar.retired(3); }",
     "! R.a: retired from version 3 instead of 2\n"},
    {"MirrorEndedByRetirement", S "{ a @0 :Text $Instar.mirrored(since = 2, copy = \"b\"); b @1 :Text; }",
     "struct R @0xa000000000000001 $Instar.version(3) { a @0 :Text $Instar.retired(3); b @1 :Text; }",
     "^ R.a: no longer mirrored\n^ R.a: retired from version 3\n"},
};
#define THIRD "struct R @0xa000000000000001 $Instar.version(3) "
#define MIRROR(field) "$Instar.mirrored(since = 2, copy = \"" field "\")"
constexpr Rule kRepeatedDerivationRules[] = {
    {"Derivations", R "{ a @0 :Text; }",
     S "{ a @0 :Text; b @1 :Text " COPY("a") "; c @2 :Text " COPY("a") "; }",
     "+ R.b: a new field @1\n+ R.c: a new field @2\n^ R.b: derived (since = 2, copy = \"a\")\n"
     "^ R.c: derived (since = 2, copy = \"a\")\n"},
    {"DerivationsRemoved", S "{ a @0 :Text; b @1 :Text " COPY("a") "; c @2 :Text " COPY("a") "; }",
     S "{ a @0 :Text; b @1 :Text; c @2 :Text; }", "! R.b: no longer derived\n! R.c: no longer derived\n"},
    {"DerivationsChanged",
     S "{ a @0 :Text; d @1 :Text; b @2 :Text " COPY("a") "; c @3 :Text " COPY("a") "; }",
     S "{ a @0 :Text; d @1 :Text; b @2 :Text " COPY("d") "; c @3 :Text " COPY("d") "; }",
     "! R.b: derived in another way, (since = 2, copy = \"a\") became (since = 2, copy = \"d\")\n"
     "! R.c: derived in another way, (since = 2, copy = \"a\") became (since = 2, copy = \"d\")\n"},
    {"Mirrors", R "{ a @0 :Text; b @1 :Text; c @2 :Text; }",
     S "{ a @0 :Text " MIRROR("c") "; b @1 :Text " MIRROR("c") "; c @2 :Text; }",
     "^ R.a: mirrored (since = 2, copy = \"c\")\n^ R.b: mirrored (since = 2, copy = \"c\")\n"},
    {"MirrorsRemoved", S "{ a @0 :Text " MIRROR("c") "; b @1 :Text " MIRROR("c") "; c @2 :Text; }",
     S "{ a @0 :Text; b @1 :Text; c @2 :Text; }", "^ R.a: no longer mirrored\n^ R.b: no longer mirrored\n"},
    {"MirrorsChanged",
     S "{ a @0 :Text " MIRROR("c") "; b @1 :Text " MIRROR("c") "; c @2 :Text; d @3 :Text; }",
     S "{ a @0 :Text " MIRROR("d") "; b @1 :Text " MIRROR("d") "; c @2 :Text; d @3 :Text; }",
     "! R.a: mirrored in another way, (since = 2, copy = \"c\") became (since = 2, copy = \"d\")\n"
     "! R.b: mirrored in another way, (since = 2, copy = \"c\") became (since = 2, copy = \"d\")\n"},
    {"Retirements", R "{ a @0 :Text; b @1 :Text; }",
     S "{ a @0 :Text $Instar.retired(2); b @1 :Text $Instar.retired(2); }",
     "^ R.a: retired from version 2\n^ R.b: retired from version 2\n"},
    {"RetirementsRemoved", S "{ a @0 :Text $Instar.retired(2); b @1 :Text $Instar.retired(2); }",
     S "{ a @0 :Text; b @1 :Text; }", "! R.a: no longer retired\n! R.b: no longer retired\n"},
    {"RetirementsMoved", S "{ a @0 :Text $Instar.retired(2); b @1 :Text $Instar.retired(2); }",
     THIRD "{ a @0 :Text $Instar.retired(3); b @1 :Text $Instar.retired(3); }",
     "! R.a: retired from version 3 instead of 2\n! R.b: retired from version 3 instead of 2\n"},
};
#undef THIRD
#undef MIRROR
#undef R
#undef S
#undef COPY

class Verdicts : public ::testing::TestWithParam<Rule> {
 protected:
  RecordSchema older_ = parseDeclarations(GetParam().older, "R");
  RecordSchema newer_ = parseDeclarations(GetParam().newer, "R");
  std::vector<Judgement> judgements_ = judge(difference(older_, newer_));
};

TEST_P(Verdicts, AreAsTheRulesSay) {
  if (GetParam().lines == nullptr) {
    EXPECT_TRUE(isRefused(judgements_)) << verdictLines(judgements_);
  } else {
    EXPECT_EQ(verdictLines(judgements_), GetParam().lines);
  }
}

TEST_P(Verdicts, NeverAllowWhatCapnProtoRefuses) {
  if (isRefused(judgements_)) return;
  EXPECT_EQ(schemaLoaderAccepts(older_, newer_), !GetParam().loaderFails);
}

TEST_P(Verdicts, GiveAReasonAndASafeWayForEachRefusal) {
  for (const auto& judgement : judgements_) {
    bool needsReason = judgement.verdict == Verdict::refused || judgement.floor != FloorEffect::none;
    EXPECT_EQ(!judgement.why.empty(), needsReason) << judgement.what;
    EXPECT_EQ(!judgement.instead.empty(), judgement.verdict == Verdict::refused) << judgement.what;
  }
}

TEST_P(Verdicts, FindNoDifferenceExactlyWhereTheMeaningIsTheSame) {
  EXPECT_EQ(judgements_.empty(), older_.fingerprint() == newer_.fingerprint());
  EXPECT_TRUE(difference(older_, older_).empty());
  EXPECT_EQ(difference(newer_, older_).empty(), judgements_.empty());
}

std::string nameOf(const ::testing::TestParamInfo<Rule>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Rules, Verdicts, ::testing::ValuesIn(kRules), nameOf);
INSTANTIATE_TEST_SUITE_P(RepeatedRules, Verdicts, ::testing::ValuesIn(kRepeatedRules), nameOf);
INSTANTIATE_TEST_SUITE_P(RepeatedDerivationRules, Verdicts, ::testing::ValuesIn(kRepeatedDerivationRules),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(DerivationRules, Verdicts, ::testing::ValuesIn(kDerivationRules), nameOf);

TEST(Difference, IgnoresTheNumberOfTheVersion) {
  auto older = parseDeclarations("struct R @0xa000000000000001 { a @0 :Text; }", "R");
  auto newer = parseDeclarations("struct R @0xa000000000000001 $Instar.version(2) { a @0 :Text; }", "R");
  EXPECT_TRUE(difference(older, newer).empty());
}

TEST(Description, TellsWhatWhyAndTheSafeWay) {
  auto older = parseDeclarations("struct R @0xa000000000000001 { a @0 :Text; tier @1 :UInt8; }", "R");
  auto newer = parseDeclarations("struct R @0xa000000000000001 { a @0 :Text; }", "R");
  EXPECT_EQ(describe(judge(difference(older, newer))),
            "R.tier: field @1 was removed; stored rows hold it, and a later field would take its place in "
            "the bytes; "
            "instead: keep it; rename it, e.g. obsoleteTier");
}

}  // namespace
}  // namespace instar::testing
