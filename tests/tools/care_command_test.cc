#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/store.h"
#include "instar/format/file_format.h"
#include "instar/format/row.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/tamper_page.h"
#include "instar/tests/tools/command_runner.h"
#include "instar/tests/tools/records.h"
#include "instar/tools/commands/command.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CommandLine : public CommandTest {};
class InfoCommand : public CommandTest {};
class SchemaCommand : public CommandTest {};
class EvolveCommand : public CommandTest {};
class VersionsCommand : public CommandTest {};
class CheckCommand : public CommandTest {};
class CareCommand : public CommandTest {};
class ReadingCommands : public CommandTest {
 protected:
  static std::vector<std::vector<std::string>> all(const std::string& file) {
    return {{"info", file},
            {"dump", file},
            {"get", file, "contacts", "main,1"},
            {"count", file, "contacts"},
            {"schema", "list", file},
            {"schema", "show", file, "contacts"},
            {"schema", "export", file, "contacts"},
            {"schema", "diff", file, "contacts", "1", "1"},
            {"evolve", file, "contacts", "--schema", schema("contact_v2.capnp:Contact"), "--dry-run"},
            {"versions", file},
            {"check", file},
            {"check", file, "--quick"},
            {"readers", file},
            {"progress", file},
            {"verify", file},
            {"audit", file},
            {"status", file},
            {"canary", file, "contacts", "--schema", schema("contact_v2.capnp:Contact")}};
  }
};

Key contactKey(std::string_view group, std::uint64_t id) {
  Key key;
  const std::vector<KeyValue> values = {group, id};
  encodeKey(testSchema("contact_v1.capnp:Contact").key(), values, KeyForm::whole, key);
  return key;
}

void flip(std::span<std::byte> value) { value[value.size() / 2] ^= std::byte{1}; }

// --- the command line

TEST_F(CommandLine, ExplainsItself) {
  EXPECT_THAT(expect(0, {"--help"}), HasSubstr("Exit status: 0 done, 1 a problem was found"));
  EXPECT_THAT(expect(0, {"--version"}), StartsWith("instar 0."));
  for (const char* command :
       {"info", "import", "dump", "get", "put", "delete", "count", "evolve", "versions", "check", "backup",
        "compact", "readers", "schema", "progress", "verify", "audit", "salvage"}) {
    const std::string help = expect(0, {command, "--help"});
    EXPECT_THAT(help, HasSubstr("Example")) << command;
    EXPECT_THAT(help, HasSubstr(std::string("instar ") + command)) << command;
  }
}

TEST_F(CommandLine, WrongUsageEndsWithTwo) {
  const std::string file = makeContacts();
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"frobnicate"},
           {"dump"},
           {"dump", file, "contacts", "--frobnicate"},
           {"dump", file, "contacts", "--limit", "x"},
           {"dump", file, "contacts", "--format", "xml"},
           {"dump", file, "nowhere"},
           {"get", file, "nowhere", "1"},
           {"count", file, "nowhere"},
           {"put", file, "nowhere", "{}"},
           {"delete", file, "nowhere", "1"},
           {"versions", file, "nowhere"},
           {"schema"},
           {"schema", "show", file, "nowhere"},
           {"schema", "show", file, "contacts", "--version", "9"},
           {"schema", "check", "x", "y"},
           {"schema", "diff", file, "contacts", "1", "0"},
           {"evolve", file, "nowhere", "--schema", schema("contact_v2.capnp:Contact")}}) {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 2) << ::testing::PrintToString(arguments);
    EXPECT_EQ(result.output, "");
    EXPECT_THAT(result.messages, StartsWith("instar: "));
  }
}

TEST_F(CommandLine, AFullDiskUnderTheOutputIsNoticed) {
  const std::string file = makeContacts();
  const Result result = run({"dump", file}, {.outputTo = "/dev/full"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.messages, "instar: the output cannot be written: No space left on device\n");
}

TEST_F(CommandLine, AMissingOutputIsNoticedAndLeavesTheFileAlone) {
  const std::string file = makeContacts();
  EXPECT_EQ(run({"dump", file}, {.closeOutput = true}).status, 1);
  EXPECT_EQ(
      run({"put", file, "contacts", R"({"group":"new","id":1})", "--json"}, {.closeOutput = true}).status, 1);
  expect(0, {"check", file});
  EXPECT_EQ(expect(0, {"count", file, "contacts"}), "4\n");
}

TEST_F(CommandLine, AReaderThatGoesAwayEndsItQuietly) {
  const std::string file = makeContacts();
  const Result result = run({"dump", file}, {.brokenPipe = true});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.messages, "");
}

// --- reading commands

TEST_F(ReadingCommands, ChangeNothing) {
  const std::string file = makeContacts();
  std::filesystem::remove(file + "-lock");
  const auto before = listing();
  for (const auto& arguments : all(file)) {
    expect(0, arguments);
    EXPECT_EQ(listing(), before) << arguments[0];
  }
}

