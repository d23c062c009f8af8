#include "instar/tools/text_form.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "instar/format/key_text.h"
#include "instar/format/row.h"
#include "instar/tools/scalar_text.h"

namespace instar::tools {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

void writeQuoted(std::string& out, std::string_view bytes, bool utf8) {
  out += '"';
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) {
      (out.append("\\x") += kHexDigits[byte >> 4]) += kHexDigits[byte & 15U];
    } else {
      out += c;
    }
  }
  out += '"';
}

void writeValue(std::string& out, const capnp::DynamicValue::Reader& value, capnp::Type type,
                const Masking& masking) {
  switch (value.getType()) {
    case capnp::DynamicValue::VOID:
      out += "void";
      break;
    case capnp::DynamicValue::TEXT: {
      const std::string_view text = view(value.as<capnp::Text>());
      writeQuoted(out, text, isValidUtf8(text));
      break;
    }
    case capnp::DynamicValue::DATA: {
      const auto data = value.as<capnp::Data>();
      writeQuoted(out, {reinterpret_cast<const char*>(data.begin()), data.size()}, false);
      break;
    }
    case capnp::DynamicValue::LIST: {
      const char* separator = "";
      out += '[';
      for (const auto item : value.as<capnp::DynamicList>()) {
        out += separator;
        writeValue(out, item, type.asList().getElementType(), masking);
        separator = ", ";
      }
      out += ']';
      break;
    }
    case capnp::DynamicValue::STRUCT:
      writeText(out, value.as<capnp::DynamicStruct>(), masking);
      break;
    case capnp::DynamicValue::ANY_POINTER:
      out.append("$anyPointer(").append(toBase64(asBytes(encodePointer(value.as<capnp::AnyPointer>())))) +=
          ')';
      break;
    default:
      out += printScalar(value, type);
  }
}

void writeField(std::string& out, capnp::DynamicStruct::Reader record, capnp::StructSchema::Field field,
                const Masking& masking) {
  out.append(view(field.getProto().getName())).append(" = ");
  if (masking.masks(field)) {
    out.append(kMaskedPrefix).append(maskedDescription(record.get(field))) += ')';
  } else {
    writeValue(out, record.get(field), field.getType(), masking);
  }
}

constexpr std::size_t kBytesInLine = 16;

// Offset, digits in groups of four bytes, printable characters.
void writeHexLine(std::string& out, std::size_t offset, Bytes bytes) {
  std::array<char, 96> line;
  char* to = line.data() + std::snprintf(line.data(), line.size(), "  %06zx ", offset);
  for (std::size_t i = 0; i < kBytesInLine; ++i) {
    if (i % 4 == 0) *to++ = ' ';
    const unsigned byte = i < bytes.size() ? static_cast<unsigned>(bytes[i]) : 0;
    *to++ = i < bytes.size() ? kHexDigits[byte >> 4] : ' ';
    *to++ = i < bytes.size() ? kHexDigits[byte & 15U] : ' ';
  }
  to = std::ranges::copy(std::string_view("  |"), to).out;
  for (const std::byte byte : bytes) {
    const char c = static_cast<char>(byte);
    *to++ = c >= 0x20 && c < 0x7f ? c : '.';
  }
  to = std::ranges::copy(std::string_view("|\n"), to).out;
  out.append(line.data(), to);
}

void writeHexLines(std::string& out, Bytes bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += kBytesInLine)
    writeHexLine(out, at, bytes.subspan(at, std::min(kBytesInLine, bytes.size() - at)));
}

std::string describeRow(Bytes key, Bytes value) {
  RowView row;
  const RowDamage damage = decodeRow(key, value, Verify::yes, row);
  if (damage != RowDamage::none) return std::string("damaged: ") + describe(damage);
  return "version " + std::to_string(row.version) + ", header " +
         std::to_string(value.size() - row.payload.size()) + " bytes, payload " +
         std::to_string(row.payload.size()) + " bytes";
}

}  // namespace

void writeText(std::string& out, capnp::DynamicStruct::Reader record, const Masking& masking) {
  const auto active = record.which();
  const char* separator = "";
  out += '(';
  for (const auto field : record.getSchema().getFields()) {
    if (isRetired(field)) continue;
    KJ_IF_MAYBE (chosen, active) {
      if (isUnionMember(field) && *chosen != field) continue;
    }
    const bool isActive = active != nullptr && isUnionMember(field);
    if (!record.has(field, capnp::HasMode::NON_NULL) && !isActive) continue;
    out += separator;
    writeField(out, record, field, masking);
    separator = ", ";
  }
  out += ')';
}

void writeHex(std::string& out, Bytes key, Bytes value) {
  out.append("key ").append(std::to_string(key.size())).append(" bytes\n");
  writeHexLines(out, key);
  out.append("value ")
      .append(std::to_string(value.size()))
      .append(" bytes: ")
      .append(describeRow(key, value)) += '\n';
  writeHexLines(out, value);
}

}  // namespace instar::tools
