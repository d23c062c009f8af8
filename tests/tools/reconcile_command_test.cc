// `instar reconcile`, on contacts whose name was mirrored late.

#include <gmock/gmock.h>

#include "instar/tests/tools/command_runner.h"
#include "instar/tools/json_text.h"

namespace instar::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ReconcileCommand : public CommandTest {
 protected:
  void writeSchema(const char* version, const char* mirror) const {
    write(std::string("contact_v") + version + ".capnp",
          std::string("@0xb1c3d5e7f9a20486;\nusing Instar = import \"/instar/schema.capnp\";\n"
                      "struct Contact @0xd3b5c7e9fa104957 $Instar.version(") +
              version + R"() {
  id    @0 :UInt32 $Instar.key(0);
  name  @1 :Text)" +
              mirror + R"(;
  first @2 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));
  last  @3 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 1));
})");
  }

  // Rows 2 and 3 have diverged; of row 3 the name does not come back from what is derived from it.
  std::string makeContacts() const {
    writeSchema("2", "");
    writeSchema(
        "3", R"( $Instar.mirrored(since = 3, concat = [(field = "first"), (text = " "), (field = "last")]))");
    const std::string file = path("contacts.instar");
    expect(0, {"import", file, "contacts",
               write("rows.ndjson", R"({"id":1,"name":"Ada Lovelace","first":"Ada","last":"Lovelace"}
{"id":2,"name":"Ada Byron","first":"Augusta","last":"King"}
{"id":3,"name":"Cher","first":"Cherilyn","last":"Sarkisian"}
)"),
               "--schema", path("contact_v2.capnp:Contact")});
    expect(0, {"evolve", file, "contacts", "--schema", path("contact_v3.capnp:Contact")});
    return file;
  }
};

TEST_F(ReconcileCommand, ADryRunNamesFieldsAndKeysAndChangesNothing) {
  const std::string file = makeContacts();
  std::filesystem::remove(file + "-lock");
  const auto before = listing();
  EXPECT_EQ(expect(1, {"reconcile", file, "contacts", "--follow", "newer", "--dry-run"}),
            "contacts: 3 rows, 2 diverged, 2 to be reconciled\n"
            "  name: 2 rows\n"
            "  2, version 2: name\n"
            "  3, version 2: name\n");
  EXPECT_EQ(listing(), before);
}

TEST_F(ReconcileCommand, TheMirrorsFollow) {
  const std::string file = makeContacts();
  EXPECT_THAT(
      expect(0, {"reconcile", file, "contacts", "--follow", "newer", "--rate", "64MiB/s"}),
      AllOf(HasSubstr("contacts: 3 rows, 2 diverged, 2 reconciled\n"), HasSubstr(" batches; the longest ")));
  EXPECT_EQ(expect(0, {"get", file, "contacts", "2", "3"}),
            "{\"id\":2,\"name\":\"Augusta King\",\"first\":\"Augusta\",\"last\":\"King\"}\n"
            "{\"id\":3,\"name\":\"Cherilyn Sarkisian\",\"first\":\"Cherilyn\",\"last\":\"Sarkisian\"}\n");
  EXPECT_EQ(expect(0, {"reconcile", file, "contacts", "--follow", "newer", "--dry-run"}),
            "contacts: 3 rows, 0 diverged, 0 to be reconciled\n");
  EXPECT_THAT(expect(0, {"audit", file, "--event", "reconciled"}),
              AllOf(HasSubstr("begun: the mirrors follow the newer fields"), HasSubstr("2 rows"),
                    HasSubstr("ended: the mirrors follow the newer fields; name: 2")));
}

