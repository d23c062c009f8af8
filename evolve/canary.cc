#include "instar/evolve/canary.h"

#include <capnp/dynamic.h>
#include <capnp/message.h>
#include <kj/exception.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "instar/evolve/internal/derivation.h"
#include "instar/evolve/internal/field_probe.h"
#include "instar/evolve/internal/record_code.h"
#include "instar/evolve/internal/value_text.h"

namespace instar {
namespace {

using capnp::DynamicStruct;
using capnp::DynamicValue;
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

struct Mirror {
  FieldPath field;
  FieldProbe probe;
};

// The mirrors that writers of the active version do not keep.
std::vector<Mirror> newMirrors(const RecordSchema& active, const RecordSchema& staged) {
  std::vector<Mirror> mirrors;
  const auto& kept = active.derivations().mirrored;
  for (const Derivation& one : staged.derivations().mirrored) {
    const bool isKept = std::any_of(kept.begin(), kept.end(), [&](const Derivation& other) {
      return other.since == one.since && other.target.numbers() == one.target.numbers() &&
             other.expression.meaning == one.expression.meaning;
    });
    if (!isKept) mirrors.push_back({one.target, FieldProbe(one.target)});
  }
  return mirrors;
}

// The pointers in the record struct that lead to what mirrors are made from.
std::set<std::uint32_t> mirrorPointers(const RecordSchema& schema) {
  std::set<std::uint32_t> pointers;
  for (const Derivation& one : schema.derivations().mirrored) {
    for (const FieldPath& source : one.expression.sources) {
      const auto& steps = source.steps();
      const auto slot = std::find_if_not(steps.begin(), steps.end(), isGroup);
      if (slot == steps.end()) {  // a group, with all that it has
        for (std::uint16_t i = 0; i < schema.root().getProto().getStruct().getPointerCount(); ++i)
          pointers.insert(i);
      } else if (internal::isPointerType(slot->getType().which())) {
        pointers.insert(slot->getProto().getSlot().getOffset());
      }
    }
  }
  return pointers;
}

// All numbers of a record, and those of its pointers. Both are of the same struct; one may be shorter.
void copyParts(const RecordSections& from, const std::set<std::uint32_t>& pointers,
               capnp::AnyStruct::Builder to) {
  auto data = to.getDataSection();
  if (data.size() > 0) std::memcpy(data.begin(), from.data.begin(), std::min(data.size(), from.data.size()));
  auto places = to.getPointerSection();
  for (const std::uint32_t pointer : pointers) {
    if (pointer < from.pointers.size()) places[pointer].set(from.pointers[pointer]);
  }
}

// What programs read there: the default where nothing is set.
DynamicValue::Reader valueOf(const FieldPath& member, DynamicStruct::Reader record) {
  for (auto step = member.steps().begin(); step + 1 != member.steps().end(); ++step)
    record = record.get(*step).as<DynamicStruct>();
  return record.get(member.field());
}

bool isSame(const DynamicValue::Reader& left, const DynamicValue::Reader& right) {
  switch (left.getType()) {
    case DynamicValue::BOOL:
      return left.as<bool>() == right.as<bool>();
    case DynamicValue::INT:
      return left.as<std::int64_t>() == right.as<std::int64_t>();
    case DynamicValue::UINT:
      return left.as<std::uint64_t>() == right.as<std::uint64_t>();
    case DynamicValue::FLOAT: {
      const auto one = left.as<double>();
      const auto other = right.as<double>();
      return one == other || (std::isnan(one) && std::isnan(other));
    }
    case DynamicValue::ENUM:
      return left.as<capnp::DynamicEnum>().getRaw() == right.as<capnp::DynamicEnum>().getRaw();
    case DynamicValue::TEXT:
      return left.as<capnp::Text>() == right.as<capnp::Text>();
    case DynamicValue::DATA:
      return left.as<capnp::Data>() == right.as<capnp::Data>();
    case DynamicValue::ANY_POINTER:
      return left.as<capnp::AnyPointer>() == right.as<capnp::AnyPointer>();
    default:
      return internal::valueText(left) == internal::valueText(right);
  }
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
        mirrors(newMirrors(active.schema(), staged.schema())),
        pointers(mirrorPointers(staged.schema())) {}

  std::vector<std::string> divergence(capnp::AnyStruct::Reader record) const;
  std::vector<BrokenRule> brokenRules(const CanaryRead& read) const;
  bool areSourcesSet(const Watched& field, const CanaryRead& read) const;
  void countFields(const CanaryRead& read, CanaryStatistics& statistics) const;

  const Plans active;
  const Plans staged;
  const std::vector<Watched> fields;  // by name
  const std::vector<Mirror> mirrors;
  const std::set<std::uint32_t> pointers;  // to the sources of all mirrors
};

// Mirrors are made from their sources alone, so that no more of the record has to be copied.
std::vector<std::string> Canary::Bound::divergence(capnp::AnyStruct::Reader record) const {
  std::vector<std::string> diverged;
  if (mirrors.empty()) return diverged;
  capnp::word scratch[96] = {};
  capnp::MallocMessageBuilder message(scratch);
  const auto root = staged.schema().root();
  const auto copy = message.initRoot<DynamicStruct>(root);
  const RecordSections stored(record);
  copyParts(stored, pointers, DynamicStruct::Builder(copy).as<capnp::AnyStruct>());
  staged.prepareToPut(copy);
  const auto put = copy.asReader();
  const RecordSections made(put);
  for (const auto& [field, probe] : mirrors) {
    if (!probe.isPlainlySame(made, stored) &&
        !isSame(valueOf(field, put), valueOf(field, record.as<DynamicStruct>(root))))
      diverged.push_back(field.text());
  }
  return diverged;
}

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
    findings.diverged = bound_->divergence(read.staged);
    findings.brokenRules = bound_->brokenRules(read);
    return findings;
  } catch (const Error& error) {
    return failure(error);
  } catch (const kj::Exception&) {
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
  } catch (const kj::Exception&) {
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
