#include "instar/tools/json_text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "instar/tests/tools/records.h"

namespace instar::tools {
namespace {

std::string written(std::string_view text) {
  std::string out;
  JsonWriter(out).text(text);
  return out;
}

TEST(JsonText, EscapesOfEveryKindAreUnderstood) {
  EXPECT_EQ(parseJson(R"("\"\\\/\b\f\n\r\t")").text, "\"\\/\b\f\n\r\t");
  EXPECT_EQ(parseJson(R"("\u00e9\u20ac\ud83d\ude00\u0000x")").text,
            std::string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0x", 11));
}

TEST(JsonText, NumbersKeepTheirDigits) {
  for (const char* number : {"0", "-0", "18446744073709551615", "-1.50e+10", "0.1E-7", "1e400"}) {
    const JsonValue value = parseJson(number);
    EXPECT_EQ(value.kind, JsonValue::Kind::number);
    EXPECT_EQ(value.text, number);
  }
}

TEST(JsonText, MembersKeepTheirOrder) {
  const JsonValue value = parseJson(R"( {"b": [true, false, null], "a": {}} )");
  ASSERT_EQ(value.members.size(), 2U);
  EXPECT_EQ(value.members[0].name, "b");
  EXPECT_EQ(value.find("b")->elements.size(), 3U);
  EXPECT_EQ(value.find("c"), nullptr);
}

TEST(JsonText, WhatIsNotJsonIsRefusedWithItsColumn) {
  const auto reason = [](std::string_view text) { return refusal([&] { parseJson(text); }); };
  EXPECT_EQ(reason(""), "column 1: the JSON value ends too early");
  EXPECT_EQ(reason("{\"a\":1,\"a\":2}"), "column 11: this member stands in the object twice");
  EXPECT_EQ(reason("{\"a\" 1}"), "column 6: expected a colon behind the name of a member");
  EXPECT_EQ(reason("[1 2]"), "column 4: expected a comma or ] in the array");
  EXPECT_EQ(reason("{} x"), "column 4: something follows the end of the JSON value");
  EXPECT_EQ(reason("\"a"), "column 3: the closing quote of the text is missing");
  EXPECT_EQ(reason("\"\xff\""), "column 3: the text is not UTF-8; write such bytes as {\"$bytes\": base64}");
  for (const char* text : {"nul",         "01",          "1.",          ".5",
                           "+1",          "1e",          "-",           "'a'",
                           "{a:1}",       "[1,]",        "{\"a\":1,}",  "\"\\x\"",
                           "\"\n\"",      R"("\ud800")", R"("\udc00")", R"("\ud800\u0041")",
                           R"("\u12g4")", "NaN",         "[",           "{"}) {
    EXPECT_NE(reason(text), "") << text;
  }
}

TEST(JsonText, NestingHasALimit) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parseJson(nested(kMaxJsonNesting)));
  EXPECT_NE(refusal([&] { parseJson(nested(kMaxJsonNesting + 2)); }), "");
  EXPECT_NE(refusal([&] { parseJson(std::string(10'000'000, '[')); }), "");
}

TEST(JsonText, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  EXPECT_EQ(written("a\xff\xc3\xa9\xe2\x82z"), "\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz\"");
}

RC_GTEST_PROP(JsonText, TextComesBackAsItWas, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(
      rc::gen::oneOf(rc::gen::map(rc::gen::inRange('\0', '\x7f'), [](char c) { return std::string(1, c); }),
                     rc::gen::element<std::string>("\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
                                                   "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf")));
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  RC_ASSERT(parseJson(written(text)).text == text);
}

RC_GTEST_PROP(JsonText, NoInputBreaksTheParser, ()) {
  const auto text = *rc::gen::container<std::string>(
      rc::gen::element('{', '}', '[', ']', '"', ',', ':', '1', '-', '\\', 'u', 'a', ' '));
  try {
    const JsonValue value = parseJson(text);
    RC_ASSERT(value.kind <= JsonValue::Kind::object);
  } catch (const Error& error) {
    RC_ASSERT(error.code() == ErrorCode::fixInput);
  }
}

TEST(JsonWriter, PutsCommasBetweenValuesOnly) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject()
      .member("a", 1U)
      .name("b")
      .beginArray()
      .number(std::int64_t{-2})
      .text("x")
      .beginObject()
      .endObject();
  writer.null().endArray().name("c").boolean(true).endObject();
  EXPECT_EQ(out, R"({"a":1,"b":[-2,"x",{},null],"c":true})");
}

}  // namespace
}  // namespace instar::tools
