#include <gmock/gmock.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/store.h"
#include "instar/format/file_format.h"
#include "instar/tests/tools/command_runner.h"

namespace instar::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ImportCommand : public CommandTest {
 protected:
  Result import(const std::string& collection, const std::string& input, const std::string& type,
                std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"import", path("f.instar"), collection,
                                          input,    "--schema",       schema(type)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  Result importContacts(const std::string& name, const std::string& text,
                        std::vector<std::string> more = {}) const {
    return import("contacts", write(name, text), "contact_v1.capnp:Contact", std::move(more));
  }

  // Dumps a collection in this form, imports that into another file, and compares both files as ndjson.
  void expectRoundTrip(const std::string& file, const std::string& collection, const std::string& type,
                       const std::string& format) const {
    const std::string dump =
        write("round." + format, expect(0, {"dump", file, collection, "--format", format, "--with-version"}));
    const std::string copy = path("copy_" + format + ".instar");
    std::vector<std::string> arguments = {"import", copy, collection, dump, "--schema", schema(type)};
    if (format != "ndjson") arguments.push_back("--header");
    expect(0, arguments);
    EXPECT_EQ(expect(0, {"dump", file, collection}), expect(0, {"dump", copy, collection})) << format;
  }
};

// A row of EveryKind with so many trees, each the left one of the one before.
std::string nestedTrees(int count) {
  std::string row = "{\"id\":1,\"tree\":{";
  for (int i = 1; i < count; ++i) row += "\"left\":{";
  return row + std::string(static_cast<std::size_t>(count) + 1, '}') + "\n";
}

const char* const kEveryKind = R"rows({"id":0}
{"id":1,"text":"","data":"","names":{},"point":{},"numbers":[],"texts":["",""],"tree":{},"note":null,"shape":{"label":null}}
{"id":2,"text":"a,b\t\"c\"\r\nd é 😀 \u0000","age":255,"float32":"NaN","float64":"-Infinity","int64":"-9223372036854775808"}
{"id":3,"uint64":"18446744073709551615","colour":77,"span":{"begin":"-9007199254740993","end":1},"truth":false}
{"id":4,"text":{"$bytes":"//4="},"anything":{"$anyPointer":"AAAAAAIAAAABAAAAMgAAAGhlbGxvAAAA"},"voids":[null,null]}
{"id":5,"tree":{"label":"root","children":[{"label":"leaf","left":{}},{}]},"matrix":[[1.5,2],[],["Infinity"]]}
{"id":6,"text":"$masked(text 1..8)","names":{"first":"$bytes(x)"},"shape":{"inner":{"b":{"last":" x "}}},"place":{"x":-1}}
{"id":7,"textBox":{"content":"boxed"},"colours":["red",9],"truths":[true,false],"datas":["AA=="],"points":[{},{"y":3}]}
)rows";

TEST_F(ImportCommand, OfADumpGivesTheSameRowsInEveryForm) {
  const Result result = import("all", write("all.ndjson", kEveryKind), "every_kind.capnp:EveryKind");
  ASSERT_EQ(result.status, 0) << result.messages;
  EXPECT_EQ(countLines(expect(0, {"dump", path("f.instar"), "all"})), 8U);
  for (const char* format : {"ndjson", "csv", "tsv"})
    expectRoundTrip(path("f.instar"), "all", "every_kind.capnp:EveryKind", format);
}

