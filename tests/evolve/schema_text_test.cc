#include "instar/evolve/schema_text.h"

#include <gtest/gtest.h>

#include "instar/evolve/difference.h"
#include "instar/evolve/verdict.h"
#include "instar/tests/evolve/fixtures.h"

namespace instar::testing {
namespace {

// Finds the record again by its id, wherever in the text it is nested.
capnp::ParsedSchema findType(capnp::ParsedSchema scope, std::uint64_t id, bool& found) {
  for (auto nested : scope.getAllNested()) {
    if (nested.getProto().getId() == id) {
      found = true;
      return nested;
    }
    auto inner = findType(nested, id, found);
    if (found) return inner;
  }
  return scope;
}

RecordSchema parseAgain(const std::string& text, std::uint64_t id) {
  SchemaFiles files;
  files.add("again.capnp", text);
  bool found = false;
  auto type = findType(files.parse("again.capnp"), id, found);
  EXPECT_TRUE(found) << text;
  return RecordSchema::fromStruct(type.asStruct());
}

class SchemaText : public ::testing::TestWithParam<Fixture> {};

TEST_P(SchemaText, MeansTheSameWhenParsedAgain) {
  auto schema = parseFixture(GetParam());
  auto text = schemaText(schema);
  auto again = parseAgain(text, schema.rootId());
  EXPECT_EQ(again.fingerprint(), schema.fingerprint()) << text << describe(judge(difference(schema, again)));
  EXPECT_EQ(again.key(), schema.key());
  EXPECT_EQ(again.version(), schema.version());
}

TEST_P(SchemaText, IsTheSameForItsOwnText) {
  auto schema = parseFixture(GetParam());
  auto text = schemaText(parseAgain(schemaText(schema), schema.rootId()));
  EXPECT_EQ(schemaText(parseAgain(text, schema.rootId())), text);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, SchemaText, ::testing::ValuesIn(kFixtures));

TEST(SchemaTextForm, ReadsAsAPersonWouldWriteIt) {
  auto schema = parseDeclarations(R"(
    struct Contact @0xa000000000000001 $Instar.version(2) {
      name @1 :Text;
      id @0 :UInt64 $Instar.key(0);
      phones @2 :List(Phone) = [(number = "1")];
      union { none @3 :Void; mail @4 :Text $Instar.sensitive; }
      struct Phone @0xa000000000000002 { number @0 :Text; kind @1 :Kind = work; }
      enum Kind @0xa000000000000003 { home @0; work @1; }
    })",
                                  "Contact");
  EXPECT_EQ(schemaText(schema), R"(@0xc0ffee5eedf00d01;
using Instar = import "/instar/schema.capnp";

struct Contact @0xa000000000000001 $Instar.version(2) {
  name @1 :Text;
  id @0 :UInt64 $Instar.key(0);
  phones @2 :List(Phone) = [(number = "1")];
  union {
    none @3 :Void;
    mail @4 :Text $Instar.sensitive;
  }
  struct Phone @0xa000000000000002 {
    number @0 :Text;
    kind @1 :Kind = work;
  }
  enum Kind @0xa000000000000003 {
    home @0;
    work @1;
  }
}
)");
}

TEST(SchemaTextForm, ImportsTheAnnotationsOnlyWhereTheyStand) {
  auto schema = parseDeclarations("struct Plain @0xa000000000000001 { name @0 :Text; }", "Plain");
  EXPECT_EQ(schemaText(schema).find("import"), std::string::npos);
}

TEST(SchemaTextForm, KeepsTextThatIsNotUtf8) {
  auto schema = parseDeclarations(R"(struct Odd @0xa000000000000001 { name @0 :Text = "\xff\x01"; })", "Odd");
  EXPECT_NE(schemaText(schema).find(R"("\xff\x01")"), std::string::npos);
  EXPECT_EQ(parseAgain(schemaText(schema), schema.rootId()).fingerprint(), schema.fingerprint());
}

}  // namespace
}  // namespace instar::testing
