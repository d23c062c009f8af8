#include <capnp/message.h>
#include <capnp/serialize.h>
#include <gmock/gmock.h>
#include <kj/io.h>

#include "instar/format/key_text.h"
#include "instar/tests/tools/command_runner.h"
#include "instar/tests/tools/records.h"
#include "instar/tools/schema_file.h"

namespace instar::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class DumpCommand : public CommandTest {};
class GetCommand : public CommandTest {};
class PutCommand : public CommandTest {};
class DeleteCommand : public CommandTest {};
class CountCommand : public CommandTest {};
class MaskedCommand : public CommandTest {};

TEST_F(DumpCommand, PrintsRowsInTheOrderOfTheirKeys) {
  EXPECT_EQ(expect(0, {"dump", makeContacts(), "contacts"}),
            "{\"group\":\"main\",\"id\":1,\"name\":\"Ada\",\"tags\":[\"x\",\"y\"]}\n"
            "{\"group\":\"main\",\"id\":2,\"name\":\"Bob\"}\n"
            "{\"group\":\"side\",\"id\":1}\n");
}

TEST_F(DumpCommand, PrintsCsvAndTsvWithAHeader) {
  const std::string file = makeContacts();
  EXPECT_EQ(expect(0, {"dump", file, "contacts", "--format", "csv"}),
            "group,id,name,tags\nmain,1,Ada,\"[\"\"x\"\",\"\"y\"\"]\"\nmain,2,Bob,\nside,1,,\n");
  EXPECT_EQ(expect(0, {"dump", file, "contacts", "--format", "tsv", "--with-version", "--limit", "1"}),
            "$version\tgroup\tid\tname\ttags\n1\tmain\t1\tAda\t\"[\"\"x\"\",\"\"y\"\"]\"\n");
}

TEST_F(DumpCommand, PrintsCapnProtoText) {
  EXPECT_EQ(expect(0, {"dump", makeContacts(), "contacts", "--format", "text", "--prefix", "main"}),
            "main,1: (group = \"main\", id = 1, name = \"Ada\", tags = [\"x\", \"y\"])\n"
            "main,2: (group = \"main\", id = 2, name = \"Bob\")\n");
}

TEST_F(DumpCommand, PrintsBytes) {
  const std::string output =
      expect(0, {"dump", makeContacts(), "contacts", "--format", "hex", "--limit", "1"});
  EXPECT_THAT(output, StartsWith("key 10 bytes\n  000000  6d61696e 00000000 0001"));
  EXPECT_THAT(output, HasSubstr("bytes: version 1, header 14 bytes, payload "));
}

TEST_F(DumpCommand, PrintsMessagesThatCapnProtoReads) {
  const std::string output = expect(0, {"dump", makeEvolvedContacts(), "contacts", "--format", "capnp"});
  kj::ArrayInputStream stream({reinterpret_cast<const kj::byte*>(output.data()), output.size()});
  const RecordSchema schema = loadSchemaFile(CommandTest::schema("contact_v2.capnp:Contact"), {});
  std::vector<unsigned> tiers;
  while (stream.tryGetReadBuffer().size() > 0) {
    capnp::InputStreamMessageReader message(stream);
    tiers.push_back(message.getRoot<capnp::DynamicStruct>(schema.root()).get("tier").as<unsigned>());
  }
  EXPECT_THAT(tiers, ::testing::ElementsAre(1, 1, 9, 1));
}

