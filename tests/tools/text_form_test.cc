#include "instar/tools/text_form.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "instar/format/key_text.h"
#include "instar/format/row.h"
#include "instar/tests/tools/records.h"

namespace instar::tools {
namespace {

std::string text(std::string_view json) {
  Record record(testSchema("every_kind.capnp:EveryKind"), json);
  std::string out;
  writeText(out, record.reader(), {});
  return out;
}

TEST(TextForm, IsWhatCapnProtoPrints) {
  const char* json =
      R"({"id":7,"text":"a\"b","point":{"x":1},"numbers":[1,2],"age":3,"colours":["red"],"data":"AAE="})";
  Record record(testSchema("every_kind.capnp:EveryKind"), json);
  EXPECT_NE(text(json).find(R"((id = 7, nothing = void, truth = true)"), std::string::npos) << text(json);
  EXPECT_NE(text(json).find(R"(text = "a\"b", data = "\x00\x01", point = (x = 1, y = -5), )"),
            std::string::npos);
  EXPECT_NE(text(json).find(R"(age = 3, shape = (circle = 0), numbers = [1, 2], colours = [red]))"),
            std::string::npos)
      << text(json);
}

RC_GTEST_PROP(TextForm, IsAlwaysOneLineOfUtf8, ()) {
  static const RecordSchema schema = testSchema("every_kind.capnp:EveryKind");
  Record record(schema);
  fillRandomly(record.builder());
  std::string out;
  writeText(out, record.reader(), {});
  RC_ASSERT(isValidUtf8(out));
  RC_ASSERT(out.find('\n') == std::string::npos);
}

TEST(HexForm, ShowsKeyHeaderAndPayload) {
  const std::string payload("\x01\x02\x03\x04\x05\x06\x07\x08", 8);
  std::string value(rowHeaderLength(3, RowPlacement::leaf) + payload.size(), '\0');
  encodeRow(std::as_writable_bytes(std::span(value)), asBytes("key"), 5, asBytes(payload),
            RowPlacement::leaf);
  std::string out;
  writeHex(out, asBytes("key"), asBytes(value));
  EXPECT_EQ(out.substr(0, out.find("  000000", 20)),
            "key 3 bytes\n  000000  6b6579                               |key|\n"
            "value 21 bytes: version 5, header 13 bytes, payload 8 bytes\n");
  value.back() = 'x';
  out.clear();
  writeHex(out, asBytes("key"), asBytes(value));
  EXPECT_NE(out.find("value 21 bytes: damaged: the checksum"), std::string::npos) << out;
}

TEST(HexForm, LinesHaveSixteenBytesWithOffsetAndCharacters) {
  const std::string key("\x00\x1f 09AZaz~\x7f\x80\xff|\\\"end", 19);
  std::string out;
  writeHex(out, asBytes(key), {});
  EXPECT_EQ(out.substr(0, out.find("value")),
            "key 19 bytes\n"
            "  000000  001f2030 39415a61 7a7e7f80 ff7c5c22  |.. 09AZaz~...|\\\"|\n"
            "  000010  656e64                               |end|\n");
}

TEST(HexForm, OffsetsGrowBeyondSixDigits) {
  const std::string value(0x1000010, 'x');
  std::string out;
  writeHex(out, asBytes("k"), asBytes(value));
  const std::string last = "  1000000  78787878 78787878 78787878 78787878  |xxxxxxxxxxxxxxxx|\n";
  EXPECT_EQ(out.substr(out.size() - last.size()), last);
}

}  // namespace
}  // namespace instar::tools
