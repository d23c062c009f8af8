// The commands that try versions before programs depend on them.

#include <gmock/gmock.h>

#include "instar/engine/staging.h"
#include "instar/evolve/functions.h"
#include "instar/tests/tools/command_runner.h"
#include "instar/tools/json_text.h"
#include "instar/tools/schema_file.h"

namespace instar::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSecond =
    "  name @2 :Text $Instar.mirrored(since = 2, concat = [(field = \"first\"), (text = \" \"), "
    "(field = \"last\")]);\n"
    "  first @3 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \", part = 0));\n"
    "  last @4 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \", part = 1));\n";
constexpr const char* kNumber =
    "  name @2 :Text $Instar.mirrored(since = 2, convert = \"number\");\n"
    "  number @3 :UInt32 $Instar.derived(since = 2, convert = \"name\");\n";

using Arguments = std::vector<std::string>;

class StagingCommands : public CommandTest {
 protected:
  std::string person(unsigned version, const std::string& fields) const {
    const std::string file = "person_" + std::to_string(version) + ".capnp";
    write(file,
          "@0xc5a1e3d7f9b20486;\nusing Instar = import \"/instar/schema.capnp\";\n"
          "struct Person @0xd1b4c6e8fa103952 $Instar.version(" +
              std::to_string(version) +
              ") {\n  ward @0 :Text $Instar.key(0);\n  taxId @1 :Text $Instar.key(1) $Instar.sensitive;\n" +
              fields + "}\n");
    return path(file) + ":Person";
  }

  // Rows `w,TAX-i` with names by turns.
  std::string makePeople(const Arguments& names, int count = 20) const {
    std::string rows;
    for (int i = 0; i < count; ++i) {
      rows += R"({"ward":"w","taxId":"TAX-)" + std::to_string(100 + i) + R"(","name":")" +
              names[static_cast<std::size_t>(i) % names.size()] + "\"}\n";
    }
    expect(0, {"import", path("p.instar"), "people", write("p.ndjson", rows), "--schema",
               person(1, "  name @2 :Text;\n")});
    return path("p.instar");
  }

  // What a program that has the version does: it reads every row once.
  static void serve(const std::string& file, const std::string& schema, const StoreOptions& options = {}) {
    const Store store = Store::open(file, options);
    const auto rows = store.stage("people", loadSchemaFile(schema, {}));
    const ReadTransaction snapshot = store.read();
    for (auto row : rows.scan(snapshot)) EXPECT_TRUE(row->has("name"));
  }

  // Few samples, so that a test can make them.
  std::string stage(const std::string& file, const std::string& schema, const Arguments& shares = {},
                    const std::string& maxDivergence = "50") const {
    Arguments arguments = {"stage", file, "people", "--schema", schema};
    for (const char* rail : {"--min-samples", "10", "--max-errors", "50%", "--hold-for", "0"})
      arguments.emplace_back(rail);
    arguments.insert(arguments.end(), {"--max-divergence", maxDivergence});
    arguments.insert(arguments.end(), shares.begin(), shares.end());
    return expect(0, arguments);
  }

  JsonValue json(int status, Arguments arguments) const {
    arguments.emplace_back("--json");
    return parseJson(expect(status, arguments));
  }
  JsonValue collection(const std::string& file) const {
    return json(0, {"status", file, "people", "--divergences"}).find("collections")->elements.at(0);
  }
};