// A bad line left the new version of the schema, or a new file, behind.
TEST_F(ImportCommand, OfABadLineLeavesNothingBehind) {
  const std::string input =
      write("bad.ndjson", "{\"group\":\"a\",\"id\":1}\n{\"group\":\"a\",\"id\":\"x\"}\n");
  const auto before = listing();
  EXPECT_EQ(import("contacts", input, "contact_v1.capnp:Contact").status, 1);
  EXPECT_EQ(listing(), before);

  const std::string file = makeContacts();
  const std::string versions = expect(0, {"versions", file});
  EXPECT_EQ(run({"import", file, "contacts", input, "--schema", schema("contact_v2.capnp:Contact")}).status,
            1);
  RunOptions fromPipe;
  fromPipe.input = "{\"group\":\"a\",\"id\":1}\n{\"group\":7}\n";
  EXPECT_EQ(
      run({"import", file, "contacts", "-", "--schema", schema("contact_v2.capnp:Contact")}, fromPipe).status,
      1);
  EXPECT_EQ(expect(0, {"versions", file}), versions);

  fromPipe.input = "{\"group\":\"a\",\"id\":1,\"tier\":4}\n";
  expect(0, {"import", file, "contacts", "-", "--schema", schema("contact_v2.capnp:Contact")}, fromPipe);
  EXPECT_EQ(expect(0, {"get", file, "contacts", "a,1"}), "{\"group\":\"a\",\"id\":1,\"tier\":4}\n");
}

// The pass over all lines let through what the store then refused, with the new file made already.
TEST_F(ImportCommand, WhatTheStoreRefusesLeavesNothingBehind) {
  const std::string settings = write("s.ndjson", "{\"$key\":\"a\",\"value\":\"x\"}\n");
  const std::string empty = write("empty.ndjson", "{\"$key\":\"\",\"value\":\"x\"}\n");
  const std::string emptyCell = write("empty.csv", "$key,value\n\"\",x\n");
  const std::string badHeader = write("header.csv", "$key,valeu\na,x\n");
  const std::string deep = write("deep.ndjson", nestedTrees(300));
  const auto before = listing();
  for (const std::string& name : {std::string("a/b"), std::string(), std::string(129, 'x')}) {
    EXPECT_EQ(import(name, settings, "setting.capnp:Setting").status, 2) << name;
    EXPECT_EQ(import(name, settings, "setting.capnp:Setting", {"--skip-bad"}).status, 2) << name;
  }
  EXPECT_THAT(import("settings", empty, "setting.capnp:Setting").messages,
              HasSubstr(":1: $key: a key has at least one byte"));
  EXPECT_EQ(import("settings", emptyCell, "setting.capnp:Setting", {"--header"}).status, 1);
  EXPECT_THAT(import("all", deep, "every_kind.capnp:EveryKind").messages, HasSubstr("nested too deeply"));
  const Result header = import("settings", badHeader, "setting.capnp:Setting", {"--header", "--skip-bad"});
  EXPECT_EQ(header.status, 1);
  EXPECT_EQ(header.messages,
            "instar: " + badHeader + ":1: valeu: the schema has no such field\ninstar: no row was stored\n");
  EXPECT_EQ(listing(), before);
}

// The row is one level, and so is each struct and each list in it.
TEST_F(ImportCommand, TheCheckBeforehandRefusesTheDepthThatTheStoreRefuses) {
  const std::string file = path("f.instar");
  ASSERT_EQ(import("all", write("first.ndjson", "{\"id\":0}\n"), "every_kind.capnp:EveryKind").status, 0);
  int deepest = 0;
  for (int depth = 250; depth < 260; ++depth) {
    const Result put = run({"put", file, "all"}, {.input = nestedTrees(depth)});
    std::filesystem::remove(path("other.instar"));
    const Result imported =
        run({"import", path("other.instar"), "all", "-", "--schema", schema("every_kind.capnp:EveryKind")},
            {.input = nestedTrees(depth)});
    EXPECT_EQ(imported.status, put.status) << depth;
    if (put.status == 0) deepest = depth;
  }
  EXPECT_GT(deepest, 250);
  EXPECT_LT(deepest, 259);
}

