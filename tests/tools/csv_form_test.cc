#include "instar/tools/csv_form.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "instar/format/key_text.h"
#include "instar/tests/tools/records.h"
#include "instar/tools/csv_parser.h"

namespace instar::tools {
namespace {

const RecordSchema& everyKind() {
  static const RecordSchema schema = testSchema("every_kind.capnp:EveryKind");
  return schema;
}

std::vector<CsvRecord> parsed(std::string_view text, char separator = ',') {
  CsvParser parser(separator);
  std::vector<CsvRecord> records;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    parser.parse(line, records);
    text.remove_prefix(line.size());
  }
  parser.finish(records);
  return records;
}

// Fills a record from the cells of the given columns.
void readCells(Record& record, const CsvRecord& names, const CsvRecord& values) {
  const CsvColumns columns(record.schema().root(), {}, CsvColumns::Use::read);
  std::vector<const CsvCell*> cells(columns.names().size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = std::find(columns.names().begin(), columns.names().end(), *names[i]);
    ASSERT_NE(found, columns.names().end()) << *names[i];
    cells[static_cast<std::size_t>(found - columns.names().begin())] = &values[i];
  }
  columns.read(cells, record.builder());
}

std::string read(const CsvRecord& names, const CsvRecord& values) {
  Record record(everyKind());
  readCells(record, names, values);
  return json(record);
}

std::string reason(const CsvRecord& names, const CsvRecord& values) {
  return refusal([&] { read(names, values); });
}

void comesBackAsItWas(char separator) {
  Record before(everyKind());
  fillRandomly(before.builder());
  const CsvColumns columns(everyKind().root(), {}, CsvColumns::Use::write);
  std::string text;
  writeCsvRecord(text, columns.write(before.reader()), separator);
  RC_ASSERT(isValidUtf8(text));
  const std::vector<CsvRecord> records = parsed(text, separator);
  RC_ASSERT(records.size() == 1U);
  RC_ASSERT(records[0].size() == columns.names().size());
  std::vector<const CsvCell*> cells;
  for (const CsvCell& cell : records[0]) cells.push_back(&cell);
  Record after(everyKind());
  columns.read(cells, after.builder());
  RC_ASSERT(json(before) == json(after));
  RC_ASSERT(sameRecords(before, after));
}

RC_GTEST_PROP(CsvForm, EveryRecordComesBackAsItWas, ()) { comesBackAsItWas(','); }

RC_GTEST_PROP(TsvForm, EveryRecordComesBackAsItWas, ()) { comesBackAsItWas('\t'); }

TEST(CsvForm, StructsAndGroupsAreSpreadOutAndListsAreNot) {
  const CsvColumns columns(everyKind().root(), {}, CsvColumns::Use::write);
  const auto has = [&](const char* name) {
    return std::find(columns.names().begin(), columns.names().end(), name) != columns.names().end();
  };
  EXPECT_EQ(columns.names()[0], "$union");
  for (const char* name : {"id", "point.x", "names.first", "names.$present", "address.street", "place.y",
                           "span.end", "shape.$union", "shape.inner.$union", "shape.inner.b.last", "points",
                           "tree.children", "tree.left", "textBox.content", "openBox.content", "anything"}) {
    EXPECT_TRUE(has(name)) << name;
  }
  for (const char* name : {"nothing", "none", "point", "point.$present", "points.x", "tree.left.label"}) {
    EXPECT_FALSE(has(name)) << name;
  }
}

TEST(CsvForm, AbsentAndEmptyTextAreNotTheSame) {
  EXPECT_EQ(read({"text", "data"}, {std::nullopt, ""}), read({"data"}, {""}));
  EXPECT_NE(read({"text"}, {""}), read({"text"}, {std::nullopt}));
  std::string out;
  writeCsvRecord(out, {std::nullopt, "", "a b", " a", "a,b", "a\"b", "a\nb"}, ',');
  EXPECT_EQ(out, ",\"\",a b,\" a\",\"a,b\",\"a\"\"b\",\"a\nb\"\n");
}

TEST(CsvForm, AStructIsThereWhenOneOfItsColumnsIsFilled) {
  EXPECT_NE(read({"names.first"}, {"Ada"}).find(R"("names":{"first":"Ada"})"), std::string::npos);
  EXPECT_NE(read({"names.$present"}, {"true"}).find(R"("names":{})"), std::string::npos);
  EXPECT_NE(read({"point.x"}, {"7"}).find(R"("point":{"x":7,"y":-5})"), std::string::npos);
  EXPECT_EQ(read({"point.x"}, {std::nullopt}), read({}, {}));
}

TEST(CsvForm, TheActiveMemberOfAUnionIsNamedOrFollowsFromItsColumn) {
  EXPECT_NE(read({"$union", "age"}, {"age", "9"}).find(R"("age":9)"), std::string::npos);
  EXPECT_NE(read({"age"}, {"9"}).find(R"("age":9)"), std::string::npos);
  EXPECT_NE(read({"$union"}, {"note"}).find(R"("note":null)"), std::string::npos);
  EXPECT_NE(read({"$union"}, {"span"}).find(R"("span":{"begin":0,"end":0})"), std::string::npos);
  EXPECT_NE(read({"shape.inner.b.last"}, {"x"}).find(R"("shape":{"inner":{"b":{"last":"x"}}})"),
            std::string::npos);
  EXPECT_EQ(reason({"age", "note"}, {"9", "x"}),
            "$union: a union has one member, but both age and note are given");
  EXPECT_EQ(reason({"$union", "note"}, {"age", "x"}),
            "$union: a union has one member, but both age and note are given");
  EXPECT_EQ(reason({"shape.$union"}, {"square"}), "shape.$union: the union has no member \"square\"");
}

TEST(CsvForm, MistakesNameTheColumnAndTheReason) {
  EXPECT_EQ(reason({"uint8"}, {"x"}), "uint8: expected a whole number from 0 to 255, found \"x\"");
  EXPECT_EQ(reason({"uint8"}, {""}), "uint8: expected a whole number from 0 to 255, found \"\"");
  EXPECT_EQ(reason({"point.x"}, {"1.5"}),
            "point.x: expected a whole number from -2147483648 to 2147483647, found \"1.5\"");
  EXPECT_EQ(reason({"text"}, {"\xff"}), "text: the text is not UTF-8; write such bytes as $bytes(base64)");
  EXPECT_EQ(reason({"text"}, {"$bytes(!)"}), "text: expected $bytes(base64)");
  EXPECT_EQ(reason({"text"}, {"$masked(text 1..8)"}), "text: the value is masked; dump again with --unmask");
  EXPECT_EQ(reason({"uint8"}, {"$masked(number)"}), "uint8: the value is masked; dump again with --unmask");
  EXPECT_EQ(reason({"data"}, {"!"}), "data: expected base64");
  EXPECT_EQ(reason({"numbers"}, {"[1,"}),
            "numbers: the cell is not JSON: column 4: the JSON value ends too early");
  EXPECT_EQ(
      reason({"numbers"}, {"[1,true]"}),
      "numbers[1]: expected a whole number from -9223372036854775808 to 9223372036854775807, found true");
}

TEST(CsvParser, QuotesMaySpanLines) {
  const std::vector<CsvRecord> records = parsed("a,\"b\nc\"\n\"d\"\"\",\n");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0], (CsvRecord{"a", "b\nc"}));
  EXPECT_EQ(records[1], (CsvRecord{"d\"", std::nullopt}));
}

