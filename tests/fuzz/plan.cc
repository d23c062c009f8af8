// Two versions of a record type and a row of the older one. Where both are schemas the row is upgraded: it
// is made or refused as a row, each time in the same way; mirrors hold once they are made; canary reads and
// rules end in findings.

#include <capnp/dynamic.h>
#include <capnp/message.h>

#include "instar/evolve/canary.h"
#include "instar/evolve/mirror_check.h"
#include "instar/evolve/plan.h"
#include "instar/format/error.h"
#include "instar/tests/fuzz/fuzzers.h"
#include "instar/tests/fuzz/made_schemas.h"

namespace {

using namespace instar;
using capnp::DynamicStruct;

std::optional<RecordSchema> schemaOf(capnp::List<capnp::schema::Node>::Reader nodes, std::uint64_t id) {
  try {
    return RecordSchema::fromNodes(nodes, id);
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::restoreFromBackup, "nodes that are no schema are damaged");
    return std::nullopt;
  }
}

void fill(DynamicStruct::Builder record, fuzz::Input& input, unsigned depth);

void fillList(capnp::DynamicList::Builder list, fuzz::Input& input) {
  const capnp::Type element = list.getSchema().getElementType();
  for (unsigned i = 0; i < list.size(); ++i) {
    if (element.isText())
      list.set(i, input.text(8).c_str());
    else if (element.isData())
      list.set(i, capnp::Data::Reader(reinterpret_cast<const kj::byte*>(input.rest().data()),
                                      input.take(input.below(4)).size()));
    else if (element.isStruct())
      fill(list[i].as<DynamicStruct>(), input, 1);
    else if (element.isEnum())
      list.set(i, capnp::DynamicEnum(element.asEnum(), static_cast<std::uint16_t>(input.below(6))));
    else if (element.isBool())
      list.set(i, input.chance());
    else if (element.isFloat32() || element.isFloat64())
      list.set(i, static_cast<double>(input.number(3)) - 1e6);
    else if (!element.isVoid() && !element.isList())
      list.set(i, input.byte() & 0x7f);
  }
}

// Any bits that a field of that type can have.
void setScalar(DynamicStruct::Builder record, capnp::StructSchema::Field field, fuzz::Input& input) {
  const std::uint64_t bits = input.number(input.below(9));
  switch (field.getType().which()) {
    case capnp::schema::Type::BOOL:
      return record.set(field, (bits & 1) != 0);
    case capnp::schema::Type::INT8:
      return record.set(field, static_cast<std::int8_t>(bits));
    case capnp::schema::Type::INT16:
      return record.set(field, static_cast<std::int16_t>(bits));
    case capnp::schema::Type::INT32:
      return record.set(field, static_cast<std::int32_t>(bits));
    case capnp::schema::Type::INT64:
      return record.set(field, static_cast<std::int64_t>(bits));
    case capnp::schema::Type::UINT8:
      return record.set(field, static_cast<std::uint8_t>(bits));
    case capnp::schema::Type::UINT16:
      return record.set(field, static_cast<std::uint16_t>(bits));
    case capnp::schema::Type::UINT32:
      return record.set(field, static_cast<std::uint32_t>(bits));
    case capnp::schema::Type::UINT64:
      return record.set(field, bits);
    case capnp::schema::Type::FLOAT32:
      return record.set(field, std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    case capnp::schema::Type::FLOAT64:
      return record.set(field, std::bit_cast<double>(bits));
    case capnp::schema::Type::ENUM:
      return record.set(field,
                        capnp::DynamicEnum(field.getType().asEnum(), static_cast<std::uint16_t>(bits)));
    default:
      return;
  }
}

void fill(DynamicStruct::Builder record, fuzz::Input& input, unsigned depth) {
  for (auto field : record.getSchema().getFields()) {
    if (input.left() == 0) return;
    if (field.getProto().isGroup()) {
      fill(record.get(field).as<DynamicStruct>(), input, depth);
    } else if (field.getType().isText()) {
      if (input.chance()) record.set(field, input.text(16).c_str());
    } else if (field.getType().isData()) {
      const Bytes data = input.take(input.below(8));
      record.set(field, capnp::Data::Reader(reinterpret_cast<const kj::byte*>(data.data()), data.size()));
    } else if (field.getType().isList()) {
      fillList(record.init(field, static_cast<unsigned>(input.below(4))).as<capnp::DynamicList>(), input);
    } else if (field.getType().isStruct()) {
      if (depth < 3 && input.chance()) fill(record.init(field).as<DynamicStruct>(), input, depth + 1);
    } else {
      setScalar(record, field, input);
    }
  }
}

// What has become of a row: its record's bytes, or why there is none.
struct Outcome {
  std::string record;
  std::string refusal;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::string bytesOf(DynamicStruct::Reader record) {
  const auto words = record.as<capnp::AnyStruct>().canonicalize();
  return {reinterpret_cast<const char*>(words.begin()), words.size() * sizeof(capnp::word)};
}

Outcome upgrade(const Plan& plan, capnp::AnyStruct::Reader row, capnp::MallocMessageBuilder& message) {
  try {
    if (plan.replaces()) {
      capnp::MallocMessageBuilder older;
      older.setRoot(row);
      const Plan before = plan.before();
      const auto record = older.getRoot<DynamicStruct>(before.schema().root());
      before.run(record);
      message.initRoot<DynamicStruct>(plan.schema().root());
      plan.replace(record.asReader(), message.getRoot<DynamicStruct>(plan.schema().root()));
    } else {
      message.setRoot(row);
    }
    const auto record = message.getRoot<DynamicStruct>(plan.schema().root());
    plan.run(record);
    return {bytesOf(record.asReader()), {}};
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::fixRow || plan.replaces(),
                  "a row that cannot be upgraded is wrong");
    fuzz::require(plan.replaces() || !error.fact("reason").empty(), "and it is said why");
    return {{}, error.what()};
  }
}

void checkMirrors(const Plans& plans, DynamicStruct::Builder record) {
  try {
    plans.prepareToPut(record);
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::fixInput, "a record that cannot be put is wrong");
    return;
  }
  const std::string once = bytesOf(record.asReader());
  plans.prepareToPut(record);
  fuzz::require(bytesOf(record.asReader()) == once, "mirrors that are made twice are the same");
  fuzz::require(MirrorCheck(plans).diverged(record.asReader().as<capnp::AnyStruct>()).empty(),
                "and hold what they are made from");
}

