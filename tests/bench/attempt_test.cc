#include "instar/bench/upgrade/attempt.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "instar/tests/support/temporary_folder.h"

namespace instar::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

// It was once an estimate from the rows of two other processes, which said something of their paces.
TEST(AttemptTest, LostIsWhatWasDoneSinceTheLastCommit) {
  Attempt attempt;
  EXPECT_EQ(lostByKill(attempt), -1);
  attempt.began = 3 * kSecond;
  attempt.killed = 8 * kSecond;
  EXPECT_DOUBLE_EQ(lostByKill(attempt), 5) << "everything, where nothing is committed";
  attempt.progress.committedAt = 7 * kSecond;
  EXPECT_DOUBLE_EQ(lostByKill(attempt), 1);
  attempt.progress.committedAt = 9 * kSecond;
  EXPECT_DOUBLE_EQ(lostByKill(attempt), 0) << "it came between the note of the kill and the kill";
}

TEST(AttemptTest, OnlyACommitThatBringsRowsOverIsOne) {
  MigrationProgress progress;
  progress.add(0);
  progress.reach(0);
  EXPECT_EQ(progress.committedAt, 0);
  progress.reach(5);
  const std::int64_t first = progress.committedAt;
  EXPECT_GT(first, 0);
  progress.reach(5);
  progress.reach(4);
  EXPECT_EQ(progress.committedAt, first);
  progress.add(2);
  EXPECT_GE(progress.committedAt, first);
  EXPECT_EQ(progress.rows, 7U);
}

TEST(AttemptTest, WhatAProcessHasNotedIsThereWhenItIsKilled) {
  const testing::TemporaryFolder folder;
  const SharedAttempt attempt(folder / "attempt");
  EXPECT_EQ(lostByKill(*attempt), -1);
  const pid_t process = ::fork();
  ASSERT_GE(process, 0);
  if (process == 0) {
    const SharedAttempt same(folder / "attempt");
    same->progress.add(7);
    same->killed = steadyNanoseconds();
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(process, &status, 0), process);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(attempt->progress.rows, 7U);
  EXPECT_GE(lostByKill(*attempt), 0);
}

}  // namespace
}  // namespace instar::bench