TEST(CsvParser, EveryLineEndEndsARecordOnce) {
  for (const char* text : {"a,b\nc,d\n", "a,b\r\nc,d\r\n", "a,b\rc,d\r", "a,b\nc,d"}) {
    const std::vector<CsvRecord> records = parsed(text);
    ASSERT_EQ(records.size(), 2U) << text;
    EXPECT_EQ(records[1], (CsvRecord{"c", "d"})) << text;
  }
}

TEST(CsvParser, ABlankLineIsARecordWithoutCells) {
  const std::vector<CsvRecord> records = parsed("a\n\nb\n");
  ASSERT_EQ(records.size(), 3U);
  EXPECT_TRUE(records[1].empty());
}

TEST(CsvParser, SpacesBelongToTheCell) { EXPECT_EQ(parsed(" a , b\n")[0], (CsvRecord{" a ", " b"})); }

TEST(CsvParser, GoesOnBehindALineThatIsNotCsv) {
  CsvParser parser(',');
  std::vector<CsvRecord> records;
  EXPECT_NE(refusal([&] { parser.parse("a\"b,c\n", records); }), "");
  parser.parse("d,e\n", records);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0], (CsvRecord{"d", "e"}));
}

TEST(CsvParser, AMissingQuoteAtTheEndIsRefused) {
  EXPECT_NE(refusal([] { parsed("a,\"b\n"); }), "");
}

}  // namespace
}  // namespace instar::tools
