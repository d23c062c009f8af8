#include "instar/evolve/internal/scope_tree.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "instar/evolve/internal/literal.h"
#include "instar/format/checksum.h"

namespace instar::internal {
namespace {

using capnp::schema::Node;
using capnp::schema::Type;

// Ids that people and the compiler choose have the highest bit.
constexpr std::uint64_t kIdBit = std::uint64_t{1} << 63;

constexpr std::array<std::string_view, 22> kBuiltIns = {
    "Void",   "Bool",      "Int8",       "Int16",     "Int32",   "Int64",     "UInt8", "UInt16",
    "UInt32", "UInt64",    "Float32",    "Float64",   "Text",    "Data",      "List",  "Enum",
    "Struct", "Interface", "AnyPointer", "AnyStruct", "AnyList", "Capability"};

std::string displayName(Node::Reader node) { return node.getDisplayName().cStr(); }

// "f.capnp:A.B" gives "f.capnp:A"; empty where nothing is around it but the file.
std::string parentPath(const std::string& path) {
  auto colon = path.rfind(':');
  auto dot = path.rfind('.');
  bool nested = dot != std::string::npos && (colon == std::string::npos || dot > colon);
  return nested && colon != std::string::npos ? path.substr(0, dot) : std::string();
}

std::string lastName(const std::string& path) { return path.substr(path.find_last_of(".:") + 1); }

bool isWithin(const Scope& inner, const Scope& outer) {
  for (const auto* scope = &inner; scope != nullptr; scope = scope->parent) {
    if (scope == &outer) return true;
  }
  return false;
}

bool declares(const Scope& scope, std::string_view name) {
  return std::any_of(scope.children.begin(), scope.children.end(),
                     [&](const auto& child) { return child->name == name; });
}

bool isGroup(Node::Reader node) { return node.isStruct() && node.getStruct().getIsGroup(); }

const std::vector<TypeRef>* argumentsFor(const TypeRef& type, std::uint64_t scopeId) {
  for (const auto& scope : type.brand) {
    if (scope.scopeId == scopeId) return &scope.arguments;
  }
  return nullptr;
}

std::vector<const Scope*> pathTo(const Scope& scope) {
  std::vector<const Scope*> path;
  for (const auto* step = &scope; step->parent != nullptr; step = step->parent)
    path.insert(path.begin(), step);
  return path;
}

}  // namespace

// 1. Give each type its place below the scope that it was declared in.
// 2. Put a scope of its own around a type whose name is taken by another one at the top.
// 3. Order what is nested as it was declared, and put the record first.
ScopeTree::ScopeTree(const NodeIndex& index, std::uint64_t rootId) : index_(index) {
  for (const auto& [id, node] : index.nodes()) {
    if (!isGroup(node)) idOfPath_.emplace(displayName(node), id);
  }
  auto& root = place(rootId);
  auto original = root.parent == &file_ ? root.node->getScopeId() : 0;
  fileId_ = (original & kIdBit) != 0 ? original : hash64(asBytes(displayName(*root.node))) | kIdBit;
  for (const auto& [id, node] : index.nodes()) {
    if (!isGroup(node)) place(id);
  }
  keepApart();
  sortChildren(file_);
}

Scope& ScopeTree::place(std::uint64_t id) {
  if (auto found = byId_.find(id); found != byId_.end()) return *found->second;
  auto node = index_.get(id);
  auto& scope = adopt(parentOf(node), std::string(index_.shortName(id)), id);
  scope.node = node;
  byPath_.emplace(displayName(node), &scope);
  return scope;
}

Scope& ScopeTree::parentOf(Node::Reader node) {
  auto scopeId = node.getScopeId();
  if (index_.contains(scopeId)) return place(scopeId);
  auto path = parentPath(displayName(node));
  return path.empty() ? file_ : placeholder(path, scopeId);
}

Scope& ScopeTree::placeholder(const std::string& path, std::uint64_t id) {
  if (auto found = idOfPath_.find(path); found != idOfPath_.end()) return place(found->second);
  if (auto found = byId_.find(id); id != 0 && found != byId_.end()) return *found->second;
  if (auto found = byPath_.find(path); found != byPath_.end()) {
    if (found->second->id == 0 && id != 0) byId_.emplace(found->second->id = id, found->second);
    return *found->second;
  }
  auto outer = parentPath(path);
  auto& scope = adopt(outer.empty() ? file_ : placeholder(outer, 0), lastName(path), id);
  byPath_.emplace(path, &scope);
  return scope;
}

Scope& ScopeTree::adopt(Scope& parent, std::string name, std::uint64_t id) {
  auto& scope = *parent.children.emplace_back(std::make_unique<Scope>());
  scope.name = std::move(name);
  scope.id = id;
  scope.parent = &parent;
  if (id != 0) byId_.emplace(id, &scope);
  return scope;
}

void ScopeTree::keepApart() {
  std::set<std::string, std::less<>> taken(kBuiltIns.begin(), kBuiltIns.end());
  for (auto& child : file_.children) {
    if (taken.insert(child->name).second) continue;
    auto wrapper = std::make_unique<Scope>();
    wrapper->name = "Scope" + hexadecimal(child->id != 0 ? child->id : hash64(asBytes(child->name)));
    wrapper->parent = &file_;
    std::swap(child, wrapper);
    wrapper->parent = child.get();
    child->children.push_back(std::move(wrapper));
  }
}

void ScopeTree::sortChildren(Scope& scope) {
  std::map<std::uint64_t, std::size_t> declared;
  if (scope.node) {
    for (auto nested : scope.node->getNestedNodes()) declared.emplace(nested.getId(), declared.size());
  }
  auto position = [&](const Scope& child) {
    auto found = declared.find(child.id);
    return found == declared.end() ? declared.size() : found->second;
  };
  std::stable_sort(scope.children.begin(), scope.children.end(),
                   [&](const auto& left, const auto& right) { return position(*left) < position(*right); });
  for (auto& child : scope.children) sortChildren(*child);
}

std::string ScopeTree::typeText(const TypeRef& type, const Scope& user) const {
  if (type.kind == Type::LIST) return "List(" + typeText(type.element.front(), user) + ")";
  if (type.kind == Type::STRUCT || type.kind == Type::ENUM) return reference(type, user);
  return internal::typeText(type, index_);
}

// The shortest name that means this type here: from as deep a scope as the arguments of generic types allow,
// and where no nearer declaration hides it; else from the top, with a leading dot where even that is hidden.
std::string ScopeTree::reference(const TypeRef& type, const Scope& user) const {
  auto path = pathTo(*byId_.at(type.id));
  std::size_t start = path.size() - 1;
  while (start > 0) {
    bool visible = isWithin(user, *path[start]->parent) && !isHidden(*path[start], user);
    bool inherited = std::all_of(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(start),
                                 [&](const Scope* scope) { return isInherited(*scope, type, user); });
    if (visible && inherited) break;
    --start;
  }
  std::string text = start == 0 && isHidden(*path.front(), user) ? " ." : "";
  for (auto step = start; step < path.size(); ++step)
    text += (step > start ? "." : "") + segment(*path[step], type, user);
  return text;
}

std::string ScopeTree::segment(const Scope& scope, const TypeRef& type, const Scope& user) const {
  auto count = scope.id == 0 ? std::uint16_t{0} : index_.parameterCount(scope.id);
  const auto* given = scope.id == 0 ? nullptr : argumentsFor(type, scope.id);
  // Without arguments it would mean the scope's own where the text stands inside of it.
  if (count == 0 || type.kind == Type::ENUM || (given == nullptr && !isWithin(user, scope)))
    return scope.name;
  std::string arguments;
  for (std::size_t position = 0; position < count; ++position) {
    bool bound = given != nullptr && position < given->size();
    arguments +=
        (position > 0 ? ", " : "") + (bound ? typeText((*given)[position], user) : std::string("AnyPointer"));
  }
  return scope.name + "(" + arguments + ")";
}

// Whether the arguments at this scope are what its own parameters are anyway.
bool ScopeTree::isInherited(const Scope& scope, const TypeRef& type, const Scope& user) const {
  auto count = scope.id == 0 ? std::uint16_t{0} : index_.parameterCount(scope.id);
  if (count == 0 || type.kind == Type::ENUM) return true;
  const auto* given = argumentsFor(type, scope.id);
  if (!isWithin(user, scope) || given == nullptr || given->size() != count) return false;
  for (std::size_t position = 0; position < count; ++position) {
    const auto& argument = (*given)[position];
    if (argument.any != AnyKind::parameter || argument.id != scope.id || argument.parameter != position)
      return false;
  }
  return true;
}

// Whether another declaration or a parameter of the same name is nearer to the user.
bool ScopeTree::isHidden(const Scope& scope, const Scope& user) const {
  for (const auto* nearer = &user; nearer != nullptr && nearer != scope.parent; nearer = nearer->parent) {
    if (declares(*nearer, scope.name)) return true;
    for (std::uint16_t position = 0; nearer->id != 0 && position < index_.parameterCount(nearer->id);
         ++position) {
      if (index_.parameterName(nearer->id, position) == scope.name) return true;
    }
  }
  return false;
}

}  // namespace instar::internal
