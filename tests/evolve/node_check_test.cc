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

}  // namespace
}  // namespace instar::testing
