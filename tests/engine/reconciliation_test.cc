// Mirrored fields and what they are made from, made to agree again while others read and write.

#include "instar/engine/reconciliation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "instar/engine/check.h"
#include "instar/engine/internal/store_state.h"
#include "instar/engine/internal/transaction_state.h"
#include "instar/engine/migration.h"
#include "instar/evolve/functions.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

using Rows = Collection<capnp::DynamicStruct>;
using Text = capnp::Text::Reader;

// Version 2 splits the name, and version 3 keeps it right: what programs of version 2 have put has diverged.
// `mine` is not made from the name.
RecordSchema split(unsigned version, const std::string& mirror = "") {
  return contactSchema(version, "name @1 :Text" + mirror + R"(;
      first @2 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));
      last  @3 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 1));
      note  @4 :Text;
      mine  @5 :Text $Instar.derived(since = 2, copy = "note");
      shown @6 :Text $Instar.derived(since = 2, copy = "first");)");
}
RecordSchema splitName() { return split(2); }
RecordSchema mirroredName(unsigned version = 3) {
  return split(
      version,
      R"( $Instar.mirrored(since = 3, concat = [(field = "first"), (text = " "), (field = "last")]))");
}

class ReconcileTest : public ::testing::Test {
 protected:
  using Fields = std::vector<std::pair<const char*, const char*>>;

  void put(const RecordSchema& schema, std::uint64_t id, const Fields& fields) const {
    const Rows rows = store->collection("contacts", schema);
    auto draft = rows.create();
    draft->set("id", id);
    for (const auto& [field, value] : fields) draft->set(field, value);
    auto transaction = store->write();
    rows.put(transaction, draft);
    transaction.commit();
  }

  // Row 1 is right; of row 2 the name says something else.
  void makeOneDiverged() const {
    put(splitName(), 1, {{"name", "Ada Lovelace"}, {"first", "Ada"}, {"last", "Lovelace"}});
    put(splitName(), 2,
        {{"name", "Ada Byron"},
         {"first", "Augusta"},
         {"last", "King"},
         {"note", "old"},
         {"mine", "kept"},
         {"shown", "A."}});
    store->collection("contacts", mirroredName());
  }

  // `rows` rows of which each has diverged.
  void makeManyDiverged(std::uint64_t rows) const {
    const Rows older = store->collection("contacts", splitName());
    auto transaction = store->write();
    for (std::uint64_t id = 0; id < rows; ++id) {
      auto draft = older.create();
      draft->set("id", id);
      draft->set("name", "Grace Murray");
      draft->set("first", "Grace");
      draft->set("last", "Hopper");
      older.put(transaction, draft);
    }
    transaction.commit();
    store->collection("contacts", mirroredName());
  }

  std::string field(std::uint64_t id, const char* name) const {
    const auto snapshot = store->read();
    return textOf(*store->collection("contacts").get(snapshot, id), name);
  }
  unsigned versionOf(std::uint64_t id) const {
    return store->collection("contacts").get(store->read(), id).version();
  }

  std::vector<AuditEntry> audit() const {
    auto entries = readAudit(*store, store->read()).entries;
    std::erase_if(entries, [](const AuditEntry& entry) { return entry.event != AuditEvent::reconciled; });
    return entries;
  }

  TemporaryFolder folder;
  std::optional<Store> store = Store::open(folder / "store.instar", {.durability = Durability::off});
};

TEST_F(ReconcileTest, MirrorsFollowTheNewerFields) {
  makeOneDiverged();
  const Reconciliation done = reconcile(*store, "contacts", Follow::newer);
  EXPECT_EQ(done.version, 3U);
  EXPECT_EQ(done.rows, 2U);
  EXPECT_EQ(done.diverged, 1U);
  EXPECT_EQ(done.reconciled, 1U);
  EXPECT_EQ(done.apart + done.changed + done.newer + done.failed, 0U);
  EXPECT_THAT(done.fields, ElementsAre(Pair("name", 1)));
  ASSERT_EQ(done.listed.size(), 1U);
  EXPECT_EQ(done.listed[0].key, store->collection("contacts").key(2U));
  EXPECT_EQ(done.listed[0].version, 2U);
  EXPECT_THAT(done.listed[0].fields, ElementsAre("name"));
  EXPECT_EQ(field(2, "name"), "Augusta King");
  EXPECT_EQ(field(2, "first"), "Augusta");
  EXPECT_EQ(field(2, "mine"), "kept");
  EXPECT_EQ(versionOf(2), 3U);
  EXPECT_EQ(versionOf(1), 2U) << "what is right is not touched";
  const auto commits = store->read().id();
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer).diverged, 0U);
  EXPECT_EQ(store->read().id(), commits);
}

