#include "instar/evolve/internal/record_code.h"

#include <algorithm>

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
    if (const auto value = annotationOf(kUpgradedAnnotation))
      code.steps = steps(value->getList().getAs<capnp::List<annotation::Step>>(), code);
    if (const auto value = annotationOf(kValidatedAnnotation))
      code.validators = validators(value->getList().getAs<capnp::List<capnp::Text>>());
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

  // Errors and commands print the name.
  void requirePlain(const char* annotation, std::string_view function) const {
    if (isPlainText(function)) return;
    refuse(annotation, "the name of a function is UTF-8 without control characters; write another",
           {{"function", textLiteral(function)}});
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
    requirePlain(kName, {source.getCall().begin(), source.getCall().size()});
    return {.since = source.getSince(), .type = source.getType(), .function = source.getCall().cStr()};
  }

  std::vector<StepCall> steps(capnp::List<annotation::Step>::Reader source, const RecordCode& code) const {
    constexpr const char* kName = "upgraded";
    std::vector<StepCall> steps;
    for (const auto one : source) {
      const std::vector<Error::Fact> facts{{"to", std::to_string(one.getTo())},
                                           {"version", std::to_string(version_)}};
      if (one.getTo() < 2 || one.getTo() > version_)
        refuse(kName, "`to` is the version that a step leads to: 2 up to the number in $Instar.version",
               facts);
      if (code.replaces && one.getTo() <= code.replaces->since) {
        refuse(kName,
               "rows of versions before are of another struct; let the function convert them that "
               "$Instar.replaces "
               "names",
               facts);
      }
      if (one.getCall().size() == 0)
        refuse(kName, "`call` is the name of the function of a step; add it", facts);
      requirePlain(kName, {one.getCall().begin(), one.getCall().size()});
      steps.push_back({.to = one.getTo(), .function = one.getCall().cStr()});
    }
    std::sort(steps.begin(), steps.end(),
              [](const auto& one, const auto& other) { return one.to < other.to; });
    const auto twice = std::adjacent_find(
        steps.begin(), steps.end(), [](const auto& one, const auto& other) { return one.to == other.to; });
    if (twice != steps.end())
      refuse(kName, "one step leads to each version; let one function do both",
             {{"to", std::to_string(twice->to)}});
    return steps;
  }

  std::vector<std::string> validators(capnp::List<capnp::Text>::Reader source) const {
    std::vector<std::string> names;
    for (const auto name : source) requirePlain("validated", names.emplace_back(name.begin(), name.size()));
    std::sort(names.begin(), names.end());
    if (!names.empty() && names.front().empty())
      refuse("validated", "a validator needs the name of a function; add it");
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
      refuse("validated", "a validator is named twice; take one away", {{"function", *twice}});
    return names;
  }

  const capnp::StructSchema record_;
  const std::uint16_t version_;
};

}  // namespace

std::string Replacement::text() const {
  return "(since = " + std::to_string(since) + ", type = 0x" + hexadecimal(type) +
         ", call = " + textLiteral(function) + ")";
}

std::string StepCall::text() const {
  return "(to = " + std::to_string(to) + ", call = " + textLiteral(function) + ")";
}

RecordCode recordCodeOf(capnp::StructSchema record, std::uint16_t version) {
  return Reading(record, version).code();
}

std::string meaningOf(const RecordCode& code) {
  std::string text = code.replaces ? "replaces " + code.replaces->text() + "\n" : std::string();
  for (const StepCall& step : code.steps) text += "upgraded " + step.text() + "\n";
  for (const std::string& name : code.validators) text += "validated " + textLiteral(name) + "\n";
  return text;
}

}  // namespace instar::internal
