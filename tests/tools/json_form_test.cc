#include "instar/tools/json_form.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "instar/format/key_text.h"
#include "instar/tests/tools/records.h"
#include "instar/tools/scalar_text.h"

namespace instar::tools {
namespace {

class JsonForm : public testing::Test {
 protected:
  static const RecordSchema& schema() {
    static const RecordSchema schema = testSchema("every_kind.capnp:EveryKind");
    return schema;
  }

  static std::string through(std::string_view text) {
    Record record(schema(), text);
    return json(record);
  }
  static std::string reason(std::string_view text, bool ignoreUnknown = false) {
    return refusal([&] {
      Record record(schema());
      readJson(parseJson(text), record.builder(), {.ignoreUnknown = ignoreUnknown});
    });
  }
};

RC_GTEST_PROP(JsonFormProperty, EveryRecordComesBackAsItWas, ()) {
  static const RecordSchema schema = testSchema("every_kind.capnp:EveryKind");
  Record before(schema);
  fillRandomly(before.builder());
  const std::string text = json(before);
  RC_ASSERT(isValidUtf8(text));
  RC_ASSERT(text.find('\n') == std::string::npos);
  Record after(schema, text);
  RC_ASSERT(json(after) == text);
  RC_ASSERT(sameRecords(before, after));
}

TEST_F(JsonForm, AnEmptyRecordShowsDefaultsAndNoPointers) {
  EXPECT_EQ(
      through("{}"),
      R"({"id":0,"nothing":null,"truth":true,"int8":0,"int16":300,"int32":0,"int64":0,"uint8":1,"uint16":0,"uint32":0,)"
      R"("uint64":0,"float32":0.5,"float64":0,"colour":"green","address":{"number":0},"none":null,"shape":{"circle":0}})");
}

TEST_F(JsonForm, LargeWholeNumbersAreTextsAndExact) {
  const std::string out = through(R"({"int64":"-9223372036854775808","uint64":18446744073709551615})");
  EXPECT_NE(out.find(R"("int64":"-9223372036854775808")"), std::string::npos) << out;
  EXPECT_NE(out.find(R"("uint64":"18446744073709551615")"), std::string::npos) << out;
  EXPECT_NE(through(R"({"uint64":9007199254740991})").find(R"("uint64":9007199254740991)"),
            std::string::npos);
  EXPECT_NE(through(R"({"uint64":"9007199254740993"})").find(R"("uint64":"9007199254740993")"),
            std::string::npos);
}

TEST_F(JsonForm, WholeNumbersMayBeWrittenWithAPointOrAnExponent) {
  EXPECT_NE(through(R"({"int32":1e3,"uint8":7.0})").find(R"("int32":1000)"), std::string::npos);
  EXPECT_EQ(reason(R"({"int32":1.5})"),
            "int32: expected a whole number from -2147483648 to 2147483647, found 1.5");
}

TEST_F(JsonForm, NumbersThatAreNoneAreTexts) {
  const std::string out = through(R"({"float32":"NaN","float64":"-Infinity"})");
  EXPECT_NE(out.find(R"("float32":"NaN","float64":"-Infinity")"), std::string::npos) << out;
}

TEST_F(JsonForm, AnEnumerantOfANewerSchemaIsItsNumber) {
  EXPECT_NE(through(R"({"colour":17})").find(R"("colour":17)"), std::string::npos);
  EXPECT_NE(through(R"({"colour":2})").find(R"("colour":"blue")"), std::string::npos);
}

TEST_F(JsonForm, UnionsShowTheActiveMemberOnly) {
  EXPECT_NE(through(R"({"age":9})").find(R"("age":9,"shape")"), std::string::npos);
  EXPECT_NE(through(R"({"note":null})").find(R"("note":null,"shape")"), std::string::npos);
  EXPECT_NE(through(R"({"span":{"end":3}})").find(R"("span":{"begin":0,"end":3})"), std::string::npos);
  EXPECT_NE(through(R"({"shape":{"inner":{"b":{}}}})").find(R"("shape":{"inner":{"b":{}}})"),
            std::string::npos);
}

TEST_F(JsonForm, AMemberThatTheSchemaDoesNotKnowIsNotLostSilently) {
  Record record(schema(), R"({"age":200})");
  auto data = record.builder().as<capnp::AnyStruct>().getDataSection();
  const std::size_t at = schema().root().getProto().getStruct().getDiscriminantOffset() * 2;
  data[at] = 99;
  EXPECT_NE(json(record).find(R"("$union":99)"), std::string::npos);
  EXPECT_EQ(reason(R"({"shape":{"$union":99}})"),
            "shape.$union: member 99 of the union is not known to the schema");
  EXPECT_EQ(reason(R"({"$union":99})"), "$union: member 99 of the union is not known to the schema");
}

TEST_F(JsonForm, MistakesNameTheFieldAndTheReason) {
  EXPECT_EQ(reason(R"({"uint8":"x"})"), "uint8: expected a whole number from 0 to 255, found \"x\"");
  EXPECT_EQ(reason(R"({"uint8":256})"), "uint8: expected a whole number from 0 to 255, found 256");
  EXPECT_EQ(reason(R"({"uint8":"7"})"), "uint8: expected a whole number from 0 to 255, found \"7\"");
  EXPECT_EQ(reason(R"({"uint8":null})"), "uint8: expected a whole number from 0 to 255, found null");
  EXPECT_EQ(reason(R"({"truth":1})"), "truth: expected true or false, found 1");
  EXPECT_EQ(reason(R"({"colour":"pink"})"), "colour: expected one of red, green, blue, found \"pink\"");
  EXPECT_EQ(reason(R"({"colour":"1"})"), "colour: expected one of red, green, blue, found \"1\"");
  EXPECT_EQ(reason(R"({"text":7})"), "text: expected a text, found 7");
  EXPECT_EQ(reason(R"({"data":"!"})"), "data: expected a text in base64, found \"!\"");
  EXPECT_EQ(reason(R"({"point":[]})"), "point: expected an object, found an array");
  EXPECT_EQ(reason(R"({"address":null})"), "address: expected an object, found null");
  EXPECT_EQ(reason(R"({"points":[{},{"x":"a"}]})"),
            "points[1].x: expected a whole number from -2147483648 to 2147483647, found \"a\"");
  EXPECT_EQ(reason(R"({"matrix":[[1],[2,true]]})"),
            "matrix[1][1]: expected a number of 32-bit floating point, or NaN, Infinity, -Infinity as text, "
            "found true");
  EXPECT_EQ(
      reason(R"({"float32":1e39})"),
      "float32: expected a number of 32-bit floating point, or NaN, Infinity, -Infinity as text, found 1e39");
  EXPECT_EQ(reason(R"({"anything":{"$anyPointer":"QQ=="}})"),
            "anything: expected {\"$anyPointer\": base64 of a message}, found an object");
  EXPECT_EQ(reason("[1]"), ": expected an object, found an array");
}

TEST_F(JsonForm, UnknownMembersAreRefusedUnlessTheyAreToBeIgnored) {
  EXPECT_EQ(reason(R"({"adress":{}})"), "adress: the schema has no such field");
  EXPECT_EQ(reason(R"({"point":{"z":1}})"), "point.z: the schema has no such field");
  EXPECT_EQ(reason(R"({"adress":{},"point":{"z":1}})", true), "");
  EXPECT_EQ(reason(R"({"$key":"a","$version":3})"), "");
}

TEST_F(JsonForm, TwoMembersOfAUnionAreRefused) {
  EXPECT_EQ(reason(R"({"age":1,"note":"x"})"),
            "note: belongs to the same union as age; only one may be given");
  EXPECT_EQ(reason(R"({"shape":{"circle":1,"label":"x"}})"),
            "shape.label: belongs to the same union as circle; only one may be given");
}

TEST_F(JsonForm, MaskedValuesAreRefused) {
  EXPECT_EQ(reason(R"({"text":{"$masked":"text 1..8"}})"),
            "text: the value is masked; dump again with --unmask");
  EXPECT_EQ(reason(R"({"uint8":{"$masked":"number"}})"),
            "uint8: the value is masked; dump again with --unmask");
  EXPECT_EQ(reason(R"({"points":[{"$masked":"struct"}]})"),
            "points[0]: the value is masked; dump again with --unmask");
}

TEST_F(JsonForm, TextThatIsNotUtf8IsKept) {
  Record record(schema(), R"({"text":{"$bytes":"//4="},"texts":["a",{"$bytes":"wA=="}]})");
  EXPECT_EQ(view(record.reader().get("text").as<capnp::Text>()), "\xff\xfe");
  EXPECT_NE(json(record).find(R"("text":{"$bytes":"//4="})"), std::string::npos);
  EXPECT_NE(json(record).find(R"("texts":["a",{"$bytes":"wA=="}])"), std::string::npos);
}

}  // namespace
}  // namespace instar::tools
