#include "instar/evolve/internal/closure.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "instar/evolve/internal/type_ref.h"
#include "instar/format/error.h"

namespace instar::internal {
namespace {

// A type whose arguments are nested more deeply than this is one that grows without end.
constexpr unsigned kMaxTypeNesting = 32;

// 1. Take a struct off the list of those that are still to be looked at, in its generic form.
// 2. For each field add its type; a struct that is new goes on the list.
// 3. The arguments of a generic type are types of their own, so they are added as well.
class TypeCollector {
 public:
  explicit TypeCollector(capnp::StructSchema root) {
    add(root);
    while (!pending_.empty()) {
      current_ = pending_.back();
      pending_.pop_back();
      for (auto field : current_.getFields()) addField(field);
    }
  }

  std::map<std::uint64_t, capnp::Schema> take() { return std::move(types_); }

 private:
  void add(capnp::StructSchema type) {
    auto generic = type.getGeneric().asStruct();
    if (types_.emplace(generic.getProto().getId(), generic).second) pending_.push_back(generic);
  }

  void addField(capnp::StructSchema::Field field) {
    field_ = field.getProto().getName().cStr();
    if (field.getProto().isGroup()) {
      add(field.getType().asStruct());
    } else {
      addType(field.getType(), field.getProto().getSlot().getType());
    }
  }

  void addType(capnp::Type type, capnp::schema::Type::Reader proto) {
    if (proto.isList()) {
      addType(type.asList().getElementType(), proto.getList().getElementType());
    } else if (proto.isEnum()) {
      types_.emplace(type.asEnum().getProto().getId(), type.asEnum().getGeneric());
    } else if (proto.isStruct()) {
      add(type.asStruct());
      addArguments(type.asStruct(), proto.getStruct().getBrand());
    } else if (proto.isInterface() || isCapability(proto)) {
      throw Error(ErrorCode::fixSchema, "a record cannot hold an interface; remove the field",
                  {{"type", current_.getShortDisplayName().cStr()}, {"field", field_}});
    }
  }

  void addArguments(capnp::StructSchema type, capnp::schema::Brand::Reader brand) {
    for (auto scope : brand.getScopes()) {
      if (!scope.isBind()) continue;
      auto arguments = type.getBrandArgumentsAtScope(scope.getScopeId());
      auto bindings = scope.getBind();
      for (unsigned position = 0; position < bindings.size(); ++position) {
        if (bindings[position].isType()) addType(arguments[position], bindings[position].getType());
      }
    }
  }

  static bool isCapability(capnp::schema::Type::Reader type) {
    return type.isAnyPointer() && type.getAnyPointer().isUnconstrained() &&
           type.getAnyPointer().getUnconstrained().isCapability();
  }

  std::map<std::uint64_t, capnp::Schema> types_;
  std::vector<capnp::StructSchema> pending_;
  capnp::StructSchema current_;
  std::string field_;
};

void checkReference(const NodeIndex& index, const TypeRef& type) {
  for (const auto& element : type.element) checkReference(index, element);
  for (const auto& scope : type.brand) {
    for (const auto& argument : scope.arguments) checkReference(index, argument);
  }
  bool fits = type.kind == capnp::schema::Type::STRUCT ? index.get(type.id).isStruct()
              : type.kind == capnp::schema::Type::ENUM ? index.get(type.id).isEnum()
                                                       : type.kind != capnp::schema::Type::INTERFACE;
  if (!fits) {
    throw Error(ErrorCode::restoreFromBackup,
                "a stored schema is inconsistent; restore the file from a backup",
                {{"type", std::string(index.shortName(type.id))}});
  }
}

// Depth first through every type with its arguments.
class NestingWalk {
 public:
  explicit NestingWalk(const NodeIndex& index) : index_(index) {}

  bool nestsWithoutLimit(std::uint64_t structId, const Brand& brand) {
    auto type = std::to_string(structId) + brandSignature(brand);
    if (open_.contains(type)) return true;
    if (!seen_.insert(type).second) return false;
    open_.insert(type);
    bool unlimited = false;
    for (const auto& field : flattenFields(index_, structId)) {
      unlimited |= visit(resolveType(field.proto.getSlot().getType(), index_, &brand), structId, field);
    }
    open_.erase(type);
    return unlimited;
  }

 private:
  bool visit(const TypeRef& type, std::uint64_t structId, const FlatField& field) {
    if (nestingDepth(type) > kMaxTypeNesting) {
      throw Error(ErrorCode::fixSchema,
                  "a generic type contains itself with ever larger arguments; give it fixed ones",
                  {{"type", std::string(index_.shortName(structId))}, {"field", field.path()}});
    }
    if (type.kind == capnp::schema::Type::LIST) return visit(type.element.front(), structId, field);
    if (type.kind == capnp::schema::Type::STRUCT) return nestsWithoutLimit(type.id, type.brand);
    return type.kind == capnp::schema::Type::ANY_POINTER;
  }

  const NodeIndex& index_;
  std::set<std::string> seen_;
  std::set<std::string> open_;
};

}  // namespace

std::map<std::uint64_t, capnp::Schema> collectTypes(capnp::StructSchema root) {
  return TypeCollector(root).take();
}

void checkReferences(const NodeIndex& index, std::uint64_t rootId) {
  TypeRef root;
  root.kind = capnp::schema::Type::STRUCT;
  root.id = rootId;
  checkReference(index, root);
  for (const auto& [id, node] : index.nodes()) {
    if (!node.isStruct() || node.getStruct().getIsGroup()) continue;
    for (const auto& field : flattenFields(index, id)) {
      checkReference(index, resolveType(field.proto.getSlot().getType(), index, nullptr));
    }
  }
}

bool nestsWithoutLimit(const NodeIndex& index, std::uint64_t rootId) {
  return NestingWalk(index).nestsWithoutLimit(rootId, {});
}

}  // namespace instar::internal
