// A small disk fills up and is emptied again, in the middle of everything: it is said, nothing that was
// acknowledged is lost, reading goes on, and so does the work as soon as there is room.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "instar/engine/check.h"
#include "instar/tests/faults/failure_rules.h"
#include "instar/tests/faults/scenarios.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::testing {
namespace {

namespace fs = std::filesystem;

constexpr Fault kFullDisk{.call = FaultCall::pwrite, .error = ENOSPC, .isLasting = true};
constexpr std::uint64_t kBlock = 4096;

// What else is on the disk.
class Ballast {
 public:
  explicit Ballast(fs::path path) : path_(std::move(path)) {}

  // Leaves so many bytes.
  void fillUpTo(std::uint64_t free) const {
    fs::remove(path_);
    struct statvfs disk {};
    if (::statvfs(path_.parent_path().c_str(), &disk) != 0) throw Wrong("statvfs failed");
    const std::uint64_t room = disk.f_bfree * disk.f_frsize;
    if (room <= free) return;
    const std::string block(kBlock, 'b');
    std::FILE* const file = std::fopen(path_.c_str(), "w");
    std::setvbuf(file, nullptr, _IONBF, 0);
    for (std::uint64_t bytes = 0; bytes + kBlock <= room - free; bytes += kBlock)
      std::fwrite(block.data(), 1, block.size(), file);
    std::fclose(file);
  }
  void remove() const { fs::remove(path_); }

 private:
  fs::path path_;
};

// Nothing where it did without the room that was missing.
std::optional<Failure> failureOf(const Step& step, World& world) {
  try {
    step.run(world);
    return std::nullopt;
  } catch (...) {
    Failure failure = describeCurrent({&kFullDisk, 1});
    if (!failure.wrong.empty()) throw Wrong(step.name + ": " + failure.wrong);
    return failure;
  }
}

// Each step with no more room than this, until it has failed; then with all of it. Returns how many failed.
int play(const Scenario& scenario, World& world, std::uint64_t room) {
  const Ballast ballast(world.folder / "ballast");
  const std::vector<ModelState> states = scenario.states();
  int failed = 0;
  for (std::size_t i = 0; i < scenario.steps.size(); ++i) {
    const Step& step = scenario.steps[i];
    ballast.fillUpTo(room);
    const auto failure = failureOf(step, world);
    if (failure) {
      ++failed;
      if (world.store) {
        const std::string wrong = whatIsWrongAfterFailure(
            step, failure->isReadBack, stateIn(*world.store, scenario.hasDiverged), states[i], states[i + 1]);
        if (!wrong.empty()) throw Wrong(step.name + ": " + wrong + ": " + failure->text);
      }
      ballast.remove();
      const auto again = failureOf(step, world);
      if (again && !(again->isRetry && !failureOf(step, world)))
        throw Wrong(step.name + " does not go on with room: " + again->text);
    }
    ballast.remove();
  }
  world.store.reset();
  const Store store = Store::open(world.file());
  if (!check(store).sound() || verify(store).problems != 0) throw Wrong("the file is damaged");
  if (stateIn(store, scenario.hasDiverged) != states.back()) throw Wrong("rows are lost, or versions");
  return failed;
}

// In a name space of mounts that goes with the process. False where that is not allowed.
bool mountSmallDisk(const fs::path& folder) {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=4m") == 0;
}

bool canMount() {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(mountSmallDisk(folder.path()) ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class SmallDisk : public ::testing::TestWithParam<std::string> {};

TEST_P(SmallDisk, FillsUpAndIsEmptiedAgain) {
  if (!canMount()) GTEST_SKIP() << "a small disk cannot be mounted here: that takes root";
  const Scenario& scenario = scenarioNamed(GetParam());
  constexpr std::uint64_t kRooms[] = {0,           kBlock,      2 * kBlock,  4 * kBlock,  8 * kBlock,
                                      16 * kBlock, 24 * kBlock, 32 * kBlock, 64 * kBlock, 128 * kBlock};
  for (const std::uint64_t room : kRooms) {
    SCOPED_TRACE(std::to_string(room) + " bytes of room");
    const TemporaryFolder folder;
    ChildProcess child([&](const Steps&) {
      ::alarm(60);
      ASSERT_TRUE(mountSmallDisk(folder.path()));
      World world{.folder = folder.path(), .options = scenario.options, .store = {}};
      scenario.prepare(world);
      const int failed = play(scenario, world, room);
      if (room == 0 && !scenario.isConcurrent) {
        EXPECT_GT(failed, 0) << "the disk was never full: nothing was proved";
      }
    });
    child.expectSuccess();
  }
}

INSTANTIATE_TEST_SUITE_P(Scenario, SmallDisk,
                         ::testing::Values("create", "evolve", "compaction", "thread", "promotion", "abort",
                                           "backup", "reconcile", "command", "salvage"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace instar::testing
