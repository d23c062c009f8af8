#include <cmath>
#include <cstdlib>

#include "instar/format/error.h"
#include "instar/tools/json_form.h"
#include "instar/tools/scalar_text.h"

namespace instar::tools {
namespace {

using Kind = JsonValue::Kind;

// Where a value stands, for messages. A chain on the stack: the text is only made when it is needed.
struct Place {
  const Place* parent = nullptr;
  std::string_view name = {};
  std::size_t index = 0;
  bool isElement = false;
  bool hidden = false;  // values are not to be shown

  std::string print() const {
    std::string out = parent == nullptr ? std::string() : parent->print();
    if (isElement) return out + '[' + std::to_string(index) + ']';
    if (!out.empty() && !name.empty()) out += '.';
    return out.append(name);
  }
  Place member(std::string_view child, bool sensitive = false) const {
    return {.parent = this, .name = child, .hidden = hidden || sensitive};
  }
  Place element(std::size_t i) const {
    return {.parent = this, .index = i, .isElement = true, .hidden = hidden};
  }
};

std::string found(const JsonValue& value, bool hidden) {
  switch (value.kind) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return hidden ? "true or false" : value.truth ? "true" : "false";
    case Kind::number:
      return hidden ? "a number" : value.text.substr(0, 40);
    case Kind::text:
      return hidden ? "a text" : quoteShortened(value.text);
    case Kind::array:
      return "an array";
    case Kind::object:
      return "an object";
  }
  return "something else";
}

[[noreturn]] void refuseKind(const Place& place, const std::string& expected, const JsonValue& value) {
  refuseValue(place.print(), "expected " + expected + ", found " + found(value, place.hidden));
}

// An object with this one member: {"$bytes": "…"}.
const JsonValue* wrapped(const JsonValue& value, std::string_view name) {
  return value.kind == Kind::object && value.members.size() == 1 ? value.find(name) : nullptr;
}

std::string readBase64(const JsonValue& value, const Place& place) {
  std::string bytes;
  if (value.kind != Kind::text || !fromBase64(value.text, bytes))
    refuseKind(place, "a text in base64", value);
  return bytes;
}

capnp::Text::Reader asCapnpText(const std::string& text) { return {text.c_str(), text.size()}; }

capnp::Data::Reader asCapnpData(const std::string& bytes) {
  return {reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()};
}

// Whether JSON of this kind may hold the scalar at all: "7" is no UInt8, but it is a UInt64.
bool kindFits(const JsonValue& value, capnp::Type type) {
  const bool textAllowed =
      type.isInt64() || type.isUInt64() || type.isFloat32() || type.isFloat64() || type.isEnum();
  if (type.isBool()) return value.kind == Kind::boolean;
  if (value.kind == Kind::text) return textAllowed;
  return value.kind == Kind::number;
}

// Whole numbers as other programs write them: 7.0 and 1e3.
std::string plainInteger(const JsonValue& value, capnp::Type type) {
  if (value.kind != Kind::number || type.isFloat32() || type.isFloat64() || type.isEnum()) return value.text;
  if (value.text.find_first_of(".eE") == std::string::npos) return value.text == "-0" ? "0" : value.text;
  const double number = std::strtod(value.text.c_str(), nullptr);
  const bool exact = std::abs(number) <= static_cast<double>(kMaxJsonInteger) && number == std::trunc(number);
  return exact ? std::to_string(static_cast<std::int64_t>(number)) : value.text;
}

capnp::DynamicValue::Reader readScalar(const JsonValue& value, capnp::Type type, const Place& place) {
  if (kindFits(value, type)) {
    const std::string text = type.isBool() ? (value.truth ? "true" : "false") : plainInteger(value, type);
    const bool number =
        value.kind == Kind::text && type.isEnum() && !text.empty() && text[0] >= '0' && text[0] <= '9';
    if (const auto scalar = parseScalar(text, type); scalar && !number) return *scalar;
  }
  refuseKind(place, expectation(type), value);
}

class Reader {
 public:
  explicit Reader(const JsonReadOptions& options) : options_(options) {}

  void readStruct(const JsonValue& value, capnp::DynamicStruct::Builder record, const Place& place,
                  bool outermost) {
    if (value.find("$masked") != nullptr) refuseValue(place.print(), kMaskedReason);
    if (value.kind != Kind::object) refuseKind(place, "an object", value);
    const JsonMember* chosen = nullptr;
    for (const JsonMember& member : value.members) {
      if (member.name == "$union") refuseUnknownMember(member.value, place);
      if (outermost && member.name.starts_with('$')) continue;
      KJ_IF_MAYBE (field, record.getSchema().findFieldByName(
                              kj::StringPtr(member.name.c_str(), member.name.size()))) {
        if (isUnionMember(*field)) requireSingle(chosen, member, place);
        readField(member.value, record, *field, place);
      } else if (!options_.ignoreUnknown) {
        refuseValue(place.member(member.name).print(), "the schema has no such field");
      }
    }
  }

