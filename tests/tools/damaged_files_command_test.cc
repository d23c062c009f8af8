// Hundreds of damaged files through the commands that are for them: each ends by itself, with a status that
// says what it found, and says it. What comes out is judged where files are salvaged by the library
// (tests/engine/salvage), ten thousands of them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "instar/engine/salvage.h"
#include "instar/tests/engine/salvage/damage.h"
#include "instar/tests/tools/command_runner.h"
#include "instar/tools/exit_status.h"

namespace instar::tools {
namespace {

constexpr std::uint64_t kFiles = 14;      // of each kind
constexpr unsigned kLongestSeconds = 60;  // a command that hangs is killed, which is no status of its own
constexpr std::uint64_t kFirstSeed = 1'000'000;  // others than those of the library's tests

class DamagedFilesCommand : public CommandTest, public ::testing::WithParamInterface<std::string> {
 protected:
  // `dump --salvage` ended with a status that said damage, and printed nothing, where no row was lost.
  // The command's status, which is one that a file can have; and it is not silent about what it found.
  Result look(const std::vector<std::string>& arguments) const {
    const Result result = run(arguments, {.longestSeconds = kLongestSeconds});
    static const std::set<int> kExpected = {
        static_cast<int>(ExitStatus::done), static_cast<int>(ExitStatus::problem),
        static_cast<int>(ExitStatus::cannotOpen), static_cast<int>(ExitStatus::damage)};
    EXPECT_TRUE(kExpected.contains(result.status)) << arguments.front() << ": " << result.status;
    EXPECT_TRUE(result.status == 0 || !result.output.empty() || !result.messages.empty())
        << arguments.front();
    return result;
  }

  void examine(const std::string& file, testing::DamageKind kind) const {
    const std::string to = path("to.instar");
    const Result checked = look({"check", file});
    const Result salvaged = look({"salvage", file, to});
    const Result dumped = look({"dump", file, "--salvage"});
    EXPECT_EQ(std::filesystem::exists(to), salvaged.status != static_cast<int>(ExitStatus::cannotOpen));
    if (!std::filesystem::exists(to)) return;
    // What one command finds, the others do not miss.
    if (salvaged.status == static_cast<int>(ExitStatus::done)) {
      EXPECT_NE(checked.status, static_cast<int>(ExitStatus::damage));
    }
    if (salvaged.status == static_cast<int>(ExitStatus::damage)) {
      // Pages of an earlier commit are sound, and nothing in them gives them away.
      if (kind != testing::DamageKind::oldPages) {
        EXPECT_EQ(checked.status, static_cast<int>(ExitStatus::damage)) << checked.output;
      }
      EXPECT_EQ(dumped.status, static_cast<int>(ExitStatus::damage));
    }
    std::filesystem::remove(to);
    std::filesystem::remove(to + "-lock");
  }
};

TEST_P(DamagedFilesCommand, EndInAStatusAndAMessage) {
  const testing::BaseFile base = testing::makeBase(GetParam());
  const std::string file = path("from.instar");
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + kFiles && !HasFailure(); ++seed) {
    const testing::DamagedFile damaged = testing::damage(base, seed);
    SCOPED_TRACE(base.kind + ", seed " + std::to_string(seed) + ", " + testing::nameOf(damaged.kind));
    std::ofstream(file, std::ios::binary) << damaged.bytes;
    examine(file, damaged.kind);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, DamagedFilesCommand, ::testing::ValuesIn(testing::baseKinds()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

}  // namespace
}  // namespace instar::tools
