#include "instar/evolve/internal/type_ref.h"

#include <algorithm>
#include <array>

#include "instar/evolve/internal/node_index.h"

namespace instar::internal {
namespace {

using capnp::schema::Type;

bool isPlainAnyPointer(const TypeRef& type) {
  return type.kind == Type::ANY_POINTER && type.any == AnyKind::pointer;
}

// Restores the invariants of Brand.
Brand canonical(Brand brand) {
  for (auto& scope : brand) {
    while (!scope.arguments.empty() && isPlainAnyPointer(scope.arguments.back())) scope.arguments.pop_back();
  }
  std::erase_if(brand, [](const BrandScope& scope) { return scope.arguments.empty(); });
  std::sort(brand.begin(), brand.end(),
            [](const BrandScope& left, const BrandScope& right) { return left.scopeId < right.scopeId; });
  return brand;
}

const BrandScope* findScope(const Brand& brand, std::uint64_t scopeId) {
  for (const auto& scope : brand) {
    if (scope.scopeId == scopeId) return &scope;
  }
  return nullptr;
}

TypeRef parameterOf(std::uint64_t scopeId, std::uint16_t position) {
  TypeRef type;
  type.any = AnyKind::parameter;
  type.id = scopeId;
  type.parameter = position;
  return type;
}

TypeRef lookUpParameter(std::uint64_t scopeId, std::uint16_t position, const Brand* environment) {
  if (environment == nullptr) return parameterOf(scopeId, position);
  const auto* scope = findScope(*environment, scopeId);
  return scope != nullptr && position < scope->arguments.size() ? scope->arguments[position] : TypeRef{};
}

// What a scope hands on that is named without arguments from within itself.
std::vector<TypeRef> inheritedArguments(std::uint64_t scopeId, const NodeIndex& index,
                                        const Brand* environment) {
  std::vector<TypeRef> arguments;
  for (std::uint16_t position = 0; position < index.parameterCount(scopeId); ++position) {
    arguments.push_back(lookUpParameter(scopeId, position, environment));
  }
  return arguments;
}

Brand resolveBrand(capnp::schema::Brand::Reader proto, const NodeIndex& index, const Brand* environment) {
  Brand brand;
  for (auto scope : proto.getScopes()) {
    auto& resolved = brand.emplace_back();
    resolved.scopeId = scope.getScopeId();
    if (scope.isInherit()) {
      resolved.arguments = inheritedArguments(resolved.scopeId, index, environment);
    } else {
      for (auto binding : scope.getBind()) {
        resolved.arguments.push_back(binding.isType() ? resolveType(binding.getType(), index, environment)
                                                      : TypeRef{});
      }
    }
  }
  return canonical(std::move(brand));
}

TypeRef resolveAnyPointer(Type::AnyPointer::Reader proto, const Brand* environment) {
  TypeRef type;
  if (proto.isParameter()) {
    auto parameter = proto.getParameter();
    return lookUpParameter(parameter.getScopeId(), parameter.getParameterIndex(), environment);
  }
  if (proto.isUnconstrained()) {
    auto kind = proto.getUnconstrained();
    if (kind.isStruct()) type.any = AnyKind::structure;
    if (kind.isList()) type.any = AnyKind::list;
    if (kind.isCapability()) type.any = AnyKind::capability;
  }
  return type;
}

constexpr std::array kBuiltInNames = {"Void",   "Bool",   "Int8",   "Int16",   "Int32",   "Int64", "UInt8",
                                      "UInt16", "UInt32", "UInt64", "Float32", "Float64", "Text",  "Data"};

std::string anyPointerText(const TypeRef& type, const NodeIndex& index) {
  switch (type.any) {
    case AnyKind::pointer:
      return "AnyPointer";
    case AnyKind::structure:
      return "AnyStruct";
    case AnyKind::list:
      return "AnyList";
    case AnyKind::capability:
      return "Capability";
    case AnyKind::parameter:
      return index.parameterName(type.id, type.parameter);
  }
  return {};
}

std::string argumentsText(const Brand& brand, const NodeIndex& index) {
  std::string text;
  for (const auto& scope : brand) {
    for (const auto& argument : scope.arguments)
      text += (text.empty() ? "" : ", ") + typeText(argument, index);
  }
  return text.empty() ? text : "(" + text + ")";
}

}  // namespace

bool operator==(const TypeRef& left, const TypeRef& right) {
  return left.kind == right.kind && left.any == right.any && left.id == right.id &&
         left.parameter == right.parameter && left.element == right.element && left.brand == right.brand;
}

bool operator==(const BrandScope& left, const BrandScope& right) {
  return left.scopeId == right.scopeId && left.arguments == right.arguments;
}

TypeRef resolveType(Type::Reader proto, const NodeIndex& index, const Brand* environment) {
  if (proto.isAnyPointer()) return resolveAnyPointer(proto.getAnyPointer(), environment);
  TypeRef type;
  type.kind = proto.which();
  if (proto.isList()) {
    type.element.push_back(resolveType(proto.getList().getElementType(), index, environment));
  } else if (proto.isEnum()) {
    type.id = proto.getEnum().getTypeId();  // an enum has no use for the parameters around it
  } else if (proto.isStruct()) {
    type.id = proto.getStruct().getTypeId();
    type.brand = resolveBrand(proto.getStruct().getBrand(), index, environment);
  } else if (proto.isInterface()) {
    type.id = proto.getInterface().getTypeId();
  }
  return type;
}

const char* builtInTypeName(Type::Which kind) { return kBuiltInNames.at(kind); }

std::string typeText(const TypeRef& type, const NodeIndex& index) {
  switch (type.kind) {
    case Type::LIST:
      return "List(" + typeText(type.element.front(), index) + ")";
    case Type::ENUM:
    case Type::STRUCT:
    case Type::INTERFACE:
      return std::string(index.shortName(type.id)) + argumentsText(type.brand, index);
    case Type::ANY_POINTER:
      return anyPointerText(type, index);
    default:
      return builtInTypeName(type.kind);
  }
}

std::string typeSignature(const TypeRef& type) {
  std::string text = std::to_string(type.kind);
  if (type.kind == Type::ANY_POINTER) text += "/" + std::to_string(static_cast<unsigned>(type.any));
  if (type.id != 0) text += "#" + std::to_string(type.id);
  if (type.any == AnyKind::parameter) text += "." + std::to_string(type.parameter);
  for (const auto& element : type.element) text += "(" + typeSignature(element) + ")";
  return text + brandSignature(type.brand);
}

std::string brandSignature(const Brand& brand) {
  std::string text;
  for (const auto& scope : brand) {
    text += "<" + std::to_string(scope.scopeId) + ":";
    for (const auto& argument : scope.arguments) text += typeSignature(argument) + ",";
    text += ">";
  }
  return text;
}

bool isPointerType(const TypeRef& type) noexcept {
  return (type.kind >= Type::TEXT && type.kind <= Type::LIST) || type.kind >= Type::STRUCT;
}

unsigned nestingDepth(const TypeRef& type) {
  unsigned deepest = 0;
  for (const auto& element : type.element) deepest = std::max(deepest, nestingDepth(element));
  for (const auto& scope : type.brand) {
    for (const auto& argument : scope.arguments) deepest = std::max(deepest, nestingDepth(argument));
  }
  return deepest + 1;
}

}  // namespace instar::internal
