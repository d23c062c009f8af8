#include "instar/evolve/record_schema.h"

#include <capnp/message.h>
#include <capnp/schema-loader.h>
#include <gtest/gtest.h>
#include <instar_evolve_tests/everything.capnp.h>
#include <instar_evolve_tests/generics.capnp.h>
#include <instar_evolve_tests/recursive.capnp.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "instar/evolve/internal/annotations.h"
#include "instar/format/error.h"
#include "instar/tests/evolve/fixtures.h"

namespace instar::testing {
namespace {

Error errorOf(std::string_view declarations, std::string_view record = "Record") {
  try {
    parseDeclarations(declarations, record);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "accepted: " << declarations;
  return Error(ErrorCode::fixCall, "nothing was thrown");
}

TEST(Fingerprint, IsTheSameForGeneratedCodeAndForParsedText) {
  EXPECT_EQ(RecordSchema::fromStruct(capnp::Schema::from<Everything>()).fingerprint(),
            parseFixture({"everything.capnp", "Everything"}).fingerprint());
  EXPECT_EQ(RecordSchema::fromStruct(capnp::Schema::from<Generics>()).fingerprint(),
            parseFixture({"generics.capnp", "Generics"}).fingerprint());
  EXPECT_EQ(RecordSchema::fromStruct(capnp::Schema::from<Tree::Node>()).fingerprint(),
            parseFixture({"recursive.capnp", "Tree.Node"}).fingerprint());
}

TEST(Fingerprint, SurvivesStoring) {
  for (const auto& fixture : kFixtures) {
    auto schema = parseFixture(fixture);
    auto stored = RecordSchema::fromNodes(schema.nodes(), schema.rootId());
    EXPECT_EQ(stored.fingerprint(), schema.fingerprint()) << fixture.record;
    EXPECT_EQ(stored.typeName(), schema.typeName());
    EXPECT_EQ(stored.key(), schema.key());
  }
}

TEST(Fingerprint, SurvivesASchemaLoader) {
  auto schema = parseFixture({"generics.capnp", "Generics"});
  capnp::SchemaLoader loader;
  for (auto node : schema.nodes()) loader.load(node);
  auto loaded = RecordSchema::fromStruct(loader.get(schema.rootId()).asStruct());
  EXPECT_EQ(loaded.fingerprint(), schema.fingerprint());
}

TEST(Fingerprint, DoesNotDependOnCodeOrderCommentsOrForeignAnnotations) {
  auto one = parseDeclarations("struct R @0xa000000000000001 { a @0 :Text; b @1 :Bool; }", "R");
  auto two = parseDeclarations(
      "annotation mark @0xa000000000000009 (*) :Text;\n"
      "struct R @0xa000000000000001 $mark(\"x\") {\n# A comment.\n b @1 :Bool $mark(\"y\"); a @0 :Text = "
      "\"\"; }",
      "R");
  EXPECT_EQ(one.fingerprint(), two.fingerprint());
}

TEST(Fingerprint, DependsOnEverythingThatChangesTheMeaning) {
  constexpr const char* kTexts[] = {
      "struct R @0xa000000000000001 { a @0 :UInt8; e @1 :E; }  enum E @0xa000000000000002 { x @0; y @1; }",
      "struct R @0xa000000000000001 { z @0 :UInt8; e @1 :E; }  enum E @0xa000000000000002 { x @0; y @1; }",
      "struct R @0xa000000000000001 { a @0 :Int8; e @1 :E; }  enum E @0xa000000000000002 { x @0; y @1; }",
      "struct R @0xa000000000000001 { a @0 :UInt8 = 1; e @1 :E; }  enum E @0xa000000000000002 { x @0; y @1; "
      "}",
      "struct R @0xa000000000000001 { a @0 :UInt8; e @1 :E; }  enum E @0xa000000000000002 { y @0; x @1; }",
      "struct R @0xa000000000000001 { a @0 :UInt8; e @1 :E; }  enum E @0xa000000000000003 { x @0; y @1; }",
      "struct R @0xa000000000000001 { a @0 :UInt8 $Instar.key(0); e @1 :E; }  enum E @0xa000000000000002 { x "
      "@0; y @1; }",
      "struct R @0xa000000000000001 { a @0 :UInt8 $Instar.sensitive; e @1 :E; }  enum E @0xa000000000000002 "
      "{ x @0; y @1; }",
      "struct R @0xa000000000000001 { g :group { a @0 :UInt8; } e @1 :E; }  enum E @0xa000000000000002 { x "
      "@0; y @1; }",
      "struct R @0xa000000000000001 { union { a @0 :UInt8; e @1 :E; } }  enum E @0xa000000000000002 { x @0; "
      "y @1; }",
      "struct R @0xa000000000000001 $Instar.version(2) { a @0 :UInt8; e @1 :E; }  enum E @0xa000000000000002 "
      "{ x @0; y @1; }",
  };
  std::map<std::uint64_t, std::string> seen;
  for (const char* text : kTexts) {
    auto fingerprint = parseDeclarations(text, "R").fingerprint();
    EXPECT_TRUE(seen.emplace(fingerprint, text).second) << text << "\n" << seen[fingerprint];
  }
}

// Absolute paths of a developer's machine ended up in every database file.
TEST(RecordSchema, KeepsNoFolders) {
  testing::SchemaFiles files;
  files.add("home/ada/app/contact.capnp",
            "@0xc0ffee5eedf00d02;\nusing T = import \"shared/types.capnp\";\nusing U = import "
            "\"/lib/unit.capnp\";\n"
            "struct Contact { place @0 :T.Place; unit @1 :U.Unit; inner :group { x @2 :Text; } }");
  files.add("home/ada/app/shared/types.capnp", "@0xc0ffee5eedf00d03;\nstruct Place { name @0 :Text; }");
  files.add("lib/unit.capnp", "@0xc0ffee5eedf00d04;\nenum Unit { metre @0; }");
  const auto schema = RecordSchema::fromStruct(files.structNamed("home/ada/app/contact.capnp", "Contact"));
  EXPECT_EQ(schema.typeName(), "Contact");
  std::set<std::string> names;
  for (auto node : schema.nodes()) names.insert(node.getDisplayName().cStr());
  EXPECT_EQ(names, (std::set<std::string>{"contact.capnp:Contact", "contact.capnp:Contact.inner",
                                          "shared/types.capnp:Place", "unit.capnp:Unit"}));
}

TEST(RecordSchema, OutlivesWhatItWasMadeFrom) {
  auto schema = parseFixture({"everything.capnp", "Everything"});
  EXPECT_EQ(schema.typeName(), "Everything");
  EXPECT_EQ(schema.version(), 3);
  EXPECT_EQ(schema.root().getProto().getId(), schema.rootId());
  EXPECT_EQ(schema.nodes()[0].getId(), schema.rootId());
  EXPECT_TRUE(isSensitive(schema.root().getFieldByName("secret")));
  EXPECT_TRUE(isSensitive(schema.root().getFieldByName("address")));
  EXPECT_FALSE(isSensitive(schema.root().getFieldByName("text")));
}

TEST(RecordSchema, HoldsOnlyTheTypesThatTheRecordUses) {
  auto schema = parseDeclarations(
      "struct R @0xa000000000000001 { a @0 :List(A); } struct A @0xa000000000000002 { x @0 :Text; }\n"
      "struct Stranger @0xa000000000000003 { x @0 :Text; }",
      "R");
  EXPECT_EQ(schema.nodes().size(), 2U);
}

TEST(RecordSchema, KnowsWhetherRowsNestWithoutLimit) {
  EXPECT_TRUE(parseFixture({"recursive.capnp", "Tree.Node"}).isRecursive());
  EXPECT_TRUE(parseDeclarations("struct R { a @0 :AnyPointer; }", "R").isRecursive());
  EXPECT_TRUE(parseDeclarations("struct R { a @0 :B(R); } struct B(T) { t @0 :T; }", "R").isRecursive());
  EXPECT_FALSE(
      parseDeclarations("struct R { a @0 :B(B(Text)); } struct B(T) { t @0 :T; }", "R").isRecursive());
  EXPECT_FALSE(
      parseDeclarations("struct R { a @0 :A; b @1 :A; } struct A { x @0 :Text; }", "R").isRecursive());
}

TEST(RecordSchema, HasVersionOneWithoutAnAnnotation) {
  EXPECT_EQ(parseDeclarations("struct R { a @0 :Text; }", "R").version(), 1);
}

TEST(RecordSchema, RefusesVersionZero) {
  auto error = errorOf("struct Record $Instar.version(0) { a @0 :Text; }");
  EXPECT_EQ(error.code(), ErrorCode::fixSchema);
  EXPECT_EQ(error.fact("type"), "Record");
}

TEST(RecordSchema, RefusesInterfacesWhereverTheyAre) {
  constexpr const char* kTexts[] = {
      "struct Record { a @0 :I; } interface I {}",
      "struct Record { a @0 :Capability; }",
      "struct Record { a @0 :List(I); } interface I {}",
      "struct Record { a @0 :B(I); } struct B(T) { x @0 :Text; } interface I {}",
      "struct Record { g :group { a @0 :I; } } interface I {}",
      "struct Record { union { a @0 :I; c @1 :Void; } } interface I {}",
  };
  for (const char* text : kTexts) {
    auto error = errorOf(text);
    EXPECT_EQ(error.code(), ErrorCode::fixSchema) << text;
    EXPECT_EQ(error.fact("field"), "a") << text;
  }
  auto nested = errorOf("struct Record { n @0 :N; } struct N { deep @0 :I; } interface I {}");
  EXPECT_EQ(nested.fact("type"), "N");
  EXPECT_EQ(nested.fact("field"), "deep");
}

TEST(RecordSchema, RefusesAGenericRecord) {
  EXPECT_EQ(errorOf("struct Record(T) { a @0 :T; }").code(), ErrorCode::fixSchema);
  EXPECT_EQ(errorOf("struct O(T) { struct Record { a @0 :T; } }", "O.Record").code(), ErrorCode::fixSchema);
}

TEST(RecordSchema, RefusesAGenericTypeThatGrowsWithoutEnd) {
  auto error = errorOf("struct Record { a @0 :B(Text); } struct B(T) { t @0 :T; more @1 :B(B(T)); }");
  EXPECT_EQ(error.code(), ErrorCode::fixSchema);
  EXPECT_EQ(error.fact("field"), "more");
}

TEST(RecordSchema, ReportsStoredNodesThatDoNotFormASchema) {
  auto schema = parseDeclarations("struct R { a @0 :A; } struct A { x @0 :Text; }", "R");
  capnp::MallocMessageBuilder message;
  auto nodes = message.getRoot<capnp::AnyPointer>().initAs<capnp::List<capnp::schema::Node>>(1);
  nodes.setWithCaveats(0, schema.nodes()[0]);
  try {
    RecordSchema::fromNodes(nodes.asReader(), schema.rootId());
    ADD_FAILURE() << "accepted a schema that lacks a type";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::restoreFromBackup);
  }
  try {
    RecordSchema::fromNodes(schema.nodes(), 5);
    ADD_FAILURE() << "accepted a schema that lacks its record";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::restoreFromBackup);
  }
}

TEST(RecordKey, IsMadeOfTheAnnotatedFieldsInTheirOrder) {
  auto schema = parseDeclarations(
      "struct R { a @0 :UInt8; g :group { b @1 :Text = \"x\" $Instar.key(1); }\n"
      "  c @2 :UInt32 = 5 $Instar.key(0); e @3 :E = two $Instar.key(2); f @4 :Float32 = -1 $Instar.key(3); "
      "}\n"
      "enum E { one @0; two @1; }",
      "R");
  const auto& key = schema.key();
  ASSERT_EQ(key.size(), 4U);
  EXPECT_EQ(key[0], (KeyPart{.name = "c", .type = KeyType::uint32, .offset = 1, .defaultBits = 5}));
  EXPECT_EQ(key[1], (KeyPart{.name = "g.b", .type = KeyType::text, .offset = 0, .defaultBytes = "x"}));
  EXPECT_EQ(key[2], (KeyPart{.name = "e",
                             .type = KeyType::enumeration,
                             .offset = 1,
                             .defaultBits = 1,
                             .enumerants = {"one", "two"}}));
  EXPECT_EQ(key[3], (KeyPart{.name = "f", .type = KeyType::float32, .offset = 2, .defaultBits = 0xbf800000}));
}

TEST(RecordKey, HasTheBitsOfEachDefault) {
  auto schema = parseDeclarations(
      "struct R { a @0 :Bool = true $Instar.key(0); b @1 :Int8 = -1 $Instar.key(1); c @2 :Int64 = -2 "
      "$Instar.key(2);\n"
      "  d @3 :Float64 = 1 $Instar.key(3); e @4 :Data = 0x\"00 01\" $Instar.key(4); }",
      "R");
  EXPECT_EQ(schema.key()[0].defaultBits, 1U);
  EXPECT_EQ(schema.key()[1].defaultBits, 0xffU);
  EXPECT_EQ(schema.key()[2].defaultBits, 0xffff'ffff'ffff'fffeU);
  EXPECT_EQ(schema.key()[3].defaultBits, 0x3ff0'0000'0000'0000U);
  EXPECT_EQ(schema.key()[4].defaultBytes, std::string("\0\1", 2));
}

TEST(RecordKey, IgnoresTheKeyOfARecordThatIsUsedAsAField) {
  auto schema = parseDeclarations(
      "struct R { a @0 :UInt8 $Instar.key(0); other @1 :O; } struct O { id @0 :UInt8 $Instar.key(0); }", "R");
  EXPECT_EQ(schema.key().size(), 1U);
}

TEST(RecordKey, RefusesWhatCannotBeAKeyAndSaysWhere) {
  struct Case {
    const char* text;
    const char* field;
  };
  constexpr Case kCases[] = {
      {"struct Record { a @0 :List(UInt8) $Instar.key(0); }", "a"},
      {"struct Record { a @0 :Void $Instar.key(0); }", "a"},
      {"struct Record { a @0 :AnyPointer $Instar.key(0); }", "a"},
      {"struct Record { a @0 :S $Instar.key(0); } struct S { x @0 :Text; }", "a"},
      {"struct Record { g :group { a @0 :List(Text) $Instar.key(0); } }", "g.a"},
      {"struct Record { union { a @0 :UInt8 $Instar.key(0); b @1 :Void; } }", "a"},
      {"struct Record { u :union { g :group { a @0 :UInt8 $Instar.key(0); } b @1 :Void; } }", "u.g.a"},
      {"struct Record { a @0 :UInt8 $Instar.key(1); }", "a"},
      {"struct Record { a @0 :UInt8 $Instar.key(0); b @1 :UInt8 $Instar.key(2); }", "b"},
      {"struct Record { a @0 :UInt8 $Instar.key(0); b @1 :UInt8 $Instar.key(0); }", "b"},
  };
  for (const auto& [text, field] : kCases) {
    auto error = errorOf(text);
    EXPECT_EQ(error.code(), ErrorCode::fixSchema) << text;
    EXPECT_EQ(error.fact("type"), "Record") << text;
    EXPECT_EQ(error.fact("field"), field) << text;
  }
}

TEST(Annotations, HaveTheIdsThatTheSchemaFileGivesThem) {
  SchemaFiles files;
  std::ifstream stream(std::string(INSTAR_INCLUDE_ROOT) + "/instar/schema.capnp");
  std::stringstream text;
  text << stream.rdbuf();
  files.add("schema.capnp", text.str());
  auto schema = files.parse("schema.capnp");
  EXPECT_EQ(schema.getNested("version").getProto().getId(), internal::kVersionAnnotation);
  EXPECT_EQ(schema.getNested("key").getProto().getId(), internal::kKeyAnnotation);
  EXPECT_EQ(schema.getNested("sensitive").getProto().getId(), internal::kSensitiveAnnotation);
  EXPECT_EQ(schema.getNested("derived").getProto().getId(), internal::kDerivedAnnotation);
  EXPECT_EQ(schema.getNested("mirrored").getProto().getId(), internal::kMirroredAnnotation);
  EXPECT_EQ(schema.getNested("retired").getProto().getId(), internal::kRetiredAnnotation);
  EXPECT_EQ(schema.getNested("replaces").getProto().getId(), internal::kReplacesAnnotation);
  EXPECT_EQ(schema.getNested("validated").getProto().getId(), internal::kValidatedAnnotation);
  EXPECT_EQ(schema.getNested("upgraded").getProto().getId(), internal::kUpgradedAnnotation);
  EXPECT_EQ(schema.getAllNested().size(), 12U) << "an annotation was added: give it a constant";
}

}  // namespace
}  // namespace instar::testing
