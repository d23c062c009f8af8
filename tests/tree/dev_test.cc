// What ./dev says where there is no Debian: a folder with next to nothing in it is all of its PATH. And jobs
// of it that could take something away.

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "instar/tests/support/temporary_folder.h"

namespace instar::tree {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DevElsewhere : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* program : {"dirname", "grep", "nproc"}) {
      std::filesystem::create_symlink(std::filesystem::path("/usr/bin") / program, folder_ / program);
    }
  }

  // What it writes on its way to the exit status 2.
  std::string missingFor(const std::string& job) const {
    const std::string out = (folder_ / "out").string();
    const std::string command = "PATH=" + folder_.path().string() +
                                " /bin/bash " INSTAR_SOURCE_FOLDER "/dev " + job + " >" + out +
                                " 2>&1 </dev/null";
    const int status = std::system(command.c_str());
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2) << job;
    std::ifstream file(out);
    std::string line;
    std::getline(file, line);
    return line;
  }

  testing::TemporaryFolder folder_;
};

// It looked for what a build needs only, and the missing rest was met in the middle of the job.
TEST_F(DevElsewhere, NamesWhatTheJobNeeds) {
  const std::string build = missingFor("demo");
  EXPECT_THAT(build, HasSubstr("dev: missing: cmake ninja g++ pkg-config capnp"));
  EXPECT_THAT(build, Not(HasSubstr("gtest")));
  const std::string test = missingFor("test");
  for (const char* name :
       {"gtest/gtest.h", "rapidcheck", "benchmark/benchmark.h", "sqlite3", "clang-format"}) {
    EXPECT_THAT(test, HasSubstr(name));
  }
  // The others are compared without it where it is not there.
  EXPECT_THAT(test, Not(HasSubstr("rocksdb")));
  EXPECT_THAT(missingFor("coverage"), HasSubstr("gcovr"));
  EXPECT_THAT(missingFor("fuzz"), HasSubstr("clang++"));
  EXPECT_THAT(missingFor("lint"), HasSubstr("clang-tidy"));
}

// The job that makes a corpus anew, in a folder with one fuzzer, which is a script.
class CorpusJob : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(kept());
    std::filesystem::create_directories(folder_ / "build/fuzz/bin");
    write(folder_ / "tests/fuzz/CMakeLists.txt", "set(fuzzers key)\n");
    write(kept() / "old", "an input\n");
    write(kept() / "found-bug", "an input\n");
  }

  static void write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path) << text;
  }

  // Runs it with a fuzzer that does this, where $merged is the folder for what it keeps; its exit status.
  int statusWith(const std::string& fuzzer) {
    const auto program = folder_ / "build/fuzz/bin/instar_key_fuzzer";
    write(program, "#!/bin/bash\nmerged=build/fuzz/merged\n" + fuzzer + "\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    const std::string job =
        "set -euo pipefail\ncd " + folder_.path().string() +
        "\njobs=1\nneed() { :; }\nsay() { :; }\nconfigure() { :; }\ncmake() { echo built >>built; }\n"
        "fail() { exit 2; }\nsource " INSTAR_SOURCE_FOLDER "/tests/fuzz/job.sh\ncorpus key >out\n";
    write(folder_ / "job", job);
    const int status = std::system(("/bin/bash " + (folder_ / "job").string() + " </dev/null").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::filesystem::path kept() const { return folder_ / "tests/fuzz/corpus/key"; }
  bool has(const std::string& name) const { return std::filesystem::exists(kept() / name); }

  testing::TemporaryFolder folder_;
};

// A fuzzer that was not there, was older than the sources or died was taken for one that needs no inputs: all
// but found-* was deleted.
TEST_F(CorpusJob, TakesNothingAwayWhereTheMergeFails) {
  for (const char* const fuzzer : {"exit 1", "echo some >$merged/new; exit 77", "kill -SEGV $$", ""}) {
    EXPECT_EQ(statusWith(fuzzer), 2) << fuzzer;
    EXPECT_TRUE(has("old") && has("found-bug") && !has("new")) << fuzzer;
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "built"));
}

TEST_F(CorpusJob, PutsWhatTheMergeKeepsInItsPlaceAndLeavesWhatHasFoundABug) {
  EXPECT_EQ(statusWith("echo some >$merged/new"), 0);
  EXPECT_TRUE(!has("old") && has("found-bug") && has("new"));
}

}  // namespace
}  // namespace instar::tree
