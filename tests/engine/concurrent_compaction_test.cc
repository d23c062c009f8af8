// Rows are upgraded and packed as fast as it goes, while others read and write and older programs are among
// them: for ThreadSanitizer, and for the promise that nobody sees anything of it.

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/migration.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using Accounts = Collection<capnp::DynamicStruct>;

constexpr std::uint64_t kAccounts = 2000;
constexpr std::int64_t kEach = 1000;
constexpr int kVersions = 4;

// `text` and `sum` are two forms of one number, so that older programs can write too.
RecordSchema account(int version) {
  std::string text = "struct Account @0x8899aabbccddee01 $Instar.version(" + std::to_string(version) +
                     ") { id @0 :UInt64 $Instar.key(0); flags @1 :UInt32; " +
                     (version == 1 ? "text @2 :Text; "
                                   : "text @2 :Text $Instar.mirrored(since = 2, convert = \"sum\"); "
                                     "sum @3 :Int64 $Instar.derived(since = 2, convert = \"text\"); ");
  for (int field = 4; field <= version + 1; ++field)
    text += "added" + std::to_string(field) + " @" + std::to_string(field) + " :Text; ";
  return testing::parseDeclarations(text + "}", "Account");
}

std::int64_t sumOf(capnp::DynamicStruct::Reader record) {
  return std::stoll(record.get("text").as<capnp::Text>().cStr());
}

class CompactionConcurrent : public ::testing::Test {
 protected:
  CompactionConcurrent() {
    for (int version = 1; version <= kVersions; ++version) schemas.push_back(account(version));
    const Accounts accounts = store.collection("accounts", schemas[0]);
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kAccounts; ++id) set(accounts, transaction, id, kEach);
    transaction.commit();
  }

  static void set(const Accounts& accounts, WriteTransaction& transaction, std::uint64_t id,
                  std::int64_t sum) {
    auto draft = accounts.contains(transaction, id) ? accounts.edit(transaction, id) : accounts.create();
    draft->set("id", id);
    if (accounts.schema().version() >= 2)
      draft->set("sum", sum);
    else
      draft->set("text", std::to_string(sum).c_str());
    accounts.put(transaction, draft);
  }

  // Money moves between accounts. One that has none is closed, and opened again by who gives it some.
  void writeUntil(const std::atomic<bool>& done, const Accounts& accounts, unsigned seed) const {
    std::mt19937 random(seed);
    while (!done) {
      auto transaction = store.write();
      for (int i = 0; i < 5; ++i) {
        const std::uint64_t from = random() % kAccounts;
        const std::uint64_t to = random() % kAccounts;
        const std::int64_t has = sumIn(accounts, transaction, from);
        const std::int64_t amount = random() % 2 == 0 ? has : has / 3;
        if (from == to || amount == 0) continue;
        set(accounts, transaction, to, sumIn(accounts, transaction, to) + amount);
        if (amount == has)
          accounts.erase(transaction, from);
        else
          set(accounts, transaction, from, has - amount);
      }
      if (random() % 8 != 0) transaction.commit();
    }
  }
  static std::int64_t sumIn(const Accounts& accounts, const Transaction& seen, std::uint64_t id) {
    const auto row = accounts.get(seen, id);
    return row ? sumOf(*row) : 0;
  }

  void readUntil(const std::atomic<bool>& done, const Accounts& accounts) {
    for (unsigned turn = 0; !done; ++turn) {
      const auto snapshot = store.read();
      std::int64_t sum = 0;
      std::uint64_t rows = 0;
      std::uint64_t last = turn % 2 == 0 ? 0 : kAccounts;
      for (const auto row : accounts.scan(snapshot, {.reverse = turn % 2 != 0})) {
        const auto id = row->get("id").as<std::uint64_t>();
        if (rows != 0 && (turn % 2 == 0 ? id <= last : id >= last)) ++wrong;
        last = id;
        sum += sumOf(*row);
        if (accounts.schema().version() >= 2 && row->get("sum").as<std::int64_t>() != sumOf(*row)) ++wrong;
        ++rows;
      }
      if (sum != kEach * static_cast<std::int64_t>(kAccounts)) ++wrong;
      if (rows != accounts.count(snapshot)) ++wrong;
      if (sumIn(accounts, snapshot, last) == 0) ++wrong;
      ++reads;
    }
  }

  testing::TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar",
                            {.durability = Durability::off, .coldCacheBytes = std::size_t{64} << 10});
  std::vector<RecordSchema> schemas;
  std::atomic<int> reads{0};
  std::atomic<int> wrong{0};
};

TEST_F(CompactionConcurrent, NobodySeesAnythingOfIt) {
  std::atomic<bool> done{false};
  std::vector<Accounts> opened;
  for (int version = 1; version <= 2; ++version)
    opened.push_back(store.collection("accounts", schemas[static_cast<std::size_t>(version - 1)]));
  std::vector<std::thread> threads;
  threads.emplace_back([&] { writeUntil(done, opened[0], 1); });
  threads.emplace_back([&] { writeUntil(done, opened[1], 2); });
  threads.emplace_back([&] { readUntil(done, opened[0]); });
  threads.emplace_back([&] { readUntil(done, opened[1]); });
  Migration sum;
  for (int version = 2; version <= kVersions; ++version) {
    store.collection("accounts", schemas[static_cast<std::size_t>(version - 1)]);
    for (int turn = 0; turn < 6; ++turn) {
      const Migration part =
          migrate(store, "accounts",
                  {.mode = turn % 3 == 2 ? CompactionMode::upgrade : CompactionMode::compress,
                   .lockTime = std::chrono::microseconds(turn % 2 == 0 ? 0 : 300)});
      EXPECT_EQ(part.failed, 0U);
      sum.packed += part.packed;
      sum.repacked += part.repacked;
      sum.changed += part.changed;
    }
  }
  const int before = reads;
  while (reads < before + 4) std::this_thread::yield();
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(sum.packed, kAccounts / 2);
  EXPECT_GE(sum.repacked, kAccounts / 2);
  EXPECT_GE(sum.changed, 1U) << "nobody came between: nothing was proved";
  EXPECT_TRUE(check(store).sound());
  EXPECT_EQ(verify(store).problems, 0U);
  EXPECT_EQ(readAudit(store, store.read()).damage, "");
}

TEST_F(CompactionConcurrent, OneCompactsAtATime) {
  std::atomic<int> packed{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 5; ++turn) {
        try {
          migrate(store, "accounts", {.mode = CompactionMode::compress, .threads = 2});
          ++packed;
        } catch (const Error& error) {
          if (error.code() != ErrorCode::retry) ++wrong;
          ++refused;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(packed + refused, 20);
  EXPECT_GE(packed, 1);
  EXPECT_TRUE(check(store).sound());
  EXPECT_EQ(verify(store).problems, 0U);
}

}  // namespace
}  // namespace instar
