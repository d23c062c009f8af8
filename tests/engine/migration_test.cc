// All rows of a collection rewritten as they are read, while others read and write.

#include "instar/engine/migration.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "instar/engine/check.h"
#include "instar/tests/engine/contact_versions.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using Rows = Collection<capnp::DynamicStruct>;

using testing::firstContact;
using testing::secondContact;
using testing::thirdContact;

class MigrateTest : public ::testing::Test {
 protected:
  void fill(std::uint64_t count, const Store& to) const {
    const Rows rows = to.collection("contacts", firstContact());
    auto transaction = to.write();
    for (std::uint64_t id = 0; id < count; ++id) {
      auto draft = rows.create();
      draft->set("id", id);
      draft->set("text", ("0" + std::to_string(id)).c_str());  // a number that no mirror writes so
      rows.put(transaction, draft);
    }
    transaction.commit();
  }

  static std::map<std::uint64_t, std::string> contents(const Store& of) {
    std::map<std::uint64_t, std::string> seen;
    const auto snapshot = of.read();
    for (const auto row : of.collection("contacts").scan(snapshot))
      seen[row->get("id").as<std::uint64_t>()] = kj::str(*row).cStr();
    return seen;
  }

  static std::map<unsigned, std::uint64_t> versions(const Store& of) {
    std::map<unsigned, std::uint64_t> counts;
    const auto snapshot = of.read();
    for (const auto row : of.collection("contacts").scan(snapshot)) ++counts[row.version()];
    return counts;
  }

  testing::TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
};

TEST_F(MigrateTest, EveryRowIsRewrittenAsItWasRead) {
  fill(5000, store);
  store.collection("contacts", secondContact());
  const auto lazy = contents(store);
  std::uint64_t reported = 0;
  const Migration done =
      migrate(store, "contacts", {.progress = [&](const Progress& state) { reported = state.done; }});
  EXPECT_EQ(done.rows, 5000U);
  EXPECT_EQ(done.rewritten, 5000U);
  EXPECT_EQ(done.changed + done.failed, 0U);
  EXPECT_EQ(reported, 5000U);
  EXPECT_EQ(contents(store), lazy) << "mirrors must not be computed anew";
  EXPECT_EQ(versions(store), (std::map<unsigned, std::uint64_t>{{2, 5000}}));
  EXPECT_TRUE(check(store).sound());
  const auto commits = store.read().id();
  EXPECT_EQ(migrate(store, "contacts").rewritten, 0U);
  EXPECT_EQ(store.read().id(), commits) << "what is done is not touched again";
}

TEST_F(MigrateTest, RowsOfAllVersionsBecomeOnesOfTheNewest) {
  fill(300, store);
  const Rows rows = store.collection("contacts", secondContact());
  auto transaction = store.write();
  for (std::uint64_t id = 0; id < 300; id += 3) {
    auto draft = rows.edit(transaction, id);
    draft->set("age", std::uint32_t{7});
    rows.put(transaction, draft);
  }
  transaction.commit();
  store.collection("contacts", thirdContact());
  const auto lazy = contents(store);
  EXPECT_EQ(migrate(store, "contacts").rewritten, 300U);
  EXPECT_EQ(contents(store), lazy);
  EXPECT_EQ(versions(store), (std::map<unsigned, std::uint64_t>{{3, 300}}));
}

TEST_F(MigrateTest, RowsThatCannotBeUpgradedStayAndAreListed) {
  fill(10, store);
  const Rows rows = store.collection("contacts", firstContact());
  auto transaction = store.write();
  auto draft = rows.edit(transaction, std::uint64_t{4});
  draft->set("text", "many");
  rows.put(transaction, draft);
  transaction.commit();
  store.collection("contacts", secondContact());
  const Migration done = migrate(store, "contacts");
  EXPECT_EQ(done.rewritten, 9U);
  ASSERT_EQ(done.failures.size(), 1U);
  EXPECT_EQ(done.failures[0].field, "age");
  EXPECT_EQ(done.failures[0].version, 1U);
  const auto snapshot = store.read();
  EXPECT_EQ(rows.get(snapshot, std::uint64_t{4})->get("text").as<capnp::Text>(), "many");
}

TEST_F(MigrateTest, AdditiveVersionsRewriteNothing) {
  fill(10, store);
  store.collection("contacts", testing::contactVersion("2", "text @1 :Text; more @2 :Text;"));
  EXPECT_EQ(migrate(store, "contacts").rewritten, 0U);
  EXPECT_ERROR(migrate(store, "nothing"), fixCall, "no such collection");
}

