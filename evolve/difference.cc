#include "instar/evolve/difference.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "instar/evolve/internal/canonical.h"
#include "instar/evolve/internal/code_difference.h"
#include "instar/evolve/internal/default_text.h"
#include "instar/evolve/internal/derivation.h"
#include "instar/evolve/internal/key_difference.h"
#include "instar/evolve/internal/node_index.h"
#include "instar/evolve/internal/type_ref.h"
#include "instar/evolve/internal/type_step.h"

namespace instar {
namespace {

using capnp::schema::Type;
using internal::Brand;
using internal::Derivation;
using internal::FieldPath;
using internal::FlatField;
using internal::NodeIndex;
using internal::Retirement;
using internal::TypeRef;
using internal::UnionMember;

// Fields by ordinal.
using FieldMap = std::map<std::uint16_t, FlatField>;

FieldMap fieldsByOrdinal(const NodeIndex& index, std::uint64_t id) {
  FieldMap fields;
  for (auto& field : internal::flattenFields(index, id)) fields.emplace(field.ordinal, std::move(field));
  return fields;
}

// The two versions of one struct.
struct StructPair {
  std::uint64_t id;
  const Brand& olderBrand;
  const Brand& newerBrand;
  std::string type;  // its name in the newer version
  FieldMap older;
  FieldMap newer;
};

bool hasUnionAt(const FieldMap& fields, const std::vector<UnionMember>& chain, std::size_t position) {
  return std::any_of(fields.begin(), fields.end(), [&](const auto& entry) {
    const auto& unions = entry.second.unions;
    return unions.size() > position &&
           std::equal(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(position), unions.begin()) &&
           unions[position].discriminantOffset == chain[position].discriminantOffset;
  });
}

// The first union around an added field that the older schema does not have, or the innermost that it has.
UnionPlace placeOfAdded(const FlatField& field, const FieldMap& older) {
  if (field.unions.empty()) return UnionPlace::none;
  for (std::size_t position = 0; position < field.unions.size(); ++position) {
    if (!hasUnionAt(older, field.unions, position)) return UnionPlace::added;
  }
  return UnionPlace::existing;
}

// Position of the one membership that `longer` has and `shorter` has not; nothing where they differ in more
// than that.
std::optional<std::size_t> insertedAt(const std::vector<UnionMember>& shorter,
                                      const std::vector<UnionMember>& longer) {
  if (longer.size() != shorter.size() + 1) return std::nullopt;
  for (std::size_t position = 0; position < longer.size(); ++position) {
    auto without = longer;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(position));
    if (without == shorter) return position;
  }
  return std::nullopt;
}

// Whether any field that is in this union now has been in a union before.
bool joinsOlderMembers(const StructPair& pair, const std::vector<UnionMember>& chain, std::size_t position) {
  return std::any_of(pair.older.begin(), pair.older.end(), [&](const auto& entry) {
    auto after = pair.newer.find(entry.first);
    return after != pair.newer.end() && entry.second.unions.size() > position &&
           hasUnionAt({*after}, chain, position);
  });
}

// Whether the field is the only one of the older fields in the outermost group that it has not been in
// before.
bool movedIntoNewGroup(const FlatField& before, const FlatField& after, const StructPair& pair) {
  auto depth = before.groupIds.size();
  if (after.groupIds.size() <= depth) return false;
  if (!std::equal(before.groupIds.begin(), before.groupIds.end(), after.groupIds.begin())) return false;
  auto group = after.groupIds[depth];
  return std::none_of(pair.newer.begin(), pair.newer.end(), [&](const auto& entry) {
    const auto& [ordinal, field] = entry;
    bool inside = field.groupIds.size() > depth && field.groupIds[depth] == group;
    return inside && ordinal != after.ordinal && pair.older.contains(ordinal);
  });
}

std::optional<LostId> lostId(const TypeRef& from, const TypeRef& to, const NodeIndex& newer);

std::optional<LostId> lostIdOfArgument(const Brand& from, const Brand& to, const NodeIndex& newer) {
  for (std::size_t scope = 0; scope < std::min(from.size(), to.size()); ++scope) {
    const auto& before = from[scope].arguments;
    const auto& after = to[scope].arguments;
    for (std::size_t i = 0; i < std::min(before.size(), after.size()); ++i) {
      if (auto found = lostId(before[i], after[i], newer)) return found;
    }
  }
  return std::nullopt;
}

// The first difference of two types that are written the same.
std::optional<LostId> lostId(const TypeRef& from, const TypeRef& to, const NodeIndex& newer) {
  if (from.kind != to.kind) return std::nullopt;
  if (from.kind == Type::LIST) return lostId(from.element.front(), to.element.front(), newer);
  if (from.kind != Type::STRUCT && from.kind != Type::ENUM) return std::nullopt;
  if (from.id == to.id) return lostIdOfArgument(from.brand, to.brand, newer);
  const char* keyword = from.kind == Type::STRUCT ? "struct " : "enum ";
  return LostId{keyword + std::string(newer.shortName(to.id)), from.id, to.id};
}

class Comparison {
 public:
  Comparison(const RecordSchema& older, const RecordSchema& newer)
      : olderSchema_(older),
        newerSchema_(newer),
        older_(older.nodes()),
        newer_(newer.nodes()),
        rootId_(newer.rootId()) {
    if (older.rootId() != newer.rootId()) {
      for (Change& change : internal::replacement(older, newer)) add(std::move(change));
      return;
    }
    enqueue(rootId_, {}, {});
    drain();
    compareUnreached();
    if (auto change = internal::keyDifference(older, newer)) add(*std::move(change));
    compareDerivations(older, newer);
    compareMirrors(older, newer);
    compareRetirements(older, newer);
    for (Change& change : internal::codeDifference(older, newer)) add(std::move(change));
    if (changes_.empty()) compareMeaning();
  }

