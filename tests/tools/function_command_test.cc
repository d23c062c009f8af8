// What the commands do with files whose rows need functions of the application, which the command does not
// have.

#include <gmock/gmock.h>

#include "instar/tests/tools/command_runner.h"

namespace instar::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class FunctionCommands : public CommandTest {
 protected:
  std::string one() const { return schema("parcel_v1.capnp:Parcel"); }
  std::string two() const { return schema("parcel_code.capnp:Parcel"); }
  std::string three() const { return schema("parcel_code.capnp:Shipment"); }

  std::string makeParcels() const {
    const std::string rows =
        write("parcels.ndjson",
              "{\"id\":1,\"kilos\":3,\"route\":\"12\"}\n{\"id\":2,\"kilos\":4,\"route\":\"7\"}\n");
    expect(0, {"import", path("parcels.instar"), "parcels", rows, "--schema", one()});
    return path("parcels.instar");
  }

  std::string makeEvolvedParcels() const {
    const std::string file = makeParcels();
    expect(0, {"evolve", file, "parcels", "--schema", two()});
    return file;
  }
};

TEST_F(FunctionCommands, CheckSaysWhatFunctionsDoAndWhomTheyShutOut) {
  EXPECT_THAT(
      expect(0, {"schema", "check", one(), two()}),
      AllOf(HasSubstr("derived: Parcel.grams: derived (since = 2, call = (function = \"grams\", from = "
                      "[\"kilos\"]))\n"),
            HasSubstr("derived: Parcel: upgraded (to = 2, call = \"tidyRoute\")\n  floors: both rise"),
            HasSubstr("additive: Parcel: rows have to keep the rule hasWeight\n")));
  EXPECT_THAT(expect(0, {"schema", "check", two(), three()}),
              HasSubstr("replaced: Shipment: replaces Parcel (since = 3, type = 0xa5f3c8e1d7b29046, call = "
                        "\"shipmentFromParcel\")\n  floors: both rise"));
}

TEST_F(FunctionCommands, ADryRunSaysWhatItCouldNotTry) {
  const std::string file = makeParcels();
  EXPECT_THAT(
      expect(0, {"evolve", file, "parcels", "--schema", two(), "--dry-run"}),
      AllOf(HasSubstr("2 rows, 2 of them to be upgraded whenever they are read; 0 cannot be\n"),
            HasSubstr("2 rows not tried in full: that needs a function that only the application has\n")));
  EXPECT_THAT(expect(0, {"evolve", file, "parcels", "--schema", two(), "--dry-run", "--json"}),
              HasSubstr("\"unjudged\":2"));
}

TEST_F(FunctionCommands, ThePlanNamesTheFunctions) {
  const std::string file = makeEvolvedParcels();
  EXPECT_THAT(expect(0, {"schema", "plan", file, "parcels", "--from", "1"}),
              HasSubstr("\n  grams: (since = 2, call = (function = \"grams\", from = [\"kilos\"]))\n"
                        "  upgraded (to = 2, call = \"tidyRoute\")\n"));
  expect(0, {"evolve", file, "parcels", "--schema", three()});
  EXPECT_THAT(expect(0, {"schema", "plan", file, "parcels", "--from", "1"}),
              HasSubstr("\n  upgraded (to = 2, call = \"tidyRoute\")\n"
                        "  replaces (since = 3, type = 0xa5f3c8e1d7b29046, call = \"shipmentFromParcel\")\n"))
      << "of both structs, one behind the other";
}

