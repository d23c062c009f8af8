#include "instar/evolve/internal/node_check.h"

#include <capnp/dynamic.h>

#include <map>
#include <set>

#include "instar/evolve/internal/literal.h"
#include "instar/format/error.h"

namespace instar::internal {
namespace {

using capnp::schema::Node;

bool holdsPointers(capnp::Type type) {
  return type.isStruct() || type.isList() || type.isText() || type.isData();
}

// What is read at once cannot fail later; what an AnyPointer leads to has a type of its own, and is checked
// by who knows it.
void readAll(const capnp::DynamicValue::Reader& value) {
  if (value.getType() == capnp::DynamicValue::STRUCT) {
    const auto record = value.as<capnp::DynamicStruct>();
    if (record.getSchema().getUnionFields().size() > 0 && record.which() == nullptr) {
      throw Error(ErrorCode::restoreFromBackup,
                  "a stored schema is inconsistent; restore the file from a backup",
                  {{"reason", "it has something of an unknown kind"}});
    }
    for (const auto field : record.getSchema().getFields()) {
      if (holdsPointers(field.getType()) && record.has(field)) readAll(record.get(field));
    }
  } else if (value.getType() == capnp::DynamicValue::LIST) {
    const auto list = value.as<capnp::DynamicList>();
    if (!holdsPointers(list.getSchema().getElementType())) return;
    for (const auto element : list) readAll(element);
  }
}

[[noreturn]] void refuse(std::uint64_t id, const char* reason) {
  throw Error(ErrorCode::restoreFromBackup, "a stored schema is inconsistent; restore the file from a backup",
              {{"type", "0x" + hexadecimal(id)}, {"reason", reason}});
}

// The short name is what lies behind that many bytes of the long one, wherever that is.
void checkNames(const NodeIndex& index) {
  for (const auto& [id, node] : index.nodes()) {
    if (node.getDisplayNamePrefixLength() > node.getDisplayName().size())
      refuse(id, "its short name begins behind its name");
  }
}

// Follows what leads from a node to what it stands in, and remembers what has an end: no step is taken twice.
class NestingCheck {
 public:
  explicit NestingCheck(const NodeIndex& index) : index_(index) {}

  void run() {
    for (const auto& [id, node] : index_.nodes()) {
      checkScopes(id);
      if (node.isStruct()) noteGroupsOf(id, node);
    }
    for (const auto& group : parents_) checkGroup(group.first);
  }

 private:
  void checkScopes(std::uint64_t start) {
    std::set<std::uint64_t> seen;
    for (std::uint64_t id = start; index_.contains(id) && !ending_.contains(id);
         id = index_.get(id).getScopeId()) {
      if (!seen.insert(id).second) refuse(start, "it is declared inside of itself");
    }
    ending_.merge(seen);
  }

  void noteGroupsOf(std::uint64_t id, Node::Reader node) {
    for (const auto field : node.getStruct().getFields()) {
      if (!field.isGroup()) continue;
      const std::uint64_t group = field.getGroup().getTypeId();
      if (group == id) refuse(id, "it is a group of itself");
      if (!index_.get(group).isStruct()) refuse(group, "a group is not a struct");
      if (!parents_.emplace(group, id).second) refuse(group, "it is the group of two fields");
    }
  }

  void checkGroup(std::uint64_t group) const {
    std::size_t depth = 0;
    for (auto outer = parents_.find(group); outer != parents_.end(); outer = parents_.find(outer->second)) {
      if (outer->second == group) refuse(group, "it is a group of itself");
      if (++depth > kMaxGroupDepth) refuse(group, "it is a group in too many groups");
    }
  }

  const NodeIndex& index_;
  std::set<std::uint64_t> ending_;                  // whose scopes have an end
  std::map<std::uint64_t, std::uint64_t> parents_;  // of each group, what has it
};

}  // namespace

NodeIndex checkNodes(NodeList nodes) {
  for (const auto node : nodes) readAll(capnp::DynamicStruct::Reader(node));
  NodeIndex index(nodes);
  checkNames(index);
  NestingCheck(index).run();
  return index;
}

}  // namespace instar::internal