TEST_F(ReadingCommands, EndWithThreeWhereThereIsNoFileAndCreateNone) {
  const auto before = listing();
  for (const auto& arguments : all(path("missing.instar"))) {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 3) << arguments[0];
    EXPECT_THAT(result.messages, HasSubstr("no such file"));
    EXPECT_EQ(result.output, "");
  }
  expect(3, {"put", path("missing.instar"), "contacts", "{}"});
  expect(3, {"delete", path("missing.instar"), "contacts", "1"});
  expect(3, {"compact", path("missing.instar")});
  expect(3, {"backup", path("missing.instar"), path("to.instar")});
  expect(3, {"readers", path("missing.instar"), "--clear-stale"});
  EXPECT_EQ(listing(), before);
}

TEST_F(ReadingCommands, EndWithThreeWhereTheFileIsNotOurs) {
  const std::string file = write("other.db", std::string(20'000, 'x'));
  const auto before = listing();
  for (const auto& arguments : all(file)) {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 3) << arguments[0];
    EXPECT_THAT(result.messages, HasSubstr("not an Instar file"));
  }
  expect(3, {"put", file, "contacts", "{}"});
  EXPECT_EQ(listing(), before);
}

// `check` looks at pages first, found names of trees that Instar does not give, and called the file damaged.
TEST_F(ReadingCommands, EndWithThreeWhereTheFileIsAnotherProgramsOfLmdb) {
  const std::string file = path("other.mdb");
  {
    const auto environment = storage::openLmdb(file, {});
    const auto tree = environment->openTree("settings of another program", true);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    transaction->reserve(*tree, asBytes("key"), 5);
    transaction->commit();
  }
  std::filesystem::remove(file + "-lock");
  const auto before = listing();
  for (const auto& arguments : all(file)) {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 3) << arguments[0] << result.output;
    EXPECT_THAT(result.messages, HasSubstr("not an Instar file"));
  }
  EXPECT_EQ(listing(), before);
}

TEST_F(ReadingCommands, EndWithThreeWhereTheFormatIsNewer) {
  const std::string file = makeContacts();
  {
    const auto environment = storage::openLmdb(file, {});
    const auto tree = environment->openTree(kCatalogTree, false);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    RowView row;
    const Bytes key = asBytes(kFormatKey);
    ASSERT_EQ(decodeRow(key, *transaction->get(*tree, key), Verify::yes, row), RowDamage::none);
    std::vector<std::byte> payload(row.payload.begin(), row.payload.end());
    payload[16] = std::byte{kFileFormat + 1};  // behind the root pointer and the magic
    const std::size_t length = rowHeaderLength(key.size(), RowPlacement::leaf) + payload.size();
    encodeRow(transaction->reserve(*tree, key, length), key, kFileFormat1, payload, RowPlacement::leaf);
    transaction->commit();
  }
  for (const auto& arguments : all(file)) {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 3) << arguments[0];
    EXPECT_THAT(result.messages, HasSubstr("newer format"));
  }
}

TEST_F(ReadingCommands, WorkInAFolderThatIsReadOnlyAndWritingIsRefused) {
  const std::string file = makeContacts();
  std::filesystem::remove(file + "-lock");
  std::filesystem::permissions(file, std::filesystem::perms(0444));
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0555));
  EXPECT_EQ(expect(0, {"count", file, "contacts"}, {.withoutPrivileges = true}), "3\n");
  EXPECT_EQ(countLines(expect(0, {"dump", file}, {.withoutPrivileges = true})), 3U);
  const Result result = run({"put", file, "contacts", R"({"group":"a"})"}, {.withoutPrivileges = true});
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.messages, HasSubstr("Permission denied"));
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
}

// --- info, versions, schema, evolve

TEST_F(InfoCommand, ShowsTheFileAndItsCollections) {
  const std::string file = makeContacts();
  const std::string text = expect(0, {"info", file});
  EXPECT_THAT(text, HasSubstr("format        1\n"));
  EXPECT_THAT(text, HasSubstr("LMDB 0.9."));
  EXPECT_THAT(text, HasSubstr("contacts       3       0        1"));
  const JsonValue json = parseJson(expect(0, {"info", file, "--json"}));
  EXPECT_EQ(json.find("formatVersion")->text, "1");
  ASSERT_EQ(json.find("collections")->elements.size(), 1U);
  EXPECT_EQ(json.find("collections")->elements[0].find("rows")->text, "3");
  EXPECT_EQ(json.find("fileSize")->text, std::to_string(std::filesystem::file_size(file)));
}

TEST_F(VersionsCommand, CountsRowsOfEachVersion) {
  const std::string file = makeEvolvedContacts();
  EXPECT_THAT(expect(0, {"versions", file}), HasSubstr("contacts          1     3"));
  const JsonValue json = parseJson(expect(0, {"versions", file, "contacts", "--json"}));
  const JsonValue& contacts = json.find("collections")->elements.at(0);
  EXPECT_EQ(contacts.find("currentVersion")->text, "2");
  ASSERT_EQ(contacts.find("versions")->elements.size(), 2U);
  EXPECT_EQ(contacts.find("versions")->elements[0].find("rows")->text, "3");
  EXPECT_EQ(contacts.find("versions")->elements[1].find("rows")->text, "1");
}