TEST_F(StagingCommands, PlayALifeFromTheFirstShareToTheRetirementOfTheVersionBefore) {
  const std::string file = makePeople({"Ada Lovelace", "Grace Hopper"});
  const std::string two = person(2, kSecond);
  EXPECT_THAT(expect(0, {"status", file}), HasSubstr("people: version 1 active\n"));
  EXPECT_EQ(stage(file, two, {"--percent", "5", "--shadow", "100%"}),
            "version 2 was staged: it serves 5 % of the keys and is tried on 100 %\n");
  EXPECT_THAT(
      expect(0, {"status", file}),
      AllOf(HasSubstr("people: version 1 active, 2 staged\n  1 is the current one; programs from 1 may read"),
            HasSubstr("  serves 5 % of the keys, tried on 100 %\n"),
            HasSubstr("  guard rails: undecided: 0 canary reads of 10 that are needed\n")));
  const Result early = run({"promote", file, "people"});
  EXPECT_EQ(early.status, 2);
  EXPECT_THAT(early.messages, HasSubstr("0 canary reads of 10 that are needed"));
  serve(file, two);
  EXPECT_THAT(expect(0, {"status", file}),
              AllOf(HasSubstr("  guard rails: satisfied: 0 of 20 canary reads failed"),
                    HasSubstr("20 canary reads: 0 failed, 0 broke a rule, 0 diverged, 0 lost a value\n"),
                    HasSubstr("  100 % set, 3 to 5, mean 4 "), HasSubstr("\n  latency ")));
  EXPECT_EQ(expect(0, {"promote", file, "people"}),
            "version 2 is active\n"
            "version 2 is the current one; programs from 1 may read, from 1 may write\n");
  const Result older = run({"retire", file, "people", "--version", "1"});
  EXPECT_EQ(older.status, 2);
  EXPECT_THAT(older.messages, HasSubstr("rows are left that have to be upgraded"));
  expect(0, {"migrate", file, "people", "--eager"});
  EXPECT_THAT(
      expect(0, {"retire", file, "people", "--version", "1"}),
      AllOf(HasSubstr("programs of version 1 and below are shut out: "), HasSubstr("may be deleted\n"),
            HasSubstr("programs from 2 may read, from 2 may write\n")));
  EXPECT_THAT(expect(0, {"audit", file}),
              AllOf(HasSubstr("staged  people: version 2 beside 1"),
                    HasSubstr("promoted  people: version 1 to 2; 0 of 20 canary reads failed"),
                    HasSubstr("retired  people: programs of version 1 and below")));
  EXPECT_THAT(expect(0, {"status", file}),
              AllOf(HasSubstr("people: version 1 retired, 2 settled\n"),
                    HasSubstr("version 2 is settled; promoted: 0 of 20 canary reads failed")));
}

TEST_F(StagingCommands, TheSharesOfAStagedVersionChangeAndItsGuardRailsDoNot) {
  const std::string file = makePeople({"Ada Lovelace"});
  const std::string two = person(2, kSecond);
  EXPECT_THAT(stage(file, two), HasSubstr("nothing is tried yet: give --percent or --shadow\n"));
  const Arguments again = {"stage", file, "people", "--schema", two};
  const auto with = [&](Arguments more) {
    more.insert(more.begin(), again.begin(), again.end());
    return more;
  };
  EXPECT_EQ(expect(0, with({"--percent", "12.5%"})),
            "version 2 is staged: it serves 12.5 % of the keys and is tried on 12.5 %\n");
  const JsonValue changed = json(0, with({"--shadow", "33.3333333", "--max-errors", "50"}));
  EXPECT_EQ(changed.find("percent")->text, "12.5");
  EXPECT_EQ(changed.find("shadow")->text, "33.3333333") << "all of its digits";
  EXPECT_TRUE(changed.find("wasStaged")->truth);
  expect(0, with({"--percent", "12.5", "--shadow", "33.3333333"}));
  EXPECT_EQ(json(0, {"audit", file, "--event", "percentChanged"}).find("entries")->elements.size(), 2U);
  for (const Arguments& more : {Arguments{"--max-errors", "1%"}, Arguments{"--promotes"}}) {
    const Result refused = run(with(more));
    EXPECT_EQ(refused.status, 2);
    EXPECT_THAT(refused.messages, HasSubstr("staged already, with other guard rails"));
  }
  for (const Arguments& more : {Arguments{"--percent", "101"}, Arguments{"--shadow", "some"}}) {
    const Result refused = run(with(more));
    EXPECT_EQ(refused.status, 2);
    EXPECT_THAT(refused.messages, HasSubstr("expected 0 to 100 percent"));
  }
  EXPECT_THAT(run(with({"--hold-for", "soon"})).messages, HasSubstr("expected a time, as 90s"));
  for (const char* ratio : {"x", "-1", "inf", "nan"}) {
    EXPECT_THAT(
        run(with({"--max-latency-ratio", ratio})).messages,
        HasSubstr(std::string("--max-latency-ratio: expected how many times, as 2.5, found ") + ratio));
  }
  const JsonValue trial = *collection(file).find("trial");
  EXPECT_EQ(trial.find("percent")->text, "12.5");
  EXPECT_EQ(trial.find("shadow")->text, "33.3333333");
  EXPECT_EQ(trial.find("guardRails")->find("maxErrorShare")->text, "0.5");
  EXPECT_EQ(trial.find("guardRails")->find("holdForSeconds")->text, "0");
}

