// The edits of a history (random_history.h).

#include <algorithm>
#include <array>

#include "instar/tests/evolve/random_history.h"

namespace instar::testing {
namespace {

using Kind = ModelType::Kind;

bool isText(ModelType type) { return type == kText; }
bool isWhole(ModelType type) { return !type.isList && type.kind == Kind::whole; }
bool isNumeric(ModelType type) { return type.kind == Kind::whole || type.kind == Kind::floating; }
bool isConvertible(ModelType type) { return type.kind != Kind::structure; }
bool isJoinable(ModelType type) {
  return !type.isList && type.kind != Kind::structure && type.kind != Kind::data;
}
bool isMatchable(ModelType type) {
  return type.kind == Kind::text || type.kind == Kind::enumerant || type.kind == Kind::whole ||
         type.kind == Kind::boolean;
}

}  // namespace

void RandomHistory::raise(FloorEffect effect) { floor_ = std::max(floor_, effect); }

unsigned RandomHistory::addField(ModelType type, Flavour flavour, int scope) {
  const bool isMember = scope >= 0 && scopes_[static_cast<std::size_t>(scope)].isUnion;
  fields_.push_back({.name = freshName("f"),
                     .type = type,
                     .defaultValue = isMember && type.isPointer() ? Value{} : randomDefault(type),
                     .flavour = flavour,
                     .scope = scope,
                     .since = now_});
  return static_cast<unsigned>(fields_.size() - 1);
}

// A field that can be derived: in the record or in one of its groups.
unsigned RandomHistory::addTarget(ModelType type, Flavour flavour) {
  for (std::size_t scope = 0; scope < scopes_.size(); ++scope) {
    if (!scopes_[scope].isUnion && oneIn(3)) return addField(type, flavour, static_cast<int>(scope));
  }
  return addField(type, flavour);
}

// ---- additive ones, and a field that joins a union

void RandomHistory::editAdditively() {
  switch (below(8)) {
    case 0:
      return moveField();
    case 1:
    case 2:
      return growTypes();
    case 3: {
      Field& field = fields_[1 + below(fields_.size() - 1)];
      field.name = freshName("f");
      return note("rename");
    }
    case 4: {
      scopes_.push_back({.name = freshName("s"), .isUnion = oneIn(2)});
      const int scope = static_cast<int>(scopes_.size()) - 1;
      for (unsigned member = 0; member < 2; ++member) {
        const ModelType type = randomType();
        addField(type, randomFlavour(type), scope);
      }
      return note(scopes_.back().isUnion ? "addUnion" : "addGroup");
    }
    default: {
      const ModelType type = randomType();
      const int scope = static_cast<int>(below(scopes_.size() + 1)) - 1;
      addField(type, randomFlavour(type), scope);
      return note(scope >= 0 && scopes_[static_cast<std::size_t>(scope)].isUnion ? "addMember" : "addField");
    }
  }
}

// Into a new group, or into a new union as its first member.
void RandomHistory::moveField() {
  const unsigned number = 1 + below(fields_.size() - 1);
  Field& field = fields_[number];
  if (field.scope >= 0 || field.since == now_ || field.retired != 0) return;
  const bool isUnion = oneIn(3);
  if (isUnion && !(field.derived.empty() && field.mirrored.empty())) return;
  scopes_.push_back({.name = freshName("s"), .isUnion = isUnion});
  field.scope = static_cast<int>(scopes_.size()) - 1;
  addField(kText, Flavour::plain, field.scope);
  if (isUnion) raise(FloorEffect::readerAndWriter);
  note(isUnion ? "moveIntoUnion" : "moveIntoGroup");
}

void RandomHistory::growTypes() {
  constexpr unsigned kMost = 5;
  if (oneIn(2) && members_ < kMost) {
    ++members_;
    return note("growStruct");
  }
  ++enumerants_;
  note("addEnumerant");
}

// ---- those that derive and mirror

void RandomHistory::editBreaking() {
  switch (below(14)) {
    case 0:
    case 1:
      return deriveCopy();
    case 2:
    case 3:
      return deriveConverted();
    case 4:
      return deriveScaled();
    case 5:
      return deriveJoined();
    case 6:
    case 7:
      return deriveParts();
    case 8:
      return deriveMatched();
    case 9:
      return deriveConstant();
    case 10:
      return deriveFirstSet();
    case 11:
      return mirrorLater();
    case 12:
      return retire();
    default:
      return oneIn(2) ? mirrorWithoutDeriving() : endMirror();
  }
}

RandomHistory::Candidates RandomHistory::sources(const std::function<bool(ModelType)>& fits) const {
  Candidates found;
  for (unsigned field = 0; field < fields_.size(); ++field) {
    if (fields_[field].retired != 0) continue;
    const Source source{.field = field};
    if (fits(typeOf(source))) found.push_back(source);
    if (fields_[field].type != kStruct) continue;
    for (const int member : {0, 1}) {
      if (fits(typeOf({field, member}))) found.push_back({field, member});
    }
  }
  return found;
}

bool RandomHistory::canMirror(Source source) const {
  const Field& field = fields_[source.field];
  const bool isInUnion = field.scope >= 0 && scopes_[static_cast<std::size_t>(field.scope)].isUnion;
  return source.member < 0 && source.field != 0 && field.since < now_ && field.derived.empty() &&
         field.mirrored.empty() && field.retired == 0 && !isInUnion;
}

void RandomHistory::derive(unsigned target, ModelExpression expression) {
  const std::string text = expression.text([](Source) { return std::string(); });
  const std::string word = text.substr(0, text.find(' '));
  Field& field = fields_[target];
  field.derived = word;
  for (const Source source : expression.sources) {
    const Field& other = fields_[source.field];
    const bool writesNames = other.type.kind == Kind::enumerant && field.type.kind == Kind::text;
    if (writesNames || (other.dependsFrom != 0 && other.dependsFrom <= now_)) field.dependsFrom = now_;
    if (!other.derived.empty()) note("chain");
    if (source.member >= 0) note("nested");
  }
  if (field.type.isList) note(word + "List");
  derivations_.push_back({.target = target, .since = now_, .expression = std::move(expression)});
  derives_ = true;
  note(word);
}

void RandomHistory::mirrorBack(unsigned target, ModelExpression expression) {
  const std::string text = expression.text([](Source) { return std::string(); });
  Field& field = fields_[target];
  field.mirrored = text.substr(0, text.find(' '));
  if (field.dependsFrom == 0) field.dependsFrom = now_ + 1;
  derives_ = true;
  mirrors_.push_back({.target = target, .since = now_, .expression = std::move(expression)});
  note("mirror" + field.mirrored);
}

void RandomHistory::deriveCopy() {
  const Source source = any(sources([](ModelType) { return true; }));
  const ModelType type = typeOf(source);
  const unsigned target = addTarget(type, flavourOf(source));
  derive(target, copyOf(source));
  if (canMirror(source) && oneIn(2)) mirrorBack(source.field, copyOf({target}));
}

void RandomHistory::deriveConverted() {
  const Source source = any(sources(isConvertible));
  const ModelType from = typeOf(source);
  const Flavour flavour = flavourOf(source);
  ModelType to = randomType();
  to.isList = from.isList;
  if (!canConvert(from, to)) return;
  const bool isText = from.kind == Kind::text;
  if (isText && isNumeric(to) && flavour != Flavour::digits) return;
  if (isText && to.kind == Kind::enumerant && flavour != Flavour::names) return;
  if (isText && to.kind == Kind::boolean) return;  // hardly any text would do
  if (from.kind == Kind::whole && (to.kind == Kind::boolean || to.kind == Kind::enumerant) &&
      flavour != Flavour::few)
    return;
  if (from.kind == Kind::floating && to.kind == Kind::whole && flavour != Flavour::few) return;
  const bool isNames = from.kind == Kind::enumerant && to.kind == Kind::text;
  const bool isDigits = from.kind == Kind::whole && to.kind == Kind::text;
  const unsigned target = addTarget(to, isNames ? Flavour::names : isDigits ? Flavour::digits : flavour);
  derive(target, convertOf(source, from, to));
  if (canMirror(source) && canConvert(to, from) && oneIn(2))
    mirrorBack(source.field, convertOf({target}, to, from));
}

void RandomHistory::deriveScaled() {
  const auto candidates = sources(isNumeric);
  const Source source = any(candidates);
  const ModelType from = typeOf(source);
  ModelType to = oneIn(4) ? ModelType{.kind = Kind::floating, .bits = 64}
                          : ModelType{.kind = Kind::whole,
                                      .bits = oneIn(2) ? 32U : 64U,
                                      .isSigned = from.isSigned || from.kind == Kind::floating || oneIn(2)};
  to.isList = from.isList;
  const unsigned target = addTarget(to, Flavour::plain);
  const std::int64_t factor = std::array{2, 3, 10, 1024}[below(4)];
  const bool isDown = oneIn(3);
  const std::int64_t offset = oneIn(2) ? below(40) : 0;
  derive(target, scaleOf(source, from, to,
                         {.subtract = isDown && to.isSigned ? offset : 0,
                          .multiply = isDown ? 5 : factor,
                          .divide = isDown ? factor : 1,
                          .add = isDown ? 0 : offset}));
  if (canMirror(source) && oneIn(2)) {
    mirrorBack(source.field, scaleOf({target}, to, from,
                                     {.subtract = isDown ? 0 : offset,
                                      .multiply = isDown ? factor : 1,
                                      .divide = isDown ? 5 : factor,
                                      .add = isDown && to.isSigned ? offset : 0}));
  }
}

void RandomHistory::deriveJoined() {
  const auto candidates = sources(isJoinable);
  const Source first = any(candidates);
  const Source second = any(candidates);
  const std::string between = std::array{" ", ", ", "-"}[below(3)];
  const unsigned target = addTarget(kText, Flavour::plain);
  derive(target, concatOf({{.text = {}, .field = first, .type = typeOf(first)},
                           {.text = between},
                           {.text = {}, .field = second, .type = typeOf(second)}}));
  const auto canSplit = [&](Source source) { return canMirror(source) && typeOf(source) == kText; };
  const bool splitsFirst = first.field != second.field && canSplit(first) && !oneIn(5);
  const bool splitsSecond = first.field != second.field && canSplit(second) && !oneIn(5);
  if (splitsFirst) mirrorBack(first.field, splitOf({target}, {.by = between, .part = 0}));
  if (splitsSecond) mirrorBack(second.field, splitOf({target}, {.by = between, .part = 1, .rest = true}));
}

void RandomHistory::deriveParts() {
  const Source source = any(sources(isText));
  const std::string by = std::array{" ", ", ", "-", ","}[below(4)];
  if (!canMirror(source) || oneIn(3)) {
    const unsigned target = addTarget(kText, Flavour::plain);
    derive(target, splitOf(source, {.by = by,
                                    .part = static_cast<int>(below(5)) - 2,
                                    .rest = oneIn(2),
                                    .trim = oneIn(2) ? " -" : ""}));
    return;
  }
  const bool fromEnd = oneIn(2);
  const unsigned first = addTarget(kText, Flavour::plain);
  const unsigned second = addTarget(kText, Flavour::plain);
  derive(first, splitOf(source, {.by = by, .part = fromEnd ? -2 : 0, .rest = fromEnd}));
  if (!oneIn(4)) derive(second, splitOf(source, {.by = by, .part = fromEnd ? -1 : 1, .rest = !fromEnd}));
  mirrorBack(source.field, concatOf({{.text = {}, .field = Source{first}, .type = kText},
                                     {.text = by},
                                     {.text = {}, .field = Source{second}, .type = kText}}));
}

ModelTable RandomHistory::randomTable(Source from, ModelType to, Flavour flavour) {
  const ModelType element = typeOf(from).element();
  ModelTable table;
  for (unsigned count = 2 + below(6); count > 0; --count) {
    const Value key = randomOf(element, flavourOf(from), current());
    const bool isKnown = std::any_of(table.cases.begin(), table.cases.end(),
                                     [&](const auto& one) { return one.first == key; });
    if (!isKnown) table.cases.emplace_back(key, randomOf(to.element(), flavour, current()));
  }
  const bool isClosed = element.kind == Kind::boolean && table.cases.size() == 2;
  if (!isClosed && !oneIn(20)) table.otherwise = randomOf(to.element(), flavour, current());
  return table;
}

ModelTable RandomHistory::inverse(const ModelTable& table, Value otherwise) {
  ModelTable result{.cases = {}, .otherwise = std::move(otherwise)};
  for (const auto& [key, value] : table.cases) {
    const bool isKnown = std::any_of(result.cases.begin(), result.cases.end(),
                                     [&, to = value](const auto& one) { return one.first == to; });
    if (!isKnown) result.cases.emplace_back(value, key);
  }
  return result;
}

void RandomHistory::deriveMatched() {
  const Source source = any(sources(isMatchable));
  const ModelType from = typeOf(source);
  ModelType to = std::array{kEnum, kText, ModelType{.kind = Kind::whole, .bits = 8}}[below(3)];
  to.isList = from.isList;
  const Flavour flavour = to.kind == Kind::whole ? Flavour::few : Flavour::plain;
  const ModelTable table = randomTable(source, to, flavour);
  const unsigned target = addTarget(to, flavour);
  derive(target, matchOf(source, from, to, table));
  if (!canMirror(source) || oneIn(3)) return;
  mirrorBack(source.field, matchOf({target}, to, from,
                                   inverse(table, randomOf(from.element(), flavourOf(source), current()))));
}

void RandomHistory::deriveConstant() {
  const ModelType type =
      std::array{kText, kEnum, kBool, ModelType{.kind = Kind::whole, .bits = 16, .isSigned = true},
                 ModelType{.kind = Kind::floating, .bits = 32}}[below(5)];
  const unsigned target = addTarget(type, Flavour::plain);
  derive(target, constantOf(randomOf(type, Flavour::plain, current()), type));
}

void RandomHistory::deriveFirstSet() {
  const Source first = any(sources([](ModelType) { return true; }));
  const ModelType type = typeOf(first);
  std::vector<std::pair<Source, Value>> candidates{{first, defaultOf(first)}};
  for (const Source other : sources([&](ModelType one) { return one == type; })) {
    if (oneIn(2)) candidates.emplace_back(other, defaultOf(other));
  }
  const unsigned target = addTarget(type, flavourOf(first));
  derive(target, coalesceOf(std::move(candidates)));
}

// Of two fields that are there already the one becomes the mirror of the other.
void RandomHistory::mirrorWithoutDeriving() {
  const Source source = any(sources(isWhole));
  for (const Source target : sources([&](ModelType type) { return type == typeOf(source); })) {
    const bool isMirrored = !fields_[source.field].mirrored.empty();
    if (target.field == source.field || isMirrored || !canMirror(target) ||
        fields_[source.field].since == now_)
      continue;
    return mirrorBack(target.field, copyOf(source));
  }
}

// What an earlier version has derived without a mirror gets one.
void RandomHistory::mirrorLater() {
  for (const Rule& rule : derivations_) {
    if (rule.since == now_ || fields_[rule.target].derived != "copy") continue;
    const Source source = rule.expression.sources.front();
    if (!canMirror(source) || fields_[rule.target].retired != 0) continue;
    mirrorBack(source.field, copyOf({rule.target}));
    return note("mirrorLater");
  }
}

void RandomHistory::endMirror() {
  for (Rule& rule : mirrors_) {
    if (rule.until != 0 || rule.since == now_) continue;
    rule.until = now_;
    derives_ = true;
    raise(FloorEffect::readerAndWriter);
    return note("endMirror");
  }
}

void RandomHistory::retire() {
  const unsigned number = 1 + below(fields_.size() - 1);
  Field& field = fields_[number];
  const bool isInUnion = field.scope >= 0 && scopes_[static_cast<std::size_t>(field.scope)].isUnion;
  const bool isMirrored = std::any_of(mirrors_.begin(), mirrors_.end(), [&](const Rule& rule) {
    const bool isMadeFromIt = std::any_of(rule.expression.sources.begin(), rule.expression.sources.end(),
                                          [&](Source source) { return source.field == number; });
    return rule.until == 0 && (rule.target == number || isMadeFromIt);
  });
  if (isInUnion || isMirrored || field.since == now_ || field.retired != 0) return;
  field.retired = now_;
  derives_ = true;
  raise(FloorEffect::readerAndWriter);
  note("retire");
}

}  // namespace instar::testing