TEST_F(DumpCommand, TakesRangesOfKeys) {
  const std::string file = makeContacts();
  const auto keys = [&](std::vector<std::string> options) {
    std::vector<std::string> arguments = {"dump", file, "contacts", "--keys-only", "--format", "text"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return expect(0, arguments);
  };
  EXPECT_EQ(keys({}), "main,1\nmain,2\nside,1\n");
  EXPECT_EQ(keys({"--from", "main,2"}), "main,2\nside,1\n");
  EXPECT_EQ(keys({"--to", "main,2"}), "main,1\n");
  EXPECT_EQ(keys({"--from", "main,2", "--to", "side"}), "main,2\n");
  EXPECT_EQ(keys({"--prefix", "ma"}), "main,1\nmain,2\n");
  EXPECT_EQ(keys({"--reverse", "--limit", "2"}), "side,1\nmain,2\n");
  EXPECT_EQ(keys({"--prefix", "main,", "--reverse"}), "main,2\nmain,1\n");
  EXPECT_EQ(keys({"--limit", "0"}), "");
}

TEST_F(DumpCommand, PrintsKeysAloneInEveryForm) {
  const std::string file = makeContacts();
  const std::vector<std::string> base = {"dump",    file, "contacts",       "--keys-only",
                                         "--limit", "1",  "--with-version", "--format"};
  const auto keys = [&](const char* format) {
    std::vector<std::string> arguments = base;
    arguments.push_back(format);
    return expect(0, arguments);
  };
  EXPECT_EQ(keys("ndjson"), "{\"$key\":\"main,1\",\"$version\":1}\n");
  EXPECT_EQ(keys("csv"), "$key,$version\n\"main,1\",1\n");
  EXPECT_EQ(keys("text"), "main,1 @1\n");
  for (const char* format : {"hex", "capnp"})
    expect(2, {"dump", file, "contacts", "--keys-only", "--format", format});
}

TEST_F(DumpCommand, ShowsRowsAsTheNewestAsStoredOrAsAGivenVersion) {
  const std::string file = makeEvolvedContacts();
  const std::vector<std::string> base = {"dump",   file,   "contacts", "--from",
                                         "main,2", "--to", "side",     "--with-version"};
  const auto dump = [&](std::vector<std::string> options) {
    std::vector<std::string> arguments = base;
    arguments.insert(arguments.end(), options.begin(), options.end());
    return expect(0, arguments);
  };
  EXPECT_EQ(dump({}),
            "{\"$version\":1,\"group\":\"main\",\"id\":2,\"name\":\"Bob\",\"tier\":1}\n"
            "{\"$version\":2,\"group\":\"main\",\"id\":3,\"tier\":9}\n");
  EXPECT_EQ(dump({"--as-stored"}),
            "{\"$version\":1,\"group\":\"main\",\"id\":2,\"name\":\"Bob\"}\n"
            "{\"$version\":2,\"group\":\"main\",\"id\":3,\"tier\":9}\n");
  EXPECT_EQ(dump({"--at-version", "1"}),
            "{\"$version\":1,\"group\":\"main\",\"id\":2,\"name\":\"Bob\"}\n"
            "{\"$version\":2,\"group\":\"main\",\"id\":3}\n");
  EXPECT_EQ(dump({"--at-version", "1", "--format", "csv"}),
            "$version,group,id,name,tags\n1,main,2,Bob,\n2,main,3,,\n");
  expect(2, {"dump", file, "contacts", "--at-version", "7"});
  expect(2, {"dump", file, "contacts", "--as-stored", "--at-version", "1"});
  expect(2, {"dump", file, "contacts", "--as-stored", "--format", "csv"});
}

TEST_F(DumpCommand, WithoutACollectionPrintsAllOfThem) {
  const std::string file = makeContacts();
  const std::string setting = write("s.ndjson", "{\"$key\":\"theme\",\"value\":\"dark\"}\n");
  expect(0, {"import", file, "settings", setting, "--schema", schema("setting.capnp:Setting")});
  const std::string output = expect(0, {"dump", file});
  EXPECT_THAT(output, StartsWith("{\"$collection\":\"contacts\",\"group\":\"main\",\"id\":1,"));
  EXPECT_THAT(output, HasSubstr("{\"$collection\":\"settings\",\"$key\":\"theme\",\"value\":\"dark\"}\n"));
  EXPECT_THAT(run({"dump", file, "--format", "csv"}).messages, HasSubstr("several collections"));
  expect(2, {"dump", file, "--format", "csv"});
  const std::string dump = write("dump.ndjson", output);
  const Result result =
      run({"import", path("copy.instar"), "settings", dump, "--schema", schema("setting.capnp:Setting")});
  EXPECT_THAT(result.messages, HasSubstr("left out 3 rows of other collections"));
  EXPECT_EQ(expect(0, {"dump", path("copy.instar"), "settings"}),
            "{\"$key\":\"theme\",\"value\":\"dark\"}\n");
}

TEST_F(DumpCommand, OfAnEmptyCollectionIsEmpty) {
  const std::string file = path("empty.instar");
  expect(0, {"import", file, "contacts", "-", "--schema", schema("contact_v1.capnp:Contact")});
  EXPECT_EQ(expect(0, {"dump", file, "contacts"}), "");
  EXPECT_EQ(expect(0, {"dump", file, "contacts", "--format", "csv"}), "group,id,name,tags\n");
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "0\n");
}