// The functions that are missing are named, and a record whose field has changed is derived again or refused.
void checkFunctions(const Plans& plans, const Plan& plan, DynamicStruct::Builder record) {
  bool missing = !plan.unusable().empty() || !plans.unusableForPut().empty();
  try {
    plans.requireFunctions();
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::fixCall, "who lacks a function is told to bring it");
    missing = false;
  }
  fuzz::require(!missing, "no function is missing where none is required");
  try {
    const bool isGrouped = record.getSchema().findFieldByName("f0") == nullptr;
    plans.deriveAgain(record, {isGrouped ? "group.f0" : "f0"});
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::fixRow, "a record that cannot be derived again is wrong");
  }
}

}  // namespace

void instar::fuzz::fuzzPlan(Bytes bytes) {
  Input input(bytes);
  MadeSchemas made(input);
  const auto older = schemaOf(made.older(), kRecordId);
  const auto newer = schemaOf(made.newer(), made.newerId());
  if (!older || !newer) return;
  const SchemaBelow below = [&](std::uint16_t version) -> std::optional<RecordSchema> {
    if (version <= older->version()) return std::nullopt;
    return older;
  };
  const Plans active(*older, madeFunctions(), below);
  const Plans plans(*newer, madeFunctions(), below);
  const Plan plan = plans.from(1);
  for (const auto& step : plan.steps()) require(!step.how.empty(), "a step says how");
  require(plan.hash() == Plans(*newer, madeFunctions(), below).from(1).hash(),
          "plans of one schema are equal");

  capnp::MallocMessageBuilder row;
  fill(row.initRoot<DynamicStruct>(older->root()), input, 0);
  const auto stored = row.getRoot<capnp::AnyStruct>().asReader();
  capnp::MallocMessageBuilder first;
  capnp::MallocMessageBuilder second;
  const Outcome outcome = upgrade(plan, stored, first);
  require(outcome == upgrade(plan, stored, second), "a row is upgraded in the same way each time");
  if (!outcome.refusal.empty()) return;

  const Canary canary(active, plans);
  const CanaryRead read{
      .version = 1, .active = stored, .staged = first.getRoot<capnp::AnyStruct>().asReader()};
  const CanaryFindings findings = canary.examine(read);
  CanaryStatistics statistics;
  canary.count(read, findings, statistics);
  require(statistics.samples == 1, "a read is one sample");
  const auto record = first.getRoot<DynamicStruct>(newer->root());
  plans.brokenRules(record.asReader());
  checkMirrors(plans, record);
  checkFunctions(plans, plan, record);
}
