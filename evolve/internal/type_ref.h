#pragma once

// A field's type as a value that can be compared: Cap'n Proto's schema::Type with the parameters of generic
// types replaced by what they are bound to.
//
// Invariants: a brand lists its scopes by ascending id and leaves out what is AnyPointer anyway (scopes
// without bindings, trailing arguments), so that equal types compare equal however they were spelled. Plain
// values; any thread.

#include <capnp/schema.capnp.h>

#include <cstdint>
#include <string>
#include <vector>

namespace instar::internal {

class NodeIndex;
struct BrandScope;

// What the parameters of a generic type, and of the types around it, are bound to.
using Brand = std::vector<BrandScope>;

// What an AnyPointer may point to; `parameter` occurs only where no environment was given.
enum class AnyKind : std::uint8_t { pointer, structure, list, capability, parameter };

struct TypeRef {
  capnp::schema::Type::Which kind = capnp::schema::Type::ANY_POINTER;
  AnyKind any = AnyKind::pointer;  // of an AnyPointer
  std::uint64_t id = 0;  // of an enum, struct or interface; for a parameter of the type that declares it
  std::uint16_t parameter = 0;   // position of a parameter
  std::vector<TypeRef> element;  // of a list: exactly one
  Brand brand;                   // of an enum or a struct

  friend bool operator==(const TypeRef& left, const TypeRef& right);
};

struct BrandScope {
  std::uint64_t scopeId = 0;
  std::vector<TypeRef> arguments;

  friend bool operator==(const BrandScope& left, const BrandScope& right);
};

// The type with its parameters looked up in `environment`; without one they stay parameters.
TypeRef resolveType(capnp::schema::Type::Reader type, const NodeIndex& index, const Brand* environment);

// The name of a type that needs no declaration: "Text". Not of lists and AnyPointer.
const char* builtInTypeName(capnp::schema::Type::Which kind);

// The type as a reader of the schema knows it: "List(Map(Text, Address))".
std::string typeText(const TypeRef& type, const NodeIndex& index);

// The same with ids in place of names: equal for equal types only.
std::string typeSignature(const TypeRef& type);
std::string brandSignature(const Brand& brand);

// Whether values of the type lie behind a pointer.
bool isPointerType(const TypeRef& type) noexcept;

// How deeply types are nested in one another: 1 for Text, 2 for List(Text).
unsigned nestingDepth(const TypeRef& type);

}  // namespace instar::internal
