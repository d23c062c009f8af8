#include "instar/format/key.h"

#include <capnp/message.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "instar/evolve/record_schema.h"
#include "instar/format/error.h"
#include "instar/tests/format/keys.capnp.h"

namespace instar {
namespace {

KeySpec one(KeyType type) { return {{.name = "part", .type = type}}; }

Key encode(const KeySpec& spec, std::initializer_list<KeyValue> values, KeyForm form = KeyForm::whole) {
  Key key;
  encodeKey(spec, std::span(values.begin(), values.size()), form, key);
  return key;
}

std::string_view refusal(const KeySpec& spec, std::initializer_list<KeyValue> values) {
  try {
    encode(spec, values);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::fixCall);
    return error.message();
  }
  return "accepted";
}

template <class Number>
void expectSameOrder(KeyType type, Number left, Number right) {
  const Key leftKey = encode(one(type), {KeyValue(left)});
  const Key rightKey = encode(one(type), {KeyValue(right)});
  RC_ASSERT((left < right) == (leftKey < rightKey));
  RC_ASSERT((left == right) == (leftKey == rightKey));
}

RC_GTEST_PROP(KeyOrder, IntegersSortAsNumbers, ()) {
  const auto left = *rc::gen::arbitrary<std::int64_t>();
  const auto right = *rc::gen::oneOf(rc::gen::arbitrary<std::int64_t>(), rc::gen::just(left));
  expectSameOrder<std::int64_t>(KeyType::int64, left, right);
  expectSameOrder<std::int64_t>(KeyType::int32, static_cast<std::int32_t>(left),
                                static_cast<std::int32_t>(right));
  expectSameOrder<std::int64_t>(KeyType::int16, static_cast<std::int16_t>(left),
                                static_cast<std::int16_t>(right));
  expectSameOrder<std::int64_t>(KeyType::int8, static_cast<std::int8_t>(left),
                                static_cast<std::int8_t>(right));
  expectSameOrder<std::uint64_t>(KeyType::uint64, static_cast<std::uint64_t>(left),
                                 static_cast<std::uint64_t>(right));
  expectSameOrder<std::uint64_t>(KeyType::uint16, static_cast<std::uint16_t>(left),
                                 static_cast<std::uint16_t>(right));
}

RC_GTEST_PROP(KeyOrder, FloatsSortAsNumbers, ()) {
  const auto bits = *rc::gen::pair(rc::gen::arbitrary<std::uint64_t>(), rc::gen::arbitrary<std::uint64_t>());
  const double left = std::bit_cast<double>(bits.first);
  const double right = std::bit_cast<double>(bits.second);
  RC_PRE(!std::isnan(left) && !std::isnan(right));
  expectSameOrder<double>(KeyType::float64, left, right);
  expectSameOrder<double>(KeyType::float64, left, 0.0);
  expectSameOrder<double>(KeyType::float32, static_cast<float>(left), static_cast<float>(right));
}

RC_GTEST_PROP(KeyOrder, CompositesSortPartByPart, ()) {
  const KeySpec spec{{.name = "text", .type = KeyType::text},
                     {.name = "data", .type = KeyType::data},
                     {.name = "number", .type = KeyType::int16},
                     {.name = "last", .type = KeyType::text}};
  // Few different bytes, so that prefixes, zeros and ff meet.
  const auto text = rc::gen::container<std::string>(rc::gen::element('\0', '\1', 'a', '\xff'));
  using Parts = std::tuple<std::string, std::string, std::int16_t, std::string>;
  const auto parts = rc::gen::tuple(text, text, rc::gen::inRange<std::int16_t>(-2, 2), text);
  const auto key = [&](const Parts& values) {
    return encode(spec,
                  {std::string_view(std::get<0>(values)), asBytes(std::get<1>(values)),
                   static_cast<std::int64_t>(std::get<2>(values)), std::string_view(std::get<3>(values))});
  };
  const Parts left = *parts;
  const Parts right = *parts;
  RC_ASSERT((left < right) == (key(left) < key(right)));
  RC_ASSERT((left == right) == (key(left) == key(right)));

  std::vector<std::string> storage;
  std::vector<KeyValue> values;
  RC_ASSERT(decodeKey(spec, key(left).bytes(), storage, values));
  RC_ASSERT(std::get<std::string_view>(values[0]) == std::get<0>(left));
  RC_ASSERT(asText(std::get<Bytes>(values[1])) == std::get<1>(left));
  RC_ASSERT(std::get<std::int64_t>(values[2]) == std::get<2>(left));
  RC_ASSERT(std::get<std::string_view>(values[3]) == std::get<3>(left));
}

RC_GTEST_PROP(KeyDecoding, AnyBytesAreDecodedOrRefused, (const std::string& bytes)) {
  const KeySpec spec{{.name = "text", .type = KeyType::text}, {.name = "number", .type = KeyType::float32}};
  std::vector<std::string> storage;
  std::vector<KeyValue> values;
  if (!decodeKey(spec, asBytes(bytes), storage, values)) return;
  RC_ASSERT(values.size() == 2U);
}

TEST(KeyEncoding, BytesAreAsDocumented) {
  const auto bytes = [](const Key& key) { return std::string(asText(key.bytes())); };
  EXPECT_EQ(bytes(encode(one(KeyType::boolean), {true})), "\1");
  EXPECT_EQ(bytes(encode(one(KeyType::uint32), {std::uint64_t{258}})), std::string("\0\0\1\2", 4));
  EXPECT_EQ(bytes(encode(one(KeyType::int16), {std::int64_t{-1}})), "\x7f\xff");
  EXPECT_EQ(bytes(encode(one(KeyType::float64), {0.0})), std::string("\x80\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes(encode(one(KeyType::float64), {-0.0})), std::string("\x80\0\0\0\0\0\0\0", 8));
  const KeySpec twoTexts{{.name = "a", .type = KeyType::text}, {.name = "b", .type = KeyType::text}};
  EXPECT_EQ(bytes(encode(twoTexts, {std::string_view("x\0y", 3), std::string_view("z")})),
            std::string("x\0\xffy\0\0z", 7));
}

TEST(KeyEncoding, RecordAndValuesGiveTheSameKey) {
  const RecordSchema schema = RecordSchema::fromStruct(capnp::Schema::from<EveryKey>());
  ASSERT_EQ(schema.key().size(), 15U);
  capnp::MallocMessageBuilder message;
  auto record = message.initRoot<EveryKey>();
  record.setBoolean(false);
  record.setInt8(-8);
  record.setInt16(-16);
  record.setInt32(-32);
  record.setInt64(-64);
  record.setUint8(8);
  record.setUint16(16);
  record.setUint32(32);
  record.setUint64(64);
  record.setFloat32(-1.5F);
  record.setFloat64(1e300);
  record.setColor(Color::BLUE);
  record.setText("left");
  record.getInner().setData(kj::StringPtr("\xff").asBytes());
  record.setLast("right");
  Key fromRecord;
  encodeKey(schema.key(), capnp::AnyStruct::Reader(record.asReader()), fromRecord);
  using Signed = std::int64_t;
  using Unsigned = std::uint64_t;
  const Key fromValues =
      encode(schema.key(), {false, Signed{-8}, Signed{-16}, Signed{-32}, Signed{-64}, Unsigned{8},
                            Unsigned{16}, Unsigned{32}, Unsigned{64}, -1.5, 1e300, std::string_view("blue"),
                            std::string_view("left"), asBytes("\xff"), std::string_view("right")});
  EXPECT_EQ(fromRecord, fromValues);
}

TEST(KeyEncoding, UnsetFieldsCountWithTheirDefaults) {
  const RecordSchema schema = RecordSchema::fromStruct(capnp::Schema::from<EveryKey>());
  capnp::MallocMessageBuilder message;
  Key key;
  encodeKey(schema.key(), capnp::AnyStruct::Reader(message.initRoot<EveryKey>().asReader()), key);
  std::vector<std::string> storage;
  std::vector<KeyValue> values;
  ASSERT_TRUE(decodeKey(schema.key(), key.bytes(), storage, values));
  EXPECT_EQ(std::get<bool>(values[0]), true);
  EXPECT_EQ(std::get<std::int64_t>(values[2]), -7);
  EXPECT_EQ(std::get<std::uint64_t>(values[7]), 99U);
  EXPECT_EQ(std::get<double>(values[10]), 2.5);
  EXPECT_EQ(std::get<std::uint64_t>(values[11]), 1U);
  EXPECT_EQ(std::get<std::string_view>(values[12]), "default");
  EXPECT_EQ(std::get<std::string_view>(values[14]), "");
}

TEST(KeyEncoding, ARecordOfAnOlderSchemaIsReadAsIfItEndedInZeros) {
  const KeySpec spec{{.name = "far", .type = KeyType::uint64, .offset = 40, .defaultBits = 5}};
  capnp::MallocMessageBuilder message;
  Key key;
  encodeKey(spec, message.initRoot<capnp::AnyPointer>().initAsAnyStruct(1, 0).asReader(), key);
  EXPECT_EQ(key, encode(one(KeyType::uint64), {std::uint64_t{5}}));
}

TEST(KeyRefusals, WrongTypesAndRangesAreNamed) {
  EXPECT_EQ(refusal(one(KeyType::uint8), {std::uint64_t{256}}), "the key value is out of range");
  EXPECT_EQ(refusal(one(KeyType::uint8), {std::int64_t{-1}}), "the key value is out of range");
  EXPECT_EQ(refusal(one(KeyType::int8), {std::int64_t{128}}), "the key value is out of range");
  EXPECT_EQ(refusal(one(KeyType::int8), {std::int64_t{-129}}), "the key value is out of range");
  EXPECT_EQ(refusal(one(KeyType::boolean), {std::int64_t{2}}), "the key value is out of range");
  EXPECT_EQ(refusal(one(KeyType::uint64), {std::string_view("7")}),
            "the key value has the wrong type: give a whole number");
  EXPECT_EQ(refusal(one(KeyType::text), {std::uint64_t{7}}), "the key value has the wrong type: give text");
  EXPECT_EQ(refusal(one(KeyType::float64), {std::string_view("7")}),
            "the key value has the wrong type: give a number");
  EXPECT_EQ(refusal(one(KeyType::float64), {std::nan("")}),
            "NaN has no place in the order of keys: use a number");
  EXPECT_EQ(refusal(one(KeyType::uint64), {}), "the number of key values does not match the key");
  EXPECT_EQ(refusal({}, {std::string_view("a"), std::string_view("b")}),
            "the number of key values does not match the key");
}

TEST(KeyRefusals, WholeNumbersThatAFloatDoesNotHaveAreRefused) {
  const auto big = (std::int64_t{1} << 53) + 1;
  EXPECT_EQ(refusal(one(KeyType::float64), {big}), "the key value is out of range");
  EXPECT_EQ(refusal(one(KeyType::float64), {big - 1}), "accepted");
  EXPECT_EQ(refusal(one(KeyType::float64), {std::numeric_limits<std::uint64_t>::max()}),
            "the key value is out of range");
  EXPECT_EQ(refusal(one(KeyType::float64), {std::numeric_limits<std::int64_t>::min()}), "accepted");
  EXPECT_EQ(refusal(one(KeyType::float32), {std::int64_t{16'777'217}}), "the key value is out of range");
  EXPECT_EQ(refusal(one(KeyType::float32), {1e39}), "the key value is out of range");
  EXPECT_EQ(refusal(one(KeyType::float32), {0.1}), "accepted");
  EXPECT_EQ(refusal(one(KeyType::float32), {std::numeric_limits<double>::infinity()}), "accepted");
}

TEST(KeyRefusals, LimitsOfIntegersAreAccepted) {
  EXPECT_EQ(refusal(one(KeyType::int64), {std::numeric_limits<std::int64_t>::min()}), "accepted");
  EXPECT_EQ(refusal(one(KeyType::int8), {std::int64_t{-128}}), "accepted");
  EXPECT_EQ(refusal(one(KeyType::uint64), {std::numeric_limits<std::uint64_t>::max()}), "accepted");
}

TEST(KeyRefusals, LengthIsFrom1To511Bytes) {
  EXPECT_EQ(refusal({}, {std::string_view("")}), "a key may not be empty: give it at least one byte");
  const std::string longest(511, 'k');
  EXPECT_EQ(encode({}, {std::string_view(longest)}).bytes().size(), 511U);
  const std::string tooLong(512, 'k');
  EXPECT_EQ(refusal({}, {std::string_view(tooLong)}),
            "the key is longer than 511 bytes: store long text in a field that is not a key");
}

// Found by the key fuzzer: such bytes were decoded as values that are encoded in another way.
TEST(KeyDecoding, BytesThatNoValueHasAreNoKey) {
  const auto decodes = [](KeyType type, std::string_view bytes) {
    std::vector<std::string> storage;
    std::vector<KeyValue> values;
    return decodeKey(one(type), asBytes(bytes), storage, values);
  };
  EXPECT_TRUE(decodes(KeyType::boolean, "\x01"));
  EXPECT_FALSE(decodes(KeyType::boolean, "\x02"));
  EXPECT_TRUE(decodes(KeyType::float32, {"\x80\0\0\0", 4}));
  EXPECT_FALSE(decodes(KeyType::float32, "\x7f\xff\xff\xff"));  // -0
  EXPECT_FALSE(decodes(KeyType::float32, "\xff\xff\xff\xff"));  // NaN
}

TEST(KeyPrefix, CoversExactlyTheKeysThatBeginWithIt) {
  const KeySpec spec{{.name = "a", .type = KeyType::text}, {.name = "b", .type = KeyType::uint8}};
  const Key whole = encode(spec, {std::string_view("ab"), std::uint64_t{1}});
  EXPECT_TRUE(startsWith(whole.bytes(), encode(spec, {std::string_view("ab")}, KeyForm::prefix).bytes()));
  EXPECT_FALSE(startsWith(whole.bytes(), encode(spec, {std::string_view("a")}, KeyForm::prefix).bytes()));
  EXPECT_TRUE(startsWith(whole.bytes(), encode(spec, {std::string_view("a")}, KeyForm::openPrefix).bytes()));
}

// Bytes 00 inside of an earlier part are escaped in its beginning as they are in the whole.
TEST(KeyPrefix, ThatIsOpenCoversExactlyTheValuesThatBeginWithIt) {
  const KeySpec spec{{.name = "a", .type = KeyType::data}, {.name = "b", .type = KeyType::uint8}};
  std::vector<std::string> texts{""};
  for (std::size_t i = 0; i < texts.size() && texts[i].size() < 3; ++i) {
    for (const char byte : {'\0', '\1', '\xff'}) texts.push_back(texts[i] + byte);
  }
  for (const std::string& text : texts) {
    const Key whole = encode(spec, {asBytes(text), std::uint64_t{7}});
    for (const std::string& beginning : texts) {
      const Key prefix = encode(spec, {asBytes(beginning)}, KeyForm::openPrefix);
      EXPECT_EQ(startsWith(whole.bytes(), prefix.bytes()), text.starts_with(beginning));
    }
  }
}

TEST(KeyPrefix, TheNextKeyIsTheLeastThatIsGreaterThanAll) {
  Key next;
  ASSERT_TRUE(nextAfterPrefix(asBytes("ab"), next));
  EXPECT_EQ(asText(next.bytes()), "ac");
  ASSERT_TRUE(nextAfterPrefix(asBytes("a\xff\xff"), next));
  EXPECT_EQ(asText(next.bytes()), "b");
  EXPECT_FALSE(nextAfterPrefix(asBytes("\xff"), next));
  EXPECT_FALSE(nextAfterPrefix({}, next));
}

}  // namespace
}  // namespace instar
