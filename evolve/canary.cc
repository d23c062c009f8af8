#include "instar/evolve/canary.h"

#include <capnp/dynamic.h>
#include <kj/exception.h>

#include <algorithm>

#include "instar/evolve/internal/derivation.h"
#include "instar/evolve/internal/field_probe.h"
#include "instar/evolve/internal/record_code.h"
#include "instar/evolve/mirror_check.h"
#include "instar/evolve/want_of_memory.h"

namespace instar {
namespace {

using capnp::DynamicStruct;
using internal::Derivation;
using internal::FieldPath;
using internal::FieldProbe;
using internal::RecordSections;
using Field = capnp::StructSchema::Field;

constexpr const char* kUnsound = "the record cannot be read: a pointer in it is not sound";

// A field through both versions; what makes it, where that is a derivation.
struct Watched {
  struct Source {
    FieldPath staged;
    std::optional<FieldPath> active;  // which still has it where the staged version retires it
  };

  std::string name;
  bool isSensitive = false;
  FieldProbe staged;
  std::optional<FieldProbe> active;
  std::uint16_t derivedSince = 0;  // 0: it is not derived
  std::vector<Source> sources;
};

bool isGroup(Field field) { return field.getProto().isGroup(); }

void collect(capnp::StructSchema members, std::vector<Field>& path, std::vector<FieldPath>& fields) {
  for (const Field field : members.getFields()) {
    path.push_back(field);
    if (isGroup(field))
      collect(field.getType().asStruct(), path, fields);
    else if (!field.getType().isVoid())
      fields.emplace_back(path);
    path.pop_back();
  }
}

const Derivation* findTarget(const std::vector<Derivation>& derivations, const FieldPath& field) {
  const auto found = std::find_if(derivations.begin(), derivations.end(),
                                  [&](const Derivation& one) { return one.target.text() == field.text(); });
  return found == derivations.end() ? nullptr : &*found;
}

bool isRetired(const RecordSchema& schema, const FieldPath& field) {
  const auto& retired = schema.derivations().retired;
  return std::any_of(retired.begin(), retired.end(),
                     [&](const auto& one) { return one.field.text() == field.text(); });
}

// Whether a function that has all of a record in its hands belongs to the staged version alone.
bool hasNewCode(const RecordSchema& active, const RecordSchema& staged) {
  const auto& steps = staged.code().steps;
  return active.rootId() != staged.rootId() ||
         std::any_of(steps.begin(), steps.end(), [&](const auto& one) { return one.to > active.version(); });
}

Watched watch(const FieldPath& field, const Derivation* derivation, capnp::StructSchema active) {
  const auto before = internal::counterpart(field, active);
  Watched watched{.name = field.text(),
                  .isSensitive = field.isSensitive() || (before && before->isSensitive()),
                  .staged = FieldProbe(field),
                  .active = {},
                  .sources = {}};
  if (before && !isGroup(before->field())) watched.active.emplace(*before);
  if (derivation == nullptr) return watched;
  watched.derivedSince = derivation->since;
  for (const FieldPath& source : derivation->expression.sources)
    watched.sources.push_back({source, internal::counterpart(source, active)});
  return watched;
}

// What the schema makes first, then new fields, then what a function may have changed.
std::vector<Watched> watchedFields(const RecordSchema& active, const RecordSchema& staged) {
  std::vector<FieldPath> all;
  std::vector<Field> path;
  collect(staged.root(), path, all);
  std::vector<Watched> made;
  std::vector<Watched> others;
  const bool watchAll = hasNewCode(active, staged);
  for (const FieldPath& field : all) {
    if (isRetired(staged, field)) continue;
    const Derivation* const derivation = findTarget(staged.derivations().derived, field);
    const bool isMade = derivation != nullptr || findTarget(staged.derivations().mirrored, field) != nullptr;
    Watched watched = watch(field, derivation, active.root());
    if (isMade)
      made.push_back(std::move(watched));
    else if (watchAll || !watched.active)
      others.push_back(std::move(watched));
  }
  std::move(others.begin(), others.end(), std::back_inserter(made));
  if (made.size() > Canary::kMaxFields) made.erase(made.begin() + Canary::kMaxFields, made.end());
  std::sort(made.begin(), made.end(),
            [](const Watched& one, const Watched& other) { return one.name < other.name; });
  return made;
}

void look(const FieldProbe& probe, bool isSensitive, const RecordSections& record, bool isSet,
          FieldDistribution& distribution) {
  if (!isSet)
    distribution.addUnset();
  else
    distribution.add(isSensitive ? std::nullopt : probe.number(record));
}

}  // namespace

struct Canary::Bound {
  Bound(Plans activePlans, Plans stagedPlans)
      : active(std::move(activePlans)),
        staged(std::move(stagedPlans)),
        fields(watchedFields(active.schema(), staged.schema())),
        mirrors(staged, active.schema()) {}