  std::vector<Change> take() { return std::move(changes_); }

 private:
  struct PendingPair {
    std::uint64_t id;
    Brand olderBrand;
    Brand newerBrand;
  };

  // A generic type is met once for each of its bindings, and says the same each time.
  void add(Change change) {
    if (std::find(changes_.begin(), changes_.end(), change) == changes_.end())
      changes_.push_back(std::move(change));
  }

  void enqueue(std::uint64_t id, Brand olderBrand, Brand newerBrand) {
    auto signature = std::to_string(id) + brandSignature(olderBrand) + "|" + brandSignature(newerBrand);
    reached_.insert(id);
    if (seen_.insert(signature).second)
      pending_.push_back({id, std::move(olderBrand), std::move(newerBrand)});
  }

  void drain() {
    while (!pending_.empty()) {
      auto pair = std::move(pending_.front());
      pending_.pop_front();
      compareNodes(pair);
    }
  }

  // Types that both versions have, though no field leads to both of them at once.
  void compareUnreached() {
    for (const auto& [id, node] : older_.nodes()) {
      bool isGroup = node.isStruct() && node.getStruct().getIsGroup();
      if (!isGroup && newer_.contains(id) && !reached_.contains(id)) enqueue(id, {}, {});
    }
    drain();
  }

  void compareNodes(const PendingPair& pair) {
    auto before = older_.get(pair.id);
    auto after = newer_.get(pair.id);
    auto type = std::string(newer_.shortName(pair.id));
    if (before.which() != after.which()) return add(KindChanged{type});
    if (older_.shortName(pair.id) != type) add(TypeRenamed{std::string(older_.shortName(pair.id)), type});
    if (before.isEnum()) return compareEnums(pair.id, type, before.getEnum(), after.getEnum());
    if (older_.parameterCount(pair.id) != newer_.parameterCount(pair.id)) {
      add(GenericsChanged{type, older_.parameterCount(pair.id), newer_.parameterCount(pair.id)});
    }
    compareStructs({pair.id, pair.olderBrand, pair.newerBrand, type, fieldsByOrdinal(older_, pair.id),
                    fieldsByOrdinal(newer_, pair.id)});
  }

