#include "instar/tests/evolve/model_record.h"

#include <algorithm>

namespace instar::testing {

using capnp::DynamicStruct;

ModelSchema::ModelSchema(RecordSchema schema) : plans_(std::move(schema)) {
  std::vector<capnp::StructSchema::Field> groups;
  locate(this->schema().root(), groups, {});
  std::sort(places_.begin(), places_.end(), [](const Place& left, const Place& right) {
    return left.field.getProto().getOrdinal().getExplicit() <
           right.field.getProto().getOrdinal().getExplicit();
  });
}

void ModelSchema::locate(capnp::StructSchema members, std::vector<capnp::StructSchema::Field>& groups,
                         std::string path) {
  for (const auto field : members.getFields()) {
    const std::string name = path + field.getProto().getName().cStr();
    if (!field.getProto().isGroup()) {
      places_.push_back({groups, field, name});
      continue;
    }
    groups.push_back(field);
    locate(field.getType().asStruct(), groups, name + ".");
    groups.pop_back();
  }
}

ModelRow ModelSchema::read(DynamicStruct::Reader record) const {
  ModelRow row;
  for (const Place& place : places_) {
    DynamicStruct::Reader parent = record;
    for (const auto group : place.groups) parent = parent.get(group).as<DynamicStruct>();
    row.push_back(readField(parent, place.field));
  }
  return row;
}

void ModelSchema::write(DynamicStruct::Builder record, unsigned field, const Value& value) const {
  for (const auto group : places_[field].groups) record = record.get(group).as<DynamicStruct>();
  writeField(record, places_[field].field, value);
}

unsigned ModelSchema::numberOf(std::string_view path) const {
  for (unsigned number = 0; number < places_.size(); ++number) {
    if (places_[number].path == path) return number;
  }
  throw std::out_of_range("no field " + std::string(path));
}

}  // namespace instar::testing
