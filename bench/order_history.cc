#include "instar/bench/order_history.h"

#include <capnp/message.h>

#include <algorithm>
#include <stdexcept>

#include "instar/bench/grown_order.capnp.h"
#include "instar/bench/sample.h"

namespace instar::bench {
namespace {

using capnp::schema::Node;

void dropLastFields(Node::Struct::Builder record, unsigned count) {
  auto fields = record.disownFields();
  fields.truncate(fields.getReader().size() - count);
  record.adoptFields(kj::mv(fields));
}

void setVersion(Node::Builder node, std::uint16_t version) {
  for (auto annotation : node.getAnnotations()) annotation.getValue().setUint16(version);  // it has no other
}

RecordSchema withoutLastFields(const RecordSchema& schema, unsigned count, std::uint16_t version) {
  capnp::MallocMessageBuilder message;
  auto nodes = message.initRoot<capnp::AnyPointer>().initAs<capnp::List<Node>>(1);
  nodes.setWithCaveats(0, schema.nodes()[0]);
  dropLastFields(nodes[0].getStruct(), count);
  setVersion(nodes[0], version);
  return RecordSchema::fromNodes(nodes.asReader(), schema.rootId());
}

}  // namespace

OrderHistory::OrderHistory() : compiled_(RecordSchema::fromStruct(capnp::Schema::from<GrownOrder>())) {}

RecordSchema OrderHistory::at(std::uint16_t version) const {
  if (version < 1 || version > newest()) throw std::invalid_argument("GrownOrder has no such version");
  return withoutLastFields(compiled_, static_cast<unsigned>(newest() - version), version);
}

RecordSchema versionBefore(capnp::StructSchema compiled, unsigned added, unsigned version) {
  return withoutLastFields(RecordSchema::fromStruct(compiled), added, static_cast<std::uint16_t>(version));
}

void putOrders(const Store& store, const RecordSchema& version, std::span<const std::uint64_t> ids) {
  constexpr std::size_t kRowsPerTransaction = 10'000;
  const auto orders = store.collection("orders", version);
  const DynamicFiller filler(orders.schema().root());
  while (!ids.empty()) {
    auto transaction = store.write();
    const std::size_t count = std::min(ids.size(), kRowsPerTransaction);
    for (const std::uint64_t id : ids.first(count)) {
      auto order = orders.create();
      filler.fill(*order, sampleOf(id));
      orders.put(transaction, order);
    }
    transaction.commit();
    ids = ids.subspan(count);
  }
}

}  // namespace instar::bench
