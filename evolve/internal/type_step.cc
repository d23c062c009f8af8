#include "instar/evolve/internal/type_step.h"

#include "instar/evolve/internal/canonical.h"

namespace instar::internal {
namespace {

using capnp::schema::Type;

bool isByteList(const TypeRef& type) {
  return type.kind == Type::LIST &&
         (type.element.front().kind == Type::UINT8 || type.element.front().kind == Type::INT8);
}

bool widens(const TypeRef& older, const TypeRef& newer) {
  if (isByteList(older) && newer.kind == Type::DATA) return true;
  if (newer.kind != Type::ANY_POINTER || !isPointerType(older)) return false;
  if (newer.any == AnyKind::pointer) return true;
  if (newer.any == AnyKind::structure) return older.kind == Type::STRUCT;
  return newer.any == AnyKind::list && older.kind == Type::LIST;
}

// Whether field @0 of the struct reads an element of a list of `element` as it was: the same type, first in
// its section, without a default (which would be mixed into the value) and outside of unions and groups.
// Lists of Bool are packed in bits, which no struct is.
bool standsInFor(const TypeRef& structure, const TypeRef& element, const NodeIndex& index) {
  if (element.kind == Type::BOOL) return false;
  auto fields = flattenFields(index, structure.id);
  if (fields.empty()) return false;
  const auto& first = fields.front();
  auto slot = first.proto.getSlot();
  return first.ordinal == 0 && first.unions.empty() && first.group.empty() && slot.getOffset() == 0 &&
         canonicalDefault(slot.getDefaultValue()).empty() &&
         resolveType(slot.getType(), index, &structure.brand) == element;
}

TypeStep listStep(const TypeRef& older, const TypeRef& newer, const NodeIndex& index) {
  const auto& from = older.element.front();
  const auto& to = newer.element.front();
  if (to.kind == Type::STRUCT && from.kind != Type::STRUCT) {
    return standsInFor(to, from, index) ? TypeStep::listElementToStruct : TypeStep::listElementToUnfitStruct;
  }
  return typeStep(from, to, index);
}

}  // namespace

TypeStep typeStep(const TypeRef& older, const TypeRef& newer, const NodeIndex& index) {
  if (older.kind == Type::TEXT && newer.kind == Type::DATA) return TypeStep::textToData;
  if (widens(older, newer)) return TypeStep::widened;
  if (older.kind != newer.kind) return TypeStep::other;
  if (older.kind == Type::LIST) return listStep(older, newer, index);
  return older.kind == Type::STRUCT && older.id == newer.id ? TypeStep::sameBytes : TypeStep::other;
}

}  // namespace instar::internal