TEST_F(ReconcileCommand, TheDerivedFieldsFollowAsFarAsTheyLeadBack) {
  const std::string file = makeContacts();
  const JsonValue done = parseJson(expect(1, {"reconcile", file, "contacts", "--follow", "older", "--json"}));
  EXPECT_EQ(done.find("follow")->text, "older");
  EXPECT_FALSE(done.find("dryRun")->truth);
  EXPECT_EQ(done.find("diverged")->text, "2");
  EXPECT_EQ(done.find("reconciled")->text, "2");
  EXPECT_EQ(done.find("apart")->text, "1");
  EXPECT_EQ(done.find("fields")->elements.at(0).find("field")->text, "name");
  EXPECT_EQ(done.find("fields")->elements.at(0).find("rows")->text, "2");
  EXPECT_EQ(done.find("listed")->elements.at(1).find("key")->text, "3");
  EXPECT_EQ(done.find("listed")->elements.at(1).find("fields")->elements.at(0).text, "name");
  EXPECT_EQ(expect(0, {"get", file, "contacts", "2", "3"}),
            "{\"id\":2,\"name\":\"Ada Byron\",\"first\":\"Ada\",\"last\":\"Byron\"}\n"
            "{\"id\":3,\"name\":\"Cher\",\"first\":\"Cher\"}\n");
  EXPECT_THAT(expect(1, {"reconcile", file, "contacts", "--follow", "older"}),
              HasSubstr("1 diverged, 0 reconciled, 1 stay apart: what is derived does not give"));
}

TEST_F(ReconcileCommand, SensitiveKeysAreMasked) {
  const auto patients = [&](const char* version, const char* mirror) {
    write(std::string("patient_v") + version + ".capnp",
          std::string("@0xb1c3d5e7f9a20487;\nusing Instar = import \"/instar/schema.capnp\";\n"
                      "struct Patient @0xd3b5c7e9fa104958 $Instar.version(") +
              version + ") { taxId @0 :Text $Instar.key(0) $Instar.sensitive; name @1 :Text" + mirror +
              "; shown @2 :Text; }");
  };
  patients("1", "");
  patients("2", " $Instar.mirrored(since = 2, copy = \"shown\")");
  const std::string file = path("patients.instar");
  expect(0, {"import", file, "patients",
             write("p.ndjson", R"({"taxId":"TAX-77","name":"Ada","shown":"Augusta"})"), "--schema",
             path("patient_v1.capnp:Patient")});
  expect(0, {"evolve", file, "patients", "--schema", path("patient_v2.capnp:Patient")});
  EXPECT_THAT(expect(1, {"reconcile", file, "patients", "--follow", "newer", "--dry-run"}),
              AllOf(HasSubstr("1 diverged"), Not(HasSubstr("TAX-77"))));
  EXPECT_THAT(expect(1, {"reconcile", file, "patients", "--follow", "newer", "--dry-run", "--json"}),
              Not(HasSubstr("TAX-77")));
}

TEST_F(ReconcileCommand, WhatIsWrongWithTheCallIsSaid) {
  const std::string file = makeContacts();
  EXPECT_EQ(run({"reconcile", file, "contacts"}).status, 2) << "which side is right has to be said";
  EXPECT_EQ(run({"reconcile", file, "contacts", "--follow", "both"}).status, 2);
  EXPECT_EQ(run({"reconcile", file, "nothing", "--follow", "newer"}).status, 2);
  const std::string parcels = path("parcels.instar");
  expect(0, {"import", parcels, "parcels", write("parcel.ndjson", R"({"id":1,"kilos":3,"route":"12"})"),
             "--schema", schema("parcel_v1.capnp:Parcel")});
  const Result plain = run({"reconcile", parcels, "parcels", "--follow", "newer"});
  EXPECT_EQ(plain.status, 2);
  EXPECT_THAT(plain.messages, HasSubstr("mirrors no field"));
  expect(0, {"evolve", parcels, "parcels", "--schema", schema("parcel_code.capnp:Parcel")});
  const Result code = run({"reconcile", parcels, "parcels", "--follow", "newer", "--dry-run"});
  EXPECT_EQ(code.status, 2);
  EXPECT_THAT(code.messages,
              AllOf(HasSubstr("reconcile with one that has it"), HasSubstr("function: kilos")));
}

TEST_F(ReconcileCommand, TheHelpSaysWhatIsLost) {
  EXPECT_THAT(expect(0, {"reconcile", "--help"}),
              AllOf(HasSubstr("is lost"), HasSubstr("exit status"), HasSubstr("--dry-run")));
}

}  // namespace
}  // namespace instar::tools
