#include "instar/bench/order_history.h"

#include <capnp/message.h>

#include <stdexcept>

#include "instar/bench/grown_order.capnp.h"

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

}  // namespace

OrderHistory::OrderHistory() : compiled_(RecordSchema::fromStruct(capnp::Schema::from<GrownOrder>())) {}

RecordSchema OrderHistory::at(std::uint16_t version) const {
  if (version < 1 || version > newest()) throw std::invalid_argument("GrownOrder has no such version");
  capnp::MallocMessageBuilder message;
  auto nodes = message.initRoot<capnp::AnyPointer>().initAs<capnp::List<Node>>(1);
  nodes.setWithCaveats(0, compiled_.nodes()[0]);
  dropLastFields(nodes[0].getStruct(), static_cast<unsigned>(newest() - version));
  setVersion(nodes[0], version);
  return RecordSchema::fromNodes(nodes.asReader(), compiled_.rootId());
}

}  // namespace instar::bench
