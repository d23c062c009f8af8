#include "instar/evolve/internal/node_check.h"

#include <capnp/dynamic.h>

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

class CycleCheck {
 public:
  explicit CycleCheck(NodeList nodes) : index_(nodes) {}

  void run() const {
    for (const auto& [id, node] : index_.nodes()) {
      checkScopes(id);
      std::set<std::uint64_t> open;
      if (node.isStruct()) checkGroups(id, open);
    }
  }

 private:
  [[noreturn]] void refuse(std::uint64_t id, const char* reason) const {
    throw Error(ErrorCode::restoreFromBackup,
                "a stored schema is inconsistent; restore the file from a backup",
                {{"type", "0x" + hexadecimal(id)}, {"reason", reason}});
  }

  void checkScopes(std::uint64_t start) const {
    std::set<std::uint64_t> seen;
    for (std::uint64_t id = start; index_.contains(id); id = index_.get(id).getScopeId()) {
      if (!seen.insert(id).second) refuse(start, "it is declared inside of itself");
    }
  }

  void checkGroups(std::uint64_t id, std::set<std::uint64_t>& open) const {
    if (!open.insert(id).second) refuse(id, "it is a group of itself");
    const Node::Reader node = index_.get(id);
    if (!node.isStruct()) refuse(id, "a group is not a struct");
    for (const auto field : node.getStruct().getFields()) {
      if (field.isGroup()) checkGroups(field.getGroup().getTypeId(), open);
    }
    open.erase(id);
  }

  const NodeIndex index_;
};

}  // namespace

void checkNodes(NodeList nodes) {
  for (const auto node : nodes) readAll(capnp::DynamicStruct::Reader(node));
  CycleCheck(nodes).run();
}

}  // namespace instar::internal