TEST_F(VersionsCommand, ShowsVersionsWithoutRowsAndDamagedHeaders) {
  const std::string file = makeContacts();
  expect(0, {"evolve", file, "contacts", "--schema", schema("contact_v2.capnp:Contact")});
  EXPECT_THAT(
      expect(0, {"versions", file, "--json"}),
      HasSubstr("{\"version\":2,\"rows\":0,\"bytes\":0,\"known\":true,\"state\":\"active\",\"gone\":false,"));
  tamper(file, "contacts", contactKey("main", 1).bytes(),
         [](std::span<std::byte> value) { value[0] = std::byte{0}; });
  EXPECT_THAT(expect(4, {"versions", file, "--json"}), HasSubstr("{\"version\":0,\"rows\":1,"));
}

// It was listed like any other.
TEST_F(VersionsCommand, AVersionThatTheCatalogDoesNotHaveIsDamage) {
  const std::string file = makeEvolvedContacts();
  tamper(file, "contacts", contactKey("main", 1).bytes(),
         [](std::span<std::byte> value) { value[3] = std::byte{1}; });
  EXPECT_THAT(expect(4, {"versions", file}), HasSubstr("257     1"));
  EXPECT_THAT(expect(4, {"versions", file}), HasSubstr("not in the catalog"));
  EXPECT_THAT(expect(4, {"versions", file, "--json"}), HasSubstr("{\"version\":257,\"rows\":1,"));
}

TEST_F(SchemaCommand, ListsVersionsAndTheirChanges) {
  const std::string file = makeEvolvedContacts();
  const std::string text = expect(0, {"schema", "list", file});
  EXPECT_THAT(text, HasSubstr("contacts          1  Contact  group, id  "));
  EXPECT_THAT(text, HasSubstr("contacts 2: Contact.tier: a new field @4"));
  const JsonValue json = parseJson(expect(0, {"schema", "list", file, "contacts", "--json"}));
  ASSERT_EQ(json.elements.size(), 2U);
  EXPECT_EQ(json.elements[1].find("changes")->elements.size(), 1U);
}

TEST_F(SchemaCommand, ShowsEachVersionAsText) {
  const std::string file = makeEvolvedContacts();
  EXPECT_THAT(expect(0, {"schema", "show", file, "contacts"}), HasSubstr("tier @4 :UInt8 = 1;"));
  EXPECT_THAT(expect(0, {"schema", "show", file, "contacts", "--version", "1"}), Not(HasSubstr("tier")));
  const JsonValue json = parseJson(expect(0, {"schema", "show", file, "contacts", "--json"}));
  EXPECT_THAT(json.find("schema")->text, HasSubstr("struct Contact"));
}

TEST_F(SchemaCommand, ExportsWhatCanBeImportedAgain) {
  const std::string file = makeEvolvedContacts();
  const std::string exported = path("exported.capnp");
  EXPECT_EQ(expect(0, {"schema", "export", file, "contacts", "--out", exported}), "");
  EXPECT_EQ(expect(0, {"schema", "check", schema("contact_v2.capnp:Contact"), exported + ":Contact"}),
            "no differences\n");
  const std::string dump = write("dump.ndjson", expect(0, {"dump", file, "contacts"}));
  expect(0, {"import", path("copy.instar"), "contacts", dump, "--schema", exported + ":Contact"});
  EXPECT_EQ(expect(0, {"dump", file, "contacts"}), expect(0, {"dump", path("copy.instar"), "contacts"}));
  expect(3, {"schema", "export", file, "contacts", "--out", path("nowhere/x.capnp")});
}

TEST_F(SchemaCommand, ComparesVersions) {
  const std::string file = makeEvolvedContacts();
  EXPECT_EQ(expect(0, {"schema", "diff", file, "contacts", "1", "2"}),
            "additive: Contact.tier: a new field @4\n");
  EXPECT_EQ(expect(0, {"schema", "diff", file, "contacts", "2", "2"}), "");
  EXPECT_THAT(
      expect(0, {"schema", "diff", file, "contacts", "1", "2", "--json"}),
      HasSubstr(
          R"("changes":[{"verdict":"additive","what":"Contact.tier: a new field @4","raisesFloors":false}])"));
}

