#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "instar/tests/support/tamper_page.h"
#include "instar/tests/tools/command_runner.h"
#include "instar/tests/tools/records.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SalvageCommand : public CommandTest {
 protected:
  static std::string read(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  static Key contactKey(std::string_view group, std::uint64_t id) {
    Key key;
    const std::vector<KeyValue> values = {group, id};
    encodeKey(testSchema("contact_v1.capnp:Contact").key(), values, KeyForm::whole, key);
    return key;
  }

  static void flip(std::span<std::byte> value) { value[value.size() / 2] ^= std::byte{1}; }
};

TEST_F(SalvageCommand, BringsAllOutOfASoundFile) {
  const std::string file = makeEvolvedContacts();
  EXPECT_EQ(expect(0, {"salvage", file, path("to.instar")}), "contacts: 4 rows\nnothing is lost\n");
  EXPECT_EQ(expect(0, {"dump", path("to.instar"), "--with-version"}),
            expect(0, {"dump", file, "--with-version"}));
  EXPECT_THAT(expect(0, {"check", path("to.instar")}), HasSubstr("4 rows, 296 bytes, no problems"));
  EXPECT_EQ(expect(0, {"versions", path("to.instar")}), expect(0, {"versions", file}));
}

TEST_F(SalvageCommand, SaysWhatIsLost) {
  const std::string file = makeContacts();
  tamper(file, "contacts", contactKey("main", 2).bytes(), flip);
  const std::string before = read(file);
  const std::string output = expect(4, {"salvage", file, path("to.instar")});
  EXPECT_THAT(output, HasSubstr("contacts: 2 rows; lost: 1 row\n  lost: from main,1 up to side,1, page "));
  EXPECT_THAT(output, HasSubstr("the checksum does not match"));
  EXPECT_EQ(read(file), before);
  EXPECT_EQ(expect(0, {"dump", path("to.instar"), "contacts", "--keys-only", "--format", "text"}),
            "main,1\nside,1\n");
  const JsonValue json = parseJson(expect(4, {"salvage", file, path("json.instar"), "--json"}));
  EXPECT_FALSE(json.find("complete")->truth);
  const JsonValue& contacts = json.find("collections")->elements.at(0);
  EXPECT_EQ(contacts.find("lostRows")->text, "1");
  EXPECT_EQ(contacts.find("lost")->elements.at(0).find("from")->text, "main,1");
  EXPECT_EQ(contacts.find("lost")->elements.at(0).find("to")->text, "side,1");
}

TEST_F(SalvageCommand, HidesSensitiveKeys) {
  const std::string rows =
      write("patients.ndjson",
            "{\"ward\":\"a\",\"taxId\":\"secret1\"}\n{\"ward\":\"a\",\"taxId\":\"secret2\"}\n"
            "{\"ward\":\"b\",\"taxId\":\"secret3\"}\n");
  const std::string file = path("patients.instar");
  expect(0, {"import", file, "patients", rows, "--schema", schema("patient.capnp:Patient")});
  Key key;
  const std::vector<KeyValue> values = {std::string_view("a"), std::string_view("secret2")};
  encodeKey(testSchema("patient.capnp:Patient").key(), values, KeyForm::whole, key);
  tamper(file, "patients", key.bytes(), flip);
  for (const char* option : {"--swept", "--json"}) {
    const std::string output = expect(4, {"salvage", file, path(std::string("to") + option), option});
    EXPECT_THAT(output, HasSubstr("a,$masked(text 1..8)"));
    EXPECT_THAT(output, Not(HasSubstr("secret")));
  }
  EXPECT_THAT(expect(4, {"salvage", file, path("open.instar"), "--unmask"}), HasSubstr("a,secret1"));
  EXPECT_THAT(expect(4, {"dump", file, "--salvage"}), Not(HasSubstr("secret")));
}

TEST_F(SalvageCommand, NeedsATargetThatIsNotThere) {
  const std::string file = makeContacts();
  const std::string other = write("there", "mine");
  EXPECT_EQ(run({"salvage", file, other}).status, 3);
  EXPECT_EQ(read(other), "mine");
  EXPECT_EQ(run({"salvage", path("absent"), path("to")}).status, 3);
  EXPECT_EQ(run({"salvage", other, path("to")}).status, 3);
  EXPECT_FALSE(std::filesystem::exists(path("to")));
}

// A page of rows whose header is destroyed: LMDB ends the process when it comes there.
TEST_F(SalvageCommand, AndCheckAndDumpGetThroughWhatEndsLmdb) {
  const std::string file = makeContacts();
  testing::tamperPage(file, "Ada",
                      [](std::span<std::uint16_t> page) { std::fill_n(page.begin() + 4, 4, 0xffff); });
  const Result check = run({"check", file});
  EXPECT_EQ(check.status, 4);
  EXPECT_THAT(check.output, HasSubstr(" of rows/contacts: it is neither branch nor leaf"));
  EXPECT_THAT(check.messages, HasSubstr("instar salvage " + file + " TO"));
  const JsonValue json = parseJson(expect(4, {"check", file, "--json"}));
  EXPECT_TRUE(json.find("damaged")->truth);
  EXPECT_EQ(json.find("pageProblems")->elements.size(), 1U);
  const Result dump = run({"dump", file, "--salvage"}, {.temporaryFolder = folder_.path().string()});
  EXPECT_EQ(dump.status, 4);
  EXPECT_EQ(dump.output, "");
  EXPECT_THAT(dump.messages,
              HasSubstr("damaged collection (collection: contacts, rows: 0, lost ranges of keys: 1, "
                        "left out because they may be out of date: 3)"));
  EXPECT_THAT(expect(4, {"salvage", file, path("to.instar"), "--swept"}),
              HasSubstr("contacts: 3 rows, 3 that may be out of date or erased"));
  for (const auto& entry : listing())
    EXPECT_THAT(entry.first, Not(HasSubstr("salvage-"))) << "is left behind";
}

}  // namespace
}  // namespace instar::tools
