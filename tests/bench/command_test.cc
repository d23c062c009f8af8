// The commands of the upgrade benchmark, as a user types them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "instar/bench/upgrade/results.h"
#include "instar/bench/upgrade/runner.h"
#include "instar/bench/upgrade/scenario.h"
#include "instar/engine/instar.h"
#include "instar/tests/support/temporary_folder.h"
#include "instar/tools/schema_file.h"

namespace instar::bench {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr const char* kFirstRelease = R"(
@0xb7a3c5d1e94f2611;
using Instar = import "/instar/schema.capnp";
struct Note $Instar.version(1) { id @0 :UInt64 $Instar.key(0); text @1 :Text; }
)";

// `derivation` makes the field that the next release adds.
std::string nextRelease(const std::string& derivation) {
  return "@0xb7a3c5d1e94f2612;\nusing Instar = import \"/instar/schema.capnp\";\n"
         "struct Note @0xd41f7c3b9a2e5608 $Instar.version(2) { id @0 :UInt64 $Instar.key(0); text @1 :Text; "
         "word @2 :Text $Instar.derived(since = 2, " +
         derivation + "); }\n";
}

class CommandsTest : public ::testing::Test {
 protected:
  struct Ended {
    int code = -1;
    std::string output{};  // of both streams
  };

  Ended run(const std::vector<std::string>& words) const {
    std::string command = shellWord(INSTAR_UPGRADE_BENCH);
    for (const std::string& word : words) command += " " + shellWord(word);
    Ended ended;
    FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) return ended;
    char part[4096];
    for (std::size_t size; (size = ::fread(part, 1, sizeof part, pipe)) != 0;)
      ended.output.append(part, size);
    const int status = ::pclose(pipe);
    if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
    return ended;
  }

  // With the folders of this test behind it.
  Ended measure(std::vector<std::string> words) const {
    words.insert(words.end(), {"--repetitions", "1", "--out", out(), "--data", folder_ / "data"});
    return run(words);
  }

  std::filesystem::path out() const { return folder_ / "out"; }

  std::vector<std::string> namesOfRuns() const {
    std::vector<std::string> names;
    const Results results(out());
    for (const RunRecord& record : results.runs()) names.emplace_back(record.reader().getName().cStr());
    return names;
  }

  // A file of somebody's with 40 notes, and the schema of his next release.
  std::vector<std::string> ownFile(const std::string& derivation) const {
    std::string first = kFirstRelease;
    first.replace(first.find("struct Note"), 11, "struct Note @0xd41f7c3b9a2e5608");
    writeText(folder_ / "first.capnp", first);
    writeText(folder_ / "next.capnp", nextRelease(derivation));
    const Store store = Store::open(folder_ / "notes.instar");
    const auto notes =
        store.collection("notes", tools::loadSchemaFile((folder_ / "first.capnp").string() + ":Note", {}));
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < 40; ++id) {
      auto note = notes.create();
      note->set("id", id);
      note->set("text", "one two");
      notes.put(transaction, note);
    }
    transaction.commit();
    return {"own", folder_ / "notes.instar", "notes", "--schema",
            (folder_ / "next.capnp").string() + ":Note"};
  }

  const testing::TemporaryFolder folder_;
};

// The usage named them without the word quick, and they were no options then.
TEST_F(CommandsTest, OptionsAloneAreThoseOfQuick) {
  const Ended ended = measure({"--rows", "150", "--seconds", "0.02"});
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(namesOfRuns(), Contains("instar/standard/derived/b/zipf/150/rps=1000/seconds=0.02"));
  EXPECT_THAT(namesOfRuns(), Contains("sqlite/eager/derived/b/zipf/150/rps=1000/seconds=0.02"));
  EXPECT_THAT(ended.output, HasSubstr("instar/standard"));
  EXPECT_EQ(run({"--rows", "150", "matrix"}).code, 2) << "it would be the rows of quick";
}

TEST_F(CommandsTest, AListHasTheNamesThatRunTakes) {
  const Ended ended = run({"list", "--rows", "1000"});
  EXPECT_EQ(ended.code, 0);
  std::istringstream lines(ended.output);
  unsigned count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_EQ(nameOf(scenarioOf(line)), line);
  EXPECT_GT(count, 100U);
}

