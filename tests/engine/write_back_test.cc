// Rows that were upgraded when they were read, rewritten on request.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/store.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using Rows = Collection<capnp::DynamicStruct>;

RecordSchema contact(std::string_view version, std::string_view fields) {
  return testing::parseDeclarations("struct Contact @0x8f1e2d3c4b5a6978 $Instar.version(" +
                                        std::string(version) + ") { id @0 :UInt64 $Instar.key(0); " +
                                        std::string(fields) + "}",
                                    "Contact");
}

RecordSchema whole() { return contact("1", "name @1 :Text; "); }

#define FIRST "first @2 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \")); "
#define LAST                                                                                          \
  "last @3 :Text $Instar.derived(since = 2, split = (field = \"name\", by = \" \", part = 1, rest = " \
  "true)); "

RecordSchema divided() {
  return contact("2",
                 "name @1 :Text $Instar.mirrored(since = 2, concat = [(field = \"first\"), (text = \" \"), "
                 "(field = \"last\")]); " FIRST LAST);
}

RecordSchema dividedWithoutName() { return contact("3", "name @1 :Text $Instar.retired(3); " FIRST LAST); }

RecordSchema numbered() {
  return contact("2", "name @1 :Text; age @2 :UInt8 $Instar.derived(since = 2, convert = \"name\"); ");
}

class WriteBack : public ::testing::Test {
 protected:
  void put(std::uint64_t id, const char* name) const {
    const Rows rows = store.collection("contacts", whole());
    auto draft = rows.create();
    draft->set("id", id);
    draft->set("name", name);
    auto transaction = store.write();
    rows.put(transaction, draft);
    transaction.commit();
  }

  struct Seen {
    std::string text;
    unsigned version = 0;
    friend bool operator==(const Seen&, const Seen&) = default;
  };
  Seen read(const Rows& rows, std::uint64_t id) const {
    const auto snapshot = store.read();
    const auto row = rows.get(snapshot, id);
    return row ? Seen{kj::str(*row).cStr(), row.version()} : Seen{};
  }

  testing::TemporaryFolder folder;
  Store store = Store::open(folder / "store.instar", {.writeBackRows = 3});
};

TEST_F(WriteBack, ReadingQueuesAndOnlyWriteBackWrites) {
  put(1, "Ada Lovelace");
  put(2, "Grace Hopper");
  const Rows rows = store.collection("contacts", divided());
  const auto before = store.read().id();
  const Seen lazy = read(rows, 1);
  EXPECT_EQ(lazy.version, 1U);
  EXPECT_EQ(store.read().id(), before);
  EXPECT_EQ(store.writeBack(), 1U);
  EXPECT_EQ(read(rows, 1), (Seen{lazy.text, 2}));
  EXPECT_EQ(store.writeBack(), 0U) << "a row that is done is not queued again";
  EXPECT_EQ(read(rows, 2).version, 1U) << "nobody had read it";
}

// To compute mirrors anew would change what an older program wrote, though nobody changed the row.
TEST_F(WriteBack, TheRowStaysAsItWasReadMirrorsIncluded) {
  put(1, "Cher");
  put(2, "Ada  King");
  const Rows rows = store.collection("contacts", divided());
  const Rows old = store.collection("contacts", whole());
  const std::string cher = read(rows, 1).text;
  const std::string ada = read(rows, 2).text;
  EXPECT_EQ(store.writeBack(), 2U);
  EXPECT_EQ(read(rows, 1), (Seen{cher, 2}));
  EXPECT_EQ(read(rows, 2), (Seen{ada, 2}));
  EXPECT_EQ(read(old, 1).text, "(id = 1, name = \"Cher\")");
  EXPECT_TRUE(check(store).sound());
}

TEST_F(WriteBack, TheBytesOfARetiredFieldGo) {
  put(1, ("Ada " + std::string(1000, 'x')).c_str());
  const Rows rows = store.collection("contacts", dividedWithoutName());
  const std::string lazy = read(rows, 1).text;
  EXPECT_EQ(store.writeBack(), 1U);
  EXPECT_EQ(read(rows, 1), (Seen{lazy, 3}));
  const auto snapshot = store.read();
  EXPECT_LT(rows.get(snapshot, std::uint64_t{1}).payload().size(), 1200U) << "the last name alone";
}

