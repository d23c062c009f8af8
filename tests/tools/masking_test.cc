#include "instar/tools/masking.h"

#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include "instar/tests/tools/records.h"
#include "instar/tools/csv_form.h"
#include "instar/tools/json_form.h"
#include "instar/tools/text_form.h"

namespace instar::tools {
namespace {

constexpr const char* kPatient =
    R"({"ward":"north","taxId":"SECRET-1","name":"SECRET Name of a person","age":99,"smoker":true,"scan":"U0VDUkVU",)"
    R"("visits":[{"day":"monday","finding":"SECRET"},{"day":"tuesday"}],"history":["SECRET"],)"
    R"("home":{"city":"SECRET","zip":99},"contact":{"phone":"SECRET"},"doctor":{"name":"Who","salary":999},)"
    R"("kin":{"name":"SECRET","salary":999}})";

class MaskingTest : public testing::Test {
 protected:
  const RecordSchema schema_ = testSchema("patient.capnp:Patient");
  const Masking masking_ = Masking({schema_});
  Record patient_{schema_, kPatient};

  static void expectNoSecret(const std::string& output) {
    for (const char* secret : {"SECRET", "U0VDUkVU", "99", "Name of"}) {
      EXPECT_EQ(output.find(secret), std::string::npos) << secret << " in " << output;
    }
  }
};

TEST_F(MaskingTest, JsonShowsKindsAndCoarseLengths) {
  const std::string output = json(patient_, masking_);
  expectNoSecret(output);
  EXPECT_EQ(
      output,
      R"({"ward":"north","taxId":{"$masked":"text 1..8"},"name":{"$masked":"text 9..32"},"age":{"$masked":"number"},)"
      R"("smoker":{"$masked":"bool"},"scan":{"$masked":"data 1..8"},)"
      R"("visits":[{"day":"monday","finding":{"$masked":"text 1..8"}},{"day":"tuesday"}],"history":{"$masked":"list"},)"
      R"("home":{"$masked":"struct"},"contact":{"phone":{"$masked":"text 1..8"}},)"
      R"("doctor":{"name":"Who","salary":{"$masked":"number"}},"kin":{"$masked":"struct"}})");
}

TEST_F(MaskingTest, CsvShowsKindsAndCoarseLengths) {
  const CsvColumns columns(schema_.root(), masking_, CsvColumns::Use::write);
  std::string output;
  writeCsvRecord(output, columns.write(patient_.reader()), ',');
  expectNoSecret(output);
  EXPECT_NE(output.find("north,$masked(text 1..8),$masked(text 9..32),$masked(number)"), std::string::npos)
      << output;
}

TEST_F(MaskingTest, CapnpTextShowsKindsAndCoarseLengths) {
  std::string output;
  writeText(output, patient_.reader(), masking_);
  expectNoSecret(output);
  EXPECT_NE(output.find("(ward = \"north\", taxId = $masked(text 1..8), name = $masked(text 9..32)"),
            std::string::npos)
      << output;
}

TEST_F(MaskingTest, ACopyOfWhatIsVisibleHasNoSecretInItsBytes) {
  Record copy(schema_);
  masking_.copyVisible(patient_.reader(), copy.builder());
  EXPECT_EQ(
      json(copy),
      R"({"ward":"north","age":0,"smoker":false,"visits":[{"day":"monday"},{"day":"tuesday"}],"home":{"zip":0},)"
      R"("contact":{"phone":null},"doctor":{"name":"Who","salary":0}})");
}

// The second binding of a generic type was taken for one that had been looked into.
TEST_F(MaskingTest, EveryBindingOfAGenericTypeIsMasked) {
  const RecordSchema schema = testSchema("patient.capnp:Boxes");
  Record boxes(schema,
               R"({"id":1,"open":{"content":{"day":"monday"}},"closed":{"content":{"name":"SECRET"}}})");
  EXPECT_EQ(
      json(boxes, Masking({schema})),
      R"({"id":1,"open":{"content":{"day":"monday"}},"closed":{"content":{"name":{"$masked":"text 1..8"}}}})");
}

// The schema does not say what an AnyPointer points to: docs/limits.md tells people to mark the field itself.
TEST_F(MaskingTest, AnAnyPointerIsMaskedAsAWholeOrNotAtAll) {
  const RecordSchema schema = testSchema("patient.capnp:Boxes");
  const auto shown = [&](const char* field) {
    Record boxes(schema);
    boxes.builder().init(field).as<capnp::AnyPointer>().setAs<capnp::Text>("SECRET");
    const Masking masking({schema});
    Record copy(schema);
    masking.copyVisible(boxes.reader(), copy.builder());
    std::string text;
    writeText(text, boxes.reader(), masking);
    return json(boxes, masking) + text + json(copy);
  };
  EXPECT_NE(shown("anything").find(R"("anything":{"$anyPointer":")"), std::string::npos);
  EXPECT_NE(shown("anythingSecret").find(R"("anythingSecret":{"$masked":"pointer"})"), std::string::npos);
  EXPECT_EQ(shown("anythingSecret").find("$anyPointer"), std::string::npos) << shown("anythingSecret");
}

// What had been set in a member of a union stayed in the bytes when another member was set.
TEST_F(MaskingTest, WhatIsLeftOfInactiveMembersIsNotCopied) {
  auto contact = patient_.builder().get("contact").as<capnp::DynamicStruct>();
  contact.set("none", capnp::VOID);
  Record copy(schema_);
  masking_.copyVisible(patient_.reader(), copy.builder());
  capnp::MallocMessageBuilder message;
  message.setRoot(copy.reader());
  const auto words = capnp::messageToFlatArray(message);
  EXPECT_EQ(asText(std::as_bytes(std::span(words.begin(), words.size()))).find("SECRET"),
            std::string_view::npos);
}

TEST_F(MaskingTest, LengthsFallIntoClasses) {
  const auto described = [](std::size_t length) {
    const std::string text(length, 'x');
    return maskedDescription(capnp::Text::Reader(text.c_str(), text.size()));
  };
  EXPECT_EQ(described(0), "text empty");
  EXPECT_EQ(described(1), "text 1..8");
  EXPECT_EQ(described(8), "text 1..8");
  EXPECT_EQ(described(9), "text 9..32");
  EXPECT_EQ(described(32), "text 9..32");
  EXPECT_EQ(described(33), "text 33..");
}

TEST_F(MaskingTest, SensitivePartsOfKeysAreMasked) {
  Key key;
  const std::vector<KeyValue> values = {std::string_view("north, east"), std::string_view("SECRET")};
  encodeKey(schema_.key(), values, KeyForm::whole, key);
  EXPECT_EQ(KeyPrinter(schema_, masking_).print(key.bytes()), "\"north, east\",$masked(text 1..8)");
  EXPECT_EQ(KeyPrinter(schema_, Masking()).print(key.bytes()), "\"north, east\",SECRET");
  EXPECT_EQ(KeyPrinter(schema_, masking_).print(asBytes("SECRET")), "$masked(key)");
}

TEST_F(MaskingTest, KeysInErrorsAreMasked) {
  Key key;
  const std::vector<KeyValue> values = {std::string_view("north"), std::string_view("SECRET")};
  encodeKey(schema_.key(), values, KeyForm::whole, key);
  const Error error(ErrorCode::restoreFromBackup, "damaged",
                    {{"key", "north,SECRET"}, {"damage", "checksum"}});
  EXPECT_STREQ(KeyPrinter(schema_, masking_).mask(error, key.bytes()).what(),
               "damaged (key: north,$masked(text 1..8), damage: checksum)");
}

TEST_F(MaskingTest, WhatANewerVersionHidesIsHiddenInOlderOnesToo) {
  const RecordSchema older = testSchema("patient_v1.capnp:Patient");
  Record record(older, R"({"ward":"north","taxId":"SECRET-1","name":"SECRET"})");
  ASSERT_TRUE(Masking({older}).empty());
  expectNoSecret(json(record, Masking({older, schema_})));
}

TEST_F(MaskingTest, ValuesOfSensitiveFieldsStayOutOfMessages) {
  const auto reason = [&](const char* text) {
    return refusal([&] {
      Record record(schema_);
      readJson(parseJson(text), record.builder(), {.masking = &masking_});
    });
  };
  EXPECT_EQ(reason(R"({"age":"SECRET"})"), "age: expected a whole number from 0 to 255, found a text");
  EXPECT_EQ(reason(R"({"age":4711})"), "age: expected a whole number from 0 to 255, found a number");
  EXPECT_EQ(reason(R"({"home":{"zip":"SECRET"}})"),
            "home.zip: expected a whole number from 0 to 4294967295, found a text");
  EXPECT_EQ(reason(R"({"doctor":{"name":4711}})"), "doctor.name: expected a text, found 4711");
}

}  // namespace
}  // namespace instar::tools
