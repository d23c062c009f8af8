// Many threads on one store, for ThreadSanitizer and for the promise of snapshots: money moves between
// accounts, and no snapshot ever sees more or less of it than there is.

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "instar/engine/store.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

constexpr std::uint32_t kAccounts = 50;
constexpr std::int64_t kStart = 100;
constexpr int kVersions = 12;

RecordSchema account(int version) {
  std::string text = "struct Account @0x8899aabbccddeeff $Instar.version(" + std::to_string(version) +
                     ") { id @0 :UInt32 $Instar.key(0); balance @1 :Int64;";
  for (int field = 2; field <= version; ++field) {
    text += " added" + std::to_string(field) + " @" + std::to_string(field) + " :Text;";
  }
  return testing::parseDeclarations(text + "}", "Account");
}

class StoreConcurrent : public ::testing::Test {
 protected:
  using Accounts = Collection<capnp::DynamicStruct>;

  StoreConcurrent() {
    const Accounts accounts = store.collection("accounts", account(1));
    auto transaction = store.write();
    for (std::uint32_t id = 0; id < kAccounts; ++id) {
      auto draft = accounts.create();
      draft->set("id", id);
      draft->set("balance", kStart);
      accounts.put(transaction, draft);
    }
    transaction.commit();
  }

  void move(const Accounts& accounts, WriteTransaction& transaction, std::uint32_t from, std::uint32_t to) {
    for (const auto& [id, amount] : {std::pair{from, -1}, std::pair{to, +1}}) {
      auto draft = accounts.edit(transaction, id);
      draft->set("balance", draft->get("balance").as<std::int64_t>() + amount);
      accounts.put(transaction, draft);
    }
  }

  void writeUntil(const std::atomic<bool>& done, const Accounts& accounts, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<std::uint32_t> anyAccount(0, kAccounts - 1);
    while (!done) {
      auto transaction = store.write();
      for (int i = 0; i < 5; ++i) move(accounts, transaction, anyAccount(random), anyAccount(random));
      if (random() % 8 != 0) transaction.commit();
      ++writes;
    }
  }

  void readUntil(const std::atomic<bool>& done, const Accounts& accounts) {
    while (!done) {
      const auto snapshot = store.read();
      std::int64_t sum = 0;
      std::uint32_t rows = 0;
      for (const auto row : accounts.scan(snapshot)) {
        sum += row->get("balance").as<std::int64_t>();
        ++rows;
      }
      ASSERT_EQ(rows, kAccounts);
      ASSERT_EQ(sum, kStart * kAccounts);
      const auto row = accounts.get(snapshot, 7U);
      ASSERT_TRUE(row);
      ++reads;
    }
  }

  testing::TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
  std::atomic<int> reads{0};
  std::atomic<int> writes{0};
};

TEST_F(StoreConcurrent, ReadersWritersAndNewVersionsDoNotDisturbOneAnother) {
  std::atomic<bool> done{false};
  std::vector<RecordSchema> schemas;
  for (int version = 1; version <= kVersions; ++version) schemas.push_back(account(version));
  std::vector<std::thread> threads;
  const Accounts oldest = store.collection("accounts", schemas[0]);
  for (unsigned seed = 1; seed <= 2; ++seed)
    threads.emplace_back([&, seed] { writeUntil(done, oldest, seed); });
  for (int reader = 0; reader < 3; ++reader) threads.emplace_back([&] { readUntil(done, oldest); });
  threads.emplace_back([&] {
    for (int version = 2; version <= kVersions; ++version) {
      const Accounts newer = store.collection("accounts", schemas[static_cast<std::size_t>(version - 1)]);
      auto transaction = store.write();
      move(newer, transaction, 1, 2);
      transaction.commit();
      store.collection("other" + std::to_string(version), schemas[0]);
      const int before = reads;
      while (reads < before + 20) std::this_thread::yield();
    }
    done = true;
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(writes, 10);
  const auto snapshot = store.read();
  EXPECT_EQ(store.versions(snapshot, "accounts").size(), static_cast<std::size_t>(kVersions));
  EXPECT_EQ(store.collections(snapshot).size(), static_cast<std::size_t>(kVersions));
}

TEST_F(StoreConcurrent, ManyThreadsOpenTheSameFileAndCollection) {
  std::vector<std::thread> threads;
  const RecordSchema schema = account(2);
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      const Store own = Store::open(folder / "store.instar", {.durability = Durability::off});
      const Accounts accounts = own.collection("accounts", schema);
      const auto snapshot = own.read();
      EXPECT_EQ(accounts.count(snapshot), kAccounts);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store.versions(store.read(), "accounts").size(), 2U);
}

}  // namespace
}  // namespace instar
