#include "instar/tests/evolve/model_record.h"

#include <algorithm>

#include "instar/tests/support/parse_schema.h"

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

std::optional<std::vector<ModelSchema>> parseVersions(const RandomHistory& history) {
  std::vector<ModelSchema> schemas;
  try {
    for (unsigned number = 1; number <= history.newest(); ++number)
      schemas.emplace_back(parseDeclarations(history.version(number).text, "Record"));
  } catch (const kj::Exception& exception) {
    if (isRefusedLayout(exception)) return std::nullopt;
    throw;
  }
  return schemas;
}

}  // namespace instar::testing
