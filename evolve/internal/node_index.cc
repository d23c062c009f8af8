#include "instar/evolve/internal/node_index.h"

#include <algorithm>

#include "instar/evolve/internal/annotations.h"
#include "instar/evolve/internal/literal.h"
#include "instar/format/error.h"

namespace instar::internal {
namespace {

using capnp::schema::Field;
using capnp::schema::Node;

std::string_view textOf(capnp::Text::Reader text) { return {text.cStr(), text.size()}; }

FlatField flattenSlot(Field::Reader proto, const FlatField& scope, std::string_view type) {
  auto field = scope;
  field.name = textOf(proto.getName());
  if (!proto.getOrdinal().isExplicit()) {
    throw Error(ErrorCode::fixSchema,
                "a field has no number; declare the record as a struct in a .capnp file",
                {{"type", std::string(type)}, {"field", field.path()}});
  }
  field.ordinal = proto.getOrdinal().getExplicit();
  field.proto = proto;
  auto key = findAnnotation(proto.getAnnotations(), kKeyAnnotation);
  if (key) field.keyPosition = key->getUint8();
  return field;
}

class Flattener {
 public:
  explicit Flattener(const NodeIndex& index, std::uint64_t structId) : index_(index) {
    type_ = index.shortName(structId);
    addMembers(index.get(structId), FlatField{});
    std::stable_sort(fields_.begin(), fields_.end(), [](const FlatField& left, const FlatField& right) {
      return left.ordinal < right.ordinal;
    });
  }

  std::vector<FlatField> take() { return std::move(fields_); }

 private:
  // `scope` carries what all members have in common.
  void addMembers(Node::Reader node, const FlatField& scope) {
    for (auto proto : node.getStruct().getFields()) {
      auto member = scope;
      if (proto.getDiscriminantValue() != Field::NO_DISCRIMINANT) {
        member.unions.push_back({node.getStruct().getDiscriminantOffset(), proto.getDiscriminantValue()});
      }
      if (findAnnotation(proto.getAnnotations(), kSensitiveAnnotation)) member.sensitive = true;
      if (proto.isGroup()) {
        addGroup(proto, std::move(member));
      } else {
        fields_.push_back(flattenSlot(proto, member, type_));
      }
    }
  }

  void addGroup(Field::Reader proto, FlatField scope) {
    auto name = std::string(textOf(proto.getName()));
    scope.group = scope.group.empty() ? name : scope.group + "." + name;
    scope.groupIds.push_back(proto.getGroup().getTypeId());
    if (scope.groupIds.size() > kMaxGroupDepth) {
      throw Error(
          ErrorCode::fixSchema,
          "groups are nested too deeply; declare the inner ones as structs of their own",
          {{"type", std::string(type_)}, {"group", scope.group}, {"limit", std::to_string(kMaxGroupDepth)}});
    }
    addMembers(index_.get(proto.getGroup().getTypeId()), scope);
  }

  const NodeIndex& index_;
  std::string_view type_;
  std::vector<FlatField> fields_;
};

}  // namespace

NodeIndex::NodeIndex(NodeList nodes) {
  for (auto node : nodes) nodes_.emplace(node.getId(), node);
  for (const auto& [id, node] : nodes_) {
    if (!node.isStruct()) continue;
    for (auto field : node.getStruct().getFields()) {
      if (field.isSlot()) countParameters(field.getSlot().getType());
    }
  }
  for (const auto& [id, node] : nodes_) {
    if (node.getParameters().size() > 0)
      parameterCounts_[id] = static_cast<std::uint16_t>(node.getParameters().size());
  }
}

Node::Reader NodeIndex::get(std::uint64_t id) const {
  auto found = nodes_.find(id);
  if (found == nodes_.end()) {
    throw Error(ErrorCode::restoreFromBackup,
                "a stored schema lacks one of its types; restore the file from a backup",
                {{"type", "0x" + hexadecimal(id)}});
  }
  return found->second;
}

std::string_view NodeIndex::shortName(std::uint64_t id) const {
  auto found = nodes_.find(id);
  if (found == nodes_.end()) return {};
  auto name = textOf(found->second.getDisplayName());
  return name.substr(std::min<std::size_t>(found->second.getDisplayNamePrefixLength(), name.size()));
}

std::uint16_t NodeIndex::parameterCount(std::uint64_t scopeId) const {
  auto found = parameterCounts_.find(scopeId);
  return found == parameterCounts_.end() ? std::uint16_t{0} : found->second;
}

std::string NodeIndex::parameterName(std::uint64_t scopeId, std::uint16_t position) const {
  auto found = nodes_.find(scopeId);
  if (found != nodes_.end() && position < found->second.getParameters().size()) {
    return std::string(textOf(found->second.getParameters()[position].getName()));
  }
  return "P" + hexadecimal(scopeId) + "N" + std::to_string(position);
}

void NodeIndex::raiseParameterCount(std::uint64_t scopeId, std::size_t count) {
  auto& known = parameterCounts_[scopeId];
  known = std::max(known, static_cast<std::uint16_t>(count));
}

void NodeIndex::countParameters(capnp::schema::Type::Reader type) {
  if (type.isList()) {
    countParameters(type.getList().getElementType());
  } else if (type.isStruct()) {
    countParameters(type.getStruct().getBrand());
  } else if (type.isEnum()) {
    countParameters(type.getEnum().getBrand());
  } else if (type.isAnyPointer() && type.getAnyPointer().isParameter()) {
    auto parameter = type.getAnyPointer().getParameter();
    raiseParameterCount(parameter.getScopeId(), std::size_t{parameter.getParameterIndex()} + 1);
  }
}

void NodeIndex::countParameters(capnp::schema::Brand::Reader brand) {
  for (auto scope : brand.getScopes()) {
    if (!scope.isBind()) continue;
    raiseParameterCount(scope.getScopeId(), scope.getBind().size());
    for (auto binding : scope.getBind()) {
      if (binding.isType()) countParameters(binding.getType());
    }
  }
}

std::vector<FlatField> flattenFields(const NodeIndex& index, std::uint64_t structId) {
  return Flattener(index, structId).take();
}

}  // namespace instar::internal
