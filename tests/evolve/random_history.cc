#include "instar/tests/evolve/random_history.h"

#include <algorithm>
#include <array>
#include <limits>

namespace instar::testing {
namespace {

using Kind = ModelType::Kind;

constexpr unsigned kMaxVersions = 8;
constexpr unsigned kMaxMembers = 5;
constexpr int kAddedMemberDefault = 7;
constexpr unsigned kUnlikely = 60;  // one value in so many is outside of what its field is for

std::string scalarName(ModelType type) {
  switch (type.kind) {
    case Kind::boolean:
      return "Bool";
    case Kind::whole:
      return (type.isSigned ? "Int" : "UInt") + std::to_string(type.bits);
    case Kind::floating:
      return "Float" + std::to_string(type.bits);
    case Kind::text:
      return "Text";
    case Kind::data:
      return "Data";
    case Kind::enumerant:
      return "Grade";
    default:
      return "Part";
  }
}

std::string typeName(ModelType type) {
  return type.isList ? "List(" + scalarName(type) + ")" : scalarName(type);
}

std::string literalOf(const Value& value, ModelType type) {
  const auto text = dumpText(value, type, std::numeric_limits<unsigned>::max());
  return type.kind == Kind::text ? '"' + text + '"' : text;
}

}  // namespace

RandomHistory::RandomHistory(std::uint64_t seed) : random_(seed) {
  addField({.kind = Kind::whole, .bits = 64}, Flavour::plain);
  fields_.front().name = "id";
  fields_.front().defaultValue = wholeValue(0);
  for (const ModelType type : {kText, kText, kStruct}) addField(type, randomFlavour(type));
  for (unsigned count = 2 + below(4); count > 0; --count) {
    const ModelType type = randomType();
    addField(type, randomFlavour(type));
  }
  finishVersion();
  const unsigned last = 2 + below(kMaxVersions - 1);
  while (now_ <= last) {
    for (unsigned count = 1 + below(3); count > 0; --count) oneIn(2) ? editAdditively() : editBreaking();
    finishVersion();
  }
}

// What raises the floors, as docs/evolution.md begins with it.
bool RandomHistory::comesBackByMirrors(const Rule& derivation) const {
  bool isUsed = false;
  for (const Source source : derivation.expression.sources) {
    if (source.field == 0) continue;  // the key, which nobody changes
    bool isMirrored = false;
    for (const Rule& mirror : mirrors_) {
      if (mirror.target != source.field || mirror.until != 0) continue;
      isMirrored = true;
      for (const Source one : mirror.expression.sources) isUsed = isUsed || one.field == derivation.target;
    }
    if (!isMirrored) return false;
  }
  return isUsed;
}

bool RandomHistory::comesBackByDerivations(const Rule& mirror) const {
  bool isAny = false;
  for (const Source source : mirror.expression.sources) {
    if (source.field == 0) continue;
    bool isDerived = false;
    for (const Rule& derivation : derivations_) {
      if (derivation.target != source.field || derivation.since != now_) continue;
      for (const Source one : derivation.expression.sources)
        isDerived = isDerived || one.field == mirror.target;
    }
    if (!isDerived) return false;
    isAny = true;
  }
  return isAny;
}

void RandomHistory::finishVersion() {
  for (const Rule& rule : derivations_) {
    if (rule.since == now_ && !comesBackByMirrors(rule)) raise(FloorEffect::writer);
  }
  for (const Rule& rule : mirrors_) {
    if (rule.since == now_ && !comesBackByDerivations(rule)) raise(FloorEffect::writer);
  }
  versions_.push_back({.text = text(),
                       .fields = static_cast<unsigned>(fields_.size()),
                       .enumerants = enumerants_,
                       .members = members_,
                       .floor = std::exchange(floor_, FloorEffect::none),
                       .derives = std::exchange(derives_, false)});
  ++now_;
}

// ---- schema text

std::string RandomHistory::fieldText(unsigned number) const {
  const Field& field = fields_[number];
  std::string text = "  " + field.name + " @" + std::to_string(number) + " :" + typeName(field.type);
  const bool hasDefault =
      field.defaultValue.isSet() && field.defaultValue != wholeValue(0) && field.defaultValue != Value{0.0};
  if (hasDefault) text += " = " + literalOf(field.defaultValue, field.type);
  if (number == 0) text += " $Instar.key(0)";
  const auto path = [this](Source source) { return pathOf(source); };
  const auto annotate = [&](const char* name, const std::vector<Rule>& rules) {
    for (const Rule& rule : rules) {
      if (rule.target != number || (rule.until != 0 && rule.until <= now_)) continue;
      text += std::string(" $Instar.") + name + "(since = " + std::to_string(rule.since) + ", " +
              rule.expression.text(path) + ")";
    }
  };
  annotate("derived", derivations_);
  annotate("mirrored", mirrors_);
  if (field.retired != 0) text += " $Instar.retired(" + std::to_string(field.retired) + ")";
  return text + ";\n";
}

std::string RandomHistory::text() const {
  std::string text = "struct Record @0xa100000000000001 $Instar.version(" + std::to_string(now_) + ") {\n";
  const auto addMembers = [&](int scope) {
    for (unsigned number = 0; number < fields_.size(); ++number) {
      if (fields_[number].scope == scope) text += fieldText(number);
    }
  };
  addMembers(-1);
  for (std::size_t scope = 0; scope < scopes_.size(); ++scope) {
    text += "  " + scopes_[scope].name + (scopes_[scope].isUnion ? " :union {\n" : " :group {\n");
    addMembers(static_cast<int>(scope));
    text += "  }\n";
  }
  text += "}\nenum Grade @0xa100000000000002 {";
  for (unsigned number = 0; number < enumerants_; ++number)
    text += " e" + std::to_string(number) + " @" + std::to_string(number) + ";";
  text += " }\nstruct Part @0xa100000000000003 { label @0 :Text; size @1 :UInt16 = 3;";
  for (unsigned member = 2; member < members_; ++member) {
    text += " extra" + std::to_string(member) + " @" + std::to_string(member) +
            " :UInt8 = " + std::to_string(kAddedMemberDefault) + ";";
  }
  return text + " }\n";
}

std::string RandomHistory::pathOf(Source source) const {
  constexpr std::array kMembers = {".label", ".size"};
  const Field& field = fields_[source.field];
  std::string path =
      field.scope < 0 ? field.name : scopes_[static_cast<std::size_t>(field.scope)].name + "." + field.name;
  return source.member < 0 ? path : path + kMembers[static_cast<std::size_t>(source.member)];
}

ModelType RandomHistory::typeOf(Source source) const {
  if (source.member < 0) return fields_[source.field].type;
  return source.member == 0 ? kText : ModelType{.kind = Kind::whole, .bits = 16};
}

RandomHistory::Flavour RandomHistory::flavourOf(Source source) const {
  return source.member < 0 ? fields_[source.field].flavour : Flavour::plain;
}

Value RandomHistory::defaultOf(Source source) const {
  if (source.member < 0) return fields_[source.field].defaultValue;
  return source.member == 0 ? Value{} : wholeValue(3);
}

std::string RandomHistory::texts() const {
  std::string texts;
  for (const ModelVersion& version : versions_) texts += version.text;
  return texts;
}

std::string RandomHistory::mistake() {
  if (derivations_.empty()) return {};
  std::string text = versions_.back().text;
  const std::string before = "$Instar.version(" + std::to_string(newest()) + ")";
  text.replace(text.find(before), before.size(), "$Instar.version(" + std::to_string(newest() + 1) + ")");
  const Rule& rule = any(derivations_);
  const Field& target = fields_[rule.target];
  const std::size_t begin =
      text.find(" $Instar.derived(", text.find(" @" + std::to_string(rule.target) + " :"));
  text.erase(begin, text.find(";\n", begin) - begin);
  if (target.derived != "constant" && (!target.type.isPointer() || target.type == kText)) {
    const Value value = randomOf(target.type, Flavour::names, current());
    text.insert(begin, " $Instar.derived(since = " + std::to_string(rule.since) + ", constant = \"" +
                           dumpText(value, target.type, enumerants_) + "\")");
  }
  return text;
}

// ---- values

ModelType RandomHistory::randomType() {
  constexpr std::array kBits = {8U, 16U, 32U, 64U};
  const ModelType whole{.kind = Kind::whole, .bits = kBits[below(kBits.size())], .isSigned = oneIn(2)};
  switch (below(12)) {
    case 0:
      return kBool;
    case 1:
      return kEnum;
    case 2:
      return kData;
    case 3:
      return {.kind = Kind::floating, .bits = oneIn(2) ? 32U : 64U};
    case 4:
      return kStruct;
    case 5:
      return whole.list();
    case 6:
      return kText.list();
    case 7:
    case 8:
    case 9:
      return kText;
    default:
      return whole;
  }
}

RandomHistory::Flavour RandomHistory::randomFlavour(ModelType type) {
  if (type.kind == Kind::text) return std::array{Flavour::plain, Flavour::digits, Flavour::names}[below(3)];
  return type.isNumber() && oneIn(2) ? Flavour::few : Flavour::plain;
}

// What a field has that nobody has set. Pointers mostly have no default.
Value RandomHistory::randomDefault(ModelType type) {
  if (type == kText && oneIn(4)) return textValue("d" + std::to_string(below(5)));
  if (type.isPointer()) return {};
  const bool isZero = !oneIn(3);
  if (type.kind == Kind::floating) return {isZero ? 0.0 : 1.0 + below(5)};
  if (type.kind == Kind::boolean || type.kind == Kind::enumerant) return wholeValue(isZero ? 0 : 1);
  return wholeValue(isZero ? 0 : 1 + below(9));
}

std::string RandomHistory::randomText(Flavour flavour, const ModelVersion& known) {
  static const std::vector<std::string> kTexts = {"",
                                                  "Ada",
                                                  "Ada Lovelace",
                                                  "Ada King Lovelace",
                                                  "a, b, c",
                                                  " x ",
                                                  "x,,y",
                                                  "-",
                                                  "a-b-c",
                                                  "red",
                                                  "green",
                                                  "blue",
                                                  "  ",
                                                  "7",
                                                  "-7",
                                                  "300",
                                                  "e1",
                                                  "1.5",
                                                  "Grace Hopper, USN",
                                                  "d1",
                                                  "true",
                                                  "007",
                                                  "+1",
                                                  "1e3"};
  const bool isUnlikely = oneIn(kUnlikely);
  if (flavour == Flavour::digits && !isUnlikely) return std::to_string(below(3) == 0 ? below(3) : below(100));
  if (flavour == Flavour::names && !isUnlikely) return "e" + std::to_string(below(known.enumerants));
  return any(kTexts);
}

Value RandomHistory::randomWhole(ModelType type, Flavour flavour, const ModelVersion& known) {
  if (oneIn(kUnlikely)) {
    const Wide most = (Wide{1} << (type.isSigned ? type.bits - 1 : type.bits)) - 1;
    return wholeValue(type.isSigned && oneIn(2) ? -most - 1 : most);
  }
  if (flavour == Flavour::few) return wholeValue(below(known.enumerants));
  const int number = static_cast<int>(below(100));
  return wholeValue(type.isSigned && oneIn(4) ? -number : number);
}

Value RandomHistory::randomOf(ModelType type, Flavour flavour, const ModelVersion& known) {
  if (type.isList) {
    std::vector<Value> elements(below(4));
    for (Value& element : elements) element = randomOf(type.element(), flavour, known);
    return {std::move(elements)};
  }
  switch (type.kind) {
    case Kind::boolean:
      return wholeValue(below(2));
    case Kind::enumerant:
      return wholeValue(below(known.enumerants));
    case Kind::whole:
      return randomWhole(type, flavour, known);
    case Kind::floating:
      if (oneIn(kUnlikely)) return {0x1p70 * (oneIn(2) ? 1 : -1)};
      return {flavour == Flavour::few ? below(3) : (static_cast<double>(below(800)) - 200) / 4};
    case Kind::data:
      return textValue(oneIn(kUnlikely) ? "\xff" : randomText(Flavour::plain, known));
    case Kind::text:
      return textValue(randomText(flavour, known));
    default: {
      std::vector<Value> members(kMaxMembers, wholeValue(kAddedMemberDefault));
      members[0] = oneIn(5) ? Value{} : textValue(randomText(Flavour::plain, known));
      members[1] = wholeValue(below(100));
      for (unsigned member = 2; member < known.members; ++member) members[member] = wholeValue(below(20));
      return {std::move(members)};
    }
  }
}

Value RandomHistory::randomValue(unsigned field, unsigned version) {
  const Field& one = fields_[field];
  if (one.type.isPointer() && oneIn(8)) return one.defaultValue;
  return randomOf(one.type, one.flavour, this->version(version));
}

ModelRow RandomHistory::freshRow() const {
  ModelRow row;
  std::vector<bool> begun(scopes_.size());
  for (const Field& field : fields_) {
    const bool isMember = field.scope >= 0 && scopes_[static_cast<std::size_t>(field.scope)].isUnion;
    const bool isInactive = isMember && begun[static_cast<std::size_t>(field.scope)];
    if (isMember) begun[static_cast<std::size_t>(field.scope)] = true;
    row.push_back(isInactive ? Value{Value::Inactive{}} : field.defaultValue);
  }
  return row;
}

void RandomHistory::assign(ModelRow& row, unsigned field, const Value& value, unsigned version) const {
  if (std::holds_alternative<Value::Inactive>(value.content)) return;
  const Field& one = fields_[field];
  if (one.scope >= 0 && scopes_[static_cast<std::size_t>(one.scope)].isUnion) {
    for (unsigned other = 0; other < fields_.size(); ++other) {
      if (fields_[other].scope == one.scope && other != field) row[other] = {Value::Inactive{}};
    }
  }
  Value before = std::exchange(row[field], value);
  if (one.type != kStruct || !before.isSet() || !value.isSet()) return;
  auto& members = std::get<std::vector<Value>>(row[field].content);
  for (unsigned member = this->version(version).members; member < kMaxMembers; ++member)
    members[member] = before.elements()[member];
}

ModelRow RandomHistory::visible(const ModelRow& row, unsigned version) const {
  ModelRow seen(row.begin(), row.begin() + this->version(version).fields);
  for (unsigned field = 0; field < seen.size(); ++field) {
    if (fields_[field].type == kStruct && seen[field].isSet())
      std::get<std::vector<Value>>(seen[field].content).resize(this->version(version).members);
  }
  return seen;
}

// ---- the slow reference

Obstacles RandomHistory::upgrade(ModelRow& row, unsigned from, unsigned to, unsigned reader) const {
  Obstacles obstacles;
  for (unsigned step = from + 1; step <= to; ++step) {
    for (const Rule& rule : derivations_) {
      if (rule.since == step) make(row, rule, version(reader).enumerants, obstacles);
    }
    for (unsigned field = 0; field < fields_.size(); ++field) {
      if (fields_[field].retired == step) row[field] = fields_[field].defaultValue;
    }
  }
  return obstacles;
}

Obstacles RandomHistory::mirror(ModelRow& row, unsigned version) const {
  Obstacles obstacles;
  for (auto rule = mirrors_.rbegin(); rule != mirrors_.rend(); ++rule) {
    const bool isOver = rule->until != 0 && rule->until <= version;
    if (rule->since <= version && !isOver) make(row, *rule, this->version(version).enumerants, obstacles);
  }
  return obstacles;
}

void RandomHistory::make(ModelRow& row, const Rule& rule, unsigned enumerants, Obstacles& obstacles) const {
  try {
    const Value value = rule.expression.run(row, enumerants);
    row[rule.target] = value.isSet() ? value : fields_[rule.target].defaultValue;
  } catch (const Underivable&) {
    obstacles.insert(rule.target);
    row[rule.target] = fields_[rule.target].defaultValue;
  }
}

}  // namespace instar::testing
