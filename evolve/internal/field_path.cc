#include "instar/evolve/internal/field_path.h"

#include <algorithm>

#include "instar/evolve/internal/value_text.h"
#include "instar/evolve/record_schema.h"
#include "instar/format/error.h"

namespace instar::internal {
namespace {

using capnp::DynamicStruct;
using Field = capnp::StructSchema::Field;

bool isInUnion(Field field) {
  return field.getProto().getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT;
}

[[noreturn]] void refuse(const char* message, std::string_view path) {
  throw Error(ErrorCode::fixSchema, message, {{"source", std::string(path)}});
}

bool isActive(DynamicStruct::Reader parent, Field field) {
  if (!isInUnion(field)) return true;
  KJ_IF_MAYBE (active, parent.which()) {
    return *active == field;
  }
  return false;
}

// A pointer is also there where a program has set it to the very default.
bool isDefaultPointer(Field field, const capnp::DynamicValue::Reader& value) {
  const bool isPointer = field.getType().isText() || field.getType().isData() || field.getType().isList();
  return isPointer && field.getProto().getSlot().getHadExplicitDefault() &&
         valueText(value) == defaultLiteral(field);
}

bool isSet(DynamicStruct::Reader parent, Field field) {
  if (!isActive(parent, field)) return false;
  const auto proto = field.getProto();
  return proto.isGroup() || proto.getSlot().getHadExplicitDefault() || parent.has(field);
}

// Appends the way to the field of that number, which may lie in groups.
bool appendNumber(capnp::StructSchema type, std::uint16_t number, std::vector<Field>& steps) {
  for (const Field field : type.getFields()) {
    steps.push_back(field);
    if (field.getProto().isGroup()) {
      if (appendNumber(field.getType().asStruct(), number, steps)) return true;
    } else if (field.getProto().getOrdinal().getExplicit() == number) {
      return true;
    }
    steps.pop_back();
  }
  return false;
}

}  // namespace

FieldPath::FieldPath(capnp::StructSchema record, std::string_view text) : text_(text) {
  for (std::string_view rest = text;;) {
    const std::size_t dot = rest.find('.');
    const std::string name(rest.substr(0, dot));
    KJ_IF_MAYBE (field, record.findFieldByName(kj::StringPtr(name.c_str(), name.size()))) {
      steps_.push_back(*field);
    } else {
      refuse("there is no such field to take the value from; name one by its path, as in address.city", text);
    }
    if (dot == std::string_view::npos) return;
    if (!steps_.back().getType().isStruct())
      refuse("only a group or a struct has fields; end the path before the dot", text);
    record = steps_.back().getType().asStruct();
    rest.remove_prefix(dot + 1);
  }
}

FieldPath::FieldPath(std::vector<Field> steps) : steps_(std::move(steps)) {
  for (const Field& step : steps_) {
    if (!text_.empty()) text_ += '.';
    text_ += step.getProto().getName().cStr();
  }
}

std::string FieldPath::numbers() const {
  std::string text;
  for (const Field& step : steps_) {
    if (step.getProto().isGroup()) continue;  // which has no number, and whose fields have their own
    if (!text.empty()) text += '.';
    text += '@' + std::to_string(step.getProto().getOrdinal().getExplicit());
  }
  return text;
}

bool FieldPath::isPlainMember() const {
  return std::none_of(steps_.begin(), steps_.end(), isInUnion) &&
         std::all_of(steps_.begin(), steps_.end() - 1, [](Field step) { return step.getProto().isGroup(); });
}

bool FieldPath::isSensitive() const {
  return std::any_of(steps_.begin(), steps_.end(), [](Field step) { return instar::isSensitive(step); });
}

std::optional<DynamicStruct::Reader> FieldPath::holder(DynamicStruct::Reader record) const {
  for (auto step = steps_.begin();; ++step) {
    if (!isSet(record, *step)) return std::nullopt;
    if (step + 1 == steps_.end()) return record;
    record = record.get(*step).as<DynamicStruct>();
  }
}

std::optional<capnp::DynamicValue::Reader> FieldPath::read(DynamicStruct::Reader record) const {
  const auto parent = holder(record);
  if (!parent) return std::nullopt;
  return parent->get(field());
}

std::optional<capnp::DynamicValue::Reader> FieldPath::readIfNotDefault(DynamicStruct::Reader record) const {
  const auto parent = holder(record);
  if (!parent || !parent->has(field(), capnp::HasMode::NON_DEFAULT)) return std::nullopt;
  const auto value = parent->get(field());
  if (isDefaultPointer(field(), value)) return std::nullopt;
  return value;
}

DynamicStruct::Builder FieldPath::parent(DynamicStruct::Builder record) const {
  for (auto step = steps_.begin(); step + 1 != steps_.end(); ++step) {
    record = record.get(*step).as<DynamicStruct>();
  }
  return record;
}

std::optional<FieldPath> counterpart(const FieldPath& path, capnp::StructSchema otherRecord) {
  if (path.steps().front().getContainingStruct().getProto().getId() != otherRecord.getProto().getId()) {
    try {
      return FieldPath(otherRecord, path.text());
    } catch (const Error&) {
      return std::nullopt;
    }
  }
  std::vector<Field> steps;
  capnp::StructSchema type = otherRecord;
  for (const Field& step : path.steps()) {
    if (step.getProto().isGroup()) continue;
    if (!steps.empty()) {
      if (!steps.back().getType().isStruct()) return std::nullopt;
      type = steps.back().getType().asStruct();
    }
    if (!appendNumber(type, step.getProto().getOrdinal().getExplicit(), steps)) return std::nullopt;
  }
  if (steps.empty()) return std::nullopt;  // a group alone, which has no number
  return FieldPath(std::move(steps));
}

bool overlap(const FieldPath& left, const FieldPath& right) {
  const std::size_t common = std::min(left.steps().size(), right.steps().size());
  return std::equal(left.steps().begin(), left.steps().begin() + static_cast<std::ptrdiff_t>(common),
                    right.steps().begin());
}

}  // namespace instar::internal