// It was opened for reading first, and an interrupted import could never be done again.
TEST_F(ImportCommand, FinishesAFileWhoseCreationWasInterrupted) {
  const std::string file = path("f.instar");
  storage::openLmdb(file, {})->openTree(kCatalogTree, true);  // the process died here
  expect(3, {"info", file});
  EXPECT_EQ(importContacts("c.ndjson", "{\"group\":\"a\",\"id\":1}\n").status, 0);
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "1\n");

  const std::string text = write("text.instar", std::string(100'000, 'x'));
  EXPECT_EQ(
      run({"import", text, "contacts", path("c.ndjson"), "--schema", schema("contact_v1.capnp:Contact")})
          .status,
      3);
}

// A new file was made of what could be read, and nothing said that this was not all.
TEST_F(ImportCommand, AnInputThatCannotBeReadToItsEndIsNotStored) {
  const auto importUnread = [&](const std::string& input, const RunOptions& options) {
    const Result result =
        run({"import", path("f.instar"), "settings", input, "--schema", schema("setting.capnp:Setting")},
            options);
    EXPECT_EQ(result.status, 3) << input;
    EXPECT_THAT(result.messages, HasSubstr("the input cannot be read"));
    EXPECT_FALSE(std::filesystem::exists(path("f.instar")));
  };
  importUnread("/proc/self/mem", {});
  importUnread("-", {.inputFrom = folder_.path().string()});
  importUnread("-", {.unreadableInput = true});
}

// What comes through a pipe and is read twice went into /tmp, whatever TMPDIR said, and so did files.
TEST_F(ImportCommand, KeepsOnlyAPipeInTheTemporaryFolder) {
  const std::string rows = "{\"group\":\"a\",\"id\":1}\n";
  const auto importRows = [&](const std::string& input, const RunOptions& options) {
    std::filesystem::remove(path("f.instar"));
    return run(
        {"import", path("f.instar"), "contacts", input, "--schema", schema("contact_v1.capnp:Contact")},
        options);
  };
  const auto importPipe = [&](const std::string& temporaryFolder) {
    return importRows("-", {.input = rows, .inputIsPipe = true, .temporaryFolder = temporaryFolder});
  };
  EXPECT_EQ(importPipe(folder_.path().string()).status, 0);
  EXPECT_EQ(expect(0, {"dump", path("f.instar"), "contacts"}), rows);
  const Result nowhere = importPipe(path("nowhere"));
  EXPECT_EQ(nowhere.status, 3);
  EXPECT_THAT(nowhere.messages, HasSubstr("TMPDIR"));
  EXPECT_FALSE(std::filesystem::exists(path("f.instar")));

  const RunOptions withoutFolder{.inputFrom = write("c.ndjson", rows), .temporaryFolder = path("nowhere")};
  EXPECT_EQ(importRows(path("c.ndjson"), withoutFolder).status, 0);
  EXPECT_EQ(importRows("-", withoutFolder).status, 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    EXPECT_THAT(entry.path().filename().string(), Not(StartsWith("instar-")));
  }
}

// Rows without their key all met under 0, and only the last was left.
TEST_F(ImportCommand, RefusesRowsWithoutTheirKey) {
  const Result json = importContacts("c.ndjson", "{\"group\":\"a\",\"name\":\"Ada\"}\n");
  EXPECT_EQ(json.status, 1);
  EXPECT_THAT(json.messages, HasSubstr("id: this field is part of the key"));
  const Result csv = importContacts("c.csv", "group,name\na,Ada\n", {"--header"});
  EXPECT_EQ(csv.status, 1);
  EXPECT_THAT(csv.messages, HasSubstr("id: this field is part of the key"));
  const Result empty = importContacts("c.csv", "group,id,name\na,,x\na,,y\n", {"--header"});
  EXPECT_EQ(empty.status, 1);
  EXPECT_THAT(empty.messages, HasSubstr(":2: id: this field is part of the key, and each row needs it"));
  EXPECT_EQ(importContacts("c.tsv", "a\t\tx\t\n").status, 1);
}

TEST_F(ImportCommand, KeepsKeysThatAreByteStrings) {
  const std::string rows =
      write("s.ndjson",
            "{\"$key\":\"theme, "
            "dark\",\"value\":\"x\"}\n{\"$keyBytes\":\"AP8=\"}\n{\"$key\":\"0x7\",\"value\":\"\"}\n");
  ASSERT_EQ(import("settings", rows, "setting.capnp:Setting").status, 0);
  EXPECT_EQ(expect(0, {"dump", path("f.instar"), "settings"}),
            "{\"$keyBytes\":\"AP8=\"}\n{\"$key\":\"0x7\",\"value\":\"\"}\n{\"$key\":\"theme, "
            "dark\",\"value\":\"x\"}\n");
  EXPECT_EQ(expect(0, {"get", path("f.instar"), "settings", "theme, dark", "0x00ff"}),
            "{\"$key\":\"theme, dark\",\"value\":\"x\"}\n{\"$keyBytes\":\"AP8=\"}\n");
  for (const char* format : {"ndjson", "csv", "tsv"})
    expectRoundTrip(path("f.instar"), "settings", "setting.capnp:Setting", format);
  const Result result = import("settings", write("t.ndjson", "{\"value\":\"x\"}"), "setting.capnp:Setting");
  EXPECT_THAT(result.messages, HasSubstr(":1: $key: the keys of the collection are byte strings"));
  EXPECT_EQ(result.status, 1);
}

TEST_F(ImportCommand, ABadLineIsNamedAndNoRowIsStored) {
  const Result result = importContacts(
      "c.ndjson",
      "{\"group\":\"a\",\"id\":1}\n\n{\"group\":\"a\",\"id\":\"x\"}\n{\"group\":\"a\",\"id\":2}\n");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.messages, "instar: " + path("c.ndjson") +
                                 ":3: id: expected a whole number from 0 to 4294967295, found \"x\"\n"
                                 "instar: no row was stored; --skip-bad leaves bad lines out\n");
  EXPECT_FALSE(std::filesystem::exists(path("f.instar")));
}