TEST_F(GetCommand, PrintsTheRowsOfItsKeys) {
  EXPECT_EQ(expect(0, {"get", makeContacts(), "contacts", "side,1", "main,2"}),
            "{\"group\":\"side\",\"id\":1}\n{\"group\":\"main\",\"id\":2,\"name\":\"Bob\"}\n");
}

TEST_F(GetCommand, ReportsAbsentKeysAndPrintsTheOthers) {
  const std::string file = makeContacts();
  for (const char* format : {"ndjson", "hex"}) {
    const Result result = run({"get", file, "contacts", "main,9", "side,1", "--format", format});
    EXPECT_EQ(result.status, 1);
    EXPECT_GT(result.output.size(), 10U);
    EXPECT_EQ(result.messages, "instar: no such row (collection: contacts, key: main,9)\n");
  }
}

TEST_F(GetCommand, RefusesWhatIsNotAKey) {
  const std::string file = makeContacts();
  EXPECT_EQ(run({"get", file, "contacts", "main,x"}).messages,
            "instar: this part of the key is a whole number (part: id, text: x)\n");
  for (const char* key : {"main", "main,-1", "main,1,2", "main,4294967296", ""})
    expect(2, {"get", file, "contacts", key});
}

TEST_F(PutCommand, StoresRowsFromTheCommandLineAndFromStandardInput) {
  const std::string file = makeContacts();
  expect(0, {"put", file, "contacts", R"({"group":"new","id":1})", R"({"group":"new","id":2})"});
  expect(0, {"put", file, "contacts"},
         {.input = "{\"group\":\"new\",\"id\":3}\n\n{\"group\":\"main\",\"id\":1}"});
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "6\n");
  EXPECT_EQ(expect(0, {"get", file, "contacts", "main,1"}), "{\"group\":\"main\",\"id\":1}\n");
  EXPECT_THAT(expect(0, {"put", file, "contacts", R"({"group":"main","id":1})", "--json"}),
              StartsWith(R"({"rows":1,"added":0,"replaced":1,"bad":0,"foreign":0,"milliseconds":)"));
}

TEST_F(PutCommand, StoresNothingWhereOneRowIsBad) {
  const std::string file = makeContacts();
  const Result result =
      run({"put", file, "contacts", R"({"group":"new","id":1})", R"({"group":"new","id":"x"})"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.messages,
              HasSubstr("row:2: id: expected a whole number from 0 to 4294967295, found \"x\""));
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "3\n");
}

TEST_F(PutCommand, RefusesKeysThatAreTooLong) {
  const std::string file = makeContacts();
  const std::string row = "{\"group\":\"" + std::string(600, 'x') + "\",\"id\":1}";
  expect(1, {"put", file, "contacts", row});
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "3\n");
}

TEST_F(DeleteCommand, DeletesAndReportsAbsentKeys) {
  const std::string file = makeContacts();
  const Result result = run({"delete", file, "contacts", "main,1", "main,9", "--json"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "{\"deleted\":1,\"absent\":1}\n");
  EXPECT_EQ(result.messages, "instar: no such row (collection: contacts, key: main,9)\n");
  expect(0, {"delete", file, "contacts", "main,2"});
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "1\n");
}

TEST_F(DeleteCommand, DeletesNothingWhereOneKeyIsNone) {
  const std::string file = makeContacts();
  expect(2, {"delete", file, "contacts", "main,1", "main,x"});
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "3\n");
}

TEST_F(CountCommand, CountsAllRowsOrThoseOfARange) {
  const std::string file = makeContacts();
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "3\n");
  EXPECT_EQ(expect(0, {"count", file, "contacts", "--prefix", "main"}), "2\n");
  EXPECT_EQ(expect(0, {"count", file, "contacts", "--from", "main,2", "--json"}),
            "{\"collection\":\"contacts\",\"rows\":2}\n");
}

constexpr const char* kPatient =
    R"({"ward":"north","taxId":"SECRET-1","name":"SECRET","age":99,"visits":[{"day":"monday","finding":"SECRET"}]})";

TEST_F(MaskedCommand, NoOutputShowsASecretUnlessItIsAskedFor) {
  const std::string file = path("p.instar");
  expect(0, {"import", file, "patients", write("p.ndjson", kPatient), "--schema",
             schema("patient.capnp:Patient")});
  for (const char* format : {"ndjson", "csv", "tsv", "text", "capnp"}) {
    EXPECT_THAT(expect(0, {"dump", file, "patients", "--format", format}), Not(HasSubstr("SECRET")))
        << format;
    EXPECT_THAT(expect(0, {"get", file, "patients", "north,SECRET-1", "--format", format}),
                Not(HasSubstr("SECRET")))
        << format;
    EXPECT_THAT(expect(0, {"dump", file, "patients", "--format", format, "--unmask"}), HasSubstr("SECRET"))
        << format;
  }
  EXPECT_EQ(expect(0, {"dump", file, "patients", "--keys-only", "--format", "text"}),
            "north,$masked(text 1..8)\n");
  EXPECT_THAT(expect(0, {"dump", file, "patients", "--format", "hex", "--unmask"}), HasSubstr("SECRET"));
}

