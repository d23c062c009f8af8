#include "instar/format/error.h"

namespace instar {

std::string_view errorCodeName(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::fixCall:
      return "fixCall";
    case ErrorCode::fixSchema:
      return "fixSchema";
    case ErrorCode::fixInput:
      return "fixInput";
    case ErrorCode::fixEnvironment:
      return "fixEnvironment";
    case ErrorCode::retry:
      return "retry";
    case ErrorCode::freeSpace:
      return "freeSpace";
    case ErrorCode::upgradeProgram:
      return "upgradeProgram";
    case ErrorCode::restoreFromBackup:
      return "restoreFromBackup";
    case ErrorCode::readBack:
      return "readBack";
    case ErrorCode::fixRow:
      return "fixRow";
  }
  return "unknown";
}

Error::Error(ErrorCode code, const char* message, std::vector<Fact> facts)
    : code_(code), message_(message), facts_(std::move(facts)), what_(message) {
  const char* separator = " (";
  for (const Fact& fact : facts_) {
    what_.append(separator).append(fact.name).append(": ").append(fact.value);
    separator = ", ";
  }
  if (!facts_.empty()) what_ += ')';
}

std::string_view Error::fact(std::string_view name) const noexcept {
  for (const Fact& fact : facts_) {
    if (fact.name == name) return fact.value;
  }
  return {};
}

Error Error::with(std::string name, std::string value) const {
  std::vector<Fact> facts = facts_;
  facts.push_back({std::move(name), std::move(value)});
  return Error(code_, message_, std::move(facts));
}

}  // namespace instar
