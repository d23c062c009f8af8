// What a file may have in place of a schema. Each of these was once taken for one.

#include "instar/evolve/internal/node_check.h"

#include <capnp/message.h>

#include <functional>

#include "instar/evolve/schema_text.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using capnp::schema::Node;
using NodeList = capnp::List<Node>;

const RecordSchema& sound() {
  static const RecordSchema schema = parseDeclarations(
      R"(struct Record @0xa1a2a3a4a5a6a7a8 {
           name @0 :Text;
           inner @1 :Inner;
           address :group { city @2 :Text; }
           struct Inner @0xb1b2b3b4b5b6b7b8 { count @0 :UInt8; }
         })",
      "Record");
  return schema;
}

constexpr std::uint64_t kRecord = 0xa1a2a3a4a5a6a7a8;
constexpr std::uint64_t kInner = 0xb1b2b3b4b5b6b7b8;

Node::Builder nodeOf(NodeList::Builder nodes, std::uint64_t id) {
  for (auto node : nodes) {
    if (node.getId() == id) return node;
  }
  throw std::runtime_error("there is no such node");
}

// The nodes of the sound schema with something changed, as fromNodes() takes them from a file.
RecordSchema changed(const std::function<void(NodeList::Builder nodes)>& change) {
  capnp::MallocMessageBuilder message;
  message.initRoot<capnp::AnyPointer>().setAs<NodeList>(sound().nodes());
  const auto nodes = message.getRoot<capnp::AnyPointer>().getAs<NodeList>();
  change(nodes);
  return RecordSchema::fromNodes(nodes.asReader(), kRecord);
}

capnp::schema::Field::Builder groupOf(NodeList::Builder nodes) {
  for (auto field : nodeOf(nodes, kRecord).getStruct().getFields()) {
    if (field.isGroup()) return field;
  }
  throw std::runtime_error("there is no group");
}

TEST(NodeCheck, LeavesASoundSchemaAlone) {
  EXPECT_EQ(changed([](NodeList::Builder) {}).fingerprint(), sound().fingerprint());
}

// A group that was its own member was followed until the stack was used up.
TEST(NodeCheck, RefusesAGroupOfItself) {
  EXPECT_ERROR(changed([](NodeList::Builder nodes) { groupOf(nodes).getGroup().setTypeId(kRecord); }),
               restoreFromBackup, "group of itself");
}

// With so many more groups, each of whose fields lead to the next one; the record's field to the first.
RecordSchema withGroups(unsigned count, unsigned fieldsOfEach) {
  constexpr std::uint64_t kFirst = 0xc000'0000'0000'0000;
  capnp::MallocMessageBuilder message;
  const auto stored = sound().nodes();
  auto nodes = message.initRoot<capnp::AnyPointer>().initAs<NodeList>(stored.size() + count);
  for (unsigned i = 0; i < stored.size(); ++i) nodes.setWithCaveats(i, stored[i]);
  for (unsigned i = 0; i < count; ++i) {
    auto node = nodes[stored.size() + i];
    node.setId(kFirst + i);
    node.setScopeId(kRecord);
    auto group = node.initStruct();
    group.setIsGroup(true);
    if (i + 1 == count) continue;
    for (auto field : group.initFields(fieldsOfEach)) field.initGroup().setTypeId(kFirst + i + 1);
  }
  groupOf(nodes).getGroup().setTypeId(kFirst);
  capnp::ReaderOptions options;
  options.traversalLimitInWords = std::uint64_t{1} << 30;
  capnp::SegmentArrayMessageReader reader(message.getSegmentsForOutput(), options);
  return RecordSchema::fromNodes(reader.getRoot<capnp::AnyPointer>().getAs<NodeList>(), kRecord);
}

// Each way through the groups was followed: forty of them in a row, with two fields that lead to the next,
// took for ever.
TEST(NodeCheck, RefusesAGroupOfTwoFields) {
  EXPECT_ERROR(withGroups(40, 2), restoreFromBackup, "group of two fields");
}

