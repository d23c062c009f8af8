#pragma once

// A schema that changes at random, each change with a label that says what it does to compatibility. Types
// keep their ids; printed, it is .capnp text. Deterministic for a seed; one thread.

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace instar::testing {

enum class Label : std::uint8_t {
  none,  // there was nothing that could be changed in this way
  additive,
  raisesFloors,
  breaking,
};

// Something with members: a struct, a group or a union. Fields are leaves.
struct Member {
  enum class Kind : std::uint8_t { field, group, namedUnion, unnamedUnion, structure };
  Kind kind = Kind::field;
  std::string name;
  unsigned ordinal = 0;      // of a field
  std::string type;          // of a field
  std::string defaultValue;  // of a field, may be empty
  bool isNew = true;         // since the last version
  std::vector<std::unique_ptr<Member>> members;
};

struct TypeModel {
  std::string name;
  std::uint64_t id = 0;
  Member body{.kind = Member::Kind::structure, .name = {}, .type = {}, .defaultValue = {}, .members = {}};
  unsigned nextOrdinal = 0;
  std::vector<std::string> enumerants;  // an enum has these and no members
  bool isEnum() const { return !enumerants.empty(); }
};

class RandomSchema {
 public:
  explicit RandomSchema(std::uint64_t seed);

  // The record is "Record", or what it was renamed to.
  const std::string& recordName() const { return types_.front()->name; }
  std::string text() const;

  // From here on what is there counts as old.
  void nextVersion();

  Label changeAdditively();
  Label moveIntoUnion();  // a field that is old
  Label breakSomething();
  const std::string& lastChange() const { return lastChange_; }

 private:
  using Kind = Member::Kind;

  unsigned below(std::size_t count);
  std::string freshName(const char* prefix);
  std::string randomType();
  void giveRandomType(Member& field);
  TypeModel& randomStruct();
  TypeModel& addStruct();
  TypeModel& addEnum();
  Member& addField(TypeModel& type, Member& scope);
  std::unique_ptr<Member> detach(Member& scope, const Member* member);

  Label addFieldSomewhere();
  Label addGroup();
  Label addUnion();
  Label addEnumerant();
  Label renameSomething();
  Label moveIntoGroup();
  Label widenList();

  Label changeType();
  Label changeDefault();
  Label removeField();
  Label swapNames();
  Label removeEnumerant();
  Label replaceType();
  Label moveOutOfUnion();

  std::mt19937_64 random_;
  unsigned nameCounter_ = 0;
  std::uint64_t nextId_ = 0xa000000000000001;
  std::vector<std::unique_ptr<TypeModel>> types_;
  std::string lastChange_;
};

}  // namespace instar::testing
