// What the commands show of fields that are derived and mirrored.

#include <gmock/gmock.h>

#include "instar/tests/tools/command_runner.h"

namespace instar::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class DerivationCommands : public CommandTest {
 protected:
  std::string one() const { return schema("parcel_v1.capnp:Parcel"); }
  std::string two() const { return schema("parcel_v2.capnp:Parcel"); }
  std::string three() const { return schema("parcel_v3.capnp:Parcel"); }

  // Two rows of version 1; the route of the second is not a number.
  std::string makeParcels() const {
    const std::string rows = write("parcels.ndjson",
                                   "{\"id\":1,\"kilos\":3,\"sender\":\"Ada, London\",\"route\":\"12\"}\n"
                                   "{\"id\":2,\"kilos\":4,\"sender\":\"Grace\",\"route\":\"north\"}\n");
    expect(0, {"import", path("parcels.instar"), "parcels", rows, "--schema", one()});
    return path("parcels.instar");
  }

  std::string makeEvolvedParcels() const {
    const std::string file = makeParcels();
    expect(0, {"evolve", file, "parcels", "--schema", two()});
    return file;
  }
};

TEST_F(DerivationCommands, CheckSaysHowAFieldIsDerivedAndWhomItShutsOut) {
  EXPECT_THAT(
      expect(0, {"schema", "check", one(), two()}),
      AllOf(HasSubstr(
                "derived: Parcel.grams: derived (since = 2, scale = (field = \"kilos\", multiply = 1000))\n"),
            HasSubstr(
                "derived: Parcel.kilos: mirrored (since = 2, scale = (field = \"grams\", divide = 1000))\n"),
            HasSubstr("  why: when an older program rewrites a row")));
}

TEST_F(DerivationCommands, ADryRunTriesEveryRow) {
  const std::string file = makeParcels();
  EXPECT_THAT(expect(1, {"evolve", file, "parcels", "--schema", two(), "--dry-run"}),
              AllOf(HasSubstr("2 rows, 2 of them to be upgraded whenever they are read; 1 cannot be\n"),
                    HasSubstr("  2, version 1: line: the text is not a value of the type\n")));
  EXPECT_THAT(
      expect(1, {"evolve", file, "parcels", "--schema", two(), "--dry-run", "--json"}),
      HasSubstr(
          R"("rehearsal":{"rows":2,"older":2,"failed":1,"reasons":[{"rows":1,"version":1,"field":"line","reason":"the text is not a value of the type"}],"failures":[{"key":"2","version":1,"field":"line",)"));
  EXPECT_THAT(expect(0, {"versions", file, "--json"}), HasSubstr("\"currentVersion\":1"));
}

