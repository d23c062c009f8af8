#include "instar/evolve/record_schema.h"

#include <capnp/schema-loader.h>
#include <kj/exception.h>

#include <algorithm>
#include <string>
#include <utility>

#include "instar/evolve/internal/annotations.h"
#include "instar/evolve/internal/canonical.h"
#include "instar/evolve/internal/closure.h"
#include "instar/evolve/internal/derivation.h"
#include "instar/evolve/internal/key_spec.h"
#include "instar/evolve/internal/node_check.h"
#include "instar/evolve/internal/node_index.h"
#include "instar/evolve/internal/record_code.h"
#include "instar/evolve/record_message.h"
#include "instar/format/checksum.h"
#include "instar/format/error.h"

namespace instar {
namespace {

using capnp::schema::Node;
using NodeBuilders = capnp::List<Node>::Builder;

std::uint16_t versionOf(Node::Reader root, std::string_view typeName) {
  auto annotation = internal::findAnnotation(root.getAnnotations(), internal::kVersionAnnotation);
  if (!annotation) return 1;
  if (annotation->getUint16() == 0) {
    throw Error(ErrorCode::fixSchema, "versions are numbered from 1; raise the number in $Instar.version",
                {{"type", std::string(typeName)}});
  }
  return annotation->getUint16();
}

void refuseGeneric(const internal::NodeIndex& index, std::uint64_t rootId) {
  if (!index.get(rootId).getIsGeneric()) return;
  throw Error(ErrorCode::fixSchema,
              "a generic struct cannot be a record; declare a struct that has it as a field",
              {{"type", std::string(index.shortName(rootId))}});
}

// "/home/ada/app/contact.capnp:Contact" becomes "contact.capnp:Contact": where the sources lay on somebody's
// machine is nobody's business who opens the file. What lies beside or below the record's own file keeps its
// place relative to it.
void stripFolders(NodeBuilders nodes) {
  const auto folderEnd = [](std::string_view name) { return name.substr(0, name.find(':')).rfind('/') + 1; };
  const std::string rootName = nodes[0].getDisplayName().cStr();
  const std::string folder = rootName.substr(0, folderEnd(rootName));
  for (auto node : nodes) {
    const std::string name = node.getDisplayName().cStr();
    const std::size_t stripped = name.starts_with(folder) ? folder.size() : folderEnd(name);
    node.setDisplayName(name.c_str() + stripped);
    node.setDisplayNamePrefixLength(node.getDisplayNamePrefixLength() - static_cast<std::uint32_t>(stripped));
  }
}

}  // namespace

struct RecordSchema::State {
  // Own copies of the nodes; what follows borrows from them.
  internal::RecordMessage message;
  capnp::SchemaLoader loader;
  capnp::List<Node>::Reader nodes;
  std::uint64_t rootId = 0;
  capnp::StructSchema root;
  std::string_view typeName;
  std::uint16_t version = 0;
  std::uint64_t fingerprint = 0;
  KeySpec key;
  bool recursive = false;
  internal::Derivations derivations;
  internal::RecordCode code;
  std::uint16_t completeFrom = 0;

  NodeBuilders initNodes(std::size_t count) {
    return message.getRoot<capnp::AnyPointer>().initAs<capnp::List<Node>>(static_cast<unsigned>(count));
  }

  // `index` is of these nodes.
  void describe(NodeBuilders builders, const internal::NodeIndex& index, std::uint64_t id) {
    nodes = builders.asReader();
    rootId = id;
    internal::checkReferences(index, id);
    refuseGeneric(index, id);
    recursive = internal::nestsWithoutLimit(index, id);
    typeName = index.shortName(id);
    version = versionOf(index.get(id), typeName);
    key = internal::keyOf(index, id);
    for (auto node : nodes) loader.load(node);
    root = loader.get(id).asStruct();
    derivations = internal::derivationsOf(root, version, nodes);
    code = internal::recordCodeOf(root, version);
    refuseBeforeReplacement();
    if (code.replaces) completeFrom = code.replaces->since;
    for (const auto& one : derivations.derived) completeFrom = std::max(completeFrom, one.since);
    for (const auto& one : derivations.retired) completeFrom = std::max(completeFrom, one.since);
    for (const auto& one : code.steps) completeFrom = std::max(completeFrom, one.to);
    auto meaning = internal::canonicalText(index, id) + internal::meaningOf(derivations) +
                   internal::meaningOf(code) + "version " + std::to_string(version);
    fingerprint = hash64(asBytes(meaning));
  }

