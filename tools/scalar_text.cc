#include "instar/tools/scalar_text.h"

#include <capnp/serialize.h>
#include <kj/encoding.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "instar/evolve/record_message.h"
#include "instar/evolve/want_of_memory.h"
#include "instar/format/error.h"

namespace instar::tools {
namespace {

using Type = capnp::schema::Type;

template <class Number>
std::string range() {
  return "a whole number from " + std::to_string(std::numeric_limits<Number>::min()) + " to " +
         std::to_string(std::numeric_limits<Number>::max());
}

std::string enumExpectation(capnp::EnumSchema schema) {
  constexpr unsigned kListed = 12;
  std::string out = "one of";
  const char* separator = " ";
  for (const auto enumerant : schema.getEnumerants()) {
    out.append(separator);
    if (enumerant.getIndex() == kListed) return out + "…";
    out.append(view(enumerant.getProto().getName()));
    separator = ", ";
  }
  return out;
}

}  // namespace

std::string expectation(capnp::Type type) {
  switch (type.which()) {
    case Type::VOID:
      return "null";
    case Type::BOOL:
      return "true or false";
    case Type::INT8:
      return range<std::int8_t>();
    case Type::INT16:
      return range<std::int16_t>();
    case Type::INT32:
      return range<std::int32_t>();
    case Type::INT64:
      return range<std::int64_t>();
    case Type::UINT8:
      return range<std::uint8_t>();
    case Type::UINT16:
      return range<std::uint16_t>();
    case Type::UINT32:
      return range<std::uint32_t>();
    case Type::UINT64:
      return range<std::uint64_t>();
    case Type::FLOAT32:
      return "a number of 32-bit floating point, or NaN, Infinity, -Infinity as text";
    case Type::FLOAT64:
      return "a number of 64-bit floating point, or NaN, Infinity, -Infinity as text";
    case Type::TEXT:
      return "a text, or {\"$bytes\": base64}";
    case Type::DATA:
      return "a text in base64";
    case Type::LIST:
      return "an array";
    case Type::ENUM:
      return enumExpectation(type.asEnum());
    case Type::STRUCT:
      return "an object";
    default:
      return "{\"$anyPointer\": base64 of a message}";
  }
}

std::string toBase64(Bytes bytes) {
  const auto* data = reinterpret_cast<const kj::byte*>(bytes.data());
  return std::string(view(kj::encodeBase64(kj::arrayPtr(data, bytes.size()))));
}

bool fromBase64(std::string_view text, std::string& bytes) {
  const auto decoded = kj::decodeBase64(kj::arrayPtr(text.data(), text.size()));
  if (decoded.hadErrors) return false;
  bytes.assign(reinterpret_cast<const char*>(decoded.begin()), decoded.size());
  return true;
}

std::string encodePointer(capnp::AnyPointer::Reader pointer) {
  internal::RecordMessage message;
  message.getRoot<capnp::AnyPointer>().set(pointer);
  const auto words = capnp::messageToFlatArray(message);
  return std::string(asText(std::as_bytes(std::span(words.begin(), words.size()))));
}

bool decodePointer(std::string_view bytes, capnp::AnyPointer::Builder target) {
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0) return false;
  std::vector<std::uint64_t> words(bytes.size() / sizeof(capnp::word));  // aligned as a message must be
  std::memcpy(words.data(), bytes.data(), bytes.size());
  const capnp::ReaderOptions options{.traversalLimitInWords = words.size() * 2, .nestingLimit = 256};
  const auto failure = kj::runCatchingExceptions([&] {
    capnp::FlatArrayMessageReader message({reinterpret_cast<const capnp::word*>(words.data()), words.size()},
                                          options);
    target.set(message.getRoot<capnp::AnyPointer>());
  });
  KJ_IF_MAYBE (exception, failure) {
    internal::passOnWantOfMemory(*exception);
    return false;
  }
  return true;
}

bool isUnionMember(capnp::StructSchema::Field field) {
  return field.getProto().getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT;
}

bool hasUnion(capnp::StructSchema type) { return type.getProto().getStruct().getDiscriminantCount() != 0; }

unsigned discriminant(capnp::DynamicStruct::Reader record) {
  const auto data = record.as<capnp::AnyStruct>().getDataSection();
  const std::size_t at = record.getSchema().getProto().getStruct().getDiscriminantOffset() * std::size_t{2};
  return at + 2 <= data.size() ? static_cast<unsigned>(data[at] | data[at + 1] << 8) : 0;
}

std::string quoteShortened(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::size_t end = std::min(kShown, text.size());
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return '"' + std::string(text.substr(0, end)) + (end < text.size() ? "…\"" : "\"");
}

void refuseValue(std::string field, std::string reason) {
  throw Error(ErrorCode::fixInput, "a value does not fit its field",
              {{"field", std::move(field)}, {"reason", std::move(reason)}});
}

}  // namespace instar::tools