TEST_F(MaskedCommand, TheHelpSaysWhatIsNotMasked) {
  EXPECT_THAT(expect(0, {"dump", "--help"}),
              HasSubstr("inside an AnyPointer is shown, unless that field itself"));
}

TEST_F(MaskedCommand, HexadecimalIsRefused) {
  const std::string file = path("p.instar");
  expect(0, {"import", file, "patients", write("p.ndjson", kPatient), "--schema",
             schema("patient.capnp:Patient")});
  const Result result = run({"dump", file, "patients", "--format", "hex"});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.output, "");
  EXPECT_THAT(result.messages, HasSubstr("pass --unmask"));
}

TEST_F(MaskedCommand, MessagesShowNoSecret) {
  const std::string file = path("p.instar");
  expect(0, {"import", file, "patients", write("p.ndjson", kPatient), "--schema",
             schema("patient.capnp:Patient")});
  const Result absent = run({"get", file, "patients", "north,SECRET-2"});
  EXPECT_EQ(absent.messages, "instar: no such row (collection: patients, key: north,$masked(text 1..8))\n");
  const Result bad = run({"put", file, "patients", R"({"ward":"north","taxId":"SECRET-3","age":"SECRET"})"});
  EXPECT_THAT(bad.messages, HasSubstr("age: expected a whole number from 0 to 255, found a text"));
  const Result tooLong = run(
      {"put", file, "patients", "{\"ward\":\"north\",\"taxId\":\"SECRET" + std::string(600, 'x') + "\"}"});
  EXPECT_EQ(tooLong.status, 1);
  EXPECT_THAT(tooLong.messages, Not(HasSubstr("SECRET")));
  Key key;
  const std::vector<KeyValue> values = {std::string_view("north"), std::string_view("SECRET-1")};
  encodeKey(testSchema("patient.capnp:Patient").key(), values, KeyForm::whole, key);
  tamper(file, "patients", key.bytes(), [](std::span<std::byte> value) { value.back() ^= std::byte{1}; });
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"dump", file, "patients"},
                                                    {"get", file, "patients", "north,SECRET-1"},
                                                    {"check", file}}) {
    const Result damaged = run(arguments);
    EXPECT_EQ(damaged.status, 4);
    EXPECT_THAT(damaged.messages + damaged.output, Not(HasSubstr("SECRET")));
    EXPECT_THAT(damaged.messages + damaged.output, HasSubstr("north,$masked(text 1..8)"));
  }
}

// A mark that only the file or only the new schema had was passed over, and the value was printed.
TEST_F(MaskedCommand, MarksOfTheFileAndOfASchemaBesideItCount) {
  const auto account = [&](const std::string& version, const std::string& fields) {
    return write("account" + version + ".capnp",
                 "@0xd0c5b19f3e7a2468;\nusing Instar = import \"/instar/schema.capnp\";\n"
                 "struct Account @0x91c3f5a7b2d4e680 $Instar.version(" +
                     version + ") {\n" + fields + "}\n") +
           ":Account";
  };
  const std::string file = path("a.instar");
  expect(0, {"import", file, "accounts", write("a.ndjson", R"({"owner":"SECRET","pin":7,"age":"none"})"),
             "--schema",
             account("1", "owner @0 :Text $Instar.key(0); pin @1 :UInt16 $Instar.sensitive; age @2 :Text;")});
  const std::string fields =
      "owner @0 :Text $Instar.key(0) $Instar.sensitive; pin @1 :UInt16; ageText @2 :Text; "
      "age @3 :UInt8 $Instar.derived(since = 2, convert = \"ageText\");";
  const Result imported =
      run({"import", file, "accounts", write("b.ndjson", R"({"owner":"x","pin":"SECRET"})"), "--schema",
           account("2", fields)});
  EXPECT_EQ(imported.status, 1);
  EXPECT_THAT(imported.messages, HasSubstr("pin: expected a whole number from 0 to 65535, found a text"));
  std::vector<std::string> dryRun = {"evolve",    file,       "accounts",
                                     "--dry-run", "--schema", account("2", fields)};
  EXPECT_THAT(expect(1, dryRun), AllOf(HasSubstr("$masked(text 1..8)"), Not(HasSubstr("SECRET"))));
  dryRun.push_back("--json");
  EXPECT_THAT(expect(1, dryRun), AllOf(HasSubstr("$masked(text 1..8)"), Not(HasSubstr("SECRET"))));
}

