#include "instar/evolve/internal/code_difference.h"

#include <algorithm>

#include "instar/evolve/internal/field_path.h"
#include "instar/evolve/internal/key_difference.h"
#include "instar/evolve/internal/record_code.h"

namespace instar::internal {
namespace {

bool sortTheSame(const KeySpec& older, const KeySpec& newer) {
  return std::equal(older.begin(), older.end(), newer.begin(), newer.end(),
                    [](const KeyPart& one, const KeyPart& other) { return one.type == other.type; });
}

std::string textOf(const std::optional<Replacement>& replacement) {
  return replacement ? replacement->text() : "nothing";
}

template <class Element>
bool contains(const std::vector<Element>& list, const Element& element) {
  return std::find(list.begin(), list.end(), element) != list.end();
}

}  // namespace

std::vector<Change> replacement(const RecordSchema& older, const RecordSchema& newer) {
  RecordReplaced change{std::string(older.typeName()), std::string(newer.typeName()), older.rootId(),
                        newer.rootId()};
  if (const auto& declared = newer.code().replaces) {
    change.how = declared->text();
    change.declaredId = declared->type;
    change.since = declared->since;
    change.olderVersion = older.version();
  }
  std::vector<Change> changes{change};
  if (!sortTheSame(older.key(), newer.key())) changes.push_back(keyChanged(older, newer));
  for (std::size_t part = 0; part < std::min(older.key().size(), newer.key().size()); ++part) {
    const std::string& name = newer.key()[part].name;
    if (FieldPath(older.root(), older.key()[part].name).isSensitive() &&
        !FieldPath(newer.root(), name).isSensitive())
      changes.push_back(KeyUnmasked{std::string(newer.typeName()), name});
  }
  return changes;
}

std::vector<Change> codeDifference(const RecordSchema& older, const RecordSchema& newer) {
  std::vector<Change> changes;
  const std::string type(newer.typeName());
  if (older.code().replaces != newer.code().replaces) {
    changes.push_back(ReplacementChanged{type, textOf(older.code().replaces), textOf(newer.code().replaces)});
  }
  const auto& before = older.code().steps;
  const auto& after = newer.code().steps;
  for (const StepCall& step : before) {
    if (!contains(after, step)) changes.push_back(StepRemoved{type, step.text()});
  }
  for (const StepCall& step : after) {
    if (!contains(before, step)) changes.push_back(StepAdded{type, step.text(), step.to, older.version()});
  }
  for (const std::string& name : older.code().validators) {
    if (!contains(newer.code().validators, name)) changes.push_back(ValidatorRemoved{type, name});
  }
  for (const std::string& name : newer.code().validators) {
    if (!contains(older.code().validators, name)) changes.push_back(ValidatorAdded{type, name});
  }
  return changes;
}

}  // namespace instar::internal
