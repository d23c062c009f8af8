#include "instar/tests/evolve/model_value.h"

#include <algorithm>

namespace instar::testing {
namespace {

using capnp::DynamicList;
using capnp::DynamicStruct;
using capnp::DynamicValue;

Value fromDynamic(const DynamicValue::Reader& value) {
  switch (value.getType()) {
    case DynamicValue::BOOL:
      return wholeValue(value.as<bool>() ? 1 : 0);
    case DynamicValue::INT:
      return wholeValue(value.as<std::int64_t>());
    case DynamicValue::UINT:
      return wholeValue(value.as<std::uint64_t>());
    case DynamicValue::ENUM:
      return wholeValue(value.as<capnp::DynamicEnum>().getRaw());
    case DynamicValue::FLOAT:
      return {value.as<double>()};
    case DynamicValue::TEXT: {
      const auto text = value.as<capnp::Text>();
      return textValue(std::string(text.begin(), text.size()));
    }
    case DynamicValue::DATA: {
      const auto chars = value.as<capnp::Data>().asChars();
      return textValue(std::string(chars.begin(), chars.size()));
    }
    case DynamicValue::LIST: {
      std::vector<Value> elements;
      for (const auto element : value.as<DynamicList>()) elements.push_back(fromDynamic(element));
      return {std::move(elements)};
    }
    case DynamicValue::STRUCT: {
      std::vector<Value> members;
      const auto record = value.as<DynamicStruct>();
      for (const auto field : record.getSchema().getFields()) members.push_back(readField(record, field));
      return {std::move(members)};
    }
    default:
      KJ_FAIL_REQUIRE("the model has no such type");
  }
}

DynamicValue::Reader toDynamic(const Value& value, capnp::Type type) {
  if (type.isText()) return capnp::Text::Reader(value.text().c_str(), value.text().size());
  if (type.isData())
    return capnp::Data::Reader(reinterpret_cast<const capnp::byte*>(value.text().data()),
                               value.text().size());
  if (type.isBool()) return value.whole() == 1;
  if (type.isEnum()) return capnp::DynamicEnum(type.asEnum(), static_cast<std::uint16_t>(value.whole()));
  if (type.isFloat32() || type.isFloat64()) return value.floating();
  if (value.whole() < 0) return static_cast<std::int64_t>(value.whole());
  return static_cast<std::uint64_t>(value.whole());
}

}  // namespace

std::string describe(const Value& value) {
  switch (value.content.index()) {
    case 0:
      return "unset";
    case 1:
      return "inactive";
    case 2:
      return kj::str(static_cast<std::int64_t>(value.whole())).cStr();
    case 3:
      return kj::str(value.floating()).cStr();
    case 4:
      return '"' + value.text() + '"';
    default: {
      std::string text;
      for (const Value& element : value.elements()) text += (text.empty() ? "" : ", ") + describe(element);
      return "[" + text + "]";
    }
  }
}

Value readField(DynamicStruct::Reader parent, capnp::StructSchema::Field field) {
  const auto proto = field.getProto();
  if (proto.getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT) {
    bool isActive = false;
    KJ_IF_MAYBE (active, parent.which()) {
      isActive = *active == field;
    }
    if (!isActive) return {Value::Inactive{}};
  }
  if (!parent.has(field) && !proto.getSlot().getHadExplicitDefault()) return {};
  return fromDynamic(parent.get(field));
}

void writeField(DynamicStruct::Builder parent, capnp::StructSchema::Field field, const Value& value) {
  const auto type = field.getType();
  if (std::holds_alternative<Value::Inactive>(value.content)) return;
  if (!value.isSet()) return parent.clear(field);
  if (type.isList()) {
    const auto& elements = value.elements();
    auto list = parent.init(field, static_cast<unsigned>(elements.size())).as<DynamicList>();
    const auto elementType = type.asList().getElementType();
    for (unsigned i = 0; i < elements.size(); ++i) list.set(i, toDynamic(elements[i], elementType));
  } else if (type.isStruct()) {
    auto record = (parent.has(field) ? parent.get(field) : parent.init(field)).as<DynamicStruct>();
    const auto fields = record.getSchema().getFields();
    for (unsigned i = 0; i < fields.size(); ++i) writeField(record, fields[i], value.elements()[i]);
  } else {
    parent.set(field, toDynamic(value, type));
  }
}

}  // namespace instar::testing
