#pragma once

// The nodes of a schema by id, and the fields of a struct with its groups and unions dissolved. Borrows the
// nodes. Immutable; any thread.

#include <capnp/schema.capnp.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace instar::internal {

using NodeList = capnp::List<capnp::schema::Node>::Reader;

class NodeIndex {
 public:
  explicit NodeIndex(NodeList nodes);

  // Throws Error(restoreFromBackup) where there is no such node.
  capnp::schema::Node::Reader get(std::uint64_t id) const;
  bool contains(std::uint64_t id) const { return nodes_.contains(id); }
  const std::map<std::uint64_t, capnp::schema::Node::Reader>& nodes() const noexcept { return nodes_; }

  // Without file and scope; empty for an id that is not here.
  std::string_view shortName(std::uint64_t id) const;

  // Of a scope that is not among the nodes they are guessed from the uses of its parameters.
  std::uint16_t parameterCount(std::uint64_t scopeId) const;
  std::string parameterName(std::uint64_t scopeId, std::uint16_t position) const;

 private:
  void countParameters(capnp::schema::Type::Reader type);
  void countParameters(capnp::schema::Brand::Reader brand);
  void raiseParameterCount(std::uint64_t scopeId, std::size_t count);

  std::map<std::uint64_t, capnp::schema::Node::Reader> nodes_;
  std::map<std::uint64_t, std::uint16_t> parameterCounts_;
};

// The member of a union, as it stands in the bytes.
struct UnionMember {
  std::uint32_t discriminantOffset = 0;  // in units of 16 bits
  std::uint16_t discriminantValue = 0;

  friend bool operator==(const UnionMember&, const UnionMember&) = default;
};

// Groups inside one another: more than people write. What goes over them does so on the stack, and a path of
// them names each.
inline constexpr std::size_t kMaxGroupDepth = 64;

// A field that has a place of its own in the bytes.
struct FlatField {
  std::uint16_t ordinal = 0;
  std::string name;
  std::string group;                    // "address" or "address.geo"; empty outside of groups
  std::vector<std::uint64_t> groupIds;  // of these groups, outermost first
  std::vector<UnionMember> unions;      // that it is a member of, outermost first
  capnp::schema::Field::Reader proto;   // a slot
  bool sensitive = false;               // itself, or a group around it
  std::optional<std::uint8_t> keyPosition;

  std::string path() const { return group.empty() ? name : group + "." + name; }
};

// By ordinal. Throws Error(fixSchema) where a field has no ordinal, and where groups are nested too deeply.
std::vector<FlatField> flattenFields(const NodeIndex& index, std::uint64_t structId);

}  // namespace instar::internal