  void compareStructs(const StructPair& pair) {
    for (const auto& [ordinal, before] : pair.older) {
      auto after = pair.newer.find(ordinal);
      if (after == pair.newer.end()) {
        add(FieldRemoved{pair.type, before.path(), ordinal});
      } else {
        compareFields(pair, before, after->second);
      }
    }
    for (const auto& [ordinal, field] : pair.newer) {
      if (!pair.older.contains(ordinal)) addField(pair, field);
    }
  }

  void addField(const StructPair& pair, const FlatField& field) {
    add(FieldAdded{pair.type, field.path(), field.ordinal, placeOfAdded(field, pair.older)});
  }

  void compareFields(const StructPair& pair, const FlatField& before, const FlatField& after) {
    compareNames(pair, before, after);
    compareUnions(pair, before, after);
    bool moved = before.proto.getSlot().getOffset() != after.proto.getSlot().getOffset();
    compareTypes(pair, before, after, moved);
    if (before.sensitive && !after.sensitive) add(SensitiveRemoved{pair.type, after.path()});
    if (!before.sensitive && after.sensitive) add(SensitiveAdded{pair.type, after.path()});
  }

  void compareNames(const StructPair& pair, const FlatField& before, const FlatField& after) {
    auto path = after.path();
    if (before.path() != path) compareNameOwners(pair, path, after.ordinal);
    if (before.name != after.name) add(FieldRenamed{pair.type, before.path(), path});
    if (before.group == after.group) return;
    if (before.groupIds == after.groupIds) {
      add(GroupRenamed{pair.type, before.group, after.group});
    } else {
      add(FieldMoved{pair.type, before.path(), path, movedIntoNewGroup(before, after, pair)});
    }
  }

  void compareNameOwners(const StructPair& pair, const std::string& path, std::uint16_t ordinal) {
    for (const auto& [other, field] : pair.older) {
      if (other != ordinal && field.path() == path && pair.newer.contains(other)) {
        add(NameTaken{pair.type, path, other, ordinal});
      }
    }
  }

  void compareUnions(const StructPair& pair, const FlatField& before, const FlatField& after) {
    if (before.unions == after.unions) return;
    if (auto position = insertedAt(before.unions, after.unions)) {
      bool existing =
          hasUnionAt(pair.older, after.unions, *position) || joinsOlderMembers(pair, after.unions, *position);
      add(JoinedUnion{pair.type, after.path(), after.unions[*position].discriminantValue,
                      existing ? UnionPlace::existing : UnionPlace::added});
    } else if (insertedAt(after.unions, before.unions)) {
      add(LeftUnion{pair.type, after.path()});
    } else {
      add(PlaceChanged{pair.type, after.path()});
    }
  }

  // Place and default of a field say something only where its type has stayed.
  void compareTypes(const StructPair& pair, const FlatField& before, const FlatField& after, bool moved) {
    auto olderSlot = before.proto.getSlot();
    auto newerSlot = after.proto.getSlot();
    auto from = resolveType(olderSlot.getType(), older_, &pair.olderBrand);
    auto to = resolveType(newerSlot.getType(), newer_, &pair.newerBrand);
    enqueueInner(from, to);
    auto step = from == to ? TypeStep::sameBytes : internal::typeStep(from, to, newer_);
    if (from != to)
      addTypeChange({pair.type, after.path(), typeText(from, older_), typeText(to, newer_), step}, from, to);
    if (step == TypeStep::other) return;
    if (moved) add(PlaceChanged{pair.type, after.path()});
    if (internal::canonicalDefault(olderSlot.getDefaultValue()) !=
        internal::canonicalDefault(newerSlot.getDefaultValue())) {
      add(DefaultChanged{pair.type, after.path(), internal::defaultText(olderSlot.getDefaultValue()),
                         internal::defaultText(newerSlot.getDefaultValue())});
    }
  }

  void addTypeChange(FieldTypeChanged change, const TypeRef& from, const TypeRef& to) {
    if (change.older == change.newer) change.lostId = lostId(from, to, newer_);
    add(std::move(change));
  }

