#include "instar/tools/masking.h"

#include <algorithm>

#include "instar/format/key_text.h"

namespace instar::tools {
namespace {

std::string lengthClass(std::size_t length) {
  if (length == 0) return "empty";
  if (length <= 8) return "1..8";
  return length <= 32 ? "9..32" : "33..";
}

bool isGroup(capnp::StructSchema::Field field) { return field.getProto().isGroup(); }

// The struct that values of this type are made of, if any.
kj::Maybe<capnp::StructSchema> structInside(capnp::Type type) {
  while (type.isList()) type = type.asList().getElementType();
  if (type.isStruct()) return type.asStruct();
  return nullptr;
}

}  // namespace

Masking::Masking(const std::vector<RecordSchema>& versions) {
  for (const RecordSchema& version : versions) {
    std::vector<capnp::StructSchema> seen;
    collect(version.root(), seen);
  }
}

// A field keeps its ordinal through all versions, a group its type.
Masking::FieldId Masking::fieldId(capnp::StructSchema::Field field) {
  const auto proto = field.getProto();
  if (isGroup(field)) return {proto.getGroup().getTypeId(), UINT32_MAX};
  return {field.getContainingStruct().getProto().getId(), proto.getOrdinal().getExplicit()};
}

// Each binding of a generic type is a type of its own.
void Masking::collect(capnp::StructSchema type, std::vector<capnp::StructSchema>& seen) {
  if (std::find(seen.begin(), seen.end(), type) != seen.end()) return;
  seen.push_back(type);
  for (const auto field : type.getFields()) {
    if (isSensitive(field)) sensitive_.insert(fieldId(field));
    KJ_IF_MAYBE (inner, structInside(field.getType())) {
      collect(*inner, seen);
    }
  }
}

bool Masking::masks(capnp::StructSchema::Field field) const {
  return !sensitive_.empty() && sensitive_.contains(fieldId(field));
}

bool Masking::masksPath(capnp::StructSchema record, std::string_view path) const {
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(name.size() + 1, path.size()));
    const auto field = record.getFieldByName(std::string(name).c_str());
    if (masks(field)) return true;
    if (isGroup(field)) record = field.getType().asStruct();
  }
  return false;
}

std::vector<bool> Masking::maskedKeyParts(const RecordSchema& schema) const {
  std::vector<bool> masked;
  for (const KeyPart& part : schema.key()) masked.push_back(masksPath(schema.root(), part.name));
  return masked;
}

void Masking::copyVisible(capnp::DynamicStruct::Reader record, capnp::DynamicStruct::Builder copy) const {
  for (const auto field : record.getSchema().getNonUnionFields()) copyField(record, field, copy);
  KJ_IF_MAYBE (active, record.which()) {
    copyField(record, *active, copy);
  }
}

void Masking::copyField(capnp::DynamicStruct::Reader record, capnp::StructSchema::Field field,
                        capnp::DynamicStruct::Builder copy) const {
  if (!record.has(field) || masks(field)) {
    copy.clear(field);  // which also makes a member of a union the active one
  } else if (field.getType().isStruct()) {
    copyVisible(record.get(field).as<capnp::DynamicStruct>(), copy.init(field).as<capnp::DynamicStruct>());
  } else if (field.getType().isList() && structInside(field.getType()) != nullptr) {
    const auto list = record.get(field).as<capnp::DynamicList>();
    copyList(list, copy.init(field, list.size()).as<capnp::DynamicList>());
  } else {
    copy.set(field, record.get(field));
  }
}

void Masking::copyList(capnp::DynamicList::Reader list, capnp::DynamicList::Builder copy) const {
  const bool nested = list.getSchema().getElementType().isList();
  for (unsigned i = 0; i < list.size(); ++i) {
    if (nested) {
      const auto inner = list[i].as<capnp::DynamicList>();
      copyList(inner, copy.init(i, inner.size()).as<capnp::DynamicList>());
    } else {
      copyVisible(list[i].as<capnp::DynamicStruct>(), copy[i].as<capnp::DynamicStruct>());
    }
  }
}

std::string maskedDescription(const capnp::DynamicValue::Reader& value) {
  switch (value.getType()) {
    case capnp::DynamicValue::BOOL:
      return "bool";
    case capnp::DynamicValue::INT:
    case capnp::DynamicValue::UINT:
    case capnp::DynamicValue::FLOAT:
      return "number";
    case capnp::DynamicValue::TEXT:
      return "text " + lengthClass(value.as<capnp::Text>().size());
    case capnp::DynamicValue::DATA:
      return "data " + lengthClass(value.as<capnp::Data>().size());
    case capnp::DynamicValue::LIST:
      return "list";
    case capnp::DynamicValue::ENUM:
      return "enum";
    case capnp::DynamicValue::STRUCT:
      return "struct";
    case capnp::DynamicValue::ANY_POINTER:
      return "pointer";
    default:
      return "value";
  }
}

bool KeyPrinter::masksAnything() const noexcept {
  return std::find(masked_.begin(), masked_.end(), true) != masked_.end();
}

std::string KeyPrinter::printPart(std::size_t index, const KeyValue& value) const {
  if (masked_[index]) {
    std::string kind(spec_[index].type == KeyType::text   ? "text "
                     : spec_[index].type == KeyType::data ? "data "
                     : spec_[index].type == KeyType::boolean
                         ? "bool"
                         : (spec_[index].type == KeyType::enumeration ? "enum" : "number"));
    if (const auto* text = std::get_if<std::string_view>(&value)) kind += lengthClass(text->size());
    if (const auto* data = std::get_if<Bytes>(&value)) kind += lengthClass(data->size());
    return std::string(kMaskedPrefix) + kind + ")";
  }
  // Alone, the part is the last one; only its spelling in bytes differs, not its text.
  Key alone;
  const bool emptyBytes =
      (std::holds_alternative<std::string_view>(value) && std::get<std::string_view>(value).empty()) ||
      (std::holds_alternative<Bytes>(value) && std::get<Bytes>(value).empty());
  if (emptyBytes) return spec_[index].type == KeyType::text ? "\"\"" : "0x";
  encodeKey({spec_[index]}, {&value, 1}, KeyForm::whole, alone);
  return printKey({spec_[index]}, alone.bytes());
}

std::string KeyPrinter::print(Bytes key) const {
  if (!masksAnything()) return printKey(spec_, key);
  std::vector<std::string> storage;
  std::vector<KeyValue> values;
  if (!decodeKey(spec_, key, storage, values)) return std::string(kMaskedPrefix) + "key)";
  std::string out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i != 0) out += ',';
    out += printPart(i, values[i]);
  }
  return out;
}

Error KeyPrinter::mask(const Error& error, Bytes key) const {
  if (!masksAnything()) return error;
  std::vector<Error::Fact> facts = error.facts();
  for (Error::Fact& fact : facts) {
    if (fact.name == "key") fact.value = print(key);
  }
  return Error(error.code(), error.message(), std::move(facts));
}

}  // namespace instar::tools