TEST_F(FunctionCommands, RowsAreShownAsTheyAreStored) {
  const std::string file = makeEvolvedParcels();
  const Result result = run({"dump", file, "parcels"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "");
  EXPECT_THAT(result.messages, AllOf(HasSubstr("use that, or dump it as stored"),
                                     HasSubstr("function: grams"), HasSubstr("key: 2")));
  EXPECT_EQ(run({"get", file, "parcels", "2"}).status, 1);
  EXPECT_EQ(run({"dump", file, "parcels", "--at-version", "2"}).status, 1)
      << "as the program sees it that has none";
  expect(0, {"evolve", file, "parcels", "--schema", three()});
  EXPECT_EQ(expect(0, {"dump", file, "parcels", "--as-stored"}),
            "{\"id\":1,\"kilos\":3,\"route\":\"12\"}\n{\"id\":2,\"kilos\":4,\"route\":\"7\"}\n");
  EXPECT_EQ(expect(0, {"get", file, "parcels", "2", "--as-stored"}),
            "{\"id\":2,\"kilos\":4,\"route\":\"7\"}\n");
}

TEST_F(FunctionCommands, CheckCountsWhatItCouldNotJudge) {
  const std::string file = makeEvolvedParcels();
  EXPECT_THAT(
      expect(0, {"check", file}),
      AllOf(HasSubstr("no problems\n"),
            HasSubstr("2 rows not checked in full: that needs a function that only the application has\n")));
  EXPECT_THAT(expect(0, {"check", file, "--json"}), HasSubstr("\"unjudgedRows\":2"));
}

TEST_F(FunctionCommands, ARecordWhoseMirrorNeedsAFunctionIsNotPut) {
  const std::string file = makeEvolvedParcels();
  const std::string row = write("row.ndjson", R"({"id":3,"grams":5500})");
  const std::vector<std::string> commands[] = {
      {"put", file, "parcels", R"({"id":3,"grams":5500})"},
      {"import", file, "parcels", row, "--skip-bad"},
      {"import", path("new.instar"), "parcels", row, "--schema", two()}};
  for (const std::vector<std::string>& command : commands) {
    const Result result = run(command);
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.messages,
                AllOf(HasSubstr("put rows with a program that has it"), HasSubstr("field: kilos"),
                      HasSubstr("function: kilos"), Not(HasSubstr("--skip-bad"))));
  }
  EXPECT_FALSE(std::filesystem::exists(path("new.instar")));
}

TEST_F(FunctionCommands, TheHelpSaysWhatBecomesOfRowsThatNeedOne) {
  for (const char* command : {"dump", "get", "put", "import", "check", "evolve"}) {
    EXPECT_THAT(expect(0, {command, "--help"}), AllOf(HasSubstr("function"), HasSubstr("exit status")))
        << command;
  }
  EXPECT_THAT(expect(0, {"schema", "--help"}), HasSubstr("instar schema plan "));
}

TEST_F(FunctionCommands, AnExportedSchemaCallsTheSame) {
  const std::string file = makeEvolvedParcels();
  const std::string exported = path("exported.capnp");
  expect(0, {"schema", "export", file, "parcels", "--out", exported});
  EXPECT_THAT(expect(0, {"evolve", file, "parcels", "--schema", exported + ":Parcel"}),
              HasSubstr("nothing to do"));
  expect(0, {"evolve", file, "parcels", "--schema", three()});
  EXPECT_THAT(expect(0, {"schema", "show", file, "parcels"}), HasSubstr("type = 0xa5f3c8e1d7b29046, "));
}

TEST_F(FunctionCommands, ADifferenceAcrossStructsIsThatOfTheStoredVersions) {
  const std::string file = makeEvolvedParcels();
  expect(0, {"evolve", file, "parcels", "--schema", three()});
  const std::string four = write("four.capnp", R"(@0xd8f1b3a596c7e402;
using Instar = import "/instar/schema.capnp";
struct Consignment @0xf2a4c6e8b1d3957f $Instar.version(4)
    $Instar.replaces(since = 4, type = 0xc91e5d7a3b2f8046, call = "consignmentFromShipment") {
  number @0 :UInt32 $Instar.key(0);
}
)");
  expect(0, {"evolve", file, "parcels", "--schema", four + ":Consignment"});
  EXPECT_THAT(expect(0, {"schema", "diff", file, "parcels", "1", "4"}),
              AllOf(HasSubstr("derived: Parcel.grams: "), HasSubstr("replaced: Shipment: replaces Parcel "),
                    HasSubstr("replaced: Consignment: replaces Shipment "), Not(HasSubstr("refused"))));
}

}  // namespace
}  // namespace instar::tools