TEST_F(SchemaCommand, JudgesSchemaFiles) {
  const std::string one = schema("contact_v1.capnp:Contact");
  const std::string two = schema("contact_v2.capnp:Contact");
  const std::string wrong = schema("contact_wrong.capnp:Contact");
  EXPECT_EQ(expect(0, {"schema", "check", one, two}), "additive: Contact.tier: a new field @4\n");
  EXPECT_EQ(expect(0, {"schema", "check", one, one}), "no differences\n");
  const std::string refused = expect(1, {"schema", "check", one, wrong});
  EXPECT_THAT(refused, HasSubstr("refused: Contact.tags: "));
  EXPECT_THAT(refused, HasSubstr("refused: Contact.name: "));
  EXPECT_THAT(refused, HasSubstr("  why: "));
  EXPECT_THAT(refused, HasSubstr("  instead: "));
  const JsonValue json = parseJson(expect(1, {"schema", "check", one, wrong, "--json"}));
  EXPECT_TRUE(json.find("refused")->truth);
}

// That every older program is locked out was only in the JSON.
TEST_F(SchemaCommand, AChangeThatLocksOlderProgramsOutSaysSo) {
  writePayments();
  const std::string one = path("payments_v1.capnp:Payment");
  const std::string two = path("payments_v2.capnp:Payment");
  EXPECT_EQ(expect(0, {"schema", "check", one, two}),
            "additive: Payment.euros: the field moved into a union\n"
            "  floors: both rise, and programs of older versions can no longer read or write\n"
            "  why: an older program would take another member's bytes for the field's\n"
            "additive: Payment.phone: a new field @2 in a new union\n");
}

// "The type changed from Place to Place": a type without an id of its own follows the id of its file.
TEST_F(SchemaCommand, ALostIdIsNamedWithItsCure) {
  const auto spot = [&](const std::string& name, const std::string& fileId, const std::string& version,
                        const std::string& placeId) {
    const std::string text = "@" + fileId +
                             ";\nusing Instar = import \"/instar/schema.capnp\";\nstruct Place" + placeId +
                             " { x @0 :UInt32; }\nstruct Spot @0xd2b4c6e8fa103958 $Instar.version(" +
                             version + ") { id @0 :UInt32 $Instar.key(0); places @1 :List(Place); }\n";
    return write(name, text) + ":Spot";
  };
  const std::string one = spot("one.capnp", "0xa3f1c5d7e9b20486", "1", "");
  const std::string refused =
      expect(1, {"schema", "check", one, spot("two.capnp", "0xb3f1c5d7e9b20486", "2", "")});
  const std::string cure = "  instead: keep the old id: write it after the name, as in `struct Place @0x";
  EXPECT_THAT(refused, StartsWith("refused: Spot.places: the id of its type List(Place) changed, from @0x"));
  ASSERT_THAT(refused, HasSubstr(cure));
  const std::string id = refused.substr(refused.find(cure) + cure.size() - 3, 19);
  EXPECT_EQ(expect(0, {"schema", "check", one, spot("two.capnp", "0xb3f1c5d7e9b20486", "2", " " + id)}),
            "no differences\n");
}

TEST_F(SchemaCommand, AChangeWithoutANewNumberIsRefused) {
  const std::string two = write("two.capnp",
                                "@0xd5b31b6a4c2f7e90;\nusing Instar = import \"/instar/schema.capnp\";\n"
                                "struct Setting @0xe0c4a1b2d3e5968a { value @0 :Text; more @1 :Text; }\n");
  EXPECT_THAT(expect(1, {"schema", "check", schema("setting.capnp:Setting"), two + ":Setting"}),
              HasSubstr("refused: the schemas differ, but $version goes from 1 to 1; raise it"));
}

TEST_F(SchemaCommand, MistakesInSchemaFilesAreShown) {
  const std::string bad = write("bad.capnp", "@0xd5b31b6a4c2f7e90;\nstruct Bad {\n  x @0 :Nonsense;\n}\n");
  const Result result = run({"schema", "check", bad + ":Bad", bad + ":Bad"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.messages,
            "instar: the schema file does not compile\n  " + bad + ":3:9: Not defined: Nonsense\n");
}

TEST_F(EvolveCommand, AddsAVersionAndRewritesNoRow) {
  const std::string file = makeContacts();
  const std::string rows = expect(0, {"dump", file, "contacts", "--format", "hex"});
  const std::string output =
      expect(0, {"evolve", file, "contacts", "--schema", schema("contact_v2.capnp:Contact")});
  EXPECT_THAT(output, HasSubstr("version 2 was added"));
  EXPECT_THAT(output, HasSubstr("additive: Contact.tier: a new field @4"));
  EXPECT_EQ(expect(0, {"dump", file, "contacts", "--format", "hex"}), rows);
  EXPECT_THAT(expect(0, {"evolve", file, "contacts", "--schema", schema("contact_v2.capnp:Contact")}),
              HasSubstr("nothing to do"));
}

TEST_F(EvolveCommand, ADryRunOnlySaysWhatWouldBeDone) {
  const std::string file = makeContacts();
  const std::string output = expect(
      0, {"evolve", file, "contacts", "--schema", schema("contact_v2.capnp:Contact"), "--dry-run", "--json"});
  EXPECT_THAT(output, StartsWith(R"({"outcome":"added","dryRun":true,"from":1,"to":2,)"));
  EXPECT_THAT(expect(0, {"versions", file, "--json"}), HasSubstr("\"currentVersion\":1"));
}

TEST_F(EvolveCommand, ARefusedChangeLeavesTheFileAsItIs) {
  const std::string file = makeContacts();
  for (const char* option : {"--json", "--dry-run"}) {
    const Result result =
        run({"evolve", file, "contacts", "--schema", schema("contact_wrong.capnp:Contact"), option});
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.messages, HasSubstr("Contact.tags"));
    EXPECT_THAT(result.messages, HasSubstr("instead: "));
  }
  EXPECT_THAT(expect(0, {"versions", file, "--json"}), HasSubstr("\"currentVersion\":1"));
}