TEST_F(ReconcileTest, DerivedFieldsFollowTheMirrorsDirectlyAndThroughOthers) {
  makeOneDiverged();
  const Reconciliation done = reconcile(*store, "contacts", Follow::older);
  EXPECT_EQ(done.reconciled, 1U);
  EXPECT_EQ(done.apart, 0U);
  EXPECT_EQ(field(2, "name"), "Ada Byron");
  EXPECT_EQ(field(2, "first"), "Ada");
  EXPECT_EQ(field(2, "last"), "Byron");
  EXPECT_EQ(field(2, "shown"), "Ada");
  EXPECT_EQ(field(2, "mine"), "kept") << "nothing that has diverged is in it";
  EXPECT_EQ(versionOf(2), 3U);
  EXPECT_EQ(reconcile(*store, "contacts", Follow::older).diverged, 0U);
}

TEST_F(ReconcileTest, ARowStaysApartWhereTheMirrorDoesNotLeadBack) {
  put(splitName(), 1, {{"name", "Cher"}, {"first", "Cherilyn"}, {"last", "Sarkisian"}});
  store->collection("contacts", mirroredName());
  const Reconciliation done = reconcile(*store, "contacts", Follow::older);
  EXPECT_EQ(done.reconciled, 1U);
  EXPECT_EQ(done.apart, 1U);
  EXPECT_EQ(field(1, "name"), "Cher");
  EXPECT_EQ(field(1, "first"), "Cher");
  EXPECT_EQ(field(1, "last"), "");
  const auto commits = store->read().id();
  const Reconciliation again = reconcile(*store, "contacts", Follow::older);
  EXPECT_EQ(again.apart, 1U);
  EXPECT_EQ(again.reconciled, 0U);
  EXPECT_EQ(store->read().id(), commits);
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer).reconciled, 1U);
  EXPECT_EQ(field(1, "name"), "Cher ");
}

TEST_F(ReconcileTest, RowsThatHaveToBeUpgradedAreLookedAtAsTheyAreRead) {
  put(contact1(), 1, {{"name", "Cher"}});
  put(contact1(), 2, {{"name", "Ada Lovelace"}});
  store->collection("contacts", contact2());
  EXPECT_EQ(reconcile(*store, "contacts", Follow::older).apart, 1U);
  EXPECT_EQ(versionOf(1), 1U) << "they follow already";
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer).reconciled, 1U);
  EXPECT_EQ(field(1, "name"), "Cher ");
  EXPECT_EQ(versionOf(1), 2U);
  EXPECT_EQ(versionOf(2), 1U);
}

