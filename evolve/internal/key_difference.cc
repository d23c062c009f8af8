#include "instar/evolve/internal/key_difference.h"

#include <algorithm>
#include <map>
#include <string>

#include "instar/evolve/internal/key_spec.h"
#include "instar/evolve/internal/node_index.h"
#include "instar/evolve/internal/type_ref.h"

namespace instar::internal {
namespace {

struct KeyField {
  std::uint16_t ordinal = 0;
  std::string text;  // "id @0 :UInt64"
};

// By position in the key.
std::map<std::uint8_t, KeyField> keyFields(const RecordSchema& schema) {
  const NodeIndex index(schema.nodes());
  std::map<std::uint8_t, KeyField> fields;
  for (const FlatField& field : flattenFields(index, schema.rootId())) {
    if (!field.keyPosition) continue;
    const TypeRef type = resolveType(field.proto.getSlot().getType(), index, nullptr);
    fields[*field.keyPosition] = {
        field.ordinal, field.path() + " @" + std::to_string(field.ordinal) + " :" + typeText(type, index)};
  }
  return fields;
}

std::string typedKeyText(const RecordSchema& schema) {
  std::string text;
  for (const auto& [position, field] : keyFields(schema))
    text.append(position == 0 ? "" : ", ").append(field.text);
  return text;
}

}  // namespace

KeyChanged keyChanged(const RecordSchema& older, const RecordSchema& newer) {
  KeyChanged change{std::string(newer.typeName()), keyText(older.key()), keyText(newer.key())};
  if (change.older == change.newer) {
    change.older = typedKeyText(older);
    change.newer = typedKeyText(newer);
  }
  return change;
}

std::optional<KeyChanged> keyDifference(const RecordSchema& older, const RecordSchema& newer) {
  const auto before = keyFields(older);
  const auto after = keyFields(newer);
  const bool same = std::equal(
      before.begin(), before.end(), after.begin(), after.end(), [](const auto& one, const auto& other) {
        return one.first == other.first && one.second.ordinal == other.second.ordinal;
      });
  if (same) return std::nullopt;
  return keyChanged(older, newer);
}

}  // namespace instar::internal
