#include "instar/tests/evolve/random_schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace instar::testing {
namespace {

using Kind = Member::Kind;

constexpr std::array kScalars = {"Bool",   "Int8",   "Int16",   "Int32",   "Int64", "UInt8",
                                 "UInt16", "UInt32", "Float32", "Float64", "Text",  "Data"};

struct FoundField {
  Member* scope;
  Member* field;
};

void collectFields(Member& scope, std::vector<FoundField>& found) {
  for (auto& member : scope.members) {
    if (member->kind == Kind::field) {
      found.push_back({&scope, member.get()});
    } else {
      collectFields(*member, found);
    }
  }
}

std::vector<FoundField> fieldsOf(TypeModel& type) {
  std::vector<FoundField> found;
  collectFields(type.body, found);
  return found;
}

void collectScopes(Member& scope, std::vector<Member*>& found) {
  if (scope.kind == Kind::field) return;
  found.push_back(&scope);
  for (auto& member : scope.members) collectScopes(*member, found);
}

std::vector<Member*> scopesOf(TypeModel& type) {
  std::vector<Member*> found;
  collectScopes(type.body, found);
  return found;
}

bool isUnion(const Member& scope) {
  return scope.kind == Kind::namedUnion || scope.kind == Kind::unnamedUnion;
}

bool hasUnnamedUnion(const Member& scope) {
  return std::any_of(scope.members.begin(), scope.members.end(),
                     [](const auto& member) { return member->kind == Kind::unnamedUnion; });
}

void age(Member& member) {
  member.isNew = false;
  for (auto& inner : member.members) age(*inner);
}

bool isScalar(const std::string& type) {
  return std::find(kScalars.begin(), kScalars.end(), type) != kScalars.end() && type != "Text" &&
         type != "Data";
}

std::string printed(const Member& member) {
  if (member.kind == Kind::field) {
    auto value = member.defaultValue.empty() ? std::string() : " = " + member.defaultValue;
    return member.name + " @" + std::to_string(member.ordinal) + " :" + member.type + value + ";\n";
  }
  std::string inner;
  for (const auto& child : member.members) inner += printed(*child);
  switch (member.kind) {
    case Kind::group:
      return member.name + " :group {\n" + inner + "}\n";
    case Kind::namedUnion:
      return member.name + " :union {\n" + inner + "}\n";
    case Kind::unnamedUnion:
      return "union {\n" + inner + "}\n";
    default:
      return inner;
  }
}

std::string hexadecimal(std::uint64_t number) {
  char digits[16];
  auto end = std::to_chars(digits, digits + sizeof(digits), number, 16).ptr;
  return {digits, end};
}

void replaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

RandomSchema::RandomSchema(std::uint64_t seed) : random_(seed) {
  addStruct().name = "Record";
  for (unsigned count = 4 + below(8); count > 0; --count) changeAdditively();
  nextVersion();
}

std::string RandomSchema::text() const {
  std::string text;
  for (const auto& type : types_) {
    auto head = (type->isEnum() ? "enum " : "struct ") + type->name + " @0x" + hexadecimal(type->id);
    std::string body = printed(type->body);
    for (std::size_t number = 0; number < type->enumerants.size(); ++number) {
      body += type->enumerants[number] + " @" + std::to_string(number) + ";\n";
    }
    text += head + " {\n" + body + "}\n";
  }
  return text;
}

void RandomSchema::nextVersion() {
  for (auto& type : types_) age(type->body);
}

unsigned RandomSchema::below(std::size_t count) { return static_cast<unsigned>(random_() % count); }

std::string RandomSchema::freshName(const char* prefix) { return prefix + std::to_string(nameCounter_++); }

TypeModel& RandomSchema::addStruct() {
  auto& type = *types_.emplace_back(std::make_unique<TypeModel>());
  type.name = freshName("Type");
  type.id = nextId_++;
  auto& first = addField(type, type.body);
  first.type = kScalars[below(kScalars.size())];
  first.defaultValue.clear();
  return type;
}

TypeModel& RandomSchema::addEnum() {
  auto& type = *types_.emplace_back(std::make_unique<TypeModel>());
  type.name = freshName("Kind");
  type.id = nextId_++;
  type.enumerants = {freshName("e"), freshName("e")};
  return type;
}

std::string RandomSchema::randomType() {
  constexpr std::size_t kMaxTypes = 8;
  switch (below(8)) {
    case 0:
      return "List(" + std::string(kScalars[below(kScalars.size())]) + ")";
    case 1:
      return types_.size() < kMaxTypes ? addStruct().name : randomStruct().name;
    case 2:
      return "List(" + randomStruct().name + ")";
    case 3:
      return types_.size() < kMaxTypes ? addEnum().name : "Void";
    default:
      return kScalars[below(kScalars.size())];
  }
}

void RandomSchema::giveRandomType(Member& field) {
  field.type = randomType();
  field.defaultValue.clear();
  if (field.type == "Bool") field.defaultValue = below(2) == 0 ? "" : "true";
  if (field.type != "Bool" && isScalar(field.type) && below(3) == 0)
    field.defaultValue = std::to_string(1 + below(9));
  if (field.type == "Text" && below(3) == 0) field.defaultValue = "\"d" + std::to_string(below(9)) + "\"";
  if (field.type == "List(UInt16)") field.defaultValue = "[1, " + std::to_string(below(9)) + "]";
}

TypeModel& RandomSchema::randomStruct() {
  while (true) {
    auto& type = *types_[below(types_.size())];
    if (!type.isEnum()) return type;
  }
}

Member& RandomSchema::addField(TypeModel& type, Member& scope) {
  auto field = std::make_unique<Member>();
  field->name = freshName("f");
  field->ordinal = type.nextOrdinal++;
  giveRandomType(*field);
  return *scope.members.emplace_back(std::move(field));
}

std::unique_ptr<Member> RandomSchema::detach(Member& scope, const Member* member) {
  auto at = std::find_if(scope.members.begin(), scope.members.end(),
                         [&](const auto& candidate) { return candidate.get() == member; });
  auto taken = std::move(*at);
  scope.members.erase(at);
  return taken;
}

Label RandomSchema::changeAdditively() {
  switch (below(11)) {
    case 0:
      return addGroup();
    case 1:
      return addUnion();
    case 2:
      return addEnumerant();
    case 3:
    case 4:
      return renameSomething();
    case 5:
      return moveIntoGroup();
    case 6:
      return moveIntoUnion();
    case 7:
      return widenList();
    default:
      return addFieldSomewhere();
  }
}

Label RandomSchema::addFieldSomewhere() {
  auto& type = randomStruct();
  auto scopes = scopesOf(type);
  auto& field = addField(type, *scopes[below(scopes.size())]);
  lastChange_ = "added " + type.name + "." + field.name;
  return Label::additive;
}

Label RandomSchema::addGroup() {
  auto& type = randomStruct();
  auto scopes = scopesOf(type);
  auto& group = *scopes[below(scopes.size())]->members.emplace_back(std::make_unique<Member>());
  group.kind = Kind::group;
  group.name = freshName("g");
  addField(type, group);
  lastChange_ = "added group " + type.name + "." + group.name;
  return Label::additive;
}

Label RandomSchema::addUnion() {
  auto& type = randomStruct();
  auto scopes = scopesOf(type);
  auto& scope = *scopes[below(scopes.size())];
  auto fresh = std::make_unique<Member>();
  bool named = isUnion(scope) || hasUnnamedUnion(scope) || below(2) == 0;
  fresh->kind = named ? Kind::namedUnion : Kind::unnamedUnion;
  fresh->name = freshName("u");
  auto& added = *scope.members.emplace_back(std::move(fresh));
  addField(type, added);
  addField(type, added);
  lastChange_ = "added union " + type.name + "." + added.name;
  return Label::additive;
}

Label RandomSchema::addEnumerant() {
  auto& type = *types_[below(types_.size())];
  if (!type.isEnum()) return Label::none;
  type.enumerants.push_back(freshName("e"));
  lastChange_ = "added enumerant to " + type.name;
  return Label::additive;
}

Label RandomSchema::renameSomething() {
  auto& type = *types_[below(types_.size())];
  if (below(4) == 0) {
    auto older = std::exchange(type.name, freshName("Renamed"));
    for (auto& other : types_) {
      for (auto& [scope, field] : fieldsOf(*other)) {
        if (field->type == older) field->type = type.name;
        replaceAll(field->type, "(" + older + ")", "(" + type.name + ")");
      }
    }
    lastChange_ = "renamed " + older;
    return Label::additive;
  }
  if (type.isEnum()) {
    type.enumerants[below(type.enumerants.size())] = freshName("e");
    lastChange_ = "renamed an enumerant of " + type.name;
    return Label::additive;
  }
  auto fields = fieldsOf(type);
  auto& field = *fields[below(fields.size())].field;
  lastChange_ = "renamed " + type.name + "." + field.name;
  field.name = freshName("f");
  return Label::additive;
}

Label RandomSchema::moveIntoGroup() {
  auto& type = randomStruct();
  auto fields = fieldsOf(type);
  auto [scope, field] = fields[below(fields.size())];
  if (std::exchange(field->isNew, true)) return Label::none;  // a field moves once a version
  lastChange_ = "moved into a group " + type.name + "." + field->name;
  auto group = std::make_unique<Member>();
  group->kind = Kind::group;
  group->name = freshName("g");
  group->members.push_back(detach(*scope, field));
  auto& added = *scope->members.emplace_back(std::move(group));
  if (below(2) == 0) addField(type, added);
  return Label::additive;
}

Label RandomSchema::moveIntoUnion() {
  auto& type = randomStruct();
  auto fields = fieldsOf(type);
  auto [scope, field] = fields[below(fields.size())];
  if (std::exchange(field->isNew, true)) return Label::none;  // a field moves once a version
  lastChange_ = "moved into a union " + type.name + "." + field->name;
  auto fresh = std::make_unique<Member>();
  bool named = isUnion(*scope) || hasUnnamedUnion(*scope) || below(2) == 0;
  fresh->kind = named ? Kind::namedUnion : Kind::unnamedUnion;
  fresh->name = freshName("u");
  fresh->members.push_back(detach(*scope, field));
  auto& added = *scope->members.emplace_back(std::move(fresh));
  addField(type, added);
  return Label::raisesFloors;
}

Label RandomSchema::widenList() {
  auto& type = randomStruct();
  for (auto& [scope, field] : fieldsOf(type)) {
    bool isList = field->type.starts_with("List(") && field->defaultValue.empty();
    auto element = isList ? field->type.substr(5, field->type.size() - 6) : std::string();
    bool fits = element != "Bool" && std::find(kScalars.begin(), kScalars.end(), element) != kScalars.end();
    if (!fits || field->isNew) continue;
    auto& structure = addStruct();
    structure.body.members.front()->type = element;
    field->type = "List(" + structure.name + ")";
    lastChange_ = "widened " + type.name + "." + field->name;
    return Label::additive;
  }
  return Label::none;
}

Label RandomSchema::breakSomething() {
  switch (below(7)) {
    case 0:
      return changeType();
    case 1:
      return changeDefault();
    case 2:
      return removeField();
    case 3:
      return swapNames();
    case 4:
      return removeEnumerant();
    case 5:
      return replaceType();
    default:
      return moveOutOfUnion();
  }
}

Label RandomSchema::changeType() {
  auto& type = *types_.front();
  auto fields = fieldsOf(type);
  auto& field = *fields[below(fields.size())].field;
  field.defaultValue.clear();
  lastChange_ = "changed type of " + type.name + "." + field.name;
  field.type = field.type == "UInt64" ? "Void" : "UInt64";
  return Label::breaking;
}

Label RandomSchema::changeDefault() {
  for (auto& [scope, field] : fieldsOf(*types_.front())) {
    if (!isScalar(field->type) || field->type == "Bool") continue;
    field->defaultValue = field->defaultValue.empty() ? "11" : "";
    lastChange_ = "changed default of " + field->name;
    return Label::breaking;
  }
  return Label::none;
}

// The last one, because Cap'n Proto's compiler lets no number be left out.
Label RandomSchema::removeField() {
  auto& type = *types_.front();
  for (auto& [scope, field] : fieldsOf(type)) {
    bool isLast = field->ordinal + 1 == type.nextOrdinal;
    std::size_t least = isUnion(*scope) ? 2 : 1;
    if (!isLast || scope->members.size() <= least) continue;
    lastChange_ = "removed " + field->name;
    detach(*scope, field);
    --type.nextOrdinal;
    return Label::breaking;
  }
  return Label::none;
}

Label RandomSchema::swapNames() {
  auto scopes = scopesOf(*types_.front());
  auto& scope = *scopes[below(scopes.size())];
  std::vector<Member*> fields;
  for (auto& member : scope.members) {
    if (member->kind == Kind::field) fields.push_back(member.get());
  }
  if (fields.size() < 2) return Label::none;
  std::swap(fields[0]->name, fields[1]->name);
  lastChange_ = "swapped names of " + fields[0]->name + " and " + fields[1]->name;
  return Label::breaking;
}

// Of an enum that the record itself uses; others may have no path to them.
Label RandomSchema::removeEnumerant() {
  for (auto& [scope, field] : fieldsOf(*types_.front())) {
    for (auto& type : types_) {
      if (type->name != field->type || type->enumerants.size() < 2) continue;
      type->enumerants.pop_back();
      lastChange_ = "removed an enumerant of " + type->name;
      return Label::breaking;
    }
  }
  return Label::none;
}

Label RandomSchema::replaceType() {
  types_.front()->id = nextId_++;
  lastChange_ = "replaced the record";
  return Label::breaking;
}

Label RandomSchema::moveOutOfUnion() {
  auto& type = *types_.front();
  for (auto& [scope, field] : fieldsOf(type)) {
    if (!isUnion(*scope) || scope->members.size() < 3) continue;
    type.body.members.push_back(detach(*scope, field));
    lastChange_ = "moved out of a union " + field->name;
    return Label::breaking;
  }
  return Label::none;
}

}  // namespace instar::testing
