#include "instar/evolve/plan.h"

#include <kj/exception.h>

#include <algorithm>
#include <new>

#include "instar/evolve/internal/conversion.h"
#include "instar/evolve/internal/derivation.h"
#include "instar/evolve/internal/record_code.h"
#include "instar/evolve/want_of_memory.h"
#include "instar/format/checksum.h"
#include "instar/format/error.h"

namespace instar {
namespace {

using internal::Derivation;

constexpr const char* kMissing = "this program does not have the function";

// One thing that is done to a record: a derivation, a step or a retirement, and the function that it calls.
struct Work {
  std::uint16_t since = 0;                 // to rows of versions below
  const Derivation* derivation = nullptr;  // one of these three
  const internal::StepCall* step = nullptr;
  const internal::Retirement* retirement = nullptr;
  const internal::ValueFunction* value = nullptr;  // of a derivation that calls one, where it can be called
  const internal::StepFunction* change = nullptr;  // of a step, likewise
  std::string unusable{};                          // why it cannot be called

  const std::string& function() const {
    static const std::string kNone;
    if (retirement != nullptr) return kNone;
    return step != nullptr ? step->function : derivation->expression.function;
  }
  std::string field() const {
    if (retirement != nullptr) return retirement->field.text();
    return step != nullptr ? "" : derivation->target.text();
  }
  std::string text() const {
    if (retirement != nullptr) return "retired";
    return step != nullptr ? "upgraded " + step->text() : derivation->text;
  }
  std::string meaning() const {
    if (retirement != nullptr) return "retired " + retirement->field.numbers();
    return step != nullptr ? text() : derivation->expression.meaning;
  }
};

std::string misfit(const internal::ValueFunction& function, const Derivation& one) {
  if (!function.misfit) return {};
  std::vector<capnp::Type> sources;
  for (const auto& source : one.expression.sources) sources.push_back(source.type());
  return function.misfit(sources, one.target.type());
}

std::vector<Work> bind(const std::vector<Derivation>& derivations, const Functions* functions) {
  std::vector<Work> result;
  for (const Derivation& one : derivations) {
    Work& work = result.emplace_back(Work{.since = one.since, .derivation = &one});
    if (work.function().empty()) continue;
    const auto* found = functions == nullptr ? nullptr : functions->findValue(work.function());
    work.unusable = found == nullptr ? kMissing : misfit(*found, one);
    if (work.unusable.empty()) work.value = found;
  }
  return result;
}

Work bind(const internal::StepCall& step, const RecordSchema& schema, const Functions* functions) {
  Work work{.since = step.to, .step = &step};
  const auto* found = functions == nullptr ? nullptr : functions->findStep(step.function);
  work.unusable = found == nullptr ? kMissing : found->misfit(schema.root());
  if (work.unusable.empty()) work.change = found;
  return work;
}

bool isMadeFrom(const Derivation& one, const internal::FieldPath& field) {
  const auto& sources = one.expression.sources;
  return std::any_of(sources.begin(), sources.end(),
                     [&](const auto& source) { return overlap(source, field); });
}

// The derivations in their order, and each step behind those since its version or before. One that is
// made from a field of a later version stays behind that. A field is retired behind all that its version
// does, and behind what is made from it.
std::vector<Work> upgradesOf(const RecordSchema& schema, const Functions* functions) {
  std::vector<Work> works = bind(schema.derivations().derived, functions);
  const auto& retired = schema.derivations().retired;
  if (schema.code().steps.empty()) {
    for (const internal::Retirement& one : retired) works.push_back({.since = one.since, .retirement = &one});
    return works;
  }
  std::vector<std::pair<std::uint16_t, Work>> turns;
  for (Work& work : works) {
    std::uint16_t turn = work.since;
    for (const auto& [earlier, other] : turns) {
      if (isMadeFrom(*work.derivation, other.derivation->target)) turn = std::max(turn, earlier);
    }
    turns.emplace_back(turn, std::move(work));
  }
  for (const internal::StepCall& step : schema.code().steps)
    turns.emplace_back(step.to, bind(step, schema, functions));  // behind what has the same turn
  for (const internal::Retirement& one : retired) {
    std::uint16_t turn = one.since;
    for (const auto& [earlier, other] : turns) {
      if (other.derivation == nullptr) continue;
      if (isMadeFrom(*other.derivation, one.field) || overlap(other.derivation->target, one.field))
        turn = std::max(turn, earlier);
    }
    turns.emplace_back(turn, Work{.since = one.since, .retirement = &one});
  }
  std::stable_sort(turns.begin(), turns.end(),
                   [](const auto& one, const auto& other) { return one.first < other.first; });
  works.clear();
  for (auto& turn : turns) works.push_back(std::move(turn.second));
  return works;
}

void addUnusable(const Work& work, std::vector<UnusableFunction>& list) {
  if (!work.unusable.empty()) list.push_back({work.field(), work.function(), work.unusable});
}

void makeField(const Work& work, capnp::DynamicStruct::Builder record) {
  const internal::Expression& expression = work.derivation->expression;
  const internal::FieldPath& target = work.derivation->target;
  target.parent(record).clear(target.field());  // an older program may have kept what a newer one wrote
  if (work.value == nullptr) return expression.run(record);
  std::vector<capnp::DynamicValue::Reader> values;
  for (const auto& source : expression.sources)
    values.push_back(source.read(record.asReader()).value_or(capnp::VOID));
  FieldTarget field(target.parent(record), target.field());
  work.value->run(values, field);
}

// Who throws, and what it means for the caller.
struct Blame {
  ErrorCode code;
  const char* refused;
  const char* unusable;
};

constexpr Blame kRow{
    ErrorCode::fixRow,
    "a row of an older version does not allow what the schema derives from it; correct the row or the schema",
    "a row of an older version can only be read by a program that has the function; use that, or dump it as "
    "stored"};
constexpr Blame kRecord{
    ErrorCode::fixInput, "a field that older programs read cannot be made from the record; change the record",
    "a record can only be put by a program that has the function for a field that older programs read; use "
    "that"};

// What Cap'n Proto's refusal means: of the values that a schema derives, and of what a function does.
constexpr const char* kNoRoom = "the value is larger than a row can hold, or not sound";
constexpr const char* kMisuse =
    "the function used a field or type that the record does not have, or made too large a value";

// Runs what may refuse the row, and passes the reason on.
template <class Work, class Refuse>
void guard(const char* misuse, const Work& work, const Refuse& refuse) {
  try {
    work();
  } catch (const internal::Unfit& unfit) {
    refuse(unfit.reason);
  } catch (const UpgradeFailure& failure) {
    refuse(failure.what());
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
    refuse(misuse);
  } catch (...) {  // also what has words, which may show a value
    refuse("the function threw an exception; throw UpgradeFailure to say why");
  }
}

void run(const Work& work, capnp::DynamicStruct::Builder record, const Blame& blame) {
  const auto refuse = [&](const char* message, std::string reason) {
    std::vector<Error::Fact> facts;
    if (work.step == nullptr) facts.push_back({"field", work.field()});
    if (!work.function().empty()) facts.push_back({"function", work.function()});
    facts.push_back({"reason", std::move(reason)});
    throw Error(blame.code, message, std::move(facts));
  };
  if (!work.unusable.empty()) refuse(blame.unusable, work.unusable);
  guard(
      work.function().empty() ? kNoRoom : kMisuse,
      [&] {
        if (work.step != nullptr) {
          work.change->run(record);
        } else if (work.retirement != nullptr) {
          work.retirement->field.parent(record).clear(work.retirement->field.field());
        } else {
          makeField(work, record);
        }
      },
      [&](const char* reason) { refuse(blame.refused, reason); });
}

void clearRetired(const RecordSchema& schema, capnp::DynamicStruct::Builder record) {
  for (const internal::Retirement& one : schema.derivations().retired)
    one.field.parent(record).clear(one.field.field());
}

[[noreturn]] void refuseRecord(const char* message, const std::string& function, std::string reason) {
  throw Error(ErrorCode::fixRow, message, {{"function", function}, {"reason", std::move(reason)}});
}

// A validator, and the function of that name.
struct Rule {
  std::string name;
  const internal::ValidatorFunction* function = nullptr;  // where it can be called
  std::string unusable{};                                 // why it cannot be
};

std::vector<Rule> rulesOf(const RecordSchema& schema, const Functions* functions) {
  std::vector<Rule> rules;
  for (const std::string& name : schema.code().validators) {
    const auto* found = functions == nullptr ? nullptr : functions->findValidator(name);
    Rule& rule = rules.emplace_back(Rule{.name = name});
    rule.unusable = found == nullptr ? kMissing : found->misfit(schema.root());
    if (rule.unusable.empty()) rule.function = found;
  }
  return rules;
}

// The struct before, and the function that makes the new one from it.
struct BoundReplacement {
  std::optional<Plans> older;  // nothing where no row can be of it
  const internal::ConversionFunction* function = nullptr;
  std::string unusable{};  // why it cannot be called
};

BoundReplacement bind(const internal::Replacement& declared, const RecordSchema& schema,
                      const std::shared_ptr<const Functions>& functions, const SchemaBelow& below) {
  BoundReplacement bound;
  auto older = below ? below(declared.since) : std::nullopt;
  if (older && older->rootId() == declared.type) bound.older.emplace(*std::move(older), functions, below);
  const auto* found = functions ? functions->findConversion(declared.function) : nullptr;
  if (found == nullptr)
    bound.unusable = kMissing;
  else if (bound.older)
    bound.unusable = found->misfit(bound.older->schema().root(), schema.root());
  if (bound.unusable.empty()) bound.function = found;
  return bound;
}

}  // namespace

struct Plan::Bound {
  Bound(RecordSchema record, std::shared_ptr<const Functions> program, const SchemaBelow& below)
      : schema(std::move(record)),
        functions(std::move(program)),
        upgrades(upgradesOf(schema, functions.get())),
        mirrored(bind(schema.derivations().mirrored, functions.get())),
        rules(rulesOf(schema, functions.get())) {
    if (declared()) {
      replacement = bind(*declared(), schema, functions, below);
      replacedSince = declared()->since;
    }
    wholeUntil = replacedSince;
    for (const internal::StepCall& step : schema.code().steps) wholeUntil = std::max(wholeUntil, step.to);
  }