  std::vector<BrokenRule> brokenRules(const CanaryRead& read) const;
  bool areSourcesSet(const Watched& field, const CanaryRead& read) const;
  void countFields(const CanaryRead& read, CanaryStatistics& statistics) const;

  const Plans active;
  const Plans staged;
  const std::vector<Watched> fields;  // by name
  const MirrorCheck mirrors;          // that writers of the active version do not keep
};

std::vector<BrokenRule> Canary::Bound::brokenRules(const CanaryRead& read) const {
  if (!staged.hasRules()) return {};
  auto broken = staged.brokenRules(read.staged.as<DynamicStruct>(staged.schema().root()));
  if (broken.empty() || !active.hasRules()) return broken;
  const auto before = active.brokenRules(read.active.as<DynamicStruct>(active.schema().root()));
  std::erase_if(broken, [&](const BrokenRule& one) {
    return std::any_of(before.begin(), before.end(),
                       [&](const BrokenRule& other) { return other.validator == one.validator; });
  });
  return broken;
}

bool Canary::Bound::areSourcesSet(const Watched& field, const CanaryRead& read) const {
  const auto after = read.staged.as<DynamicStruct>(staged.schema().root());
  const auto before = read.active.as<DynamicStruct>(active.schema().root());
  return std::all_of(field.sources.begin(), field.sources.end(), [&](const Watched::Source& source) {
    return source.staged.read(after) || (source.active && source.active->read(before));
  });
}

void Canary::Bound::countFields(const CanaryRead& read, CanaryStatistics& statistics) const {
  if (statistics.fields.empty()) {
    for (const Watched& field : fields) statistics.fields.push_back({.name = field.name});
  }
  const RecordSections before(read.active);
  const RecordSections after(read.staged);
  bool isAnyLost = false;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Watched& field = fields[i];
    CanaryField& counted = statistics.fields[i];
    const bool isSet = field.staged.isSet(after);
    look(field.staged, field.isSensitive, after, isSet, counted.staged);
    bool isLost =
        !isSet && field.staged.isPointer() && read.version < field.derivedSince && areSourcesSet(field, read);
    if (field.active) {
      const bool wasSet = field.active->isSet(before);
      look(*field.active, field.isSensitive, before, wasSet, counted.active);
      isLost = isLost || (wasSet && !isSet);
    }
    counted.unexpectedlyUnset += isLost ? 1U : 0U;
    isAnyLost = isAnyLost || isLost;
  }
  statistics.unexpectedlyUnset += isAnyLost ? 1U : 0U;
}

Canary::Canary(Plans active, Plans staged)
    : bound_(std::make_shared<Bound>(std::move(active), std::move(staged))) {}

CanaryFindings Canary::failure(const Error& error) {
  const std::string_view reason = error.fact("reason");
  return {.failure = CanaryFailure{.field = std::string(error.fact("field")),
                                   .function = std::string(error.fact("function")),
                                   .reason = std::string(reason.empty() ? error.message() : reason)}};
}

CanaryFindings Canary::examine(const CanaryRead& read) const {
  try {
    CanaryFindings findings;
    findings.diverged = bound_->mirrors.diverged(read.staged);
    findings.brokenRules = bound_->brokenRules(read);
    return findings;
  } catch (const Error& error) {
    return failure(error);
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
    return {.failure = CanaryFailure{.field = {}, .function = {}, .reason = kUnsound}};
  }
}

void Canary::count(const CanaryRead& read, const CanaryFindings& findings,
                   CanaryStatistics& statistics) const {
  const auto countFailure = [&](const CanaryFailure& failure) {
    ++statistics.failed;
    statistics.failures.add(failure);
  };
  ++statistics.samples;
  if (findings.failure) return countFailure(*findings.failure);
  try {
    bound_->countFields(read, statistics);
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
    return countFailure({.field = {}, .function = {}, .reason = kUnsound});
  }
  statistics.activeLatency.add(read.activeTime);
  statistics.stagedLatency.add(read.stagedTime);
  if (!findings.brokenRules.empty()) ++statistics.brokeRules;
  for (const BrokenRule& one : findings.brokenRules)
    statistics.brokenRules.add({.field = {}, .function = one.validator, .reason = one.reason});
  if (!findings.diverged.empty()) ++statistics.diverged;
  for (const std::string& name : findings.diverged) {
    const auto field = std::find_if(statistics.fields.begin(), statistics.fields.end(),
                                    [&](const CanaryField& one) { return one.name == name; });
    if (field != statistics.fields.end()) ++field->diverged;
  }
}

}  // namespace instar
