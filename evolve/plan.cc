#include "instar/evolve/plan.h"

#include <kj/exception.h>

#include "instar/evolve/internal/conversion.h"
#include "instar/evolve/internal/derivation.h"
#include "instar/format/checksum.h"
#include "instar/format/error.h"

namespace instar {
namespace {

void runOne(const internal::Derivation& one, capnp::DynamicStruct::Builder record, ErrorCode code,
            const char* message) {
  try {
    one.target.parent(record).clear(
        one.target.field());  // an older program may have kept what a newer one wrote
    one.expression.run(record);
  } catch (const internal::Unfit& unfit) {
    throw Error(code, message, {{"field", one.target.text()}, {"reason", unfit.reason}});
  } catch (const kj::Exception&) {
    throw Error(
        code, message,
        {{"field", one.target.text()}, {"reason", "the value is larger than a row can hold, or not sound"}});
  }
}

}  // namespace

std::vector<Plan::Step> Plan::steps() const {
  std::vector<Step> steps;
  for (const auto& one : schema_.derivations().derived) {
    if (one.since > from_) steps.push_back({one.target.text(), one.text});
  }
  for (const auto& one : schema_.derivations().retired) {
    if (one.since > from_) steps.push_back({one.field.text(), "retired"});
  }
  return steps;
}

std::uint64_t Plan::hash() const {
  std::string meaning;
  for (const auto& one : schema_.derivations().derived) {
    if (one.since > from_) meaning += one.expression.meaning + "\n";
  }
  for (const auto& one : schema_.derivations().retired) {
    if (one.since > from_) meaning += "retired " + one.field.numbers() + "\n";
  }
  return hash64(asBytes(meaning));
}

void Plan::run(capnp::DynamicStruct::Builder record) const {
  for (const auto& one : schema_.derivations().derived) {
    if (one.since <= from_) continue;
    runOne(one, record, ErrorCode::fixRow,
           "a row of an older version does not allow what the schema derives from it; correct the row or the "
           "schema");
  }
  for (const auto& one : schema_.derivations().retired) {
    if (one.since > from_) one.field.parent(record).clear(one.field.field());
  }
}

void prepareToPut(const RecordSchema& schema, capnp::DynamicStruct::Builder record) {
  for (const auto& one : schema.derivations().retired) {
    if (!one.field.readIfNotDefault(record.asReader())) continue;
    throw Error(
        ErrorCode::fixInput, "a field is retired and cannot be set any more; leave it unset",
        {{"field", one.field.text()}, {"reason", "retired since version " + std::to_string(one.since)}});
  }
  for (const auto& one : schema.derivations().mirrored) {
    runOne(one, record, ErrorCode::fixInput,
           "a field that older programs read cannot be made from the record; change the record");
  }
}

}  // namespace instar
