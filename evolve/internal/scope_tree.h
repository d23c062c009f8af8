#pragma once

// Which type is declared inside which, as printed text needs it. Types keep their place where that is known;
// a scope that is not itself part of the record stands as an empty struct around what is nested in it. Two
// types of different files that would meet under one name are kept apart by such a scope. Immutable once
// built; any thread.

#include <capnp/schema.capnp.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "instar/evolve/internal/node_index.h"
#include "instar/evolve/internal/type_ref.h"

namespace instar::internal {

struct Scope {
  std::string name;
  std::uint64_t id = 0;                             // 0: of no importance
  std::optional<capnp::schema::Node::Reader> node;  // nothing for a scope that only holds others
  Scope* parent = nullptr;                          // null only for the file
  std::vector<std::unique_ptr<Scope>> children;
};

class ScopeTree {
 public:
  ScopeTree(const NodeIndex& index, std::uint64_t rootId);

  const Scope& file() const noexcept { return file_; }

  // An id for the file: the one that it had, where that is known.
  std::uint64_t fileId() const noexcept { return fileId_; }

  // The type as it has to be written inside `user`.
  std::string typeText(const TypeRef& type, const Scope& user) const;

 private:
  Scope& place(std::uint64_t id);
  Scope& parentOf(capnp::schema::Node::Reader node);
  Scope& placeholder(const std::string& path, std::uint64_t id);
  Scope& adopt(Scope& parent, std::string name, std::uint64_t id);
  void keepApart();
  void sortChildren(Scope& scope);
  std::string reference(const TypeRef& type, const Scope& user) const;
  std::string segment(const Scope& scope, const TypeRef& type, const Scope& user) const;
  bool isInherited(const Scope& scope, const TypeRef& type, const Scope& user) const;
  bool isHidden(const Scope& scope, const Scope& user) const;

  const NodeIndex& index_;
  Scope file_;
  std::uint64_t fileId_ = 0;
  std::map<std::uint64_t, Scope*> byId_;
  std::map<std::string, Scope*> byPath_;           // display names: "contact.capnp:Contact.Phone"
  std::map<std::string, std::uint64_t> idOfPath_;  // of the types of the record
};

}  // namespace instar::internal
