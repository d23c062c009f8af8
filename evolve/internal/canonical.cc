#include "instar/evolve/internal/canonical.h"

#include <capnp/any.h>

#include <bit>
#include <cmath>
#include <type_traits>

#include "instar/evolve/internal/type_ref.h"
#include "instar/evolve/record_message.h"

namespace instar::internal {
namespace {

using capnp::schema::Node;
using capnp::schema::Value;

template <typename Number>
std::string numberBytes(Number value) {
  auto bits = static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<Number>>(value));
  return bits == 0 ? std::string() : std::to_string(bits);
}

// Every NaN is the same: text has only one.
std::string floatBytes(float value) {
  return std::isnan(value) ? "nan" : numberBytes(std::bit_cast<std::uint32_t>(value));
}
std::string floatBytes(double value) {
  return std::isnan(value) ? "nan" : numberBytes(std::bit_cast<std::uint64_t>(value));
}

// The canonical form of Cap'n Proto, of the pointer as the only field of a struct.
std::string pointerBytes(capnp::AnyPointer::Reader pointer) {
  if (pointer.isNull() || (pointer.isList() && pointer.getAs<capnp::AnyList>().size() == 0)) return {};
  RecordMessage message;
  auto holder = message.getRoot<capnp::AnyPointer>().initAsAnyStruct(0, 1);
  holder.getPointerSection()[0].set(pointer);
  auto words = holder.asReader().canonicalize();
  constexpr std::size_t kEmptyStructWords = 2;
  if (pointer.isStruct() && words.size() <= kEmptyStructWords) return {};
  auto bytes = words.asBytes();
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}

std::string quoted(std::string_view text) { return std::to_string(text.size()) + ":" + std::string(text); }

std::string unionsText(const FlatField& field) {
  std::string text;
  for (const auto& member : field.unions) {
    text += " union " + std::to_string(member.discriminantOffset) + "=" +
            std::to_string(member.discriminantValue);
  }
  return text;
}

std::string fieldText(const FlatField& field, const NodeIndex& index) {
  auto slot = field.proto.getSlot();
  auto text = " field " + std::to_string(field.ordinal) + " " + field.path() + unionsText(field);
  text += " at " + std::to_string(slot.getOffset());
  text += " type " + typeSignature(resolveType(slot.getType(), index, nullptr));
  text += " default " + quoted(canonicalDefault(slot.getDefaultValue()));
  if (field.sensitive) text += " sensitive";
  return text;
}

std::string structText(Node::Reader node, const NodeIndex& index, bool isRoot) {
  std::string text = "struct";
  text += " parameters " + std::to_string(index.parameterCount(node.getId()));
  for (const auto& field : flattenFields(index, node.getId())) {
    text += fieldText(field, index);
    if (isRoot && field.keyPosition) text += " key " + std::to_string(*field.keyPosition);
    text += "\n";
  }
  return text;
}

std::string enumText(Node::Reader node) {
  std::string text = "enum";
  for (auto enumerant : node.getEnum().getEnumerants()) {
    text += " ";
    text += enumerant.getName().cStr();
  }
  return text;
}

}  // namespace

std::string canonicalDefault(Value::Reader value) {
  switch (value.which()) {
    case Value::BOOL:
      return value.getBool() ? "1" : "";
    case Value::INT8:
      return numberBytes(value.getInt8());
    case Value::INT16:
      return numberBytes(value.getInt16());
    case Value::INT32:
      return numberBytes(value.getInt32());
    case Value::INT64:
      return numberBytes(value.getInt64());
    case Value::UINT8:
      return numberBytes(value.getUint8());
    case Value::UINT16:
      return numberBytes(value.getUint16());
    case Value::UINT32:
      return numberBytes(value.getUint32());
    case Value::UINT64:
      return numberBytes(value.getUint64());
    case Value::FLOAT32:
      return floatBytes(value.getFloat32());
    case Value::FLOAT64:
      return floatBytes(value.getFloat64());
    case Value::ENUM:
      return numberBytes(value.getEnum());
    case Value::TEXT:
      return {value.getText().begin(), value.getText().end()};
    case Value::DATA:
      return {reinterpret_cast<const char*>(value.getData().begin()), value.getData().size()};
    case Value::LIST:
      return pointerBytes(value.getList());
    case Value::STRUCT:
      return pointerBytes(value.getStruct());
    case Value::ANY_POINTER:
      return pointerBytes(value.getAnyPointer());
    case Value::VOID:
    case Value::INTERFACE:
      return {};
  }
  return {};
}

std::string canonicalText(const NodeIndex& index, std::uint64_t rootId) {
  std::string text = "root " + std::to_string(rootId) + "\n";
  for (const auto& [id, node] : index.nodes()) {
    if (node.isStruct() && node.getStruct().getIsGroup()) continue;  // its fields stand with their struct
    text += std::to_string(id) + " " + std::string(index.shortName(id)) + " ";
    text += node.isStruct() ? structText(node, index, id == rootId) : enumText(node);
    text += "\n";
  }
  return text;
}

}  // namespace instar::internal