TEST_F(ReconcileTest, NestedFieldsOfGroupsAndStructsToo) {
  const auto nested = [](unsigned version, const std::string& name, const std::string& street) {
    return contactSchema(version, "who :group { name @1 :Text" + name +
                                      R"(; first @2 :Text $Instar.derived(since = 2, copy = "who.name"); }
      home @3 :Home; street @4 :Text)" +
                                      street + "; struct Home { street @0 :Text; }");
  };
  {
    const Rows rows = store->collection("contacts", nested(2, "", ""));
    auto draft = rows.create();
    draft->set("id", 1U);
    auto who = draft->get("who").as<capnp::DynamicStruct>();
    who.set("name", "Ada");
    who.set("first", "Augusta");
    draft->init("home").as<capnp::DynamicStruct>().set("street", "Berkeley Square");
    auto transaction = store->write();
    rows.put(transaction, draft);
    transaction.commit();
  }
  const Rows rows =
      store->collection("contacts", nested(3, R"( $Instar.mirrored(since = 3, copy = "who.first"))",
                                           R"( $Instar.mirrored(since = 3, copy = "home.street"))"));
  const auto show = [&] { return std::string(kj::str(*rows.get(store->read(), 1U)).cStr()); };
  const Reconciliation older = reconcile(*store, "contacts", Follow::older);
  EXPECT_THAT(older.fields, ElementsAre(Pair("street", 1), Pair("who.name", 1)));
  EXPECT_EQ(older.apart, 1U) << "nothing is derived from the street";
  EXPECT_EQ(show(), R"((id = 1, who = (name = "Ada", first = "Ada"), home = (street = "Berkeley Square")))");
  const Reconciliation newer = reconcile(*store, "contacts", Follow::newer);
  EXPECT_THAT(newer.fields, ElementsAre(Pair("street", 1)));
  EXPECT_EQ(show(), R"((id = 1, who = (name = "Ada", first = "Ada"), )"
                    R"(home = (street = "Berkeley Square"), street = "Berkeley Square"))");
}

TEST_F(ReconcileTest, ADryRunChangesNothing) {
  makeManyDiverged(300);
  const auto commits = store->read().id();
  for (const Follow follow : {Follow::newer, Follow::older}) {
    const Reconciliation found = reconcile(*store, "contacts", follow, {.dryRun = true, .maxListed = 7});
    EXPECT_EQ(found.rows, 300U);
    EXPECT_EQ(found.diverged, 300U);
    EXPECT_EQ(found.reconciled, 300U);
    EXPECT_THAT(found.fields, ElementsAre(Pair("name", 300)));
    EXPECT_EQ(found.listed.size(), 7U);
    EXPECT_EQ(found.batches, 0U);
  }
  EXPECT_EQ(store->read().id(), commits);
  EXPECT_EQ(field(7, "name"), "Grace Murray");
  store.reset();
  const Store reading = Store::open(folder / "store.instar", {.mode = OpenMode::readOnly});
  EXPECT_EQ(reconcile(reading, "contacts", Follow::newer, {.dryRun = true}).diverged, 300U);
  EXPECT_ERROR(reconcile(reading, "contacts", Follow::newer), fixCall, "open it for writing");
}

TEST_F(ReconcileTest, PackedRowsAreCovered) {
  makeManyDiverged(300);
  migrate(*store, "contacts", {.mode = CompactionMode::compress});
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer).reconciled, 300U);
  EXPECT_EQ(field(299, "name"), "Grace Hopper");
  EXPECT_EQ(store->collection("contacts").count(store->read()), 300U);
  EXPECT_TRUE(check(*store).sound());
  migrate(*store, "contacts", {.mode = CompactionMode::compress});
  EXPECT_EQ(field(0, "name"), "Grace Hopper");
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer).diverged, 0U);
}

TEST_F(ReconcileTest, RowsThatCannotBePutStayAndAreListed) {
  const auto counted = [](unsigned version, const char* mirror) {
    return contactSchema(version, "small @1 :UInt8" + std::string(mirror) + "; big @2 :UInt32;");
  };
  {
    const Rows rows = store->collection("contacts", counted(1, ""));
    auto transaction = store->write();
    for (const unsigned big : {7U, 1000U}) {
      auto draft = rows.create();
      draft->set("id", big);
      draft->set("big", big);
      rows.put(transaction, draft);
    }
    transaction.commit();
  }
  store->collection("contacts", counted(2, " $Instar.mirrored(since = 2, convert = \"big\")"));
  const Reconciliation done = reconcile(*store, "contacts", Follow::newer);
  EXPECT_EQ(done.reconciled, 1U);
  EXPECT_EQ(done.failed, 1U);
  ASSERT_EQ(done.failures.size(), 1U);
  EXPECT_EQ(done.failures[0].field, "small");
  EXPECT_EQ(done.failures[0].version, 1U);
  EXPECT_FALSE(done.failures[0].reason.empty());
  EXPECT_EQ(versionOf(1000), 1U);
}

