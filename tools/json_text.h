#pragma once

// JSON as text (RFC 8259), without loss: a number stays the digits that were written, and every escape is
// understood. Cap'n Proto's own JSON codec is not used because release 0.9 reads "\u00e9" as "I" and keeps
// whole numbers only up to 2^53.
//
// Pure; any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace instar::tools {

// Arrays and objects inside one another. A row nests at most 256 structs, each at most two levels of JSON.
inline constexpr int kMaxJsonNesting = 1024;

struct JsonMember;

struct JsonValue {
  enum class Kind : std::uint8_t { null, boolean, number, text, array, object };

  Kind kind = Kind::null;
  bool truth = false;
  std::string text = {};  // of Kind::text: UTF-8; of Kind::number: as it was written
  std::vector<JsonValue> elements = {};
  std::vector<JsonMember> members;  // in the order of the text, no name twice

  // The member's value, or nullptr.
  const JsonValue* find(std::string_view name) const noexcept;
};

struct JsonMember {
  std::string name;
  JsonValue value;
};

// One JSON value and nothing behind it. Throws Error(fixInput) with the facts `field` ("column 12", counted
// in bytes from 1) and `reason`.
JsonValue parseJson(std::string_view text);

// Appends JSON to a string, on one line. Commas are put where they belong; that calls nest properly is up to
// the caller.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& beginObject();
  JsonWriter& endObject();
  JsonWriter& beginArray();
  JsonWriter& endArray();
  JsonWriter& name(std::string_view name);  // of the member whose value comes next

  JsonWriter& text(std::string_view text);  // what is not UTF-8 in it becomes U+FFFD
  JsonWriter& number(std::uint64_t value);
  JsonWriter& number(std::int64_t value);
  JsonWriter& literal(std::string_view json);  // a number, true, false or null, ready made
  JsonWriter& boolean(bool value) { return literal(value ? "true" : "false"); }
  JsonWriter& null() { return literal("null"); }

  // name(…) and its value in one call.
  JsonWriter& member(std::string_view key, std::string_view value) { return name(key).text(value); }
  JsonWriter& member(std::string_view key, std::uint64_t value) { return name(key).number(value); }

 private:
  void separate();

  std::string& out_;
  bool needsComma_ = false;
};

}  // namespace instar::tools
