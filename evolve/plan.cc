#include "instar/evolve/plan.h"

#include <kj/exception.h>

#include <new>

#include "instar/evolve/internal/conversion.h"
#include "instar/evolve/internal/derivation.h"
#include "instar/evolve/internal/record_code.h"
#include "instar/format/checksum.h"
#include "instar/format/error.h"

namespace instar {
namespace {

using internal::Derivation;

constexpr const char* kMissing = "this program does not have the function";

// A derivation, and the function that it calls.
struct BoundDerivation {
  const Derivation* derivation;
  const internal::ValueFunction* function;  // null where nothing is called, or it cannot be
  std::string unusable;                     // why it cannot be
};

std::string misfit(const internal::ValueFunction& function, const Derivation& one) {
  if (!function.misfit) return {};
  std::vector<capnp::Type> sources;
  for (const auto& source : one.expression.sources) sources.push_back(source.type());
  return function.misfit(sources, one.target.type());
}

std::vector<BoundDerivation> bind(const std::vector<Derivation>& derivations, const Functions* functions) {
  std::vector<BoundDerivation> result;
  for (const Derivation& one : derivations) {
    BoundDerivation& bound = result.emplace_back(BoundDerivation{&one, nullptr, {}});
    if (one.expression.function.empty()) continue;
    const auto* found = functions == nullptr ? nullptr : functions->findValue(one.expression.function);
    bound.unusable = found == nullptr ? kMissing : misfit(*found, one);
    if (bound.unusable.empty()) bound.function = found;
  }
  return result;
}

void addUnusable(const BoundDerivation& bound, std::vector<UnusableFunction>& list) {
  if (bound.unusable.empty()) return;
  list.push_back({bound.derivation->target.text(), bound.derivation->expression.function, bound.unusable});
}

void call(const BoundDerivation& bound, capnp::DynamicStruct::Builder record) {
  std::vector<capnp::DynamicValue::Reader> values;
  for (const auto& source : bound.derivation->expression.sources)
    values.push_back(source.read(record.asReader()).value_or(capnp::VOID));
  const auto& target = bound.derivation->target;
  FieldTarget field(target.parent(record), target.field());
  bound.function->run(values, field);
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
    "a row of an older version can only be read by a program that has the function; use that, or dump the "
    "row as "
    "it is stored"};
constexpr Blame kRecord{
    ErrorCode::fixInput, "a field that older programs read cannot be made from the record; change the record",
    "a record can only be put by a program that has the function for a field that older programs read; use "
    "that"};

// Runs what may refuse the row, and passes the reason on.
template <class Work, class Refuse>
void guard(const Work& work, const Refuse& refuse) {
  try {
    work();
  } catch (const internal::Unfit& unfit) {
    refuse(unfit.reason);
  } catch (const UpgradeFailure& failure) {
    refuse(failure.what());
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const kj::Exception&) {
    refuse("the value is larger than a row can hold, or not sound");
  } catch (const std::exception&) {  // whose words may show a value
    refuse("the function threw an exception; throw UpgradeFailure to say why");
  }
}

void runOne(const BoundDerivation& bound, capnp::DynamicStruct::Builder record, const Blame& blame) {
  const Derivation& one = *bound.derivation;
  const auto refuse = [&](const char* message, std::string reason) {
    const std::string& function = one.expression.function;
    std::vector<Error::Fact> facts{{"field", one.target.text()}};
    if (!function.empty()) facts.push_back({"function", function});
    facts.push_back({"reason", std::move(reason)});
    throw Error(blame.code, message, std::move(facts));
  };
  if (!bound.unusable.empty()) refuse(blame.unusable, bound.unusable);
  guard(
      [&] {
        // An older program may have kept what a newer one wrote.
        one.target.parent(record).clear(one.target.field());
        if (bound.function == nullptr)
          one.expression.run(record);
        else
          call(bound, record);
      },
      [&](const char* reason) { refuse(blame.refused, reason); });
}

[[noreturn]] void refuseRecord(const char* message, const std::string& function, std::string reason) {
  throw Error(ErrorCode::fixRow, message, {{"function", function}, {"reason", std::move(reason)}});
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
        derived(bind(schema.derivations().derived, functions.get())),
        mirrored(bind(schema.derivations().mirrored, functions.get())) {
    if (declared()) replacement = bind(*declared(), schema, functions, below);
  }

  const std::optional<internal::Replacement>& declared() const { return schema.code().replaces; }

  const RecordSchema schema;
  const std::shared_ptr<const Functions> functions;
  const std::vector<BoundDerivation> derived;
  const std::vector<BoundDerivation> mirrored;
  BoundReplacement replacement;
};

const RecordSchema& Plan::schema() const noexcept { return bound_->schema; }

bool Plan::isIdentity() const noexcept { return from_ >= schema().completeFrom(); }

bool Plan::replaces() const noexcept { return bound_->declared() && from_ < bound_->declared()->since; }

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
  for (const auto& one : schema().derivations().derived) {
    if (one.since > from_) steps.push_back({one.target.text(), one.text});
  }
  return steps;
}

std::string Plan::meaning() const {
  std::string meaning;
  if (replaces()) {
    if (bound_->replacement.older) meaning = before().meaning();
    meaning += "replaces " + bound_->declared()->text() + "\n";
  }
  for (const auto& one : schema().derivations().derived) {
    if (one.since > from_) meaning += one.expression.meaning + "\n";
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
  for (const auto& one : bound_->derived) {
    if (one.derivation->since > from_) addUnusable(one, list);
  }
  return list;
}

void Plan::replace(capnp::DynamicStruct::Reader older, capnp::DynamicStruct::Builder record) const {
  const BoundReplacement& bound = bound_->replacement;
  const std::string& function = bound_->declared()->function;
  if (bound.function == nullptr) refuseRecord(kRow.unusable, function, bound.unusable);
  guard([&] { bound.function->run(older, record); },
        [&](const char* reason) { refuseRecord(kRow.refused, function, reason); });
}

void Plan::run(capnp::DynamicStruct::Builder record) const {
  for (const auto& one : bound_->derived) {
    if (one.derivation->since > from_) runOne(one, record, kRow);
  }
}

Plans::Plans(RecordSchema schema, std::shared_ptr<const Functions> functions, const SchemaBelow& below)
    : bound_(std::make_shared<Plan::Bound>(std::move(schema), std::move(functions), below)) {}

const RecordSchema& Plans::schema() const noexcept { return bound_->schema; }

void Plans::requireFunctions() const {
  constexpr std::uint16_t kOldest = 1;
  std::vector<UnusableFunction> list = from(kOldest).unusable();
  for (const auto& one : bound_->mirrored) addUnusable(one, list);
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

void Plans::mirror(capnp::DynamicStruct::Builder record) const {
  for (const auto& one : bound_->mirrored) runOne(one, record, kRecord);
}

}  // namespace instar