// A script that asked for JSON got nothing to read where the answer was no.
TEST_F(EvolveCommand, ARefusalIsAJudgementInJsonToo) {
  const std::string file = makeContacts();
  for (const bool dryRun : {true, false}) {
    std::vector<std::string> arguments = {
        "evolve", file, "contacts", "--schema", schema("contact_wrong.capnp:Contact"), "--json"};
    if (dryRun) arguments.emplace_back("--dry-run");
    const JsonValue json = parseJson(expect(1, arguments));
    EXPECT_EQ(json.find("outcome")->text, "refused");
    EXPECT_EQ(json.find("dryRun")->truth, dryRun);
    EXPECT_EQ(json.find("from")->text, "1");
    EXPECT_EQ(json.find("to")->text, "2");
    EXPECT_THAT(json.find("problem")->text, HasSubstr("what stored rows do not allow"));
    ASSERT_EQ(json.find("changes")->elements.size(), 2U);
    for (const JsonValue& change : json.find("changes")->elements) {
      EXPECT_EQ(change.find("verdict")->text, "refused");
      EXPECT_NE(change.find("why"), nullptr);
      EXPECT_NE(change.find("instead"), nullptr);
    }
  }
}

TEST_F(EvolveCommand, AChangeThatKeptItsNumberIsRefusedInJson) {
  const std::string file = makeContacts();
  const std::string same = write("same.capnp",
                                 "@0xc1b0a4d2e3f5968b;\nusing Instar = import \"/instar/schema.capnp\";\n"
                                 "struct Contact @0xf0c4a1b2d3e59687 $Instar.version(1) {\n"
                                 "  group @0 :Text $Instar.key(0);\n  id @1 :UInt32 $Instar.key(1);\n"
                                 "  name @2 :Text;\n  tags @3 :List(Text);\n  more @4 :Text;\n}\n");
  const JsonValue json = parseJson(
      expect(1, {"evolve", file, "contacts", "--schema", same + ":Contact", "--dry-run", "--json"}));
  EXPECT_EQ(json.find("outcome")->text, "refused");
  EXPECT_EQ(json.find("to")->text, "1");
  EXPECT_THAT(json.find("problem")->text, HasSubstr("raise the number"));
  ASSERT_EQ(json.find("changes")->elements.size(), 1U);
  EXPECT_EQ(json.find("changes")->elements[0].find("verdict")->text, "additive");
}

// --- check and damage

TEST_F(CheckCommand, FindsNothingInASoundFile) {
  const std::string file = makeContacts();
  EXPECT_THAT(expect(0, {"check", file}), HasSubstr("3 rows, "));
  EXPECT_THAT(expect(0, {"check", file, "--quick", "--json"}),
              StartsWith(R"({"sound":true,"damaged":false,"rows":3,)"));
}

TEST_F(CheckCommand, ADamagedRowIsReportedByAllWhoReadItAndTheOthersAreShown) {
  const std::string file = makeContacts();
  tamper(file, "contacts", contactKey("main", 2).bytes(), flip);
  EXPECT_THAT(expect(4, {"check", file}), HasSubstr("damagedRow in contacts under main,2: "));
  EXPECT_THAT(expect(4, {"check", file, "--quick", "--json"}),
              HasSubstr(R"("finding":"damagedRow","collection":"contacts","key":"main,2")"));
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
           {}, {"--format", "csv"}, {"--format", "text"}, {"--as-stored"}, {"--reverse"}}) {
    std::vector<std::string> arguments = {"dump", file, "contacts"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 4);
    EXPECT_THAT(result.output, HasSubstr("Ada"));
    EXPECT_THAT(result.output, HasSubstr("side"));
    EXPECT_THAT(result.output, Not(HasSubstr("Bob")));
    EXPECT_THAT(result.messages,
                StartsWith("instar: damaged row (collection: contacts, key: main,2, damage: "));
  }
  const Result hex = run({"dump", file, "contacts", "--format", "hex"});
  EXPECT_EQ(hex.status, 4);
  EXPECT_THAT(hex.output, HasSubstr("damaged: "));
  const Result keys = run({"dump", file, "contacts", "--keys-only", "--format", "text"});
  EXPECT_EQ(keys.status, 4);
  EXPECT_EQ(keys.output, "main,1\nmain,2\nside,1\n");
  const Result get = run({"get", file, "contacts", "main,2", "main,1"});
  EXPECT_EQ(get.status, 4);
  EXPECT_EQ(countLines(get.output), 1U);
}