TEST_F(ReconcileTest, RowsOfAStagedVersionAreLeftToIt) {
  put(contact2(), 1, {{"first", "Ada"}, {"last", "Lovelace"}});
  {
    const auto staged = store->stage("contacts", contactSchema(3, R"(
      name  @1 :Text $Instar.mirrored(since = 2, concat = [(field = "first"), (text = " "), (field = "last")]);
      first @2 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));
      last  @3 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 1));
      tier  @4 :UInt8 = 1;
      more  @5 :Text;)"),
                                     {.percent = 100});
    putFirstAndLast(*store, staged, 2, "Grace", "Hopper");
  }
  const Reconciliation done = reconcile(*store, "contacts", Follow::newer);
  EXPECT_EQ(done.version, 2U);
  EXPECT_EQ(done.rows, 2U);
  EXPECT_EQ(done.newer, 1U);
}

TEST_F(ReconcileTest, IsRefusedWhereNothingIsMirrored) {
  put(contact1(), 1, {{"name", "Cher"}});
  EXPECT_ERROR(reconcile(*store, "contacts", Follow::newer), fixCall, "mirrors no field");
  EXPECT_ERROR(reconcile(*store, "nothing", Follow::newer), fixCall, "no such collection");
}

TEST_F(ReconcileTest, WhatEndsItLeavesWhatIsDoneAndTheNextCallGoesOn) {
  constexpr std::uint64_t kRows = 4000;
  makeManyDiverged(kRows);
  int looks = 0;
  const ReconciliationOptions options{.rate = 1 << 20, .progress = [&](const Progress& state) {
                                        EXPECT_EQ(state.total, kRows);
                                        if (++looks == 4) throw std::runtime_error("enough");
                                      }};
  EXPECT_THROW(reconcile(*store, "contacts", Follow::newer, options), std::runtime_error);
  ASSERT_EQ(audit().size(), 1U) << "it says that it has begun in the batch that begins it";
  EXPECT_THAT(audit()[0].reason, ::testing::StartsWith("begun: the mirrors follow"));
  const Reconciliation left = reconcile(*store, "contacts", Follow::newer, {.dryRun = true});
  EXPECT_GT(left.diverged, 0U);
  EXPECT_LT(left.diverged, kRows);
  const Reconciliation done = reconcile(*store, "contacts", Follow::newer, {.rate = 1 << 20});
  EXPECT_EQ(done.reconciled, left.diverged);
  EXPECT_GT(done.waited.count(), 0) << "it is the rate that small batches are for";
  EXPECT_GT(done.batches, 1U);
  const auto entries = audit();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[2].rows, done.reconciled);
  EXPECT_EQ(entries[2].toVersion, 3U);
  EXPECT_THAT(entries[2].reason, ::testing::HasSubstr("; name: " + std::to_string(done.diverged)));
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer).diverged, 0U);
}

// ---- the log of what canary reads have met

TEST_F(ReconcileTest, TakesOutOfTheLogWhatIsRightAgainOrGone) {
  for (const std::uint64_t id : {1U, 2U, 3U}) put(contact1(), id, {{"name", "Cher"}});
  {
    const auto staged =
        store->stage("contacts", contact2(), {.shadow = 100, .guardRails = {.minimumSamples = 1'000'000}});
    const auto snapshot = store->read();
    for (auto row : staged.scan(snapshot)) EXPECT_EQ(textOf(*row, "name"), "Cher");
  }
  store.reset();  // closing it puts what it has counted into the file
  store = Store::open(folder / "store.instar");
  const auto logged = [&] {
    std::vector<Key> keys;
    for (const Divergence& one : divergences(*store, store->read(), "contacts")) keys.push_back(one.key);
    return keys;
  };
  ASSERT_EQ(logged().size(), 3U);
  promoteVersion(*store, "contacts", 2, {.forced = true});
  const Rows rows = store->collection("contacts", contact2());
  {
    auto transaction = store->write();
    rows.erase(transaction, 3U);
    transaction.commit();
  }
  putFirstAndLast(*store, rows, 2, "Cherilyn", "Sarkisian");
  EXPECT_EQ(reconcile(*store, "contacts", Follow::older).forgotten, 2U);
  EXPECT_THAT(logged(), UnorderedElementsAre(rows.key(1U)));
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer).forgotten, 1U);
  EXPECT_THAT(logged(), IsEmpty());
}