  void readField(const JsonValue& value, capnp::DynamicStruct::Builder record,
                 capnp::StructSchema::Field field, const Place& parent) {
    const Place place = parent.member(view(field.getProto().getName()), isHidden(field));
    if (wrapped(value, "$masked") != nullptr) refuseValue(place.print(), kMaskedReason);
    const capnp::Type type = field.getType();
    const bool isPointer = !isScalar(type) && !type.isVoid() && !field.getProto().isGroup();
    if (value.kind == Kind::null && (isPointer || type.isVoid())) {
      record.clear(field);
    } else if (type.isAnyPointer()) {
      readPointer(value, record.init(field).as<capnp::AnyPointer>(), place);
    } else if (isScalar(type)) {
      record.set(field, readScalar(value, type, place));
    } else if (type.isText()) {
      record.set(field, asCapnpText(readText(value, place)));
    } else if (type.isData()) {
      record.set(field, asCapnpData(readBase64(value, place)));
    } else if (type.isList()) {
      if (value.kind != Kind::array) refuseKind(place, "an array", value);
      const auto size = static_cast<unsigned>(value.elements.size());
      readList(value, record.init(field, size).as<capnp::DynamicList>(), place);
    } else if (type.isStruct()) {
      readStruct(value, record.init(field).as<capnp::DynamicStruct>(), place, false);
    } else {
      refuseKind(place, expectation(type), value);
    }
  }

 private:
  static void requireSingle(const JsonMember*& chosen, const JsonMember& member, const Place& place) {
    if (chosen != nullptr) {
      refuseValue(place.member(member.name).print(),
                  "belongs to the same union as " + chosen->name + "; only one may be given");
    }
    chosen = &member;
  }

  [[noreturn]] static void refuseUnknownMember(const JsonValue& value, const Place& place) {
    refuseValue(place.member("$union").print(),
                "member " + found(value, false) + " of the union is not known to the schema");
  }

  bool isHidden(capnp::StructSchema::Field field) const {
    return options_.hidden || (options_.masking != nullptr && options_.masking->masks(field));
  }

  std::string readText(const JsonValue& value, const Place& place) {
    if (value.kind == Kind::text) return value.text;
    const JsonValue* bytes = wrapped(value, "$bytes");
    if (bytes == nullptr) refuseKind(place, "a text", value);
    return readBase64(*bytes, place);
  }

  void readPointer(const JsonValue& value, capnp::AnyPointer::Builder target, const Place& place) {
    const JsonValue* message = wrapped(value, "$anyPointer");
    if (message == nullptr || !decodePointer(readBase64(*message, place), target)) {
      refuseKind(place, "{\"$anyPointer\": base64 of a message}", value);
    }
  }

  void readList(const JsonValue& value, capnp::DynamicList::Builder list, const Place& parent) {
    const capnp::Type type = list.getSchema().getElementType();
    for (unsigned i = 0; i < list.size(); ++i) {
      const JsonValue& element = value.elements[i];
      const Place place = parent.element(i);
      if (isScalar(type)) {
        list.set(i, readScalar(element, type, place));
      } else if (type.isText()) {
        list.set(i, asCapnpText(readText(element, place)));
      } else if (type.isData()) {
        list.set(i, asCapnpData(readBase64(element, place)));
      } else if (type.isStruct()) {
        readStruct(element, list[i].as<capnp::DynamicStruct>(), place, false);
      } else if (type.isVoid()) {
        if (element.kind != Kind::null) refuseKind(place, "null", element);
      } else {
        if (element.kind != Kind::array) refuseKind(place, "an array", element);
        const auto size = static_cast<unsigned>(element.elements.size());
        readList(element, list.init(i, size).as<capnp::DynamicList>(), place);
      }
    }
  }

  const JsonReadOptions& options_;
};

}  // namespace

void readJson(const JsonValue& object, capnp::DynamicStruct::Builder record, const JsonReadOptions& options) {
  Reader(options).readStruct(object, record, Place{}, true);
}

void readJsonField(const JsonValue& value, capnp::DynamicStruct::Builder record,
                   capnp::StructSchema::Field field, std::string_view path, const JsonReadOptions& options) {
  const std::size_t dot = path.rfind('.');
  const Place parent{.name = dot == std::string_view::npos ? std::string_view() : path.substr(0, dot)};
  Reader(options).readField(value, record, field, parent);
}

}  // namespace instar::tools
