#include "instar/evolve/internal/literal.h"

#include <kj/encoding.h>

#include <charconv>
#include <cmath>

namespace instar::internal {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

template <typename Number>
std::string shortestText(Number value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char digits[32];
  auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  std::string text(digits, end);
  return text == "-0" ? "-0.0" : text;
}

std::string hexPair(unsigned char byte) { return {kHexDigits[byte >> 4], kHexDigits[byte & 15]}; }

std::string escaped(char character, bool isUtf8) {
  auto byte = static_cast<unsigned char>(character);
  if (character == '"' || character == '\\') return std::string("\\") + character;
  if (character == '\n') return "\\n";
  if (character == '\t') return "\\t";
  constexpr unsigned char kDelete = 0x7f;
  if (byte < ' ' || byte == kDelete || (byte > kDelete && !isUtf8)) return "\\x" + hexPair(byte);
  return {character};
}

}  // namespace

std::string floatLiteral(float value) { return shortestText(value); }
std::string floatLiteral(double value) { return shortestText(value); }

std::string textLiteral(std::string_view text) {
  bool isUtf8 = !kj::encodeUtf16(kj::arrayPtr(text.data(), text.size())).hadErrors;
  std::string literal = "\"";
  for (char character : text) literal += escaped(character, isUtf8);
  return literal + "\"";
}

bool isPlainText(std::string_view text) {
  if (kj::encodeUtf16(kj::arrayPtr(text.data(), text.size())).hadErrors) return false;
  unsigned char before = 0;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < ' ' || byte == 0x7f) return false;
    if (before == 0xc2 && byte < 0xa0) return false;  // U+0080 to U+009F
    before = byte;
  }
  return true;
}

std::string hexadecimal(std::uint64_t number) {
  char digits[16];
  auto end = std::to_chars(digits, digits + sizeof(digits), number, 16).ptr;
  return {digits, end};
}

std::string idLiteral(std::uint64_t id) { return "@0x" + hexadecimal(id); }

std::string dataLiteral(capnp::Data::Reader data) {
  std::string literal = "0x\"";
  for (auto byte : data) {
    if (literal.size() > 3) literal += ' ';
    literal += hexPair(byte);
  }
  return literal + "\"";
}

}  // namespace instar::internal
