// What ./dev says where there is no Debian: a folder with next to nothing in it is all of its PATH.

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
  EXPECT_THAT(missingFor("coverage"), HasSubstr("gcovr"));
  EXPECT_THAT(missingFor("fuzz"), HasSubstr("clang++"));
  EXPECT_THAT(missingFor("lint"), HasSubstr("clang-tidy"));
}

}  // namespace
}  // namespace instar::tree