TEST_F(StagingCommands, AVersionThatFailsIsAbortedAndStatusSaysWhy) {
  const std::string file = makePeople({"Ada Lovelace"});
  const std::string two = person(2, kNumber);
  stage(file, two, {"--shadow", "100"});
  serve(file, two);
  EXPECT_THAT(expect(0, {"status", file}),
              AllOf(HasSubstr("people: version 1 active, 2 aborted\n"), HasSubstr("  version 2 is aborted: "),
                    HasSubstr("most of them at number: the text is not"),
                    HasSubstr(" at number: the text is not a value of the type\n")));
  const Result again = run({"stage", file, "people", "--schema", two});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.messages, HasSubstr("the version was aborted: raise the number"));
}

TEST_F(StagingCommands, PromotionByForceAndAbortAreInTheAuditWithTheirReasons) {
  const std::string file = makePeople({"Ada Lovelace"});
  stage(file, person(2, kSecond), {"--percent", "5"});
  expect(0, {"promote", file, "people", "--force", "--reason", "seen enough"});
  const Result unnamed = run({"abort", file, "people"});
  EXPECT_EQ(unnamed.status, 2);
  EXPECT_THAT(unnamed.messages, HasSubstr("no version is staged"));
  const JsonValue aborted =
      json(0, {"abort", file, "people", "--version", "2", "--reason", "towns are gone"});
  EXPECT_EQ(aborted.find("state")->text, "aborted");
  EXPECT_EQ(aborted.find("currentVersion")->text, "1");
  EXPECT_THAT(expect(0, {"audit", file}),
              AllOf(HasSubstr("version 1 to 2; seen enough"),
                    HasSubstr("version 2; 1 is the current one; towns are gone")));
}

// It said that the version is retired.
TEST_F(StagingCommands, RetiringTheNumberOfAnAbortedVersionLeavesItAborted) {
  const std::string file = makePeople({"Ada Lovelace"});
  stage(file, person(2, kSecond));
  expect(0, {"abort", file, "people"});
  stage(file, person(3, kSecond));
  expect(0, {"promote", file, "people", "--force"});
  expect(0, {"migrate", file, "people", "--eager"});
  const JsonValue retired = json(0, {"retire", file, "people", "--version", "2"});
  EXPECT_EQ(retired.find("state")->text, "aborted");
  EXPECT_EQ(retired.find("readerFloor")->text, "3");
  EXPECT_THAT(expect(0, {"status", file}), HasSubstr("people: version 1 retired, 2 aborted, 3 settled\n"));
}

TEST_F(StagingCommands, PromotionByForceSaysSo) {
  const std::string file = makePeople({"Ada Lovelace"});
  stage(file, person(2, kSecond));
  expect(0, {"promote", file, "people", "--force"});
  EXPECT_THAT(expect(0, {"status", file}),
              HasSubstr("version 2 is active; promoted: by force: 0 canary reads of 10"));
}

TEST_F(StagingCommands, ThoseThatHaveNothingToChangeSayWhatToDo) {
  const std::string file = makePeople({"Ada Lovelace"});
  const auto refused = [&](const Arguments& arguments, const char* advice) {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 2) << arguments[0];
    EXPECT_THAT(result.messages, HasSubstr(advice)) << arguments[0];
  };
  refused({"promote", file, "people"}, "stage one with instar stage");
  refused({"abort", file, "people"}, "to go back from the current one, name it with --version");
  for (const char* command : {"promote", "abort", "retire"})
    refused({command, file, "nobody", "--version", "2"}, "no such collection; see instar info");
  refused({"canary", file, "nobody", "--schema", person(2, kSecond)}, "no such collection; see instar info");
  refused({"reconcile", file, "people", "--follow", "newer", "--rate", "0"}, "--rate: is bytes a second");
}

TEST_F(StagingCommands, VersionsShowsStates) {
  const std::string file = makePeople({"Ada Lovelace"});
  stage(file, person(2, kSecond));
  EXPECT_THAT(expect(0, {"versions", file}), HasSubstr("people            2     0      0  staged\n"));
  expect(0, {"abort", file, "people"});
  const JsonValue versions =
      *json(0, {"versions", file}).find("collections")->elements.at(0).find("versions");
  EXPECT_EQ(versions.elements.at(0).find("state")->text, "active");
  EXPECT_EQ(versions.elements.at(1).find("state")->text, "aborted");
}