TEST_F(CommandsTest, AReportIsMadeOfTheRunsThatAreThere) {
  const std::string name = "instar/lazy/derived/c/zipf/100/rps=1000/seconds=0.01";
  ASSERT_EQ(measure({"run", name}).code, 0);
  for (const char* file : {"index.html", "totals.csv", "series.csv"}) std::filesystem::remove(out() / file);
  const Ended ended = run({"report", "--out", out()});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.output, HasSubstr("instar/lazy"));
  for (const char* file : {"index.html", "totals.csv", "series.csv"})
    EXPECT_TRUE(std::filesystem::exists(out() / file)) << file;
  EXPECT_EQ(run({"report", "--out", folder_ / "nowhere"}).code, 2);
}

TEST_F(CommandsTest, AnOptionThatWouldBeIgnoredIsRefused) {
  const Ended ended = measure({"run", "instar/lazy/rate=5"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.output, HasSubstr("rate= is for paced"));
}

TEST_F(CommandsTest, AFileOfOnesOwnIsMeasuredUnderTheLoadThatIsAskedFor) {
  auto words = ownFile(R"(split = (field = "text", by = " ", part = 0))");
  words.insert(words.end(), {"--mix", "a", "--access", "uniform", "--rps", "300", "--seconds", "0.1",
                             "--durability", "off", "--only", "instar/batches"});
  const Ended ended = measure(words);
  ASSERT_EQ(ended.code, 0) << ended.output;
  const std::string conditions = "/own/a/uniform/40/durability=off/rps=300/seconds=0.1/collection=notes";
  EXPECT_THAT(namesOfRuns(), Contains("instar/none" + conditions));
  const Results results(out());
  const RunRecord* const batches = results.find("instar/batches" + conditions, 1);
  ASSERT_NE(batches, nullptr);
  EXPECT_THAT(batches->reader().getCommand().cStr(),
              HasSubstr("--mix a --access uniform --rps 300 --seconds 0.1 --durability off --only "));
  // Key, root pointer, a word and a pointer of the struct, a text of eight bytes with its end: no header.
  EXPECT_EQ(batches->reader().getBytesMigrated(), batches->reader().getRowsMigrated() * (8 + 8 + 16 + 8));
}

// The advice was in a process that was started only after a load that never has these mixes.
TEST_F(CommandsTest, AMixThatInsertsIsRefusedForAFileOfOnesOwn) {
  auto words = ownFile(R"(copy = "text")");
  words.insert(words.end(), {"--mix", "d"});
  const Ended ended = measure(words);
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.output, HasSubstr("take --mix a, b, c or f"));
  words.back() = "z";
  EXPECT_THAT(measure(words).output, HasSubstr("\"z\" is no mix; there are a, b, c, d, e, f"));
}

TEST_F(CommandsTest, ASchemaThatCallsFunctionsOfTheApplicationIsRefused) {
  const Ended ended = measure(ownFile(R"(call = (function = "firstWord", from = ["text"]))"));
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.output, HasSubstr("calls the function firstWord, which is in your application"));
  EXPECT_FALSE(std::filesystem::exists(out() / "runs")) << "before anything is run";
}

// Both were of one build, and were compared.
TEST_F(CommandsTest, TwoStatesOfATreeThatAreNotCommittedAreTwoBuilds) {
  const std::string tree = shellWord(folder_.path());
  const auto shell = [&](const std::string& command) {
    return std::system(("cd " + tree + " && " + command + " >/dev/null 2>&1").c_str());
  };
  if (shell("git init -q . && echo 1 >file && git add file && git -c user.name=a -c user.email=a@b commit "
            "-qm 1") != 0)
    GTEST_SKIP() << "there is no git";
  const auto commit = [&] {
    EXPECT_EQ(shell(std::string(INSTAR_CMAKE) + " -D FOLDER=. -D OUTPUT=" + shellWord(folder_ / "commit.h") +
                    " -P " + shellWord(INSTAR_COMMIT_SCRIPT)),
              0);
    return readText(folder_ / "commit.h");
  };
  const std::string clean = commit();
  EXPECT_EQ(clean.find("dirty"), clean.npos);
  writeText(folder_ / "file", "2");
  const std::string second = commit();
  EXPECT_THAT(second, HasSubstr("-dirty-"));
  EXPECT_EQ(commit(), second);
  writeText(folder_ / "file", "3");
  EXPECT_NE(commit(), second);
}

}  // namespace
}  // namespace instar::bench