// A long chain of groups used up the stack.
TEST(NodeCheck, RefusesGroupsThatAreNestedTooDeeply) {
  EXPECT_ERROR(withGroups(65, 1), restoreFromBackup, "too many groups");
  EXPECT_ERROR(withGroups(100'000, 1), restoreFromBackup, "too many groups");
}

// What a file may not have must not get there.
TEST(NodeCheck, NoMoreGroupsAreDeclaredThanAreReadAgain) {
  const auto declared = [](int groups) {
    std::string fields = "x @0 :Text;";
    for (int i = 0; i < groups; ++i) fields = "g" + std::to_string(i) + " :group { " + fields + " }";
    return parseDeclarations("struct Record @0xa1a2a3a4a5a6a7a8 { " + fields + " }", "Record");
  };
  const RecordSchema deepest = declared(64);
  EXPECT_EQ(RecordSchema::fromNodes(deepest.nodes(), kRecord).fingerprint(), deepest.fingerprint());
  EXPECT_ERROR(declared(65), fixSchema, "nested too deeply");
}

TEST(NodeCheck, RefusesAGroupThatIsNoStructOrIsNotThere) {
  EXPECT_ERROR(changed([](NodeList::Builder nodes) {
                 const auto group = groupOf(nodes).getGroup().getTypeId();
                 nodeOf(nodes, group).initEnum();
               }),
               restoreFromBackup, "not a struct");
  EXPECT_ERROR(changed([](NodeList::Builder nodes) { groupOf(nodes).getGroup().setTypeId(1); }),
               restoreFromBackup, "lacks one of its types");
}

// Types that were declared inside of each other were followed outwards until the stack was used up, when the
// schema was printed.
TEST(NodeCheck, RefusesATypeThatIsDeclaredInsideOfItself) {
  EXPECT_ERROR(changed([](NodeList::Builder nodes) { nodeOf(nodes, kRecord).setScopeId(kInner); }),
               restoreFromBackup, "declared inside of itself");
}

// A struct stood where a list belongs. What does not look at nested nodes took the schema, and printing it
// ended in an exception that is no Error.
TEST(NodeCheck, RefusesAPointerOfAnotherKind) {
  constexpr unsigned kNestedNodes = 1;  // number of the pointer
  EXPECT_ERROR(changed([](NodeList::Builder nodes) {
                 auto node = capnp::toAny(nodeOf(nodes, kInner));
                 node.getPointerSection()[kNestedNodes].initAsAnyStruct(1, 0);
               }),
               restoreFromBackup, "cannot be read");
}

// A field was neither a slot nor a group, and asking for its type ended the program's patience with an
// exception of Cap'n Proto's that speaks of unreachable code.
TEST(NodeCheck, RefusesAFieldOfAnUnknownKind) {
  constexpr unsigned kWhich = 8;  // the number of the union's active member, in bytes from the beginning
  EXPECT_ERROR(changed([](NodeList::Builder nodes) {
                 auto field = capnp::toAny(nodeOf(nodes, kInner).getStruct().getFields()[0]);
                 field.getDataSection()[kWhich] = 7;
               }),
               restoreFromBackup, "unknown kind");
}

// The short name of a type, which errors show, was read far behind the end of its name.
TEST(NodeCheck, RefusesAShortNameThatBeginsBehindTheName) {
  const auto withPrefix = [](std::uint32_t beyond) {
    return changed([&](NodeList::Builder nodes) {
      auto node = nodeOf(nodes, kInner);
      node.setDisplayNamePrefixLength(static_cast<std::uint32_t>(node.getDisplayName().size()) + beyond);
    });
  };
  EXPECT_NO_THROW(withPrefix(0));
  EXPECT_ERROR(withPrefix(1), restoreFromBackup, "behind its name");
  EXPECT_ERROR(withPrefix(0x4000'0000), restoreFromBackup, "behind its name");
}

}  // namespace
}  // namespace instar::testing
