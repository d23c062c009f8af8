#include "instar/engine/internal/compaction/thread_count.h"

#include <gtest/gtest.h>

namespace instar {
namespace {

using namespace std::chrono_literals;

TEST(ThreadCountTest, GrowsWhileEachGetsAProcessor) {
  ThreadCount threads(3);
  EXPECT_EQ(threads.get(), 1U);
  threads.took(10ms, 10ms);
  EXPECT_EQ(threads.get(), 2U);
  threads.took(19ms, 20ms);
  threads.took(30ms, 30ms);
  EXPECT_EQ(threads.get(), 3U);
}

TEST(ThreadCountTest, ShrinksWhereTheyWaitForProcessorsOrTheDevice) {
  ThreadCount threads(4);
  for (int i = 0; i < 5; ++i) threads.took(10ms, 10ms);
  threads.took(19ms, 40ms);
  EXPECT_EQ(threads.get(), 3U);
  threads.took(25ms, 40ms);  // neither
  EXPECT_EQ(threads.get(), 3U);
  for (int i = 0; i < 5; ++i) threads.took(1ms, 10ms);
  EXPECT_EQ(threads.get(), 1U);
}

TEST(ThreadCountTest, IsOneWhereThereIsSomethingToWaitFor) {
  ThreadCount threads(4);
  for (int i = 0; i < 5; ++i) threads.took(10ms, 10ms);
  threads.waited();
  EXPECT_EQ(threads.get(), 1U);
}

TEST(ThreadCountTest, TakesNoneForOneAndNoTimeForNothing) {
  ThreadCount threads(0);
  threads.took(0ms, 0ms);
  threads.took(10ms, 10ms);
  EXPECT_EQ(threads.get(), 1U);
}

}  // namespace
}  // namespace instar
