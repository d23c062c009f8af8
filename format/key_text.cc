#include "instar/format/key_text.h"

#include <array>
#include <charconv>
#include <utility>

#include "instar/format/error.h"
#include "instar/format/number_text.h"

namespace instar {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

int digitValue(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

bool standsBare(std::string_view text) noexcept {
  if (text.empty() || text.starts_with("0x") || !isValidUtf8(text)) return false;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == ',' || c == '"' || c == '\\') return false;
  }
  return true;
}

std::string printText(std::string_view text) {
  if (standsBare(text)) return std::string(text);
  const bool utf8 = isValidUtf8(text);
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) {
      ((out += "\\x") += kDigits[byte >> 4]) += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out += '"';
}

template <class Number>
std::string printNumber(Number number) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  return {buffer.data(), end.ptr};
}

std::string printValue(const KeyPart& part, const KeyValue& value) {
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* text = std::get_if<std::string_view>(&value)) return printText(*text);
  if (const auto* data = std::get_if<Bytes>(&value)) return "0x" + toHex(*data);
  if (const auto* natural = std::get_if<std::uint64_t>(&value)) {
    const bool named = part.type == KeyType::enumeration && *natural < part.enumerants.size();
    return named ? part.enumerants[*natural] : printNumber(*natural);
  }
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return printNumber(*whole);
  return printNumber(std::get<double>(value));
}

[[noreturn]] void refuse(std::string_view part, const char* message, std::string_view text) {
  throw Error(ErrorCode::fixCall, message, {{"part", std::string(part)}, {"text", std::string(text)}});
}

std::string parseData(std::string_view part, std::string_view text) {
  std::string bytes;
  if (!text.starts_with("0x") || !fromHex(text.substr(2), bytes)) {
    refuse(part, "data in a key is written as 0x and pairs of hexadecimal digits", text);
  }
  return bytes;
}

// Takes one part off the front of `rest`; what follows is empty or begins with a comma.
std::string takeQuoted(std::string_view part, std::string_view& rest) {
  const std::string_view whole = rest;
  std::string out;
  std::size_t i = 1;
  for (; i < rest.size() && rest[i] != '"'; ++i) {
    if (rest[i] != '\\') {
      out += rest[i];
      continue;
    }
    if (i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\')) {
      out += rest[++i];
    } else if (i + 3 < rest.size() && rest[i + 1] == 'x' && fromHex(rest.substr(i + 2, 2), out)) {
      i += 3;
    } else {
      refuse(part, "after a backslash a key has a quote, a backslash or xNN", whole);
    }
  }
  if (i >= rest.size()) refuse(part, "the closing quote of the key is missing", whole);
  rest = rest.substr(i + 1);
  if (!rest.empty() && rest.front() != ',')
    refuse(part, "after the closing quote of a key comes a comma", whole);
  return out;
}

std::string_view takeBare(std::string_view& rest) {
  const std::string_view part = rest.substr(0, rest.find(','));
  rest = rest.substr(part.size());
  return part;
}

KeyValue parseScalar(const KeyPart& part, std::string_view text) {
  if (part.type == KeyType::boolean && (text == "true" || text == "false")) return text == "true";
  if (part.type == KeyType::float32 || part.type == KeyType::float64) {
    if (const auto real = parseNumber<double>(text)) return *real;
    refuse(part.name, "this part of the key is a number", text);
  }
  if (const auto natural = parseNumber<std::uint64_t>(text)) return *natural;
  if (const auto whole = parseNumber<std::int64_t>(text)) return *whole;
  if (part.type == KeyType::enumeration) return text;
  refuse(part.name,
         part.type == KeyType::boolean ? "this part of the key is true or false"
                                       : "this part of the key is a whole number",
         text);
}

Key parseByteString(std::string_view text, KeyForm form) {
  std::string bytes;
  std::string_view rest = text;
  if (text.starts_with('"')) {
    bytes = takeQuoted("key", rest);
    if (!rest.empty()) refuse("key", "a key of one part ends with the closing quote", text);
  } else {
    bytes = text.starts_with("0x") ? parseData("key", text) : std::string(text);
  }
  Key key;
  const KeyValue value = asBytes(bytes);
  encodeKey({}, {&value, 1}, form, key);
  return key;
}

}  // namespace

std::string toHex(Bytes bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    (out += kDigits[static_cast<unsigned>(byte) >> 4]) += kDigits[static_cast<unsigned>(byte) & 15U];
  }
  return out;
}

bool fromHex(std::string_view hex, std::string& bytes) {
  if (hex.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digitValue(hex[i]);
    const int low = digitValue(hex[i + 1]);
    if (high < 0 || low < 0) return false;
    bytes += static_cast<char>(high << 4 | low);
  }
  return true;
}

bool isValidUtf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    const auto second = static_cast<unsigned char>(text[i + 1]);
    const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    const bool surrogate = lead == 0xed && second >= 0xa0;
    const bool tooLarge = lead == 0xf4 && second >= 0x90;
    if (overlong || surrogate || tooLarge) return false;
    i += length;
  }
  return true;
}

std::string printKey(const KeySpec& spec, Bytes key) {
  if (spec.empty()) {
    const std::string_view text = asText(key);
    return isValidUtf8(text) ? printText(text) : "0x" + toHex(key);
  }
  std::vector<std::string> storage;
  std::vector<KeyValue> values;
  if (!decodeKey(spec, key, storage, values)) return "0x" + toHex(key);
  std::string out;
  for (std::size_t i = 0; i < spec.size(); ++i) {
    if (i != 0) out += ',';
    out += printValue(spec[i], values[i]);
  }
  return out;
}

Key parseKey(const KeySpec& spec, std::string_view text, KeyForm form) {
  if (spec.empty()) return parseByteString(text, form);
  std::vector<std::string> storage;
  storage.reserve(spec.size());
  std::vector<KeyValue> values;
  std::string_view rest = text;
  for (std::size_t i = 0; i < spec.size() && (i == 0 || !rest.empty()); ++i) {
    const KeyPart& part = spec[i];
    if (i != 0) rest.remove_prefix(1);
    if (rest.empty() && form == KeyForm::openPrefix) {
      form = KeyForm::prefix;  // after a comma
      break;
    }
    if (part.type == KeyType::data) {
      storage.push_back(parseData(part.name, takeBare(rest)));
      values.emplace_back(asBytes(storage.back()));
    } else if (part.type == KeyType::text) {
      if (rest.starts_with('"'))
        storage.push_back(takeQuoted(part.name, rest));
      else if (spec.size() == 1)
        storage.emplace_back(std::exchange(rest, {}));
      else
        storage.emplace_back(takeBare(rest));
      values.emplace_back(std::string_view(storage.back()));
    } else {
      values.push_back(parseScalar(part, takeBare(rest)));
    }
  }
  if (!rest.empty()) {
    throw Error(ErrorCode::fixCall, "the key has more parts than its collection",
                {{"parts", std::to_string(spec.size())}, {"text", std::string(text)}});
  }
  Key key;
  encodeKey(spec, values, form, key);
  return key;
}

}  // namespace instar
