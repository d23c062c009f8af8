#pragma once

// Values and types as the model of a history has them (random_history.h): plain, apart from Cap'n Proto's
// own, so that what is computed from them is a second opinion. Any thread.

#include <capnp/dynamic.h>

#include <string>
#include <variant>
#include <vector>

namespace instar::testing {

__extension__ using Wide = __int128;

struct ModelType {
  enum class Kind : std::uint8_t { boolean, whole, floating, text, data, enumerant, structure };
  Kind kind = Kind::whole;
  unsigned bits = 0;  // of numbers
  bool isSigned = false;
  bool isList = false;  // of that kind

  ModelType element() const { return {.kind = kind, .bits = bits, .isSigned = isSigned}; }
  ModelType list() const { return {.kind = kind, .bits = bits, .isSigned = isSigned, .isList = true}; }
  bool isPointer() const {
    return isList || kind == Kind::text || kind == Kind::data || kind == Kind::structure;
  }
  bool isNumber() const { return !isList && (kind == Kind::whole || kind == Kind::floating); }
  friend bool operator==(const ModelType&, const ModelType&) = default;
};

inline constexpr ModelType kBool{.kind = ModelType::Kind::boolean};
inline constexpr ModelType kText{.kind = ModelType::Kind::text};
inline constexpr ModelType kData{.kind = ModelType::Kind::data};
inline constexpr ModelType kEnum{.kind = ModelType::Kind::enumerant};
inline constexpr ModelType kStruct{.kind = ModelType::Kind::structure};

struct Value {
  struct Inactive {  // another member of the union is active
    friend bool operator==(Inactive, Inactive) { return true; }
  };
  // Nothing is a pointer that is null; whole numbers are also Bool and enumerants; texts are also data;
  // members of a struct and elements of a list are in order.
  std::variant<std::monostate, Inactive, Wide, double, std::string, std::vector<Value>> content;

  bool isSet() const { return content.index() > 1; }
  Wide whole() const { return std::get<Wide>(content); }
  double floating() const { return std::get<double>(content); }
  const std::string& text() const { return std::get<std::string>(content); }
  const std::vector<Value>& elements() const { return std::get<std::vector<Value>>(content); }
  friend bool operator==(const Value&, const Value&) = default;
};

inline Value wholeValue(Wide number) { return {number}; }
inline Value textValue(std::string text) { return {std::move(text)}; }

std::string describe(const Value& value);

// What the field of a record holds, and the reverse. A member of a struct that `field`'s schema does not know
// stays as it is.
Value readField(capnp::DynamicStruct::Reader parent, capnp::StructSchema::Field field);
void writeField(capnp::DynamicStruct::Builder parent, capnp::StructSchema::Field field, const Value& value);

}  // namespace instar::testing