  void enqueueInner(const TypeRef& from, const TypeRef& to) {
    if (from.kind != to.kind) return;
    if (from.kind == Type::LIST) return enqueueInner(from.element.front(), to.element.front());
    if ((from.kind == Type::STRUCT || from.kind == Type::ENUM) && from.id == to.id)
      enqueue(from.id, from.brand, to.brand);
  }

  void compareEnums(std::uint64_t id, const std::string& type, capnp::schema::Node::Enum::Reader before,
                    capnp::schema::Node::Enum::Reader after) {
    auto olderNames = namesOf(before);
    auto newerNames = namesOf(after);
    for (std::size_t number = 0; number < olderNames.size(); ++number) {
      if (number >= newerNames.size()) {
        add(EnumerantRemoved{type, olderNames[number]});
      } else if (olderNames[number] != newerNames[number]) {
        compareEnumerants(id, type, olderNames, newerNames, number);
      }
    }
    for (std::size_t number = olderNames.size(); number < newerNames.size(); ++number) {
      add(EnumerantAdded{type, newerNames[number]});
    }
  }

  void compareEnumerants(std::uint64_t id, const std::string& type,
                         const std::vector<std::string>& olderNames,
                         const std::vector<std::string>& newerNames, std::size_t number) {
    add(EnumerantRenamed{type, olderNames[number], newerNames[number],
                         usesNames(olderSchema_, id) || usesNames(newerSchema_, id)});
    auto owner = std::find(olderNames.begin(), olderNames.end(), newerNames[number]);
    auto other = static_cast<std::size_t>(owner - olderNames.begin());
    if (other < std::min(olderNames.size(), newerNames.size())) {
      add(NameTaken{type, newerNames[number], static_cast<std::uint16_t>(other),
                    static_cast<std::uint16_t>(number)});
    }
  }

  static std::vector<std::string> namesOf(capnp::schema::Node::Enum::Reader node) {
    std::vector<std::string> names;
    for (auto enumerant : node.getEnumerants()) names.emplace_back(enumerant.getName().cStr());
    return names;
  }

  static const Derivation* find(const std::vector<Derivation>& list, const std::string& numbers) {
    const auto found = std::find_if(list.begin(), list.end(),
                                    [&](const Derivation& one) { return one.target.numbers() == numbers; });
    return found == list.end() ? nullptr : &*found;
  }

  static const Retirement* find(const std::vector<Retirement>& list, const FieldPath& field) {
    const auto found = std::find_if(list.begin(), list.end(), [&](const Retirement& one) {
      return one.field.numbers() == field.numbers();
    });
    return found == list.end() ? nullptr : &*found;
  }

  bool isNewField(const FieldPath& path) const {
    const auto fields = fieldsByOrdinal(older_, rootId_);
    return !fields.contains(path.field().getProto().getOrdinal().getExplicit());
  }

  static bool isKey(const FieldPath& field, const RecordSchema& schema) {
    return std::any_of(schema.key().begin(), schema.key().end(),
                       [&](const KeyPart& part) { return part.name == field.text(); });
  }

  static bool isMadeFrom(const Derivation& one, const FieldPath& field) {
    return std::any_of(one.expression.sources.begin(), one.expression.sources.end(),
                       [&](const FieldPath& source) { return overlap(source, field); });
  }

  static bool mirrorsGiveBack(const Derivation& derived, const RecordSchema& schema) {
    bool givesBack = false;
    for (const FieldPath& source : derived.expression.sources) {
      if (isKey(source, schema)) continue;
      bool isMirrored = false;
      for (const Derivation& mirror : schema.derivations().mirrored) {
        if (!overlap(mirror.target, source)) continue;
        isMirrored = true;
        givesBack |= isMadeFrom(mirror, derived.target);
      }
      if (!isMirrored) return false;
    }
    return givesBack;
  }