TEST_F(MigrateTest, WhatEndsItLeavesWhatIsDoneAndTheNextCallGoesOn) {
  fill(5000, store);
  store.collection("contacts", secondContact());
  const auto lazy = contents(store);
  int looks = 0;
  const MigrationOptions options{.rate = 1 << 20, .progress = [&](const Progress&) {
                                   if (++looks == 4) throw std::runtime_error("enough");
                                 }};
  EXPECT_THROW(migrate(store, "contacts", options), std::runtime_error);
  EXPECT_EQ(contents(store), lazy);
  const auto between = versions(store);
  EXPECT_GT(between.at(1), 0U);
  EXPECT_EQ(migrate(store, "contacts").rewritten, between.at(1));
  EXPECT_EQ(contents(store), lazy);
}

// What the kernel says of a thread, a second of it at the least: not a matter of how fast the machine is.
// Rows that were looked at are not all rewritten: others may have put them meanwhile.
TEST_F(MigrateTest, AfterEachBatchItSaysWhatIsCommitted) {
  fill(300, store);
  const Rows rows = store.collection("contacts", secondContact());
  {
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < 300; id += 2) {
      auto record = rows.edit(transaction, id);
      rows.put(transaction, record);
    }
    transaction.commit();
  }
  std::uint64_t calls = 0;
  const auto look = [&](const Migration& now) {
    ++calls;
    EXPECT_EQ(versions(store)[1], 150 - now.rewritten);
  };
  const Migration done =
      migrate(store, "contacts", {.lockTime = std::chrono::microseconds(0), .committed = look});
  EXPECT_EQ(done.rewritten, 150U);
  EXPECT_GT(calls, 1U);
}

TEST_F(MigrateTest, KeepsToItsRate) {
  const Store durable = Store::open(folder / "durable.instar");
  fill(8000, durable);
  durable.collection("contacts", secondContact());
  constexpr std::uint64_t kRate = 1 << 20;
  const auto start = std::chrono::steady_clock::now();
  const Migration done = migrate(durable, "contacts", {.rate = kRate});
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  ASSERT_GT(done.bytesWritten, kRate / 2) << "otherwise there was nothing to keep to";
  constexpr double kBucketAndBatch = 0.1 + 0.3;  // seconds that may be written ahead
  EXPECT_LE(static_cast<double>(done.bytesWritten), kRate * (taken.count() + kBucketAndBatch));
  EXPECT_GT(done.waited.count(), 0);
}

// A row that somebody changes between its preparation and the lock is his.
TEST(MigrateConcurrent, WritersAndReadersGoOn) {
  const testing::TemporaryFolder folder;
  const Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
  constexpr std::uint64_t kRows = 3000;
  {
    const Rows rows = store.collection("contacts", firstContact());
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kRows; ++id) {
      auto draft = rows.create();
      draft->set("id", id);
      draft->set("text", std::to_string(id).c_str());
      rows.put(transaction, draft);
    }
    transaction.commit();
  }
  const Rows old = store.collection("contacts", firstContact());
  const Rows rows = store.collection("contacts", secondContact());
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> wrong = 0;
  std::vector<std::uint64_t> added(kRows, 0);  // by the writer
  std::thread writer([&] {
    for (std::uint64_t turn = 0; !done; ++turn) {
      const std::uint64_t id = turn * 7919 % kRows;
      auto transaction = store.write();
      if (turn % 2 == 0) {
        auto draft = rows.edit(transaction, id);
        draft->set("age", draft->get("age").as<std::uint32_t>() + static_cast<std::uint32_t>(kRows));
        rows.put(transaction, draft);
      } else {  // an older program
        auto draft = old.edit(transaction, id);
        const auto value = std::stoull(draft->get("text").as<capnp::Text>().cStr()) + kRows;
        draft->set("text", std::to_string(value).c_str());
        old.put(transaction, draft);
      }
      ++added[id];
      transaction.commit();
    }
  });
  std::thread reader([&] {
    while (!done) {
      const auto snapshot = store.read();
      std::uint64_t id = 0;
      for (const auto row : rows.scan(snapshot)) wrong += row->get("age").as<std::uint64_t>() % kRows != id++;
      wrong += id != kRows;
    }
  });
  std::uint64_t rewritten = 0;
  for (int turn = 0; turn < 5; ++turn)
    rewritten += migrate(store, "contacts", {.lockTime = std::chrono::microseconds(200)}).rewritten;
  done = true;
  writer.join();
  reader.join();
  EXPECT_GE(rewritten, kRows / 2);
  EXPECT_EQ(wrong, 0U);
  const auto snapshot = store.read();
  for (std::uint64_t id = 0; id < kRows; ++id)
    EXPECT_EQ(rows.get(snapshot, id)->get("age").as<std::uint64_t>(), id + added[id] * kRows);
  EXPECT_TRUE(check(store).sound());
}

}  // namespace
}  // namespace instar