// ---- functions of the program

std::shared_ptr<const Functions> functions(const std::string& between) {
  auto functions = std::make_shared<Functions>();
  functions->value("sorted", [between](Text shown) {
    const std::string_view text(shown.begin(), shown.size());
    const auto blank = text.find(' ');
    return std::string(text.substr(blank + 1)) + between + std::string(text.substr(0, blank));
  });
  return functions;
}

TEST_F(ReconcileTest, AMirrorThatAFunctionMakesFollowsTheFunction) {
  const RecordSchema schema = contactSchema(
      2, R"(name @1 :Text $Instar.mirrored(since = 2, call = (function = "sorted", from = ["shown"]));
            shown @2 :Text $Instar.derived(since = 2, copy = "name");)");
  const auto open = [&](std::shared_ptr<const Functions> functions, bool allowMissing = false) {
    store.reset();
    store = Store::open(folder / "store.instar",
                        {.functions = std::move(functions), .allowMissingFunctions = allowMissing});
  };
  put(contact1(), 1, {{"name", "nobody"}});
  open(functions(", "));
  put(schema, 7, {{"shown", "Ada Lovelace"}});
  EXPECT_EQ(field(7, "name"), "Lovelace, Ada");
  open(nullptr, true);
  try {
    reconcile(*store, "contacts", Follow::older, {.dryRun = true});
    ADD_FAILURE() << "nobody knows what the mirror should be";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::fixCall);
    EXPECT_EQ(error.fact("function"), "sorted");
    EXPECT_EQ(error.fact("field"), "name");
  }
  open(functions("/"));
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer).diverged, 2U);
  EXPECT_EQ(field(7, "name"), "Lovelace/Ada");
}

TEST_F(ReconcileTest, RowsThatNeedAMissingFunctionFail) {
  auto shown = std::make_shared<Functions>();
  shown->value("shown", [](Text name) { return std::string(name.cStr()); });
  const auto schema = [](unsigned version, const char* mirror) {
    return contactSchema(version, "name @1 :Text" + std::string(mirror) +
                                      R"(; shown @2 :Text $Instar.derived(since = 2, call =
                                           (function = "shown", from = ["name"]));)");
  };
  store.reset();
  store = Store::open(folder / "store.instar", {.functions = shown});
  put(schema(2, ""), 1, {{"name", "Cher"}, {"shown", "Ada"}});
  store->collection("contacts", schema(3, R"( $Instar.mirrored(since = 3, copy = "shown"))"));
  store.reset();
  store = Store::open(folder / "store.instar", {.allowMissingFunctions = true});
  const Reconciliation done = reconcile(*store, "contacts", Follow::older);
  EXPECT_EQ(done.failed, 1U);
  ASSERT_EQ(done.failures.size(), 1U);
  EXPECT_EQ(done.failures[0].function, "shown");
  EXPECT_EQ(field(1, "shown"), "Ada");
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer).reconciled, 1U);
  EXPECT_EQ(field(1, "name"), "Ada");
}

// ---- others write meanwhile

TEST_F(ReconcileTest, WhatOthersPutOrEraseMeanwhileIsLeftToThem) {
  makeManyDiverged(10);
  const Rows rows = store->collection("contacts", mirroredName());
  auto transaction = store->write();
  Reconciliation done;
  std::thread reconciling([&] { done = reconcile(*store, "contacts", Follow::newer); });
  // It has looked at its rows when it waits for the lock of writers.
  auto& environment = store->read().state().sharedStore()->environment();
  while (environment.pressure().writersWaiting == 0) std::this_thread::yield();
  auto draft = rows.edit(transaction, 3U);
  draft->set("first", "Jean");
  draft->set("last", "Bartik");
  rows.put(transaction, draft);
  rows.erase(transaction, 4U);
  transaction.commit();
  reconciling.join();
  EXPECT_EQ(done.diverged, 10U);
  EXPECT_EQ(done.changed, 2U);
  EXPECT_EQ(done.reconciled, 8U);
  EXPECT_EQ(field(3, "name"), "Jean Bartik");
  EXPECT_FALSE(rows.contains(store->read(), 4U));
}

