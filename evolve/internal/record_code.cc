#include "instar/evolve/internal/record_code.h"

#include "instar/evolve/internal/annotations.h"
#include "instar/evolve/internal/literal.h"
#include "instar/format/error.h"
#include "instar/schema.capnp.h"

namespace instar::internal {
namespace {

class Reading {
 public:
  Reading(capnp::StructSchema record, std::uint16_t version) : record_(record), version_(version) {}

  RecordCode code() const {
    RecordCode code;
    if (const auto value = annotationOf(kReplacesAnnotation))
      code.replaces = replacement(value->getStruct().getAs<annotation::Replacement>());
    return code;
  }

 private:
  std::optional<capnp::schema::Value::Reader> annotationOf(std::uint64_t id) const {
    return findAnnotation(record_.getProto().getAnnotations(), id);
  }

  [[noreturn]] void refuse(const char* annotation, const char* message,
                           std::vector<Error::Fact> facts = {}) const {
    facts.push_back({"type", record_.getShortDisplayName().cStr()});
    facts.push_back({"annotation", annotation});
    throw Error(ErrorCode::fixSchema, message, std::move(facts));
  }

  Replacement replacement(annotation::Replacement::Reader source) const {
    constexpr const char* kName = "replaces";
    if (source.getSince() < 2 || source.getSince() > version_) {
      refuse(kName, "`since` is the first version of this struct: 2 up to the number in $Instar.version",
             {{"since", std::to_string(source.getSince())}, {"version", std::to_string(version_)}});
    }
    if (source.getType() == 0) refuse(kName, "`type` is the id of the struct that older rows are of; add it");
    if (source.getType() == record_.getProto().getId())
      refuse(kName, "a struct cannot replace itself; name the id of the one before");
    if (source.getCall().size() == 0)
      refuse(kName, "`call` is the name of the function that converts rows; add it");
    return {.since = source.getSince(), .type = source.getType(), .function = source.getCall().cStr()};
  }

  const capnp::StructSchema record_;
  const std::uint16_t version_;
};

}  // namespace

std::string Replacement::text() const {
  return "(since = " + std::to_string(since) + ", type = 0x" + hexadecimal(type) +
         ", call = " + textLiteral(function) + ")";
}

RecordCode recordCodeOf(capnp::StructSchema record, std::uint16_t version) {
  return Reading(record, version).code();
}

std::string meaningOf(const RecordCode& code) {
  return code.replaces ? "replaces " + code.replaces->text() + "\n" : std::string();
}

}  // namespace instar::internal