// The file was made before the mirror refused the row.
TEST_F(ImportCommand, ARowThatDoesNotFitAMirrorLeavesNothingBehind) {
  const Result result =
      run({"import", path("f.instar"), "parcels", write("p.ndjson", R"({"id":1,"grams":900000})"), "--schema",
           schema("parcel_v2.capnp:Parcel")});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.messages, HasSubstr("p.ndjson:1: kilos: "));
  EXPECT_FALSE(std::filesystem::exists(path("f.instar")));
}

TEST_F(ImportCommand, BadLinesAreLeftOutAndCountedOnRequest) {
  std::string text = "{\"group\":\"a\",\"id\":1}\n";
  for (int i = 0; i < 15; ++i) text += "nonsense\n";
  text += "{\"group\":\"a\",\"id\":2}\n";
  const Result result = importContacts("c.ndjson", text, {"--skip-bad", "--json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("{\"rows\":2,\"added\":2,\"replaced\":0,\"bad\":15,"));
  EXPECT_EQ(countLines(result.messages), 10U);
  EXPECT_THAT(result.messages, HasSubstr(":11: column 1: expected a JSON value"));
  EXPECT_EQ(expect(0, {"count", path("f.instar"), "contacts"}), "2\n");
}

TEST_F(ImportCommand, UnknownFieldsAreRefusedUnlessTheyAreToBeIgnored) {
  const std::string row = "{\"group\":\"a\",\"id\":1,\"colour\":\"red\"}\n";
  EXPECT_THAT(importContacts("c.ndjson", row).messages,
              HasSubstr(":1: colour: the schema has no such field"));
  EXPECT_EQ(importContacts("c.ndjson", row, {"--ignore-unknown"}).status, 0);
  const std::string csv = "group,id,colour\na,2,red\n";
  EXPECT_THAT(importContacts("c.csv", csv, {"--header"}).messages,
              HasSubstr(":1: colour: the schema has no such field"));
  EXPECT_EQ(importContacts("c.csv", csv, {"--header", "--ignore-unknown"}).status, 0);
  EXPECT_EQ(expect(0, {"count", path("f.instar"), "contacts"}), "2\n");
}

TEST_F(ImportCommand, TextThatIsNotUtf8IsRefused) {
  EXPECT_THAT(importContacts("c.ndjson", "{\"group\":\"\xff\",\"id\":1}\n").messages,
              HasSubstr("the text is not UTF-8"));
  EXPECT_THAT(importContacts("c.csv", "\xff,1,,\n").messages, HasSubstr(":1: group: the text is not UTF-8"));
}

TEST_F(ImportCommand, TakesColumnsFromTheHeaderOrInTheOrderOfFields) {
  EXPECT_EQ(importContacts("a.csv", "\xef\xbb\xbfname,id,group\r\nAda,7,main\r\n", {"--header"}).status, 0);
  EXPECT_EQ(importContacts("b.tsv", "main\t8\tBob\t\n").status, 0);
  EXPECT_EQ(importContacts("c.txt", "main,9,\"\",\"[]\"\n", {"--format", "csv"}).status, 0);
  EXPECT_EQ(expect(0, {"dump", path("f.instar"), "contacts"}),
            "{\"group\":\"main\",\"id\":7,\"name\":\"Ada\"}\n{\"group\":\"main\",\"id\":8,\"name\":\"Bob\"}\n"
            "{\"group\":\"main\",\"id\":9,\"name\":\"\",\"tags\":[]}\n");
}

TEST_F(ImportCommand, MistakesInCsvHaveTheLineThatTheRecordBeginsOn) {
  const auto message = [&](const std::string& text) {
    return importContacts("c.csv", text, {"--header"}).messages;
  };
  EXPECT_THAT(message("group,id\na,1\nb\n"), HasSubstr("c.csv:3: column 2: expected 2 cells, found 1"));
  EXPECT_THAT(message("group,id,name\na,1,\"x\ny\"\nb,z,w\n"),
              HasSubstr("c.csv:4: id: expected a whole number"));
  EXPECT_THAT(message("group,id,name\na,1,\"x\nb,z,w\n"),
              HasSubstr("the closing quote of the last cell is missing"));
  EXPECT_THAT(message("group,id,name\na,1,x\"y\n"), HasSubstr("c.csv:2: column"));
  EXPECT_THAT(message("group,id,id\na,1,2\n"), HasSubstr("c.csv:1: id: the header names this column twice"));
  EXPECT_THAT(importContacts("c.csv", "group,id,name,tags\na,1,,\n").messages, HasSubstr("pass --header"));
}

// A file of one column whose first row is the column's name was taken for one with a header, and refused.
TEST_F(ImportCommand, ARowThatLooksLikeAHeaderIsWhatItIsSaidToBe) {
  const auto rows = [&](std::vector<std::string> options) {
    const std::string input = write("words.csv", "word\nother\n");
    const std::string type =
        write("word.capnp",
              "@0xe8d3b6a1c4f29075;\nusing Instar = import \"/instar/schema.capnp\";\n"
              "struct Word @0xb1e5c7a90d3f2864 $Instar.version(1) { word @0 :Text $Instar.key(0); }\n");
    const std::string file = path("words.instar");
    std::filesystem::remove(file);
    std::vector<std::string> arguments = {"import", file, "words", input, "--schema", type + ":Word"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Result result = run(arguments);
    return result.status == 0 ? expect(0, {"dump", file, "words", "--format", "text", "--keys-only"})
                              : result.messages;
  };
  EXPECT_EQ(rows({"--header"}), "other\n");
  EXPECT_EQ(rows({"--no-header"}), "other\nword\n");
  EXPECT_THAT(rows({}), HasSubstr("pass --header, or --no-header if it is a row"));
  EXPECT_THAT(rows({"--header", "--no-header"}), HasSubstr("excludes"));
  EXPECT_THAT(expect(0, {"import", "--help"}), HasSubstr("--no-header"));
}

TEST_F(ImportCommand, ReadsStandardInput) {
  const Result result =
      run({"import", path("f.instar"), "contacts", "-", "--schema", schema("contact_v1.capnp:Contact")},
          {.input = "{\"group\":\"a\",\"id\":1}"});
  EXPECT_EQ(result.status, 0) << result.messages;
  EXPECT_THAT(result.messages, HasSubstr("stored 1 row"));
}

// Whoever began to import from a pipe shut all other writers out until its first row came.
TEST_F(ImportCommand, WaitsForItsFirstRowWithoutKeepingOthersFromWriting) {
  const std::string file = makeContacts();
  const std::string pipe = path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::uint32_t id = 100;
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"import", file, "contacts", "-"}, {"put", file, "contacts"}}) {
    const int rows = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);  // so that neither end waits for the other
    ASSERT_GE(rows, 0);
    std::thread waiting([&] { expect(0, arguments, {.inputFrom = pipe}); });
    ASSERT_EQ(::write(rows, "\n", 1), 1);
    for (int unread = 1; unread != 0; std::this_thread::yield())
      ASSERT_EQ(::ioctl(rows, FIONREAD, &unread), 0);
    // It has read the blank line, and waits for another.
    {
      const Store store = Store::open(file, {.writeTimeout = std::chrono::seconds(1)});
      EXPECT_NO_THROW(store.write().commit());
    }
    const std::string row = "{\"group\":\"a\",\"id\":" + std::to_string(id++) + "}\n";
    ASSERT_EQ(::write(rows, row.data(), row.size()), static_cast<ssize_t>(row.size()));
    ::close(rows);
    waiting.join();
  }
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "5\n");
}

