#pragma once

// A record type with a history: a few versions, each with random edits, additive ones and such as derive and
// mirror fields. Each edit has a label that says what it does to the floors, and a function over rows of the
// model that does by itself what $Instar.derived or $Instar.mirrored say. So the history can say what any row
// is in any version, one version after another, without a schema. Deterministic for a seed; one thread.

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "instar/evolve/verdict.h"
#include "instar/tests/evolve/model_expression.h"

namespace instar::testing {

// What a program of a version has been told, and what the file then says about older ones.
struct ModelVersion {
  std::string text{};                     // .capnp declarations; the record is "Record", its key is field @0
  unsigned fields = 0;                    // those with lower numbers are known
  unsigned enumerants = 0;                // of the enum
  unsigned members = 0;                   // of the struct
  FloorEffect floor = FloorEffect::none;  // against the version before
  bool derives = false;                   // whether it has annotations that the version before has not
};

// The numbers of the fields because of which a row cannot be what is asked for. Empty: it can.
using Obstacles = std::set<unsigned>;

class RandomHistory {
 public:
  explicit RandomHistory(std::uint64_t seed);

  unsigned newest() const { return static_cast<unsigned>(versions_.size()); }
  const ModelVersion& version(unsigned number) const { return versions_[number - 1]; }
  std::string texts() const;                                        // of all versions
  const std::vector<std::string>& edits() const { return edits_; }  // what was done, a word each

  // One version more, with a change of what is derived already, which has to be refused. Empty where nothing
  // is.
  std::string mistake();

  ModelRow freshRow() const;
  Value randomValue(unsigned field, unsigned version);
  // What it is to a program of that version to set a field: members of unions and structs that it does not
  // know included.
  void assign(ModelRow& row, unsigned field, const Value& value, unsigned version) const;
  // As a program of that version sees it.
  ModelRow visible(const ModelRow& row, unsigned version) const;

  // One version after another. `reader` is the version of the program that does it.
  Obstacles upgrade(ModelRow& row, unsigned from, unsigned to, unsigned reader) const;
  // What putting the row with a program of that version does.
  Obstacles mirror(ModelRow& row, unsigned version) const;

  // Whether programs of that version may not set the field any more.
  bool isRetired(unsigned field, unsigned version) const {
    return fields_[field].retired != 0 && fields_[field].retired <= version;
  }

  // Whether a field can depend on when a row was rewritten: it is mirrored, or made from what was mirrored
  // before, or from the name of an enumerant that an earlier version does not know.
  bool dependsOnRewriting(unsigned field) const { return fields_[field].dependsFrom != 0; }

 private:
  enum class Flavour : std::uint8_t { plain, digits, names, few };

  struct Field {
    std::string name;
    ModelType type;
    Value defaultValue;  // not set for a pointer that has none
    Flavour flavour = Flavour::plain;
    int scope = -1;
    unsigned since = 1;
    unsigned dependsFrom = 0;
    unsigned retired = 0;   // the version that took it away; 0: none
    std::string derived{};  // the name of the expression
    std::string mirrored{};
  };
  struct Scope {
    std::string name;
    bool isUnion = false;
  };
  struct Rule {  // of one field, for one direction
    unsigned target = 0;
    unsigned since = 0;
    unsigned until = 0;  // the version that no longer has it; 0: all
    ModelExpression expression;
  };
  using Candidates = std::vector<Source>;

  unsigned below(std::size_t count) { return static_cast<unsigned>(random_() % count); }
  bool oneIn(unsigned count) { return below(count) == 0; }
  void make(ModelRow& row, const Rule& rule, unsigned enumerants, Obstacles& obstacles) const;
  template <class T>
  const T& any(const std::vector<T>& list) {
    return list[below(list.size())];
  }

  void finishVersion();
  bool comesBackByMirrors(const Rule& derivation) const;
  bool comesBackByDerivations(const Rule& mirror) const;
  std::string text() const;
  std::string fieldText(unsigned number) const;
  std::string pathOf(Source source) const;
  ModelType typeOf(Source source) const;
  Flavour flavourOf(Source source) const;
  Value defaultOf(Source source) const;

  std::string freshName(const char* prefix) { return prefix + std::to_string(nextName_++); }
  ModelType randomType();
  Flavour randomFlavour(ModelType type);
  Value randomDefault(ModelType type);
  unsigned addField(ModelType type, Flavour flavour, int scope = -1);
  unsigned addTarget(ModelType type, Flavour flavour);
  ModelVersion current() const { return {.enumerants = enumerants_, .members = members_}; }
  Value randomOf(ModelType type, Flavour flavour, const ModelVersion& known);
  Value randomWhole(ModelType type, Flavour flavour, const ModelVersion& known);
  std::string randomText(Flavour flavour, const ModelVersion& known);

  Candidates sources(const std::function<bool(ModelType)>& fits) const;
  bool canMirror(Source source) const;
  void derive(unsigned target, ModelExpression expression);
  void mirrorBack(unsigned target, ModelExpression expression);
  void raise(FloorEffect effect);
  void note(std::string word) { edits_.push_back(std::move(word)); }
  ModelTable randomTable(Source from, ModelType to, Flavour flavour);
  static ModelTable inverse(const ModelTable& table, Value otherwise);

  void editAdditively();
  void moveField();
  void growTypes();
  void editBreaking();
  void deriveCopy();
  void deriveConverted();
  void deriveScaled();
  void deriveJoined();
  void deriveParts();
  void deriveMatched();
  void deriveConstant();
  void deriveFirstSet();
  void mirrorWithoutDeriving();
  void mirrorLater();
  void endMirror();
  void retire();

  std::mt19937_64 random_;
  unsigned nextName_ = 0;
  unsigned now_ = 1;  // the version that is being made
  unsigned enumerants_ = 3;
  unsigned members_ = 2;
  FloorEffect floor_ = FloorEffect::none;
  bool derives_ = false;
  std::vector<Field> fields_;
  std::vector<Scope> scopes_;
  std::vector<Rule> derivations_;  // each behind those that make its sources
  std::vector<Rule> mirrors_;      // each before those that make its sources: they began later
  std::vector<ModelVersion> versions_;
  std::vector<std::string> edits_;
};

}  // namespace instar::testing