  // Rows of the older version are past derivations that began with it or before.
  static bool derivationsGiveBack(const Derivation& mirror, const RecordSchema& schema,
                                  std::uint16_t olderVersion) {
    bool givesBack = false;
    for (const FieldPath& source : mirror.expression.sources) {
      if (isKey(source, schema)) continue;
      const auto& derived = schema.derivations().derived;
      const bool isDerived = std::any_of(derived.begin(), derived.end(), [&](const Derivation& one) {
        return one.since > olderVersion && overlap(one.target, source) && isMadeFrom(one, mirror.target);
      });
      if (!isDerived) return false;
      givesBack = true;
    }
    return givesBack;
  }

  // Whether a derivation writes or reads names of the enum, which then are more than names.
  static bool usesNames(const RecordSchema& schema, std::uint64_t enumId) {
    const auto uses = [&](const Derivation& one) { return one.expression.enumsByName.contains(enumId); };
    const auto& derivations = schema.derivations();
    return std::any_of(derivations.derived.begin(), derivations.derived.end(), uses) ||
           std::any_of(derivations.mirrored.begin(), derivations.mirrored.end(), uses);
  }

  // What has become of the derivations that the older version has.
  template <class Removed, class Changed>
  void compareKept(const std::string& type, const std::vector<Derivation>& older,
                   const std::vector<Derivation>& newer) {
    for (const Derivation& before : older) {
      const Derivation* after = find(newer, before.target.numbers());
      if (after == nullptr) {
        add(Removed{type, before.target.text()});
      } else if (before.expression.meaning != after->expression.meaning) {
        add(Changed{type, after->target.text(), before.text, after->text});
      }
    }
  }

  void compareDerivations(const RecordSchema& older, const RecordSchema& newer) {
    const std::string type(newer.typeName());
    compareKept<DerivationRemoved, DerivationChanged>(type, older.derivations().derived,
                                                      newer.derivations().derived);
    for (const Derivation& after : newer.derivations().derived) {
      if (find(older.derivations().derived, after.target.numbers()) != nullptr) continue;
      add(DerivationAdded{type, after.target.text(), after.text, after.since, older.version(),
                          isNewField(after.target), mirrorsGiveBack(after, newer)});
    }
  }

  void compareMirrors(const RecordSchema& older, const RecordSchema& newer) {
    const std::string type(newer.typeName());
    compareKept<MirrorRemoved, MirrorChanged>(type, older.derivations().mirrored,
                                              newer.derivations().mirrored);
    for (const Derivation& after : newer.derivations().mirrored) {
      if (find(older.derivations().mirrored, after.target.numbers()) == nullptr)
        add(MirrorAdded{type, after.target.text(), after.text, after.since, older.version(),
                        derivationsGiveBack(after, newer, older.version())});
    }
  }

  void compareRetirements(const RecordSchema& older, const RecordSchema& newer) {
    const std::string type(newer.typeName());
    for (const Retirement& before : older.derivations().retired) {
      const Retirement* after = find(newer.derivations().retired, before.field);
      if (after == nullptr) {
        add(RetirementRemoved{type, before.field.text()});
      } else if (before.since != after->since) {
        add(RetirementMoved{type, after->field.text(), before.since, after->since});
      }
    }
    for (const Retirement& after : newer.derivations().retired) {
      if (find(older.derivations().retired, after.field) == nullptr)
        add(RetirementAdded{type, after.field.text(), after.since, older.version(), isNewField(after.field)});
    }
  }

  // What is left is how generic types are written, where every field comes out the same.
  void compareMeaning() {
    if (canonicalText(older_, rootId_) == canonicalText(newer_, rootId_)) return;
    auto type = std::string(newer_.shortName(rootId_));
    add(GenericsChanged{type, 0, 0});
  }

  const RecordSchema& olderSchema_;
  const RecordSchema& newerSchema_;
  NodeIndex older_;
  NodeIndex newer_;
  std::uint64_t rootId_;
  std::deque<PendingPair> pending_;
  std::set<std::string> seen_;
  std::set<std::uint64_t> reached_;
  std::vector<Change> changes_;
};

}  // namespace

std::vector<Change> difference(const RecordSchema& older, const RecordSchema& newer) {
  return Comparison(older, newer).take();
}

}  // namespace instar
