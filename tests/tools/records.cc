#include "instar/tests/tools/records.h"

#include <capnp/any.h>
#include <rapidcheck.h>

#include <limits>

#include "instar/tools/json_form.h"
#include "instar/tools/json_text.h"
#include "instar/tools/scalar_text.h"
#include "instar/tools/schema_file.h"

namespace instar::tools {
namespace {

using Type = capnp::schema::Type;

// Mostly small and printable, sometimes anything, now and then what a form of text could mistake for its own.
std::string randomText() {
  return *rc::gen::oneOf(
      rc::gen::string<std::string>(), rc::gen::container<std::string>(rc::gen::inRange(' ', '\x7f')),
      rc::gen::container<std::string>(rc::gen::arbitrary<char>()),
      rc::gen::element<std::string>("", " ", "null", "a,b", "a\tb", "\"", "\r\n", "$masked(text 1..8)",
                                    "$bytes(QQ==)", "$bytes(", "grüße", "\xf0\x9f\x98\x80",
                                    std::string("a\0b", 3), "\xff\xfe", "{}"));
}

template <class Float>
Float randomFloat() {
  using Limits = std::numeric_limits<Float>;
  return *rc::gen::oneOf(
      rc::gen::arbitrary<Float>(),
      rc::gen::element<Float>(Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity(), Float(-0.0),
                              Limits::denorm_min(), Limits::max(), Float(0.1)));
}

template <class Integer>
Integer randomInteger() {
  using Limits = std::numeric_limits<Integer>;
  return *rc::gen::oneOf(rc::gen::arbitrary<Integer>(),
                         rc::gen::element<Integer>(Limits::min(), Limits::max(), 0));
}

capnp::DynamicValue::Reader randomScalar(capnp::Type type) {
  switch (type.which()) {
    case Type::BOOL:
      return *rc::gen::arbitrary<bool>();
    case Type::INT8:
      return randomInteger<std::int8_t>();
    case Type::INT16:
      return randomInteger<std::int16_t>();
    case Type::INT32:
      return randomInteger<std::int32_t>();
    case Type::INT64:
      return randomInteger<std::int64_t>();
    case Type::UINT8:
      return randomInteger<std::uint8_t>();
    case Type::UINT16:
      return randomInteger<std::uint16_t>();
    case Type::UINT32:
      return randomInteger<std::uint32_t>();
    case Type::UINT64:
      return randomInteger<std::uint64_t>();
    case Type::FLOAT32:
      return randomFloat<float>();
    case Type::FLOAT64:
      return randomFloat<double>();
    default:
      return capnp::DynamicEnum(type.asEnum(), *rc::gen::inRange<std::uint16_t>(0, 5));  // some are unknown
  }
}

void setBytes(const std::string& bytes, capnp::Type type, const auto& set) {
  if (type.isText())
    set(capnp::Text::Reader(bytes.c_str(), bytes.size()));
  else
    set(capnp::Data::Reader(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()));
}

unsigned randomSize() { return *rc::gen::inRange(0U, 4U); }

void fillList(capnp::DynamicList::Builder list, int depth);

void fill(capnp::DynamicStruct::Builder record, int depth);

void fillField(capnp::DynamicStruct::Builder record, capnp::StructSchema::Field field, int depth) {
  const capnp::Type type = field.getType();
  if (isScalar(type)) {
    record.set(field, randomScalar(type));
  } else if (type.isText() || type.isData()) {
    setBytes(randomText(), type, [&](const auto& value) { record.set(field, value); });
  } else if (type.isAnyPointer()) {
    record.init(field).as<capnp::AnyPointer>().setAs<capnp::Text>(randomText().c_str());
  } else if (type.isList()) {
    fillList(record.init(field, randomSize()).as<capnp::DynamicList>(), depth + 1);
  } else if (type.isStruct()) {
    fill(record.init(field).as<capnp::DynamicStruct>(), depth + 1);
  } else {
    record.clear(field);
  }
}

void fill(capnp::DynamicStruct::Builder record, int depth) {
  const auto members = record.getSchema().getUnionFields();
  const unsigned chosen = members.size() == 0 ? 0 : *rc::gen::inRange(0U, members.size());
  for (const auto field : record.getSchema().getFields()) {
    if (isUnionMember(field)) {
      if (field != members[chosen]) continue;
      record.clear(field);
    }
    const bool leftOut = !field.getProto().isGroup() && *rc::gen::inRange(0, 3) == 0;
    if (!leftOut && depth < 5) fillField(record, field, depth);
  }
}

void fillList(capnp::DynamicList::Builder list, int depth) {
  const capnp::Type type = list.getSchema().getElementType();
  for (unsigned i = 0; i < list.size(); ++i) {
    if (isScalar(type)) {
      list.set(i, randomScalar(type));
    } else if (type.isText() || type.isData()) {
      setBytes(randomText(), type, [&](const auto& value) { list.set(i, value); });
    } else if (type.isStruct()) {
      fill(list[i].as<capnp::DynamicStruct>(), depth + 1);
    } else if (type.isList()) {
      fillList(list.init(i, randomSize()).as<capnp::DynamicList>(), depth + 1);
    }
  }
}

}  // namespace

RecordSchema testSchema(std::string_view name) {
  return loadSchemaFile(std::string(INSTAR_TEST_SCHEMAS) + "/" + std::string(name), {});
}

Record::Record(RecordSchema schema, std::string_view json) : Record(std::move(schema)) {
  readJson(parseJson(json), builder(), {});
}

bool sameRecords(Record& left, Record& right) {
  return left.reader().as<capnp::AnyStruct>() == right.reader().as<capnp::AnyStruct>();
}

std::string json(Record& record, const Masking& masking) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject();
  writeJsonMembers(writer, record.reader(), masking);
  writer.endObject();
  return out;
}

void fillRandomly(capnp::DynamicStruct::Builder record) { fill(record, 0); }

}  // namespace instar::tools
