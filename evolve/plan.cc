#include "instar/evolve/plan.h"

#include <kj/exception.h>

#include <new>

#include "instar/evolve/internal/conversion.h"
#include "instar/evolve/internal/derivation.h"
#include "instar/format/checksum.h"
#include "instar/format/error.h"

namespace instar {
namespace {

using internal::Derivation;

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
    bound.unusable = found == nullptr ? "this program does not have the function" : misfit(*found, one);
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
    "row as it is "
    "stored"};
constexpr Blame kRecord{ErrorCode::fixInput,
                        "a field that older programs read cannot be made from the record; change the record",
                        "a record can only be put by a program that has the function for a field that older "
                        "programs read; use that"};

void runOne(const BoundDerivation& bound, capnp::DynamicStruct::Builder record, const Blame& blame) {
  const Derivation& one = *bound.derivation;
  const std::string& function = one.expression.function;
  const auto refuse = [&](const char* message, std::string reason) {
    std::vector<Error::Fact> facts{{"field", one.target.text()}};
    if (!function.empty()) facts.push_back({"function", function});
    facts.push_back({"reason", std::move(reason)});
    throw Error(blame.code, message, std::move(facts));
  };
  if (!bound.unusable.empty()) refuse(blame.unusable, bound.unusable);
  try {
    one.target.parent(record).clear(
        one.target.field());  // an older program may have kept what a newer one wrote
    if (bound.function == nullptr)
      one.expression.run(record);
    else
      call(bound, record);
  } catch (const internal::Unfit& unfit) {
    refuse(blame.refused, unfit.reason);
  } catch (const UpgradeFailure& failure) {
    refuse(blame.refused, failure.what());
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const kj::Exception&) {
    refuse(blame.refused, "the value is larger than a row can hold, or not sound");
  } catch (const std::exception&) {  // whose words may show a value
    refuse(blame.refused, "the function threw an exception; throw UpgradeFailure to say why");
  }
}

}  // namespace

struct Plan::Bound {
  Bound(RecordSchema record, std::shared_ptr<const Functions> program)
      : schema(std::move(record)),
        functions(std::move(program)),
        derived(bind(schema.derivations().derived, functions.get())),
        mirrored(bind(schema.derivations().mirrored, functions.get())) {}

  const RecordSchema schema;
  const std::shared_ptr<const Functions> functions;
  const std::vector<BoundDerivation> derived;
  const std::vector<BoundDerivation> mirrored;
};

bool Plan::isIdentity() const noexcept { return from_ >= bound_->schema.completeFrom(); }

std::vector<Plan::Step> Plan::steps() const {
  std::vector<Step> steps;
  for (const auto& one : bound_->schema.derivations().derived) {
    if (one.since > from_) steps.push_back({one.target.text(), one.text});
  }
  return steps;
}

std::uint64_t Plan::hash() const {
  std::string meaning;
  for (const auto& one : bound_->schema.derivations().derived) {
    if (one.since > from_) meaning += one.expression.meaning + "\n";
  }
  return hash64(asBytes(meaning));
}

std::vector<UnusableFunction> Plan::unusable() const {
  std::vector<UnusableFunction> list;
  for (const auto& one : bound_->derived) {
    if (one.derivation->since > from_) addUnusable(one, list);
  }
  return list;
}

void Plan::run(capnp::DynamicStruct::Builder record) const {
  for (const auto& one : bound_->derived) {
    if (one.derivation->since > from_) runOne(one, record, kRow);
  }
}

Plans::Plans(RecordSchema schema, std::shared_ptr<const Functions> functions)
    : bound_(std::make_shared<Plan::Bound>(std::move(schema), std::move(functions))) {}

const RecordSchema& Plans::schema() const noexcept { return bound_->schema; }

void Plans::requireFunctions() const {
  std::vector<UnusableFunction> list;
  for (const auto& one : bound_->derived) addUnusable(one, list);
  for (const auto& one : bound_->mirrored) addUnusable(one, list);
  if (list.empty()) return;
  throw Error(
      ErrorCode::fixCall,
      "the schema calls a function that the program does not have; pass it in StoreOptions::functions",
      {{"type", std::string(schema().typeName())},
       {"field", list.front().field},
       {"function", list.front().function},
       {"reason", list.front().reason}});
}

void Plans::mirror(capnp::DynamicStruct::Builder record) const {
  for (const auto& one : bound_->mirrored) runOne(one, record, kRecord);
}

}  // namespace instar