TEST_F(ImportCommand, NeedsASchemaForANewCollectionOnly) {
  const std::string rows = write("c.ndjson", "{\"group\":\"a\",\"id\":1}\n");
  const Result missing = run({"import", path("f.instar"), "contacts", rows});
  EXPECT_EQ(missing.status, 3);
  EXPECT_THAT(missing.messages, HasSubstr("pass --schema to create it"));
  EXPECT_FALSE(std::filesystem::exists(path("f.instar")));
  const std::string file = makeContacts();
  expect(0, {"import", file, "contacts", rows});
  expect(2, {"import", file, "others", rows});
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "4\n");
}

TEST_F(ImportCommand, AMissingInputCreatesNoFile) {
  EXPECT_EQ(import("contacts", path("missing"), "contact_v1.capnp:Contact").status, 3);
  EXPECT_EQ(import("contacts", folder_.path().string(), "contact_v1.capnp:Contact").status, 3);
  EXPECT_EQ(import("contacts", write("c.ndjson", ""), "missing.capnp:Contact").status, 3);
  EXPECT_FALSE(std::filesystem::exists(path("f.instar")));
}

TEST_F(ImportCommand, ARefusedSchemaLeavesTheCollectionAsItIs) {
  const std::string file = makeContacts();
  const std::string rows = write("c.ndjson", "{\"group\":\"a\",\"id\":1}\n");
  const Result result =
      run({"import", file, "contacts", rows, "--schema", schema("contact_wrong.capnp:Contact")});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.messages, HasSubstr("tags"));
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "3\n");
  EXPECT_THAT(expect(0, {"schema", "list", file}), Not(HasSubstr("  2  ")));
}

TEST_F(ImportCommand, EnormousRowsComeBackAsTheyWere) {
  const std::string large(20'000'000, 'x');
  const std::string row = "{\"group\":\"a\",\"id\":1,\"name\":\"" + large + "\"}\n";
  const Result result = importContacts("c.ndjson", row);
  ASSERT_EQ(result.status, 0) << result.messages.substr(0, 1000);
  EXPECT_TRUE(expect(0, {"dump", path("f.instar"), "contacts"}) == row);
  EXPECT_EQ(expect(0, {"dump", path("f.instar"), "contacts", "--format", "csv"}).size(), large.size() + 25);
  expect(0, {"check", path("f.instar")});
}

}  // namespace
}  // namespace instar::tools