TEST_F(MaskedCommand, AMaskedDumpIsNotImported) {
  const std::string file = path("p.instar");
  expect(0, {"import", file, "patients", write("p.ndjson", kPatient), "--schema",
             schema("patient.capnp:Patient")});
  for (const std::string format : {"ndjson", "csv", "tsv"}) {
    const std::string dump =
        write("dump." + format, expect(0, {"dump", file, "patients", "--format", format}));
    std::vector<std::string> arguments = {"import", path("copy.instar"), "patients",
                                          dump,     "--schema",          schema("patient.capnp:Patient")};
    if (format != "ndjson") arguments.push_back("--header");
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 1) << format;
    EXPECT_THAT(result.messages, HasSubstr("dump again with --unmask")) << format;
  }
}

// One was refused with a range of 300 digits, the other was no limit at all.
TEST_F(DumpCommand, RefusesALimitThatIsNoNumber) {
  const std::string file = makeContacts();
  for (const std::string limit : {"-1", "99999999999999999999999", "1.5", "1x", ""}) {
    const Result result = run({"dump", file, "contacts", "--limit=" + limit});
    EXPECT_EQ(result.status, 2) << limit;
    EXPECT_EQ(result.output, "");
    EXPECT_LT(result.messages.size(), 140U) << result.messages;
  }
  EXPECT_THAT(run({"dump", file, "contacts", "--limit", "-1"}).messages,
              HasSubstr("expected a whole number from 0 to 18446744073709551615, found -1"));
  EXPECT_EQ(countLines(expect(0, {"dump", file, "contacts", "--limit", "18446744073709551615"})), 3U);
  EXPECT_EQ(expect(0, {"dump", file, "contacts", "--limit", "0"}), "");
}

// A version that did not know the union yet showed a telephone number as an amount of money.
TEST_F(DumpCommand, AVersionBelowTheReaderFloorIsRefused) {
  writePayments();
  const std::string file = path("m.instar");
  expect(0, {"import", file, "r", write("1.ndjson", "{\"id\":1,\"euros\":5}\n"), "--schema",
             path("payments_v1.capnp:Payment")});
  expect(0, {"evolve", file, "r", "--schema", path("payments_v2.capnp:Payment")});
  expect(0, {"put", file, "r", R"({"id":2,"phone":4930123})"});
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"dump", file, "r", "--at-version", "1"}, {"get", file, "r", "2", "--at-version", "1"}}) {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.output, "");
    EXPECT_THAT(result.messages, HasSubstr("(collection: r, version: 1, readerFloor: 2)"));
  }
  const std::string rows = "{\"id\":1,\"euros\":5}\n{\"id\":2,\"phone\":4930123}\n";
  EXPECT_EQ(expect(0, {"dump", file, "r", "--at-version", "2"}), rows);
  EXPECT_EQ(expect(0, {"dump", file, "r", "--as-stored"}), rows);
}

// The option parser took a key in brackets apart, and another row was deleted.
TEST_F(DumpCommand, KeysInBracketsAreTakenAsTheyAre) {
  RunOptions input;
  input.input =
      "{\"$key\":\"a\"}\n{\"$key\":\"[a]\",\"value\":\"x\"}\n{\"$key\":\"[a,b]\"}\n{\"$key\":\"{}\"}\n";
  const std::string file = path("s.instar");
  expect(0, {"import", file, "settings", "-", "--schema", schema("setting.capnp:Setting")}, input);
  EXPECT_EQ(expect(0, {"get", file, "settings", "[a]"}), "{\"$key\":\"[a]\",\"value\":\"x\"}\n");
  expect(0, {"delete", file, "settings", "[a]", "[a,b]", "{}"});
  EXPECT_EQ(expect(0, {"dump", file, "settings"}), "{\"$key\":\"a\"}\n");
  expect(0, {"put", file, "settings", "{\"$key\":\n\"[c]\"}", "{\"$key\":\"d\"}"});
  EXPECT_EQ(expect(0, {"count", file, "settings"}), "3\n");
}

}  // namespace
}  // namespace instar::tools
