#pragma once

// Whether the mirrored fields of a record ($Instar.mirrored) hold what they are made from. Pure; immutable
// and cheap to copy; any thread.

#include <capnp/any.h>

#include <memory>
#include <string>
#include <vector>

#include "instar/evolve/plan.h"

namespace instar {

class MirrorCheck {
 public:
  // All mirrors of the schema; or those that programs of another version do not keep in the same way.
  explicit MirrorCheck(Plans plans);
  MirrorCheck(Plans plans, const RecordSchema& other);

  bool isEmpty() const noexcept;  // there are none

  // The names ("address.city") of the mirrors that putting the record would change. Throws as
  // Plans::prepareToPut(), and kj::Exception where a pointer in the record is not sound.
  std::vector<std::string> diverged(capnp::AnyStruct::Reader record) const;

 private:
  struct Bound;
  MirrorCheck(Plans plans, const RecordSchema* other);

  std::shared_ptr<const Bound> bound_;
};

}  // namespace instar