// Fewer rows were printed, with the exit status of success.
TEST_F(CheckCommand, RowsThatAreNotMetAreNoticedByAWholeScan) {
  const std::string file = makeContacts();
  expect(0, {"evolve", file, "contacts", "--schema", schema("contact_v2.capnp:Contact")});
  testing::tamperPage(file, "Ada", [](std::span<std::uint16_t> page) { page[6] -= 2; });
  EXPECT_THAT(expect(4, {"check", file}),
              HasSubstr(" of rows/contacts: its nodes lie over one another or leave holes"));
  for (const std::vector<std::string>& options :
       std::vector<std::vector<std::string>>{{}, {"--reverse"}, {"--keys-only"}}) {
    std::vector<std::string> arguments = {"dump", file, "contacts"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 4);
    EXPECT_EQ(countLines(result.output), 2U);
    EXPECT_EQ(result.messages, "instar: damaged collection (collection: contacts, rows: 3, met: 2)\n");
  }
  EXPECT_EQ(countLines(expect(0, {"dump", file, "contacts", "--limit", "2"})), 2U);
  expect(4, {"versions", file});
  expect(4, {"compact", file});
  expect(4, {"backup", file, path("to.instar"), "--compact"});
  EXPECT_FALSE(std::filesystem::exists(path("to.instar")));
}

TEST_F(CheckCommand, ARowInPlaceOfAnotherIsNoticed) {
  const std::string file = makeContacts();
  testing::tamperPage(file, "Ada", [](std::span<std::uint16_t> page) { page[8] = page[10]; });
  EXPECT_THAT(expect(4, {"check", file}), HasSubstr(" of rows/contacts: its keys are not in order"));
  for (const char* order : {"--as-stored", "--reverse"}) {
    const Result result = run({"dump", file, "contacts", order});
    EXPECT_EQ(result.status, 4);
    EXPECT_THAT(result.messages, HasSubstr("it is not where its key belongs"));
  }
}

TEST_F(CheckCommand, ACatalogThatLostACollectionIsDamaged) {
  const std::string file = makeContacts();
  testing::tamperPage(file, "collection/contacts", [](std::span<std::uint16_t> page) { page[8] = page[9]; });
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"info", file}, {"check", file}, {"dump", file}, {"dump", file, "contacts"}}) {
    EXPECT_EQ(run(arguments).status, 4) << arguments[0];
  }
}

TEST_F(CheckCommand, TextThatIsNotUtf8IsAProblemButNoDamage) {
  const std::string file = makeContacts();
  expect(0, {"put", file, "contacts", R"({"group":"main","id":9,"name":{"$bytes":"//4="}})"});
  EXPECT_THAT(expect(1, {"check", file}), HasSubstr("invalidText in contacts under main,9"));
}

// --- backup, compact, readers

TEST_F(CareCommand, ABackupHasTheSameRows) {
  const std::string file = makeContacts();
  for (const char* option : {"--json", "--compact"}) {
    expect(0, {"backup", file, path("to.instar"), option, "--replace"});
    EXPECT_EQ(expect(0, {"dump", path("to.instar")}), expect(0, {"dump", file}));
  }
  expect(3, {"backup", file, path("to.instar")});
}

// All of the copy was written before it turned out that it could not get its name.
TEST_F(CareCommand, ABackupLooksForTheTargetFirst) {
  const std::string file = makeContacts();
  const testing::TemporaryFolder target;
  const std::string existing = (target / "to.instar").string();
  std::ofstream(existing) << "precious";
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(target.path(), std::filesystem::perms(0555));  // nothing can be written here
  const Result result = run({"backup", file, existing}, {.withoutPrivileges = true});
  std::filesystem::permissions(target.path(), std::filesystem::perms(0755));
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.messages, HasSubstr("the file exists: choose another name"));
  const Result folder = run({"backup", file, target.path().string()});
  EXPECT_EQ(folder.status, 3);
  EXPECT_THAT(folder.messages, HasSubstr("this is a folder"));
}

// What a process does about a signal, which may be inherited: a shell starts jobs in the background with
// SIGINT ignored.
class SignalAction {
 public:
  SignalAction(int signal, sighandler_t action) : signal_(signal), before_(::signal(signal, action)) {}
  ~SignalAction() { ::signal(signal_, before_); }
  SignalAction(const SignalAction&) = delete;
  SignalAction& operator=(const SignalAction&) = delete;

 private:
  const int signal_;
  const sighandler_t before_;
};

class InterruptedCommand : public CareCommand {
 protected:
  // Runs a command that is sent the signal while it copies.
  int interrupt(int signal, std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "instar");
    std::ostringstream text;
    Messages messages(text, true);
    Output output(STDOUT_FILENO);
    std::istringstream input;
    int looks = 0;
    const auto clock = [&] {
      if (++looks == 2) ::raise(signal);  // the first look at the clock since the copy has begun
      return std::chrono::steady_clock::time_point(std::chrono::seconds(looks));
    };
    Context context{.output = output, .messages = messages, .input = input, .clock = clock};
    const int status = runCommandLine(static_cast<int>(arguments.size()), arguments.data(), context);
    messages_ = text.str();
    return status;
  }

  std::string messages_;
};