  void refuseBeforeReplacement() const {
    if (!code.replaces) return;
    for (const auto& one : derivations.derived) {
      if (one.since > code.replaces->since) continue;
      throw Error(ErrorCode::fixSchema,
                  "the function that converts rows of the replaced struct makes this field too; take the "
                  "derivation away",
                  {{"type", std::string(typeName)}, {"field", one.target.text()}});
    }
  }
};

RecordSchema::RecordSchema(std::shared_ptr<const State> state) : state_(std::move(state)) {}

RecordSchema RecordSchema::fromStruct(capnp::StructSchema root) {
  auto rootId = root.getProto().getId();
  auto types = internal::collectTypes(root);
  auto state = std::make_shared<State>();
  auto nodes = state->initNodes(types.size());
  nodes.setWithCaveats(0, types.at(rootId).getProto());
  unsigned position = 1;
  for (const auto& [id, type] : types) {
    if (id != rootId) nodes.setWithCaveats(position++, type.getProto());
  }
  stripFolders(nodes);
  state->describe(nodes, internal::NodeIndex(nodes.asReader()), rootId);
  return RecordSchema(std::move(state));
}

RecordSchema RecordSchema::fromNodes(capnp::List<Node>::Reader stored, std::uint64_t rootId) {
  try {
    auto state = std::make_shared<State>();
    auto nodes = state->initNodes(stored.size());
    for (unsigned position = 0; position < stored.size(); ++position) {
      nodes.setWithCaveats(position, stored[position]);
    }
    state->describe(nodes, internal::checkNodes(nodes.asReader()), rootId);
    return RecordSchema(std::move(state));
  } catch (const kj::Exception& exception) {
    if (exception.getType() == kj::Exception::Type::OVERLOADED) throw;  // no memory: nothing is wrong with it
    throw Error(ErrorCode::restoreFromBackup,
                "a stored schema cannot be read; restore the file from a backup",
                {{"reason", exception.getDescription().cStr()}});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::restoreFromBackup) throw;
    throw Error(ErrorCode::restoreFromBackup,
                "a stored schema is not one of a record; restore the file from a backup",
                {{"reason", error.what()}});
  }
}

std::uint16_t RecordSchema::version() const noexcept { return state_->version; }
std::uint64_t RecordSchema::fingerprint() const noexcept { return state_->fingerprint; }
std::string_view RecordSchema::typeName() const noexcept { return state_->typeName; }
std::uint64_t RecordSchema::rootId() const noexcept { return state_->rootId; }
const KeySpec& RecordSchema::key() const noexcept { return state_->key; }
bool RecordSchema::isRecursive() const noexcept { return state_->recursive; }
std::uint16_t RecordSchema::completeFrom() const noexcept { return state_->completeFrom; }
bool RecordSchema::changesPuts() const noexcept {
  return !state_->derivations.mirrored.empty() || !state_->derivations.retired.empty();
}
const internal::Derivations& RecordSchema::derivations() const noexcept { return state_->derivations; }
const internal::RecordCode& RecordSchema::code() const noexcept { return state_->code; }
capnp::StructSchema RecordSchema::root() const { return state_->root; }
capnp::List<Node>::Reader RecordSchema::nodes() const { return state_->nodes; }

bool isSensitive(capnp::StructSchema::Field field) {
  return internal::findAnnotation(field.getProto().getAnnotations(), internal::kSensitiveAnnotation)
      .has_value();
}

bool isRetired(capnp::StructSchema::Field field) { return retiredSince(field).has_value(); }

std::optional<std::uint16_t> retiredSince(capnp::StructSchema::Field field) {
  const auto value =
      internal::findAnnotation(field.getProto().getAnnotations(), internal::kRetiredAnnotation);
  if (!value) return std::nullopt;
  return value->getUint16();
}

}  // namespace instar