TEST_F(StagingCommands, WhatCannotBeStagedIsRefused) {
  const std::string file = makePeople({"Ada Lovelace"});
  const auto refused = [&](int status, const std::string& schema, const char* reason, const char* share) {
    const Result result = run({"stage", file, "people", "--schema", schema, "--percent", share});
    EXPECT_EQ(result.status, status);
    EXPECT_THAT(result.messages, HasSubstr(reason));
  };
  refused(2, person(1, "  name @2 :Text;\n"), "only a version above the current one", "0");
  refused(1, person(2, "  name @2 :UInt8;\n"), "what stored rows do not allow", "0");
  refused(2, person(2, "  name @2 :Text;\n  first @3 :Text $Instar.derived(since = 2, copy = \"name\");\n"),
          "only tried in the shadow", "5");
  const std::string other =
      write("other.capnp",
            "@0xe2a4c6e8b1d39570;\nusing Instar = import \"/instar/schema.capnp\";\n"
            "struct Other @0xf3b5d7f9a1c28461 $Instar.version(2)\n"
            "    $Instar.replaces(since = 2, type = 0xd1b4c6e8fa103952, call = \"make\") {\n"
            "  ward @0 :Text $Instar.key(0);\n"
            "  taxId @1 :Text $Instar.key(1) $Instar.sensitive;\n}\n");
  refused(1, other + ":Other", "try it on the file with instar canary", "0");
  EXPECT_EQ(run({"stage", file, "nobody", "--schema", person(2, kSecond)}).status, 2);
  EXPECT_THAT(expect(0, {"status", file}), HasSubstr("no version was ever staged"));
}

TEST_F(StagingCommands, DivergencesShowFieldsAndKeysAndNothingSensitive) {
  const std::string file = makePeople({"Ada King Lovelace"});
  const std::string two = person(2, kSecond);
  stage(file, two, {"--shadow", "100"}, "100");
  serve(file, two);
  const JsonValue trial = *collection(file).find("trial");
  EXPECT_EQ(trial.find("diverged")->text, "20");
  ASSERT_EQ(trial.find("divergences")->elements.size(), 20U);
  const JsonValue& first = trial.find("divergences")->elements[0];
  EXPECT_EQ(first.find("key")->text, "w,$masked(text 1..8)");
  EXPECT_EQ(first.find("fields")->elements.at(0).text, "name");
  EXPECT_THAT(expect(0, {"status", file, "--divergences"}),
              AllOf(HasSubstr("  w,$masked(text 1..8)  name"), Not(HasSubstr("TAX-"))));
  EXPECT_THAT(expect(0, {"status", file, "--divergences", "--unmask"}), HasSubstr("  w,TAX-100  name"));
}

// A field can become sensitive after it was counted.
TEST_F(StagingCommands, FiguresOfFieldsThatAnotherVersionMarksAsSensitiveAreMasked) {
  const std::string file = makePeople({"Ada Lovelace"});
  const std::string two = person(2, kSecond);
  stage(file, two, {"--shadow", "100"});
  serve(file, two);
  expect(0, {"promote", file, "people"});
  EXPECT_THAT(expect(0, {"status", file}), HasSubstr(" to 12, mean 12"));
  std::string marked = kSecond;
  for (const std::string field : {"name @2", "first @3", "last @4"})
    marked.replace(marked.find(field + " :Text"), field.size() + 6, field + " :Text $Instar.sensitive");
  expect(0, {"evolve", file, "people", "--schema", person(3, marked)});
  EXPECT_THAT(expect(0, {"status", file}), Not(HasSubstr(" to 12, mean 12")));
  EXPECT_THAT(expect(0, {"status", file, "--unmask"}), HasSubstr(" to 12, mean 12"));
}

constexpr const char* kSize =
    "  name @2 :Text;\n"
    "  size @3 :UInt32 $Instar.derived(since = 2, call = (function = \"size\", from = [\"name\"]));\n";

// Says the name of people who are called Ada.
StoreOptions tellingFunctions() {
  auto functions = std::make_shared<Functions>();
  functions->value("size", [](capnp::Text::Reader name) {
    if (name.startsWith("Ada")) throw UpgradeFailure("no room for " + std::string(name));
    return static_cast<std::uint32_t>(name.size());
  });
  return {.functions = functions};
}