// A signal ended the process at once, and the hidden file that was being written stayed for ever.
TEST_F(InterruptedCommand, LeavesNothingBehind) {
  const std::string file = makeContacts();
  const std::string rows = expect(0, {"dump", file});
  const std::string target = path("to.instar");
  expect(0, {"backup", file, target});
  const auto before = listing();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const SignalAction usual(signal, SIG_DFL);
    for (const std::vector<const char*>& arguments :
         {std::vector{"compact", file.c_str()}, {"backup", "--replace", file.c_str(), target.c_str()}}) {
      EXPECT_EQ(interrupt(signal, arguments), 128 + signal);
      EXPECT_THAT(messages_, HasSubstr("instar: interrupted"));
    }
  }
  const auto after = listing();
  EXPECT_EQ(after.size(), before.size());
  for (const auto& [name, facts] : before) {
    if (name.ends_with(".instar")) {
      EXPECT_EQ(after.at(name), facts) << name;
    }
  }
  EXPECT_EQ(expect(0, {"dump", file}), rows);
}

// The copy of all rows that could be had stayed in the folder for temporary files.
TEST_F(InterruptedCommand, DumpOfADamagedFileLeavesNoRowsBehind) {
  const std::string file = makeContacts();
  const auto before = listing();
  const SignalAction usual(SIGINT, SIG_DFL);
  ::setenv("TMPDIR", folder_.path().c_str(), 1);
  const int status = interrupt(SIGINT, {"dump", "--salvage", file.c_str()});
  ::unsetenv("TMPDIR");
  EXPECT_EQ(status, 128 + SIGINT);
  EXPECT_THAT(messages_, HasSubstr("instar: interrupted"));
  EXPECT_EQ(listing().size(), before.size());
}

TEST_F(InterruptedCommand, GoesOnWhereTheSignalWasIgnoredBefore) {
  const std::string file = makeContacts();
  const std::string target = path("to.instar");
  const SignalAction underNohup(SIGHUP, SIG_IGN);
  EXPECT_EQ(interrupt(SIGHUP, {"backup", file.c_str(), target.c_str()}), 0);
  EXPECT_EQ(expect(0, {"dump", target}), expect(0, {"dump", file}));
}

// Only a reader that is entered in the lock file may read while somebody writes.
TEST_F(CareCommand, ABackupGoesOnWhileAProgramWrites) {
  const std::string file = makeContacts();
  const Store store = Store::open(file);
  const auto contacts = store.collection("contacts");
  std::atomic<bool> enough = false;
  std::thread writer([&] {
    for (std::uint32_t id = 0; !enough; ++id) {
      WriteTransaction change = store.write();
      auto contact = contacts.create();
      contact->set("group", "busy");
      contact->set("id", id % 1000);
      contacts.put(change, contact);
      change.commit();
    }
  });
  for (const char* option : {"--json", "--compact"}) {
    expect(0, {"backup", file, path("to.instar"), option, "--replace"});
    expect(0, {"check", path("to.instar")});
    EXPECT_EQ(countLines(expect(0, {"dump", path("to.instar"), "contacts", "--from", "main"})), 3U);
  }
  enough = true;
  writer.join();
}

TEST_F(CareCommand, ABackupLeavesTheFolderOfTheFileAsItWas) {
  const std::string file = makeContacts();
  const std::string rows = expect(0, {"dump", file});
  for (const bool withLockFile : {true, false}) {
    const testing::TemporaryFolder target;
    if (!withLockFile) std::filesystem::remove(file + "-lock");
    const auto before = listing();
    expect(0, {"backup", file, (target / "one.instar").string()});
    EXPECT_EQ(expect(0, {"dump", (target / "one.instar").string()}), rows);
    EXPECT_EQ(std::filesystem::exists(file + "-lock"), withLockFile);
    if (!withLockFile) {
      EXPECT_EQ(listing(), before);
    }

    std::filesystem::permissions(target.path(), std::filesystem::perms(0777));
    std::filesystem::permissions(folder_.path(), std::filesystem::perms(0555));
    expect(0, {"backup", file, (target / "two.instar").string()}, {.withoutPrivileges = true});
    std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
    EXPECT_EQ(expect(0, {"dump", (target / "two.instar").string()}), rows);
  }
}

