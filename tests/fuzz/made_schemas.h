#pragma once

// Two versions of a record type, as an input chooses them: fields of every type, in a group and in a union,
// key fields, additions, and annotations with every expression, most of them nearly right. Nodes are made
// as Cap'n Proto's compiler would, without the time that parsing a text takes; what an input makes of them
// may still be no schema at all. One thread.

#include <capnp/message.h>
#include <capnp/schema.capnp.h>

#include <memory>
#include <string>
#include <vector>

#include "instar/evolve/functions.h"
#include "instar/tests/fuzz/input.h"

namespace instar::fuzz {

inline constexpr std::uint64_t kRecordId = 0xa000000000000001;

class MadeSchemas {
 public:
  explicit MadeSchemas(Input& input);

  // The nodes of a version, the record struct first; borrowed.
  capnp::List<capnp::schema::Node>::Reader older() { return nodesOf(older_); }
  capnp::List<capnp::schema::Node>::Reader newer() { return nodesOf(newer_); }
  std::uint64_t newerId() const noexcept {
    return newerId_;
  }  // of the record struct; of the older one kRecordId

 private:
  struct MadeField {
    std::string name;
    std::uint8_t type = 0;     // a number of kTypes
    std::uint8_t element = 0;  // likewise, of a list
    bool inGroup = false;
    bool inUnion = false;  // of the record struct; not in the group
    bool hasDefault = false;
    std::uint64_t defaultBits = 0;
    std::uint8_t keyPosition = 0xff;
  };

  MadeField makeField(Input& input);
  void build(capnp::MallocMessageBuilder& message, Input& input, bool isNewer);
  void buildRecord(capnp::schema::Node::Builder record, capnp::schema::Node::Builder group, Input& input,
                   bool isNewer);
  void annotateRecord(capnp::schema::Node::Builder record, Input& input, bool isNewer);
  void buildField(capnp::schema::Field::Builder field, unsigned ordinal, Input& input, bool isNewer);
  void annotate(capnp::schema::Field::Builder field, unsigned ordinal, Input& input, bool isNewer);
  std::string anyPath(Input& input) const;
  void fillDerivation(capnp::AnyPointer::Builder value, Input& input) const;
  static capnp::List<capnp::schema::Node>::Reader nodesOf(capnp::MallocMessageBuilder& message);

  std::vector<MadeField> fields_;  // by ordinal
  std::size_t olderFields_ = 0;    // of these
  std::uint64_t newerId_ = kRecordId;
  capnp::MallocMessageBuilder older_;
  capnp::MallocMessageBuilder newer_;
};

// Functions that the schemas call: "length" of a text, "next" number, "grow" as a step, "isRight" as a rule,
// "remake" as a conversion.
std::shared_ptr<const Functions> madeFunctions();

}  // namespace instar::fuzz
