#include "instar/tools/csv_form.h"

#include <algorithm>

#include "instar/format/error.h"
#include "instar/format/key_text.h"
#include "instar/tools/json_form.h"
#include "instar/tools/scalar_text.h"

namespace instar::tools {
namespace {

constexpr std::string_view kBytesPrefix = "$bytes(";

void appendCell(std::string& out, const std::string& cell, char separator) {
  const char special[] = {separator, '"', '\r', '\n', '\0'};
  const bool padded = cell.empty() || cell.front() == ' ' || cell.back() == ' ';
  if (!padded && cell.find_first_of(special) == std::string::npos) {
    out += cell;
    return;
  }
  out += '"';
  for (const char c : cell) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

std::string_view dataView(const capnp::Data::Reader& data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

}  // namespace

void writeCsvRecord(std::string& out, const CsvRecord& record, char separator) {
  bool first = true;
  for (const CsvCell& cell : record) {
    if (!first) out += separator;
    if (cell) appendCell(out, *cell, separator);
    first = false;
  }
  out += '\n';
}

std::string textCell(std::string_view text) {
  const bool plain = isValidUtf8(text) && !text.starts_with(kBytesPrefix) && !text.starts_with(kMaskedPrefix);
  return plain ? std::string(text) : std::string(kBytesPrefix) + toBase64(asBytes(text)) + ")";
}

std::string cellText(const std::string& cell, const std::string& column) {
  if (cell.starts_with(kMaskedPrefix)) refuseValue(column, kMaskedReason);
  if (!isValidUtf8(cell)) refuseValue(column, "the text is not UTF-8; write such bytes as $bytes(base64)");
  if (!cell.starts_with(kBytesPrefix)) return cell;
  std::string bytes;
  const std::string_view inside(cell.data() + kBytesPrefix.size(), cell.size() - kBytesPrefix.size());
  if (!inside.ends_with(')') || !fromBase64(inside.substr(0, inside.size() - 1), bytes)) {
    refuseValue(column, "expected $bytes(base64)");
  }
  return bytes;
}

CsvColumns::CsvColumns(capnp::StructSchema type, const Masking& masking, Use use)
    : masking_(masking), use_(use) {
  root_ = build(type, {.types = {type.getProto().getId()}});
}

std::size_t CsvColumns::addColumn(std::string name) {
  if (names_.size() == kMaxColumns) {
    throw Error(ErrorCode::fixCall, "the record type has too many fields for columns; use ndjson",
                {{"limit", std::to_string(kMaxColumns)}});
  }
  names_.push_back(std::move(name));
  return names_.size() - 1;
}

CsvColumns::Group CsvColumns::build(capnp::StructSchema type, const Surroundings& around) {
  Group group;
  if (hasUnion(type)) group.unionColumn = addColumn(around.prefix + "$union");
  for (const auto field : type.getFields()) {
    if (!isRetired(field)) group.columns.push_back(buildColumn(field, around));
  }
  return group;
}

CsvColumns::Column CsvColumns::buildColumn(capnp::StructSchema::Field field, const Surroundings& around) {
  const capnp::Type type = field.getType();
  const std::string name = around.prefix + std::string(view(field.getProto().getName()));
  Column column{.field = field, .sensitive = around.sensitive || masking_.masks(field)};
  if (type.isVoid()) return column;
  const bool isGroup = field.getProto().isGroup();
  const bool recursive = type.isStruct() && !isGroup &&
                         std::find(around.types.begin(), around.types.end(),
                                   type.asStruct().getProto().getId()) != around.types.end();
  const bool masked = use_ == Use::write && column.sensitive;
  if (!type.isStruct() || recursive || masked) {
    column.index = addColumn(name);
    return column;
  }
  Surroundings inside{.prefix = name + ".", .types = around.types, .sensitive = column.sensitive};
  if (!isGroup) inside.types.push_back(type.asStruct().getProto().getId());
  column.group = build(type.asStruct(), inside);
  if (!isGroup && !alwaysFills(column.group))
    column.group.presentColumn = addColumn(inside.prefix + "$present");
  return column;
}

// Whether at least one cell of a struct that is there is never absent.
bool CsvColumns::alwaysFills(const Group& group) {
  if (group.unionColumn != kNone) return true;
  return std::any_of(group.columns.begin(), group.columns.end(), [](const Column& column) {
    if (column.index != kNone) return isScalar(column.field.getType()) || column.field.getProto().isGroup();
    return column.field.getProto().isGroup() && alwaysFills(column.group);
  });
}

CsvRecord CsvColumns::write(capnp::DynamicStruct::Reader record) const {
  CsvRecord cells(names_.size());
  writeGroup(root_, record, cells);
  return cells;
}

void CsvColumns::writeGroup(const Group& group, capnp::DynamicStruct::Reader record, CsvRecord& cells) const {
  const auto active = record.which();
  if (group.presentColumn != kNone) cells[group.presentColumn] = "true";
  if (group.unionColumn != kNone) {
    KJ_IF_MAYBE (chosen, active) {
      cells[group.unionColumn] = std::string(view(chosen->getProto().getName()));
    } else {
      cells[group.unionColumn] = std::to_string(discriminant(record));
    }
  }
  for (const Column& column : group.columns) {
    if (column.field.getType().isVoid()) continue;
    if (record.has(column.field, capnp::HasMode::NON_NULL)) writeColumn(column, record, cells);
  }
}

void CsvColumns::writeColumn(const Column& column, capnp::DynamicStruct::Reader record,
                             CsvRecord& cells) const {
  if (column.index == kNone) {
    writeGroup(column.group, record.get(column.field).as<capnp::DynamicStruct>(), cells);
  } else {
    cells[column.index] = writeCell(column, record);
  }
}

std::string CsvColumns::writeCell(const Column& column, capnp::DynamicStruct::Reader record) const {
  const capnp::Type type = column.field.getType();
  if (column.sensitive) {
    return std::string(kMaskedPrefix) + maskedDescription(record.get(column.field)) + ")";
  }
  if (isScalar(type)) return printScalar(record.get(column.field), type);
  if (type.isText()) return textCell(view(record.get(column.field).as<capnp::Text>()));
  if (type.isData()) return toBase64(asBytes(dataView(record.get(column.field).as<capnp::Data>())));
  std::string json;
  JsonWriter writer(json);
  writeJsonField(writer, record, column.field, masking_);
  return json;
}

void CsvColumns::read(const Cells& cells, capnp::DynamicStruct::Builder record) const {
  readGroup(root_, cells, record);
}

const std::string* CsvColumns::cell(const Cells& cells, std::size_t index) {
  if (index == kNone || cells[index] == nullptr || !cells[index]->has_value()) return nullptr;
  return &**cells[index];
}

bool CsvColumns::isFilled(const Column& column, const Cells& cells) const {
  return column.index == kNone ? isFilled(column.group, cells) : cell(cells, column.index) != nullptr;
}

bool CsvColumns::isFilled(const Group& group, const Cells& cells) const {
  if (const std::string* present = cell(cells, group.presentColumn); present != nullptr && *present == "true")
    return true;
  if (cell(cells, group.unionColumn) != nullptr) return true;
  return std::any_of(group.columns.begin(), group.columns.end(),
                     [&](const Column& column) { return isFilled(column, cells); });
}

// The member that the union's column names; without it, the one with a cell that is not absent.
const CsvColumns::Column* CsvColumns::activeMember(const Group& group, const Cells& cells) const {
  if (group.unionColumn == kNone) return nullptr;
  const std::string* name = cell(cells, group.unionColumn);
  const Column* active = nullptr;
  for (const Column& column : group.columns) {
    if (!isUnionMember(column.field)) continue;
    const std::string_view member = view(column.field.getProto().getName());
    const bool filled = isFilled(column, cells);
    if (filled && (active != nullptr || (name != nullptr && *name != member))) {
      const std::string other(name != nullptr ? *name : view(active->field.getProto().getName()));
      refuseValue(names_[group.unionColumn],
                  "a union has one member, but both " + other + " and " + std::string(member) + " are given");
    }
    if (name != nullptr ? *name == member : filled) active = &column;
  }
  if (name != nullptr && active == nullptr)
    refuseValue(names_[group.unionColumn], "the union has no member \"" + *name + '"');
  return active;
}

void CsvColumns::readGroup(const Group& group, const Cells& cells,
                           capnp::DynamicStruct::Builder record) const {
  const Column* active = activeMember(group, cells);
  for (const Column& column : group.columns) {
    if (isUnionMember(column.field) && &column != active) continue;
    readColumn(column, cells, &column == active, record);
  }
}

void CsvColumns::readColumn(const Column& column, const Cells& cells, bool active,
                            capnp::DynamicStruct::Builder record) const {
  if (active) record.clear(column.field);
  if (column.index != kNone) {
    if (const std::string* text = cell(cells, column.index)) readCell(column, *text, record);
  } else if (column.field.getProto().isGroup()) {
    readGroup(column.group, cells, record.get(column.field).as<capnp::DynamicStruct>());
  } else if (isFilled(column.group, cells)) {
    readGroup(column.group, cells, record.init(column.field).as<capnp::DynamicStruct>());
  }
}

void CsvColumns::readCell(const Column& column, const std::string& text,
                          capnp::DynamicStruct::Builder record) const {
  const capnp::Type type = column.field.getType();
  const std::string& name = names_[column.index];
  if (text.starts_with(kMaskedPrefix)) refuseValue(name, kMaskedReason);
  if (type.isText()) {
    const std::string value = cellText(text, name);
    record.set(column.field, capnp::Text::Reader(value.c_str(), value.size()));
  } else if (type.isData()) {
    std::string bytes;
    if (!fromBase64(text, bytes)) refuseValue(name, "expected base64");
    record.set(column.field,
               capnp::Data::Reader(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()));
  } else if (isScalar(type)) {
    const auto value = parseScalar(text, type);
    const std::string found = column.sensitive ? "a text" : quoteShortened(text);
    if (!value) refuseValue(name, "expected " + expectation(type) + ", found " + found);
    record.set(column.field, *value);
  } else {
    readJsonCell(column, text, record);
  }
}

void CsvColumns::readJsonCell(const Column& column, const std::string& text,
                              capnp::DynamicStruct::Builder record) const {
  const std::string& name = names_[column.index];
  JsonValue value;
  try {
    value = parseJson(text);
  } catch (const Error& error) {
    refuseValue(name, "the cell is not JSON: " + std::string(error.fact("field")) + ": " +
                          std::string(error.fact("reason")));
  }
  readJsonField(value, record, column.field, name, {.masking = &masking_, .hidden = column.sensitive});
}

}  // namespace instar::tools