  const std::optional<internal::Replacement>& declared() const { return schema.code().replaces; }

  const RecordSchema schema;
  const std::shared_ptr<const Functions> functions;
  const std::vector<Work> upgrades;
  const std::vector<Work> mirrored;
  const std::vector<Rule> rules;
  BoundReplacement replacement;
  // Asked for with every row that is upgraded.
  std::uint16_t replacedSince = 0;  // rows of versions below are of another struct
  std::uint16_t wholeUntil = 0;  // and of these go through a function that has all of a record in its hands
};

const RecordSchema& Plan::schema() const noexcept { return bound_->schema; }

bool Plan::isIdentity() const noexcept { return from_ >= schema().completeFrom(); }

bool Plan::replaces() const noexcept { return from_ < bound_->replacedSince; }

bool Plan::mayChangeKey() const noexcept { return from_ < bound_->wholeUntil; }

Plan Plan::before() const {
  if (bound_->replacement.older) return bound_->replacement.older->from(from_);
  throw Error(ErrorCode::restoreFromBackup,
              "the schema of a struct that was replaced is missing; restore the file from a backup",
              {{"type", std::string(schema().typeName())}, {"version", std::to_string(from_)}});
}

std::vector<Plan::Step> Plan::steps() const {
  std::vector<Step> steps;
  if (replaces()) {
    if (bound_->replacement.older) steps = before().steps();
    steps.push_back({"", "replaces " + bound_->declared()->text()});
  }
  for (const Work& work : bound_->upgrades) {
    if (work.since > from_) steps.push_back({work.field(), work.text()});
  }
  return steps;
}

std::string Plan::meaning() const {
  std::string meaning;
  if (replaces()) {
    if (bound_->replacement.older) meaning = before().meaning();
    meaning += "replaces " + bound_->declared()->text() + "\n";
  }
  for (const Work& work : bound_->upgrades) {
    if (work.since > from_) meaning += work.meaning() + "\n";
  }
  return meaning;
}

std::uint64_t Plan::hash() const {
  const std::string text = meaning();
  return hash64(asBytes(text));
}

std::vector<UnusableFunction> Plan::unusable() const {
  std::vector<UnusableFunction> list;
  if (replaces()) {
    const BoundReplacement& bound = bound_->replacement;
    if (bound.older) list = before().unusable();
    if (!bound.unusable.empty()) list.push_back({"", bound_->declared()->function, bound.unusable});
  }
  for (const Work& work : bound_->upgrades) {
    if (work.since > from_) addUnusable(work, list);
  }
  return list;
}

void Plan::replace(capnp::DynamicStruct::Reader older, capnp::DynamicStruct::Builder record,
                   const WholeRecordHook& behind) const {
  const BoundReplacement& bound = bound_->replacement;
  const std::string& function = bound_->declared()->function;
  if (bound.function == nullptr) refuseRecord(kRow.unusable, function, bound.unusable);
  guard(
      kMisuse, [&] { bound.function->run(older, record); },
      [&](const char* reason) { refuseRecord(kRow.refused, function, reason); });
  if (behind) behind(function);
}

void Plan::run(capnp::DynamicStruct::Builder record, const WholeRecordHook& behind) const {
  for (const Work& work : bound_->upgrades) {
    if (work.since <= from_) continue;
    instar::run(work, record, kRow);
    if (work.step != nullptr && behind) behind(work.step->function);
  }
  if (mayChangeKey()) clearRetired(schema(), record);  // a function may have set them again
}

bool Plan::isForLackOfFunction(const Error& error) const {
  const std::string_view function = error.fact("function");
  const auto lacking = unusable();
  return !function.empty() && std::any_of(lacking.begin(), lacking.end(), [&](const UnusableFunction& one) {
    return one.function == function;
  });
}

Plans::Plans(RecordSchema schema, std::shared_ptr<const Functions> functions, const SchemaBelow& below)
    : bound_(std::make_shared<Plan::Bound>(std::move(schema), std::move(functions), below)) {}

const RecordSchema& Plans::schema() const noexcept { return bound_->schema; }

void Plans::requireFunctions() const {
  constexpr std::uint16_t kOldest = 1;
  std::vector<UnusableFunction> list = from(kOldest).unusable();
  const auto forPut = unusableForPut();
  list.insert(list.end(), forPut.begin(), forPut.end());
  for (const Rule& rule : bound_->rules) {
    if (!rule.unusable.empty()) list.push_back({"", rule.name, rule.unusable});
  }
  if (list.empty()) return;
  std::vector<Error::Fact> facts{{"type", std::string(schema().typeName())}};
  if (!list.front().field.empty()) facts.push_back({"field", list.front().field});
  facts.push_back({"function", list.front().function});
  facts.push_back({"reason", list.front().reason});
  throw Error(
      ErrorCode::fixCall,
      "the schema calls a function that the program does not have; pass it in StoreOptions::functions",
      std::move(facts));
}

bool Plans::hasRules() const noexcept { return !bound_->rules.empty(); }

bool Plans::canJudge() const noexcept {
  return std::all_of(bound_->rules.begin(), bound_->rules.end(),
                     [](const Rule& rule) { return rule.function != nullptr; });
}

std::vector<BrokenRule> Plans::brokenRules(capnp::DynamicStruct::Reader record) const {
  std::vector<BrokenRule> broken;
  for (const Rule& rule : bound_->rules) {
    if (rule.function == nullptr) continue;
    const auto add = [&](std::string reason) { broken.push_back({rule.name, std::move(reason)}); };
    guard(
        kMisuse,
        [&] {
          if (auto reason = rule.function->run(record)) add(*std::move(reason));
        },
        add);
  }
  return broken;
}

void Plans::prepareToPut(capnp::DynamicStruct::Builder record) const {
  for (const auto& one : schema().derivations().retired) {
    if (!one.field.readIfNotDefault(record.asReader())) continue;
    throw Error(
        ErrorCode::fixInput, "a field is retired and cannot be set any more; leave it unset",
        {{"field", one.field.text()}, {"reason", "retired since version " + std::to_string(one.since)}});
  }
  for (const Work& work : bound_->mirrored) run(work, record, kRecord);
}

void Plans::deriveAgain(capnp::DynamicStruct::Builder record, const std::vector<std::string>& fields) const {
  std::vector<internal::FieldPath> changed;
  for (const std::string& field : fields) changed.emplace_back(schema().root(), field);
  for (const Work& work : bound_->upgrades) {
    const auto isSource = [&](const auto& field) { return isMadeFrom(*work.derivation, field); };
    if (work.derivation == nullptr || std::none_of(changed.begin(), changed.end(), isSource)) continue;
    run(work, record, kRow);
    changed.push_back(work.derivation->target);
  }
  clearRetired(schema(), record);
}

std::vector<UnusableFunction> Plans::unusableForPut() const {
  std::vector<UnusableFunction> list;
  for (const Work& work : bound_->mirrored) addUnusable(work, list);
  return list;
}

}  // namespace instar