TEST_F(WriteBack, WhatWasChangedOrErasedMeanwhileIsLeftAlone) {
  for (std::uint64_t id = 1; id <= 3; ++id) put(id, "Ada Lovelace");
  const Rows rows = store.collection("contacts", divided());
  for (std::uint64_t id = 1; id <= 3; ++id) read(rows, id);
  auto transaction = store.write();
  rows.erase(transaction, std::uint64_t{1});
  auto draft = rows.edit(transaction, std::uint64_t{2});
  draft->set("last", "King");
  rows.put(transaction, draft);
  transaction.commit();
  EXPECT_EQ(store.writeBack(), 1U);
  EXPECT_EQ(read(rows, 1), Seen{});
  EXPECT_EQ(read(rows, 2).text, "(id = 2, name = \"Ada King\", first = \"Ada\", last = \"King\")");
}

TEST_F(WriteBack, RemembersNoMoreThanItIsAskedTo) {
  for (std::uint64_t id = 1; id <= 5; ++id) put(id, "Ada Lovelace");
  const Rows rows = store.collection("contacts", divided());
  for (std::uint64_t id = 1; id <= 5; ++id) read(rows, id);
  EXPECT_EQ(store.writeBack(2), 2U);
  EXPECT_EQ(store.writeBack(), 1U);
  EXPECT_EQ(store.writeBack(), 0U);
  const Store forgetful = Store::open(folder / "other.instar");
  EXPECT_EQ(forgetful.writeBack(), 0U);
}

TEST_F(WriteBack, ARowThatCannotBeUpgradedStaysAsItIs) {
  put(1, "Ada");
  const Rows rows = store.collection("contacts", numbered());
  EXPECT_ERROR(read(rows, 1), fixRow, "field: age");
  EXPECT_EQ(store.writeBack(), 0U);
  EXPECT_EQ(read(store.collection("contacts", whole()), 1).text, "(id = 1, name = \"Ada\")");
}

TEST_F(WriteBack, AProgramBelowTheWriterFloorWritesNothing) {
  put(1, "Ada Lovelace");
  const Rows rows = store.collection("contacts", divided());
  read(rows, 1);
  store.collection("contacts", dividedWithoutName());
  EXPECT_EQ(store.writeBack(), 0U);
}

TEST_F(WriteBack, WhoCannotWriteNowForgetsNothing) {
  put(1, "Ada Lovelace");
  const Store busy = Store::open(folder / "other.instar",
                                 {.writeTimeout = std::chrono::milliseconds(10), .writeBackRows = 3});
  {
    const Rows old = busy.collection("contacts", whole());
    auto draft = old.create();
    draft->set("id", std::uint64_t{1});
    draft->set("name", "Ada Lovelace");
    auto transaction = busy.write();
    old.put(transaction, draft);
    transaction.commit();
  }
  const Rows rows = busy.collection("contacts", divided());
  {
    const auto snapshot = busy.read();
    EXPECT_TRUE(rows.get(snapshot, std::uint64_t{1}));
  }
  auto writer = std::make_optional(busy.write());
  std::thread other([&] { EXPECT_ERROR(busy.writeBack(), retry, ""); });
  other.join();
  writer.reset();
  EXPECT_EQ(busy.writeBack(), 1U);
}

TEST_F(WriteBack, ACollectionThatIsGoneIsPassedOver) {
  put(1, "Ada Lovelace");
  read(store.collection("contacts", divided()), 1);
  EXPECT_EQ(store.writeBack(), 0U);
}

TEST(WriteBackConcurrent, ReadersDoNotWaitAndSeeTheSameBeforeAndAfter) {
  const testing::TemporaryFolder folder;
  const Store store =
      Store::open(folder / "store.instar", {.durability = Durability::off, .writeBackRows = 16});
  constexpr std::uint64_t kRows = 500;
  {
    const Rows rows = store.collection("contacts", whole());
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kRows; ++id) {
      auto draft = rows.create();
      draft->set("id", id);
      draft->set("name", ("Ada N" + std::to_string(id)).c_str());
      rows.put(transaction, draft);
    }
    transaction.commit();
  }
  const Rows rows = store.collection("contacts", divided());
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> wrong = 0;
  const auto readAll = [&] {
    while (!done) {
      const auto snapshot = store.read();
      std::uint64_t id = 0;
      for (const auto row : rows.scan(snapshot))
        wrong += row->get("last").as<capnp::Text>() != "N" + std::to_string(id++);
      wrong += id != kRows;
    }
  };
  std::thread one(readAll);
  std::thread two(readAll);
  std::uint64_t rewritten = 0;
  while (rewritten < kRows) rewritten += store.writeBack(5);
  done = true;
  one.join();
  two.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(rewritten, kRows);
}

}  // namespace
}  // namespace instar