TEST_F(StagingCommands, WhatFunctionsSayOfRowsIsMaskedWhereSomethingIsSensitive) {
  const std::string file = makePeople({"Ada Lovelace", "Grace Hopper"});
  const std::string two = person(2, kSize);
  stage(file, two, {"--shadow", "100"});
  serve(file, two, tellingFunctions());
  const auto isMasked =
      AllOf(HasSubstr("most of them at size by size: $masked(reason)"), Not(HasSubstr("Lovelace")));
  const Result refused = run({"promote", file, "people"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.messages, isMasked);
  EXPECT_THAT(expect(0, {"status", file}),
              AllOf(isMasked, HasSubstr("    10 at size by size: $masked(reas")));
  EXPECT_THAT(expect(0, {"status", file, "--json"}), isMasked);
  EXPECT_THAT(expect(0, {"status", file, "--unmask"}),
              HasSubstr("10 at size by size: no room for Ada Lovelace"));
  expect(0, {"promote", file, "people", "--force"});
  for (const char* command : {"status", "audit"}) {
    EXPECT_THAT(expect(0, {command, file}),
                AllOf(isMasked, HasSubstr("by force: 10 of 20 canary reads failed")));
    EXPECT_THAT(expect(0, {command, file, "--json"}), isMasked);
    EXPECT_THAT(expect(0, {command, file, "--unmask"}), HasSubstr("by size: no room for Ada Lovelace"));
  }
}

TEST_F(StagingCommands, WhatFunctionsSayOfRowsIsMaskedWhereAVersionIsAborted) {
  const std::string file = makePeople({"Ada Lovelace"});
  const std::string two = person(2, kSize);
  stage(file, two, {"--shadow", "100"});
  serve(file, two, tellingFunctions());
  for (const char* command : {"status", "audit"}) {
    EXPECT_THAT(expect(0, {command, file}), AllOf(HasSubstr(" canary reads failed or broke a rule (100 %"),
                                                  HasSubstr("most of them at size by size: $masked(reason)"),
                                                  Not(HasSubstr("Lovelace"))));
    EXPECT_THAT(expect(0, {command, file, "--unmask"}), HasSubstr("by size: no room for Ada Lovelace"));
  }
}

TEST_F(StagingCommands, CanaryTriesRowsWithoutTouchingTheFile) {
  const std::string file = makePeople({"1", "2", "3", "four"}, 200);
  const std::string two = person(2, kNumber);
  std::filesystem::remove(file + "-lock");
  const auto before = listing();
  EXPECT_THAT(expect(1, {"canary", file, "people", "--schema", two}),
              AllOf(HasSubstr("version 2 beside version 1, on 200 of 200 rows\n"),
                    HasSubstr("  guard rails: breach: 50 of 200 canary reads failed or broke a rule (25 %"),
                    HasSubstr("    50 at number: the text is not a value of the type\n"),
                    HasSubstr("  100 % set, 1 to 3, mean 2 ")));
  EXPECT_EQ(listing(), before);
  const JsonValue all = json(0, {"canary", file, "people", "--schema", two, "--max-errors", "25%"});
  EXPECT_EQ(all.find("verdict")->text, "satisfied");
  EXPECT_EQ(all.find("failed")->text, "50");
  EXPECT_EQ(all.find("failures")->elements.at(0).find("reads")->text, "50");
  EXPECT_EQ(all.find("latencyNanoseconds")->find("staged")->find("reads")->text, "150");
  const JsonValue some = json(1, {"canary", file, "people", "--schema", two, "--sample", "10 %"});
  EXPECT_EQ(some.find("verdict")->text, "undecided");
  EXPECT_LT(std::stoi(some.find("sampledRows")->text), 60);
}

TEST_F(StagingCommands, CanaryListsDivergencesMaskedAndCountsWhatNeedsAFunction) {
  const std::string file = makePeople({"Ada King Lovelace", "Ada Lovelace"});
  const std::string two = person(2, kSecond);
  EXPECT_THAT(
      expect(1, {"canary", file, "people", "--schema", two, "--divergences"}),
      AllOf(HasSubstr("10 diverged"), HasSubstr("  w,$masked(text 1..8)  name"), Not(HasSubstr("TAX-"))));
  const std::string called = person(
      2,
      "  name @2 :Text;\n  size @3 :UInt32 $Instar.derived(since = 2, call = (function = \"size\", from = "
      "[\"name\"]));\n");
  EXPECT_THAT(expect(1, {"canary", file, "people", "--schema", called}),
              AllOf(HasSubstr("undecided: 20 rows need a function that this program does not have: try the "),
                    HasSubstr("20 rows not tried in full: that needs a function that only the application")));
  EXPECT_EQ(run({"canary", file, "people", "--schema", two, "--sample", "all"}).status, 2);
  EXPECT_EQ(run({"canary", file, "people", "--schema", person(1, "  name @2 :Text;\n")}).status, 2);
}

TEST_F(StagingCommands, TheirHelpSaysWhatTheExitStatusMeans) {
  for (const char* command : {"stage", "promote", "abort", "retire", "canary"})
    EXPECT_THAT(expect(0, {command, "--help"}), HasSubstr("exit status")) << command;
}

}  // namespace
}  // namespace instar::tools
