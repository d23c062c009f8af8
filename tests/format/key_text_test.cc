#include "instar/format/key_text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "instar/format/error.h"

namespace instar {
namespace {

const KeySpec kText{{.name = "name", .type = KeyType::text}};
const KeySpec kComposite{{.name = "name", .type = KeyType::text},
                         {.name = "count", .type = KeyType::int32},
                         {.name = "color", .type = KeyType::enumeration, .enumerants = {"red", "green"}},
                         {.name = "blob", .type = KeyType::data},
                         {.name = "weight", .type = KeyType::float64},
                         {.name = "flag", .type = KeyType::boolean}};

std::string throughText(const KeySpec& spec, std::string_view text) {
  return printKey(spec, parseKey(spec, text, KeyForm::whole).bytes());
}

std::string refusal(const KeySpec& spec, std::string_view text) {
  try {
    parseKey(spec, text, KeyForm::whole);
  } catch (const Error& error) {
    return error.message();
  }
  return "accepted";
}

TEST(KeyText, IsPrintedAsItIsWritten) {
  EXPECT_EQ(throughText(kComposite, "ada,-7,green,0x00ff,1.5,true"), "ada,-7,green,0x00ff,1.5,true");
  EXPECT_EQ(throughText(kComposite, R"("a,\"b\\\x00",7,1,0x,-1e+300,false)"),
            R"("a,\"b\\\x00",7,green,0x,-1e+300,false)");
}

TEST(KeyText, ASingleTextPartMayStandAsItIs) {
  EXPECT_EQ(asText(parseKey(kText, "a,b\\c", KeyForm::whole).bytes()), "a,b\\c");
  EXPECT_EQ(asText(parseKey(kText, "0x41", KeyForm::whole).bytes()), "0x41");
}

TEST(KeyText, ByteStringsAreTextOrHexadecimal) {
  EXPECT_EQ(throughText({}, "plain text"), "plain text");
  EXPECT_EQ(throughText({}, "0x00ff"), "0x00ff");
  EXPECT_EQ(throughText({}, "0x4142"), "AB");
  EXPECT_EQ(asText(parseKey({}, R"("0x41")", KeyForm::whole).bytes()), "0x41");
}

TEST(KeyText, APrefixIsOpenUnlessACommaFollows) {
  const auto prefix = [](std::string_view text) {
    return std::string(asText(parseKey(kComposite, text, KeyForm::openPrefix).bytes()));
  };
  EXPECT_EQ(prefix("li"), "li");
  EXPECT_EQ(prefix("li,"), std::string("li\0\0", 4));
  EXPECT_EQ(prefix("li,0"), std::string("li\0\0\x80\0\0\0", 8));
}

TEST(KeyText, MistakesAreNamed) {
  EXPECT_EQ(refusal(kComposite, "ada,seven,red,0x,1,true"), "this part of the key is a whole number");
  EXPECT_EQ(refusal(kComposite, "ada,7,purple,0x,1,true"), "the enum has no such name");
  EXPECT_EQ(refusal(kComposite, "ada,7,red,ff,1,true"),
            "data in a key is written as 0x and pairs of hexadecimal digits");
  EXPECT_EQ(refusal(kComposite, "ada,7,red,0x,one,true"), "this part of the key is a number");
  EXPECT_EQ(refusal(kComposite, "ada,7,red,0x,1,yes"), "this part of the key is true or false");
  EXPECT_EQ(refusal(kComposite, "ada,7"), "the number of key values does not match the key");
  EXPECT_EQ(refusal(kComposite, "ada,7,red,0x,1,true,8"), "the key has more parts than its collection");
  EXPECT_EQ(refusal(kComposite, R"("ada,7)"), "the closing quote of the key is missing");
  EXPECT_EQ(refusal(kComposite, R"("a\qb",7)"), "after a backslash a key has a quote, a backslash or xNN");
}

TEST(Hexadecimal, IsReadInEitherCaseAndInWholeBytes) {
  std::string bytes;
  EXPECT_TRUE(fromHex("00aAfF7b", bytes));
  EXPECT_EQ(bytes, std::string("\0\xaa\xff\x7b", 4));
  EXPECT_EQ(toHex(asBytes(bytes)), "00aaff7b");
  for (const char* text : {"0", "0g", "@0", "`0", "G0", "/0", ":0", "a "})
    EXPECT_FALSE(fromHex(text, bytes)) << text;
}

RC_GTEST_PROP(KeyText, EveryKeyComesBackFromItsText,
              (const std::string& name, std::int32_t count, bool color, const std::string& blob, bool flag)) {
  RC_PRE(name.size() + blob.size() < 100U);
  const std::vector<KeyValue> values{std::string_view(name),         std::int64_t{count},
                                     std::uint64_t{color},           asBytes(blob),
                                     static_cast<double>(count) / 3, flag};
  Key key;
  encodeKey(kComposite, values, KeyForm::whole, key);
  RC_ASSERT(parseKey(kComposite, printKey(kComposite, key.bytes()), KeyForm::whole) == key);
  if (!name.empty()) {
    RC_ASSERT(parseKey({}, printKey({}, asBytes(name)), KeyForm::whole) == Key(name));
    RC_ASSERT(parseKey(kText, printKey(kText, asBytes(name)), KeyForm::whole) == Key(name));
  }
}

TEST(Utf8, IsJudgedByTheStandard) {
  for (const std::string_view valid :
       {"", "a", "é", "€", "\xf0\x9f\x8c\x8d", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(isValidUtf8(valid)) << toHex(asBytes(valid));
  }
  for (const std::string_view invalid : {"\x80", "\xc0\xaf", "\xc3", "\xe0\x80\xaf", "\xed\xa0\x80",
                                         "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xff", "a\xe2\x82"}) {
    EXPECT_FALSE(isValidUtf8(invalid)) << toHex(asBytes(invalid));
  }
}

}  // namespace
}  // namespace instar
