#include "instar/evolve/internal/value_text.h"

#include "instar/evolve/internal/literal.h"

namespace instar::internal {
namespace {

using capnp::DynamicEnum;
using capnp::DynamicList;
using capnp::DynamicStruct;
using capnp::DynamicValue;
using capnp::schema::Value;

std::string enumText(const DynamicEnum& value) {
  KJ_IF_MAYBE (enumerant, value.getEnumerant()) {
    return enumerant->getProto().getName().cStr();
  }
  return std::to_string(value.getRaw());
}

std::string listText(const DynamicList::Reader& list) {
  std::string text;
  for (const auto& element : list) text += (text.empty() ? "" : ", ") + valueText(element);
  return "[" + text + "]";
}

// The active member of a union is written even where it is zero: that it is active says something.
std::string structText(const DynamicStruct::Reader& value) {
  std::string text;
  auto write = [&](capnp::StructSchema::Field field) {
    text += (text.empty() ? "" : ", ") + std::string(field.getProto().getName().cStr()) + " = " +
            valueText(value.get(field));
  };
  for (auto field : value.getSchema().getNonUnionFields()) {
    if (value.has(field, capnp::HasMode::NON_DEFAULT)) write(field);
  }
  KJ_IF_MAYBE (active, value.which()) {
    write(*active);
  }
  return "(" + text + ")";
}

std::string floatText(double value, capnp::Type type) {
  return type.isFloat32() ? floatLiteral(static_cast<float>(value)) : floatLiteral(value);
}

}  // namespace

std::string valueText(const DynamicValue::Reader& value) {
  switch (value.getType()) {
    case DynamicValue::VOID:
      return "void";
    case DynamicValue::BOOL:
      return value.as<bool>() ? "true" : "false";
    case DynamicValue::INT:
      return std::to_string(value.as<std::int64_t>());
    case DynamicValue::UINT:
      return std::to_string(value.as<std::uint64_t>());
    case DynamicValue::FLOAT:
      return floatLiteral(value.as<double>());
    case DynamicValue::TEXT: {
      auto text = value.as<capnp::Text>();
      return textLiteral({text.begin(), text.size()});
    }
    case DynamicValue::DATA:
      return dataLiteral(value.as<capnp::Data>());
    case DynamicValue::LIST:
      return listText(value.as<DynamicList>());
    case DynamicValue::ENUM:
      return enumText(value.as<DynamicEnum>());
    case DynamicValue::STRUCT:
      return structText(value.as<DynamicStruct>());
    default:
      return "void";  // a value in text cannot hold pointers without a type
  }
}

std::string defaultLiteral(capnp::StructSchema::Field field) {
  auto value = field.getProto().getSlot().getDefaultValue();
  auto type = field.getType();
  switch (value.which()) {
    case Value::VOID:
      return "void";
    case Value::BOOL:
      return valueText(value.getBool());
    case Value::INT8:
      return valueText(value.getInt8());
    case Value::INT16:
      return valueText(value.getInt16());
    case Value::INT32:
      return valueText(value.getInt32());
    case Value::INT64:
      return valueText(value.getInt64());
    case Value::UINT8:
      return valueText(value.getUint8());
    case Value::UINT16:
      return valueText(value.getUint16());
    case Value::UINT32:
      return valueText(value.getUint32());
    case Value::UINT64:
      return valueText(value.getUint64());
    case Value::FLOAT32:
      return floatText(value.getFloat32(), type);
    case Value::FLOAT64:
      return floatText(value.getFloat64(), type);
    case Value::TEXT:
      return valueText(value.getText());
    case Value::DATA:
      return valueText(value.getData());
    case Value::ENUM:
      return enumText(DynamicEnum(type.asEnum(), value.getEnum()));
    case Value::LIST:
      return listText(value.getList().getAs<DynamicList>(type.asList()));
    case Value::STRUCT:
      return structText(value.getStruct().getAs<DynamicStruct>(type.asStruct()));
    default:
      return "void";
  }
}

}  // namespace instar::internal
