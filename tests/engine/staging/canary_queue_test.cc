#include "instar/engine/internal/staging/canary_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace instar {
namespace {

using Put = CanaryQueue::Put;

Put put(CanaryQueue& queue, std::string_view key, std::string_view payload, std::uint16_t version = 1) {
  return queue.put(asBytes(key), {.version = version, .payload = asBytes(payload)});
}

std::string textOf(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string takeAll(CanaryQueue& queue) {
  std::string all;
  auto rows = queue.take();
  Bytes key;
  RowView row;
  while (rows.next(key, row))
    all += textOf(key) + " v" + std::to_string(row.version) + " " + textOf(row.payload) + "\n";
  return all;
}

TEST(CanaryQueue, HandsOnRowsInTheirOrder) {
  CanaryQueue queue;
  EXPECT_EQ(takeAll(queue), "");
  EXPECT_EQ(put(queue, "a", "first"), Put::first);
  EXPECT_EQ(put(queue, "longer key", "second", 65535), Put::more);
  EXPECT_EQ(takeAll(queue), "a v1 first\nlonger key v65535 second\n");
  EXPECT_EQ(takeAll(queue), "");
  EXPECT_EQ(put(queue, "b", "third", 2), Put::first);
  EXPECT_EQ(takeAll(queue), "b v2 third\n");
}

TEST(CanaryQueue, SaysOnceThatThereIsMuchAndPassesOverWhatHasNoRoom) {
  CanaryQueue queue;
  const std::string payload(CanaryQueue::kMostBytes / 16, 'x');
  std::size_t much = 0;
  std::size_t rows = 0;
  for (Put said = Put::more; said != Put::passedOver; ++rows) {
    said = put(queue, "key", payload);
    much += said == Put::much ? 1 : 0;
    ASSERT_LT(rows, 20U);
  }
  EXPECT_EQ(rows, 16U) << "fifteen fit, with what is said of each";
  EXPECT_EQ(much, 1U);
  EXPECT_EQ(put(queue, "k", "small"), Put::more) << "what is smaller may have room";
  EXPECT_EQ(put(queue, "key", payload), Put::passedOver);
  takeAll(queue);
  EXPECT_EQ(put(queue, "key", payload), Put::first);
}

TEST(CanaryQueue, PassesOverARowThatIsTooLarge) {
  CanaryQueue queue;
  const std::string payload(CanaryQueue::kMostBytes, 'x');
  EXPECT_EQ(put(queue, "key", payload), Put::passedOver);
  EXPECT_EQ(put(queue, "key", "small"), Put::first);
  EXPECT_EQ(put(queue, "key", payload), Put::passedOver);
  EXPECT_EQ(takeAll(queue), "key v1 small\n");
}

TEST(CanaryQueueConcurrent, WhatIsPutIsTaken) {
  CanaryQueue queue;
  std::atomic<unsigned> left{4};
  std::atomic<std::uint64_t> accepted{0};
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      const std::string text(1 + 37 * thread, static_cast<char>('a' + thread));
      for (int i = 0; i < 50'000; ++i) accepted += put(queue, text, text + text) != Put::passedOver ? 1 : 0;
      --left;
    });
  }
  std::uint64_t taken = 0;
  for (bool isLast = false; !isLast;) {
    isLast = left == 0;
    auto rows = queue.take();
    Bytes key;
    RowView row;
    for (; rows.next(key, row); ++taken) ASSERT_EQ(textOf(row.payload), textOf(key) + textOf(key));
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, accepted);
  EXPECT_GT(taken, 1000U);
}

}  // namespace
}  // namespace instar