TEST_F(DerivationCommands, ThePlanIsWhatIsDoneToARow) {
  const std::string file = makeEvolvedParcels();
  EXPECT_THAT(expect(0, {"schema", "plan", file, "parcels", "--from", "1"}),
              AllOf(HasSubstr("from version 1 to 2, plan "),
                    HasSubstr("\n  line: (since = 2, convert = \"route\")\n")));
  EXPECT_EQ(expect(0, {"schema", "plan", file, "parcels", "--from", "2"}),
            "from version 2 to 2: rows are read as they are\n");
  EXPECT_THAT(expect(0, {"schema", "plan", file, "parcels", "--from", "1", "--json"}),
              HasSubstr("\"steps\":[{\"field\":\"grams\",\"how\":"));
  const Result unknown = run({"schema", "plan", file, "parcels", "--from", "3"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.messages, HasSubstr("no such version; see instar schema list"));
}

TEST_F(DerivationCommands, DumpUpgradesRowsAndGoesOnBehindOneThatCannotBe) {
  const std::string file = makeEvolvedParcels();
  expect(0, {"put", file, "parcels", R"({"id":3,"grams":5500,"sender":"Alan","line":7})"});
  const Result result = run({"dump", file, "parcels", "--unmask"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output,
            R"({"id":1,"kilos":3,"sender":"Ada, London","route":"12","grams":3000,"town":"London","line":12})"
            "\n"
            R"({"id":3,"kilos":6,"sender":"Alan","route":"7","grams":5500,"line":7})"
            "\n");
  EXPECT_THAT(result.messages, AllOf(HasSubstr("key: 2"), HasSubstr("field: line"), Not(HasSubstr("north"))));
}

TEST_F(DerivationCommands, SensitiveFieldsStayMaskedWhenTheyAreDerived) {
  EXPECT_THAT(run({"dump", makeEvolvedParcels(), "parcels"}).output,
              AllOf(HasSubstr("\"town\":{\"$masked\":"), Not(HasSubstr("London"))));
}

TEST_F(DerivationCommands, AsStoredAndAtAnOlderVersionShowWhatIsThere) {
  const std::string file = makeEvolvedParcels();
  const std::string stored = R"({"id":1,"kilos":3,"sender":"Ada, London","route":"12"})"
                             "\n"
                             R"({"id":2,"kilos":4,"sender":"Grace","route":"north"})"
                             "\n";
  EXPECT_EQ(expect(0, {"dump", file, "parcels", "--unmask", "--as-stored"}), stored);
  EXPECT_EQ(expect(0, {"dump", file, "parcels", "--unmask", "--at-version", "1"}), stored);
  EXPECT_EQ(expect(0, {"get", file, "parcels", "2", "--unmask", "--as-stored"}),
            R"({"id":2,"kilos":4,"sender":"Grace","route":"north"})"
            "\n");
}

TEST_F(DerivationCommands, CheckNamesRowsThatCannotBeUpgraded) {
  const std::string file = makeEvolvedParcels();
  EXPECT_THAT(expect(1, {"check", file}), HasSubstr("failedUpgrade in parcels under 2: "));
  EXPECT_EQ(run({"get", file, "parcels", "2"}).status, 1);
  expect(0, {"delete", file, "parcels", "2"});
  expect(0, {"check", file});
}

TEST_F(DerivationCommands, AnExportedSchemaDerivesTheSame) {
  const std::string file = makeEvolvedParcels();
  const std::string exported = path("exported.capnp");
  expect(0, {"schema", "export", file, "parcels", "--out", exported});
  EXPECT_EQ(expect(0, {"schema", "check", two(), exported + ":Parcel"}), "no differences\n");
}

TEST_F(DerivationCommands, MigrateRewritesRowsAsTheyAreReadAndListsTheOthers) {
  const std::string file = makeEvolvedParcels();
  const std::string before = run({"dump", file, "parcels", "--unmask"}).output;
  EXPECT_THAT(expect(1, {"migrate", file, "parcels", "--dry-run"}),
              AllOf(HasSubstr("2 rows, 2 of them"), HasSubstr("  2, version 1: line: ")));
  EXPECT_THAT(expect(1, {"migrate", file, "parcels", "--rate", "8MiB/s"}),
              AllOf(HasSubstr("parcels: 2 rows, 1 rewritten, 1 cannot be and stay as they are\n"),
                    HasSubstr("  2, version 1: line: the text is not a value of the type\n")));
  EXPECT_EQ(run({"dump", file, "parcels", "--unmask"}).output, before);
  EXPECT_THAT(expect(1, {"migrate", file, "--eager", "--json"}),
              AllOf(HasSubstr(R"("collection":"parcels","rows":2,"rewritten":0,"changed":0,"failed":1,)"),
                    HasSubstr(R"("key":"2","version":1,"field":"line",)")));
  EXPECT_THAT(run({"migrate", file, "--rate", "fast"}).messages, HasSubstr("as 4MiB/s or 500kB/s"));
  EXPECT_EQ(run({"migrate", file, "nothing"}).status, 2);
}

TEST_F(DerivationCommands, RetiredFieldsAreInNoOutputAndCannotBePut) {
  const std::string file = makeParcels();
  expect(0, {"put", file, "parcels", R"({"id":2,"kilos":4,"sender":"Grace","route":"9"})"});
  EXPECT_THAT(expect(0, {"schema", "check", two(), three()}),
              HasSubstr("Parcel.kilos: retired from version 3\n"));
  expect(0, {"evolve", file, "parcels", "--schema", three()});
  EXPECT_THAT(expect(0, {"schema", "plan", file, "parcels", "--from", "1"}),
              HasSubstr("\n  route: retired\n"));
  EXPECT_EQ(expect(0, {"dump", file, "parcels", "--unmask"}),
            R"({"id":1,"sender":"Ada, London","grams":3000,"town":"London","line":12})"
            "\n"
            R"({"id":2,"sender":"Grace","grams":4000,"town":"Grace","line":9})"
            "\n");
  EXPECT_EQ(expect(0, {"dump", file, "parcels", "--unmask", "--format", "csv"}),
            "id,sender,grams,town,line\n1,\"Ada, London\",3000,London,12\n2,Grace,4000,Grace,9\n");
  EXPECT_THAT(expect(0, {"dump", file, "parcels", "--unmask", "--format", "text"}), Not(HasSubstr("kilos")));
  EXPECT_THAT(run({"put", file, "parcels", R"({"id":3,"kilos":4})"}).messages,
              HasSubstr("kilos: retired since version 3\n"));
  EXPECT_THAT(run({"import", file, "parcels", write("r.csv", "id,kilos\n3,4\n"), "--header"}).messages,
              HasSubstr("r.csv:1: kilos: retired since version 3\n"));
  const std::string exported = path("exported.capnp");
  expect(0, {"schema", "export", file, "parcels", "--out", exported});
  EXPECT_EQ(expect(0, {"schema", "check", three(), exported + ":Parcel"}), "no differences\n");
}

}  // namespace
}  // namespace instar::tools
