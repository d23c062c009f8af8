#include "instar/format/key_text.h"
#include "instar/tools/json_form.h"
#include "instar/tools/scalar_text.h"

namespace instar::tools {
namespace {

bool needsQuotes(const capnp::DynamicValue::Reader& value, std::string_view printed) {
  switch (value.getType()) {
    case capnp::DynamicValue::INT: {
      const auto number = value.as<std::int64_t>();
      return number > static_cast<std::int64_t>(kMaxJsonInteger) ||
             number < -static_cast<std::int64_t>(kMaxJsonInteger);
    }
    case capnp::DynamicValue::UINT:
      return value.as<std::uint64_t>() > kMaxJsonInteger;
    case capnp::DynamicValue::FLOAT:
      return printed.ends_with('y') || printed == "NaN";  // Infinity
    case capnp::DynamicValue::ENUM:
      return value.as<capnp::DynamicEnum>().getEnumerant() != nullptr;
    default:
      return false;
  }
}

void writeScalar(JsonWriter& out, const capnp::DynamicValue::Reader& value, capnp::Type type) {
  const std::string printed = printScalar(value, type);
  if (needsQuotes(value, printed)) {
    out.text(printed);
  } else {
    out.literal(printed);
  }
}

void writeText(JsonWriter& out, std::string_view text) {
  if (isValidUtf8(text)) {
    out.text(text);
  } else {
    out.beginObject().member("$bytes", toBase64(asBytes(text))).endObject();
  }
}

void writeValue(JsonWriter& out, const capnp::DynamicValue::Reader& value, capnp::Type type,
                const Masking& masking) {
  switch (value.getType()) {
    case capnp::DynamicValue::VOID:
      out.null();
      break;
    case capnp::DynamicValue::TEXT:
      writeText(out, view(value.as<capnp::Text>()));
      break;
    case capnp::DynamicValue::DATA: {
      const auto data = value.as<capnp::Data>();
      out.text(toBase64(std::as_bytes(std::span(data.begin(), data.size()))));
      break;
    }
    case capnp::DynamicValue::LIST: {
      const capnp::Type element = type.asList().getElementType();
      out.beginArray();
      for (const auto item : value.as<capnp::DynamicList>()) writeValue(out, item, element, masking);
      out.endArray();
      break;
    }
    case capnp::DynamicValue::STRUCT:
      out.beginObject();
      writeJsonMembers(out, value.as<capnp::DynamicStruct>(), masking);
      out.endObject();
      break;
    case capnp::DynamicValue::ANY_POINTER:
      out.beginObject()
          .member("$anyPointer", toBase64(asBytes(encodePointer(value.as<capnp::AnyPointer>()))))
          .endObject();
      break;
    default:
      writeScalar(out, value, type);
  }
}

void writeMember(JsonWriter& out, capnp::DynamicStruct::Reader record, capnp::StructSchema::Field field,
                 const Masking& masking) {
  out.name(view(field.getProto().getName()));
  if (masking.masks(field)) {
    out.beginObject().member("$masked", maskedDescription(record.get(field))).endObject();
  } else {
    writeJsonField(out, record, field, masking);
  }
}

}  // namespace

void writeJsonField(JsonWriter& out, capnp::DynamicStruct::Reader record, capnp::StructSchema::Field field,
                    const Masking& masking) {
  writeValue(out, record.get(field), field.getType(), masking);
}

void writeJsonMembers(JsonWriter& out, capnp::DynamicStruct::Reader record, const Masking& masking) {
  const auto active = record.which();
  for (const auto field : record.getSchema().getFields()) {
    if (isRetired(field)) continue;
    const bool inUnion = isUnionMember(field);
    KJ_IF_MAYBE (chosen, active) {
      if (inUnion && *chosen != field) continue;
    } else if (inUnion) {
      continue;
    }
    if (record.has(field, capnp::HasMode::NON_NULL) || field.getType().isVoid()) {
      writeMember(out, record, field, masking);
    } else if (inUnion) {
      out.name(view(field.getProto().getName())).null();
    }
  }
  if (active == nullptr && hasUnion(record.getSchema())) {
    out.member("$union", std::uint64_t{discriminant(record)});
  }
}

}  // namespace instar::tools
