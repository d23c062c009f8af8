#pragma once

// Stores whose thread compacts, rows for it to upgrade, and what they have to be afterwards.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "instar/engine/check.h"
#include "instar/engine/store.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {

inline RecordSchema firstVersion() {
  return testing::parseDeclarations(
      "struct Item @0xabcdefabcdef1234 $Instar.version(1) { id @0 :UInt64 $Instar.key(0); text @1 :Text; }",
      "Item");
}

inline RecordSchema secondVersion() {
  return testing::parseDeclarations(
      "struct Item @0xabcdefabcdef1234 $Instar.version(2) { id @0 :UInt64 $Instar.key(0); text @1 :Text;"
      " head @2 :Text $Instar.derived(since = 2, split = (field = \"text\", by = \" \", part = 0)); }",
      "Item");
}

inline StoreOptions compacting(CompactionMode mode) {
  return {.durability = Durability::off,
          .compaction = {.mode = mode, .rate = 0, .minFreeDisk = 0, .coldBelow = 1e9, .preparingThreads = 2}};
}

class CompactionThread : public ::testing::Test {
 protected:
  using Rows = Collection<capnp::DynamicStruct>;

  static void fill(const Store& store, std::uint64_t rows) {
    const Rows items = store.collection("items", firstVersion());
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < rows; ++id) {
      auto draft = items.create();
      draft->set("id", id);
      draft->set("text", ("row " + std::to_string(id) + " of many").c_str());
      items.put(transaction, draft);
    }
    transaction.commit();
  }

  // Whether `condition` comes true before the test is given up.
  template <class Condition>
  static bool comes(Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  static void expectRows(const Store& store, std::uint64_t rows) {
    const Rows items = store.collection("items", secondVersion());
    const auto snapshot = store.read();
    EXPECT_EQ(items.count(snapshot), rows);
    std::uint64_t id = 0;
    for (const auto row : items.scan(snapshot)) {
      EXPECT_EQ(row->get("id").as<std::uint64_t>(), id);
      EXPECT_STREQ(row->get("text").as<capnp::Text>().cStr(),
                   ("row " + std::to_string(id) + " of many").c_str());
      EXPECT_STREQ(row->get("head").as<capnp::Text>().cStr(), "row");
      ++id;
    }
    EXPECT_EQ(id, rows);
  }

  static void expectWhole(const Store& store, std::uint64_t rows) {
    expectRows(store, rows);
    EXPECT_TRUE(check(store).sound());
    EXPECT_EQ(verify(store).problems, 0U);
    EXPECT_EQ(readAudit(store, store.read()).damage, "");
  }

  static bool isSettled(const Store& store, std::size_t collection = 0) {
    return compactionProgress(store, store.read()).collections.at(collection).isSettled();
  }

  static std::vector<AuditEvent> events(const Store& store) {
    std::vector<AuditEvent> found;
    for (const AuditEntry& entry : readAudit(store, store.read()).entries) found.push_back(entry.event);
    return found;
  }
  static bool has(const Store& store, AuditEvent event) {
    const auto all = events(store);
    return std::find(all.begin(), all.end(), event) != all.end();
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "store.instar";
};

}  // namespace instar