TEST_F(CareCommand, CompactingGivesSpaceBack) {
  const std::string file = makeContacts();
  std::string rows;
  for (int i = 0; i < 2000; ++i)
    rows +=
        "{\"group\":\"many\",\"id\":" + std::to_string(i) + ",\"name\":\"" + std::string(100, 'x') + "\"}\n";
  expect(0, {"put", file, "contacts"}, {.input = rows});
  std::vector<std::string> arguments = {"delete", file, "contacts"};
  for (int i = 0; i < 2000; ++i) arguments.push_back("many," + std::to_string(i));
  expect(0, arguments);
  const std::string before = expect(0, {"dump", file});
  const auto size = std::filesystem::file_size(file);
  expect(0, {"compact", file});
  EXPECT_LT(std::filesystem::file_size(file), size / 2);
  EXPECT_EQ(expect(0, {"dump", file}), before);
}

TEST_F(CareCommand, AFileInUseIsNotCompacted) {
  const std::string file = makeContacts();
  const Store store = Store::open(file);
  expect(3, {"compact", file});
  EXPECT_EQ(store.collection("contacts").count(store.read()), 3U);
}

TEST_F(CareCommand, ReadersShowsWhoHoldsASnapshot) {
  const std::string file = makeContacts();
  const Store store = Store::open(file);
  const ReadTransaction snapshot = store.read();
  const std::string process = std::to_string(getpid());
  EXPECT_THAT(expect(0, {"readers", file}), HasSubstr(process));
  EXPECT_THAT(
      expect(0, {"readers", file, "--json"}),
      ContainsRegex("\"process\":" + process + ",\"snapshot\":" + std::to_string(snapshot.id()) +
                    ",\"commitsBehind\":0,\"pinnedBytes\":0,\"alive\":true,\"programSeconds\":[0-9]+"));
  EXPECT_THAT(expect(0, {"readers", file, "--clear-stale", "--json"}), HasSubstr("\"cleared\":0"));
}

TEST_F(CareCommand, AnOldSnapshotShowsWithWhatItHoldsBack) {
  const std::string file = makeContacts();
  const Store store = Store::open(file);
  EXPECT_THAT(expect(0, {"info", file}), Not(HasSubstr("held back")));
  const ReadTransaction snapshot = store.read();
  const std::string row = "{\"group\":\"main\",\"id\":1,\"name\":\"Ada\"}";
  for (int i = 0; i < 3; ++i) expect(0, {"put", file, "contacts"}, {.input = row});
  const std::string process = std::to_string(getpid());
  EXPECT_THAT(expect(0, {"readers", file}),
              ContainsRegex(process + " +[0-9]+ +3 +[1-9][0-9,]+  +[0-9].* s  alive"));
  EXPECT_THAT(expect(0, {"readers", file, "--json"}),
              ContainsRegex("\"commitsBehind\":3,\"pinnedBytes\":[1-9]"));
  EXPECT_THAT(expect(0, {"info", file}),
              ContainsRegex("held back +[1-9][0-9,]+ bytes by a snapshot of process " + process +
                            ", 3 commits behind"));
  EXPECT_THAT(expect(0, {"info", file, "--json"}), ContainsRegex("\"pinnedBytes\":[1-9]"));
}

// Opening cleared it before it could be listed, and said that there was nothing to clear.
TEST_F(CareCommand, ReadersShowsTheSnapshotOfAProgramThatDiedAndClearsIt) {
  const std::string file = makeContacts();
  testing::ChildProcess keeper([&](const testing::Steps& parent) {  // the first to open finds an empty table
    const Store store = Store::open(file);
    parent.tell();
    parent.await();
  });
  keeper.await();
  testing::ChildProcess reader([&](const testing::Steps& parent) {
    const Store store = Store::open(file);
    const ReadTransaction snapshot = store.read();
    parent.tell();
    parent.await();
  });
  reader.await();
  const std::string process = "{\"process\":" + std::to_string(reader.process()) + ",";
  reader.kill();
  EXPECT_THAT(expect(0, {"readers", file, "--json"}), HasSubstr(process));
  const std::string cleared = expect(0, {"readers", file, "--clear-stale", "--json"});
  EXPECT_THAT(cleared, HasSubstr(process));
  EXPECT_THAT(cleared, HasSubstr("\"alive\":false"));
  EXPECT_THAT(cleared, Not(HasSubstr("\"cleared\":0")));
  EXPECT_THAT(expect(0, {"readers", file, "--json"}), Not(HasSubstr(process)));
  keeper.tell();
  keeper.expectSuccess();
}

// The command counted itself.
TEST_F(CareCommand, AnIdleFileHasNoReaders) {
  const std::string file = makeContacts();
  EXPECT_EQ(expect(0, {"readers", file, "--json"}), "{\"readers\":[],\"cleared\":0}\n");
  EXPECT_THAT(expect(0, {"info", file}), HasSubstr("readers       0 of 1024"));
}

}  // namespace
}  // namespace instar::tools
