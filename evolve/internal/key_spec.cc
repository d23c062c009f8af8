#include "instar/evolve/internal/key_spec.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "instar/evolve/internal/type_ref.h"
#include "instar/format/error.h"

namespace instar::internal {
namespace {

using capnp::schema::Type;
using capnp::schema::Value;

std::optional<KeyType> keyType(Type::Which type) {
  switch (type) {
    case Type::BOOL:
      return KeyType::boolean;
    case Type::INT8:
      return KeyType::int8;
    case Type::INT16:
      return KeyType::int16;
    case Type::INT32:
      return KeyType::int32;
    case Type::INT64:
      return KeyType::int64;
    case Type::UINT8:
      return KeyType::uint8;
    case Type::UINT16:
      return KeyType::uint16;
    case Type::UINT32:
      return KeyType::uint32;
    case Type::UINT64:
      return KeyType::uint64;
    case Type::FLOAT32:
      return KeyType::float32;
    case Type::FLOAT64:
      return KeyType::float64;
    case Type::ENUM:
      return KeyType::enumeration;
    case Type::TEXT:
      return KeyType::text;
    case Type::DATA:
      return KeyType::data;
    default:
      return std::nullopt;
  }
}

std::string defaultBytes(Value::Reader value) {
  if (value.isText()) return {value.getText().begin(), value.getText().end()};
  if (value.isData()) return {reinterpret_cast<const char*>(value.getData().begin()), value.getData().size()};
  return {};
}

std::vector<std::string> enumerantsOf(const NodeIndex& index, Type::Reader type) {
  std::vector<std::string> names;
  if (!type.isEnum()) return names;
  for (auto enumerant : index.get(type.getEnum().getTypeId()).getEnum().getEnumerants()) {
    names.emplace_back(enumerant.getName().cStr());
  }
  return names;
}

[[noreturn]] void refuse(const char* message, const NodeIndex& index, std::uint64_t rootId,
                         const FlatField& field) {
  throw Error(ErrorCode::fixSchema, message,
              {{"type", std::string(index.shortName(rootId))},
               {"field", field.path()},
               {"key", std::to_string(*field.keyPosition)}});
}

KeyPart keyPart(const NodeIndex& index, std::uint64_t rootId, const FlatField& field) {
  auto slot = field.proto.getSlot();
  auto type = keyType(slot.getType().which());
  if (!type) {
    refuse("a field of this type cannot be a key; use a scalar, an enum, Text or Data", index, rootId, field);
  }
  if (!field.unions.empty()) {
    refuse("a member of a union cannot be a key; move the key out of the union", index, rootId, field);
  }
  return {.name = field.path(),
          .type = *type,
          .offset = slot.getOffset(),
          .defaultBits = defaultBits(slot.getDefaultValue()),
          .defaultBytes = defaultBytes(slot.getDefaultValue()),
          .enumerants = enumerantsOf(index, slot.getType())};
}

}  // namespace

std::uint64_t defaultBits(Value::Reader value) {
  switch (value.which()) {
    case Value::BOOL:
      return value.getBool() ? 1 : 0;
    case Value::INT8:
      return static_cast<std::uint8_t>(value.getInt8());
    case Value::INT16:
      return static_cast<std::uint16_t>(value.getInt16());
    case Value::INT32:
      return static_cast<std::uint32_t>(value.getInt32());
    case Value::INT64:
      return static_cast<std::uint64_t>(value.getInt64());
    case Value::UINT8:
      return value.getUint8();
    case Value::UINT16:
      return value.getUint16();
    case Value::UINT32:
      return value.getUint32();
    case Value::UINT64:
      return value.getUint64();
    case Value::FLOAT32:
      return std::bit_cast<std::uint32_t>(value.getFloat32());
    case Value::FLOAT64:
      return std::bit_cast<std::uint64_t>(value.getFloat64());
    case Value::ENUM:
      return value.getEnum();
    default:
      return 0;
  }
}

KeySpec keyOf(const NodeIndex& index, std::uint64_t rootId) {
  auto fields = flattenFields(index, rootId);
  std::erase_if(fields, [](const FlatField& field) { return !field.keyPosition; });
  std::stable_sort(fields.begin(), fields.end(), [](const FlatField& left, const FlatField& right) {
    return *left.keyPosition < *right.keyPosition;
  });
  KeySpec spec;
  for (const auto& field : fields) {
    if (*field.keyPosition < spec.size()) {
      refuse("two fields have the same place in the key; number them 0, 1, 2 and so on", index, rootId,
             field);
    }
    if (*field.keyPosition > spec.size()) {
      refuse("the places in the key have a gap; number them 0, 1, 2 and so on", index, rootId, field);
    }
    spec.push_back(keyPart(index, rootId, field));
  }
  return spec;
}

std::string keyText(const KeySpec& key) {
  std::string text;
  for (const auto& part : key) text += (text.empty() ? "" : ", ") + part.name;
  return text.empty() ? "byte strings" : text;
}

}  // namespace instar::internal
