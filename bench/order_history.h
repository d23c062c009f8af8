#pragma once

// GrownOrder as it was in each of its versions: version v has the first v - 1 of the added fields. Immutable.

#include <capnp/schema.h>

#include <span>

#include "instar/engine/store.h"
#include "instar/evolve/record_schema.h"

namespace instar::bench {

// A version before the compiled one, which had not yet the last `added` fields. For a record without
// nested types.
RecordSchema versionBefore(capnp::StructSchema compiled, unsigned added, unsigned version);

// Puts orders of a version into the collection "orders", in this order.
void putOrders(const Store& store, const RecordSchema& version, std::span<const std::uint64_t> ids);

class OrderHistory {
 public:
  OrderHistory();

  // The version that is compiled in.
  std::uint16_t newest() const noexcept { return compiled_.version(); }

  // `version` is 1 to newest(). Throws std::invalid_argument for another.
  RecordSchema at(std::uint16_t version) const;

 private:
  RecordSchema compiled_;
};

}  // namespace instar::bench
