#pragma once

// The versions of one record type, as a model counts them: what each changes, what has become of it, the
// fields that its programs know, and the schema that it is in the store. Pure; one thread.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "instar/evolve/admission.h"
#include "instar/evolve/functions.h"
#include "instar/evolve/record_schema.h"

namespace instar::model {

// What a version does to the one before. Each adds one field, but for the last.
enum class Change : std::uint8_t {
  additive,  // a number with a default
  mirrored,  // a text made from the newest one that says the same, which is mirrored from it
  lossy,     // a text made from it that nothing leads back from: older programs no longer write
  replaced,  // another struct, which has the key and the value alone: older programs no longer read
};

struct Field {
  unsigned number = 0;  // of the version that has brought it
  Change change = Change::additive;
  // From which version on rows have it; above `number` where that version was given up, so that programs have
  // rewritten rows without it since.
  unsigned since = 0;

  std::string name() const;
};

struct Version {
  VersionState state = VersionState::active;
  Change change = Change::additive;
  unsigned era = 1;  // the version that has brought its struct
  std::vector<Field> fields = {};
};

constexpr unsigned kDefaultNumber = 7;

// By number - 1; of none a program is ever seen again under another schema.
class Versions {
 public:
  unsigned newest() const noexcept { return static_cast<unsigned>(all_.size()); }
  const Version& operator[](unsigned number) const { return all_.at(number - 1); }
  VersionState& state(unsigned number) { return all_.at(number - 1).state; }

  unsigned current() const;               // the highest that is neither staged nor aborted
  unsigned staged() const;                // 0: none is
  unsigned below(unsigned number) const;  // the next one of those that programs depend on; 0: none
  // Of the texts of a struct only the first one can be mirrored: what is derived cannot be.
  bool canMirror() const;
  void add(Change change, VersionState state);

  RecordSchema schema(unsigned number) const;

 private:
  std::vector<Version> all_{Version{}};
};

// What a record holds, field by field, for a program of one version.
using Seen = std::map<std::string, std::string>;

// A record as the model keeps it: what was said last, by whichever program.
struct Record {
  std::string value;
  unsigned era = 1;  // of the program that has put it
  // What fields have that do not say the same as the value, by the number of their version. Of one that is
  // missing: the default of a number, what a text is made from.
  std::map<unsigned, std::string> others = {};

  Seen seenBy(const Versions& versions, unsigned version) const;
  // What programs of the version store when they rewrite the record as it is.
  void settle(const Versions& versions, unsigned version);
};

// The functions that the schemas call.
std::shared_ptr<const Functions> functions();

}  // namespace instar::model
