#include "instar/tools/json_text.h"

#include <algorithm>
#include <charconv>

#include "instar/format/error.h"
#include "instar/format/key_text.h"

namespace instar::tools {
namespace {

bool isDigit(char c) noexcept { return c >= '0' && c <= '9'; }

void appendUtf8(std::string& out, std::uint32_t point) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xc0 | point >> 6);
    put(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    put(0xe0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  } else {
    put(0xf0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3f));
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  }
}

JsonValue valueOf(JsonValue::Kind kind, std::string text = {}) {
  JsonValue value;
  value.kind = kind;
  value.text = std::move(text);
  return value;
}

JsonValue truth(bool value) {
  JsonValue result = valueOf(JsonValue::Kind::boolean);
  result.truth = value;
  return result;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  JsonValue parseWhole() {
    JsonValue value = parseValue(0);
    skipSpace();
    if (at_ != text_.size()) refuse("something follows the end of the JSON value");
    return value;
  }

 private:
  [[noreturn]] void refuse(const char* reason) const {
    throw Error(ErrorCode::fixInput, "the text is not JSON",
                {{"field", "column " + std::to_string(at_ + 1)}, {"reason", reason}});
  }

  bool atEnd() const noexcept { return at_ == text_.size(); }
  char peek() const noexcept { return atEnd() ? '\0' : text_[at_]; }

  bool take(char c) {
    if (atEnd() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void skipSpace() {
    while (!atEnd() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  JsonValue parseValue(int depth) {
    if (depth > kMaxJsonNesting) refuse("arrays and objects are nested too deeply");
    skipSpace();
    if (atEnd()) refuse("the JSON value ends too early");
    switch (peek()) {
      case '{':
        return parseObject(depth);
      case '[':
        return parseArray(depth);
      case '"':
        return valueOf(JsonValue::Kind::text, parseText());
      case 't':
        return parseWord("true", truth(true));
      case 'f':
        return parseWord("false", truth(false));
      case 'n':
        return parseWord("null", {});
      default:
        return parseNumber();
    }
  }

  JsonValue parseWord(std::string_view word, JsonValue value) {
    if (!text_.substr(at_).starts_with(word)) refuse("expected a JSON value");
    at_ += word.size();
    return value;
  }

  void skipDigits() {
    if (!isDigit(peek())) refuse("expected a digit");
    while (isDigit(peek())) ++at_;
  }

  JsonValue parseNumber() {
    const std::size_t start = at_;
    if (!take('-') && !isDigit(peek())) refuse("expected a JSON value");
    if (!take('0')) skipDigits();
    if (take('.')) skipDigits();
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      skipDigits();
    }
    return valueOf(JsonValue::Kind::number, std::string(text_.substr(start, at_ - start)));
  }

  std::uint32_t parseHexQuad() {
    std::uint32_t value = 0;
    const std::string_view digits = text_.substr(at_, 4);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (failure != std::errc() || end != digits.data() + 4)
      refuse("\\u is followed by four hexadecimal digits");
    at_ += 4;
    return value;
  }

  std::uint32_t parseCodePoint() {
    const std::uint32_t first = parseHexQuad();
    if (first < 0xd800 || first > 0xdfff) return first;
    if (first > 0xdbff || !take('\\') || !take('u')) refuse("half of a surrogate pair stands alone");
    const std::uint32_t second = parseHexQuad();
    if (second < 0xdc00 || second > 0xdfff) refuse("half of a surrogate pair stands alone");
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
  }

  void parseEscape(std::string& out) {
    static constexpr std::string_view kEscapes = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (take('u')) return appendUtf8(out, parseCodePoint());
    const std::size_t which = kEscapes.find(peek());
    if (atEnd() || which == std::string_view::npos) refuse("this is not an escape of JSON");
    out += kMeanings[which];
    ++at_;
  }

  std::string parseText() {
    ++at_;
    std::string out;
    for (;;) {
      const std::size_t start = at_;
      while (!atEnd() && peek() != '"' && peek() != '\\' && static_cast<unsigned char>(peek()) >= 0x20) ++at_;
      const std::string_view plain = text_.substr(start, at_ - start);
      if (!isValidUtf8(plain)) refuse("the text is not UTF-8; write such bytes as {\"$bytes\": base64}");
      out.append(plain);
      if (atEnd()) refuse("the closing quote of the text is missing");
      if (take('"')) return out;
      if (!take('\\')) refuse("a control character in a text is written as \\u and four digits");
      parseEscape(out);
    }
  }

  JsonValue parseArray(int depth) {
    ++at_;
    JsonValue array = valueOf(JsonValue::Kind::array);
    skipSpace();
    if (take(']')) return array;
    do {
      array.elements.push_back(parseValue(depth + 1));
      skipSpace();
    } while (take(','));
    if (!take(']')) refuse("expected a comma or ] in the array");
    return array;
  }

  JsonValue parseObject(int depth) {
    ++at_;
    JsonValue object = valueOf(JsonValue::Kind::object);
    skipSpace();
    if (take('}')) return object;
    do {
      skipSpace();
      if (peek() != '"') refuse("expected the name of a member, in quotes");
      std::string name = parseText();
      if (object.find(name) != nullptr) refuse("this member stands in the object twice");
      skipSpace();
      if (!take(':')) refuse("expected a colon behind the name of a member");
      object.members.push_back({std::move(name), parseValue(depth + 1)});
      skipSpace();
    } while (take(','));
    if (!take('}')) refuse("expected a comma or } in the object");
    return object;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void appendEscaped(std::string& out, char c) {
  static constexpr char kDigits[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      ((out += "\\u00") += kDigits[static_cast<unsigned char>(c) >> 4]) += kDigits[c & 15];
  }
}

bool needsEscape(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

// The same text with U+FFFD in place of every byte that is not part of a character.
std::string repairUtf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t length = 1;
    while (length <= std::min<std::size_t>(4, text.size()) && !isValidUtf8(text.substr(0, length))) ++length;
    const bool found = length <= std::min<std::size_t>(4, text.size());
    out.append(found ? text.substr(0, length) : std::string_view("\xef\xbf\xbd"));
    text.remove_prefix(found ? length : 1);
  }
  return out;
}

}  // namespace

const JsonValue* JsonValue::find(std::string_view name) const noexcept {
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const JsonMember& m) { return m.name == name; });
  return found == members.end() ? nullptr : &found->value;
}

JsonValue parseJson(std::string_view text) { return Parser(text).parseWhole(); }

void JsonWriter::separate() {
  if (needsComma_) out_ += ',';
  needsComma_ = true;
}

JsonWriter& JsonWriter::beginObject() {
  separate();
  out_ += '{';
  needsComma_ = false;
  return *this;
}

JsonWriter& JsonWriter::endObject() {
  out_ += '}';
  needsComma_ = true;
  return *this;
}

JsonWriter& JsonWriter::beginArray() {
  separate();
  out_ += '[';
  needsComma_ = false;
  return *this;
}

JsonWriter& JsonWriter::endArray() {
  out_ += ']';
  needsComma_ = true;
  return *this;
}

JsonWriter& JsonWriter::name(std::string_view name) {
  text(name);
  out_ += ':';
  needsComma_ = false;
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view text) {
  if (!isValidUtf8(text)) return this->text(repairUtf8(text));
  separate();
  out_ += '"';
  while (!text.empty()) {
    const auto plain =
        static_cast<std::size_t>(std::find_if(text.begin(), text.end(), needsEscape) - text.begin());
    out_.append(text.substr(0, plain));
    if (plain < text.size()) appendEscaped(out_, text[plain]);
    text.remove_prefix(std::min(plain + 1, text.size()));
  }
  out_ += '"';
  return *this;
}

JsonWriter& JsonWriter::number(std::uint64_t value) { return literal(std::to_string(value)); }
JsonWriter& JsonWriter::number(std::int64_t value) { return literal(std::to_string(value)); }

JsonWriter& JsonWriter::literal(std::string_view json) {
  separate();
  out_.append(json);
  return *this;
}

}  // namespace instar::tools