// A rollback told the program, which has the newest release, to use a newer one.
TEST_F(ReconcileTest, APromotionOrARollbackInTheMiddleEndsItAndTheNextCallGoesOn) {
  constexpr std::uint64_t kRows = 4000;
  makeManyDiverged(kRows);
  store->stage("contacts", mirroredName(4));
  std::uint64_t seen = 0;
  const auto untilBatch = [&](const std::function<void()>& then) {
    return ReconciliationOptions{.rate = 1 << 20, .progress = [&seen, then](const Progress& state) {
                                   if (std::exchange(seen, state.done) == 0 && state.done != 0) then();
                                 }};
  };
  const auto promotion = untilBatch([&] { promoteVersion(*store, "contacts", 4, {.forced = true}); });
  EXPECT_ERROR(reconcile(*store, "contacts", Follow::newer, promotion), retry, "another current version");
  const auto rollback = untilBatch([&] { abortVersion(*store, "contacts", 4, "a test"); });
  EXPECT_ERROR(reconcile(*store, "contacts", Follow::newer, rollback), retry, "another current version");
  const Reconciliation done = reconcile(*store, "contacts", Follow::newer);
  EXPECT_EQ(done.version, 3U);
  EXPECT_GT(done.reconciled, 0U);
  EXPECT_LT(done.reconciled, kRows);
  EXPECT_EQ(reconcile(*store, "contacts", Follow::newer, {.dryRun = true}).diverged, 0U);
  EXPECT_TRUE(check(*store).sound());
}

// Older programs write names of one word, which diverge; newer ones both parts of a name.
TEST(ReconcileConcurrent, WritersOfBothVersionsAndReadersGoOn) {
  TemporaryFolder folder;
  const Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
  constexpr std::uint64_t kRows = 500;
  const Rows older = store.collection("contacts", contact1());
  for (std::uint64_t id = 0; id < kRows; ++id) putName(store, older, id, "0");
  const Rows newer = store.collection("contacts", contact2());
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::uint64_t> last(kRows, 0);  // that the writer has put
  std::thread writer([&] {
    for (std::uint64_t turn = 1; !stop; ++turn) {
      const std::uint64_t id = turn * 7919 % kRows;
      const std::string word = std::to_string(turn);
      if (turn % 2 == 0)
        putName(store, older, id, word.c_str());
      else
        putFirstAndLast(store, newer, id, word.c_str(), "");
      last[id] = turn;
    }
  });
  std::thread reader([&] {
    while (!stop) {
      const auto snapshot = store.read();
      for (auto row : newer.scan(snapshot)) {
        const std::string first = textOf(*row, "first");
        const std::string name = textOf(*row, "name");
        if (name != first && name != first + " ") ++wrong;
      }
    }
  });
  std::uint64_t reconciled = 0;
  for (int turn = 0; turn < 10; ++turn) {
    reconciled +=
        reconcile(store, "contacts", Follow::newer, {.lockTime = std::chrono::microseconds(200)}).reconciled;
  }
  stop = true;
  writer.join();
  reader.join();
  EXPECT_GE(reconciled, kRows / 2);
  EXPECT_EQ(wrong, 0U);
  reconcile(store, "contacts", Follow::newer);
  EXPECT_EQ(reconcile(store, "contacts", Follow::newer).diverged, 0U);
  const auto snapshot = store.read();
  for (std::uint64_t id = 0; id < kRows; ++id)
    EXPECT_EQ(textOf(*newer.get(snapshot, id), "name"), std::to_string(last[id]) + " ");
  EXPECT_TRUE(check(store).sound());
}

}  // namespace
}  // namespace instar
