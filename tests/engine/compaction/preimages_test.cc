// What compaction has replaced, kept until what took its place is verified: what is kept, when it goes, and
// how rows come back from it.

#include "instar/engine/preimages.h"

#include <gmock/gmock.h>

#include <map>

#include "instar/engine/internal/compaction/settlement.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/migration.h"
#include "instar/engine/staging.h"
#include "instar/tests/engine/compaction_thread.h"
#include "instar/tests/support/expect_error.h"

namespace instar {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Bytewise = std::map<std::string, std::string>;
using Texts = std::map<std::uint64_t, std::string>;

RecordSchema thirdVersion() {
  return testing::parseDeclarations(
      "struct Item @0xabcdefabcdef1234 $Instar.version(3) { id @0 :UInt64 $Instar.key(0); text @1 :Text;"
      " head @2 :Text $Instar.derived(since = 2, split = (field = \"text\", by = \" \", part = 0));"
      " tail @3 :Text $Instar.derived(since = 3, split = (field = \"text\", by = \" \", part = 3)); }",
      "Item");
}

class PreimagesTest : public CompactionThread {
 protected:
  void put(std::uint64_t id, const std::string& text) const {
    auto transaction = store_.write();
    const Rows items = store_.collection("items");
    auto draft = items.create();
    draft->set("id", id);
    draft->set("text", text.c_str());
    items.put(transaction, draft);
    transaction.commit();
  }
  void erase(std::uint64_t id) const {
    auto transaction = store_.write();
    store_.collection("items").erase(transaction, id);
    transaction.commit();
  }
  // Blocks of rows, of which hot rows cover some and tombstones others, with rows between them that no block
  // has; all of the first version, while the newest is the second.
  void makeMixed() const {
    putEvery(2, 6000, "of many");
    migrate(store_, "items", {.mode = CompactionMode::compress});
    putEvery(7, 8000, "again");
    auto transaction = store_.write();
    const Rows items = store_.collection("items");
    for (std::uint64_t id = 10; id < 6000; id += 22) items.erase(transaction, id);
    transaction.commit();
    store_.collection("items", secondVersion());
  }
  void putEvery(std::uint64_t step, std::uint64_t end, const std::string& text) const {
    const Rows items = store_.collection("items", firstVersion());
    auto transaction = store_.write();
    for (std::uint64_t id = 0; id < end; id += step) {
      auto draft = items.create();
      draft->set("id", id);
      draft->set("text", ("row " + std::to_string(id) + " " + text).c_str());
      items.put(transaction, draft);
    }
    transaction.commit();
  }

  std::shared_ptr<CollectionState> items(const RecordSchema& schema) const {
    TransactionState reading(state_, storage::Access::read);
    return std::make_shared<CollectionState>(state_, store_.plans(store_.read(), "items", schema),
                                             *state_->environment().openTree(rowTreeName("items"), false),
                                             *Catalog(reading).collection("items"), reading);
  }
  std::unique_ptr<Worker> worker(const RecordSchema& schema, bool keeps = true) const {
    return std::make_unique<Worker>(
        state_, items(schema),
        Worker::Settings{
            .mode = CompactionMode::compress, .rate = 1, .keepPreimages = keeps});  // small batches
  }
  static void pass(Worker& worker, const Key& lower = {}) {
    while (!worker.step({.lower = lower, .packs = true}, [] {})) {
    }
  }
  static void settle(Worker& worker) {
    while (const auto choice = worker.pickToSettle()) worker.step(*choice, [] {});
  }

  Key position() const {
    TransactionState transaction(state_, storage::Access::read);
    const auto pass = Partitions(transaction, "items").of(Key()).pass;
    return pass ? pass->position : Key();
  }
  static bool isInside(const Bytewise& blocks, const Key& position) {
    return std::ranges::any_of(blocks, [&](const auto& block) {
      ColdBlockHeader header;
      return decodeBlockHeader(asBytes(block.second), header) == BlockDamage::none &&
             compareBytes(header.firstKey, position.bytes()) <= 0 &&
             compareBytes(position.bytes(), asBytes(block.first)) < 0;
    });
  }

  Bytewise raw(const std::string& tree) const {
    Bytewise found;
    const auto id = state_->environment().openTree(tree, false);
    if (!id) return found;
    TransactionState transaction(state_, storage::Access::read);
    const auto cursor = transaction.storage().cursor(*id);
    for (bool more = cursor->first(); more; more = cursor->next())
      found.emplace(asText(cursor->key()), asText(cursor->value()));
    return found;
  }
  void change(const std::string& tree, const std::string& key,
              const std::function<void(std::span<std::byte>)>& change) const {
    TransactionState transaction(state_, storage::Access::write);
    const auto id = *state_->environment().openTree(tree, false);
    const Bytes stored = *transaction.storage().get(id, asBytes(key));
    std::vector<std::byte> value(stored.begin(), stored.end());
    change(value);
    std::ranges::copy(value, transaction.storage().reserve(id, asBytes(key), value.size()).begin());
    transaction.commit();
  }
  void damage(const std::string& tree, const std::string& key) const {
    change(tree, key, [](std::span<std::byte> value) { value.back() ^= std::byte{1}; });
  }

  template <class Walk>
  static Texts textsOf(Walk& walk) {
    Texts texts;
    for (const auto row : walk)
      texts[row->get("id").template as<std::uint64_t>()] = row->get("text").template as<capnp::Text>().cStr();
    return texts;
  }
  Texts rows() const {
    const auto snapshot = store_.read();
    auto scan = store_.collection("items").scan(snapshot);
    return textsOf(scan);
  }
  Texts kept() const {
    const auto snapshot = store_.read();
    auto scan = scanPreimages(snapshot, store_.collection("items"));
    return scan ? textsOf(*scan) : Texts();
  }
  std::uint64_t keptEntries() const {
    std::uint64_t entries = 0;
    for (const KeptPreimages& kept : verify(store_).kept) entries += kept.rows + kept.blocks;
    return entries;
  }

  const std::string keptRows_ = preimageRowTreeName("items");
  const std::string keptBlocks_ = preimageColdTreeName("items");
  const Store store_ = Store::open(path_, {.durability = Durability::off});
  const std::shared_ptr<StoreState> state_ = store_.read().state().sharedStore();
};

TEST_F(PreimagesTest, AreTheBytesThatWereReplacedUntilThePartitionIsVerified) {
  makeMixed();
  const Bytewise hot = raw(rowTreeName("items"));
  const Bytewise blocks = raw(coldTreeName("items"));
  const Texts before = rows();
  const auto worker = this->worker(secondVersion());
  int insideOfBlocks = 0;
  while (!worker->step({.lower = {}, .packs = true}, [] {}))
    insideOfBlocks += isInside(blocks, position()) ? 1 : 0;
  EXPECT_GT(insideOfBlocks, 3) << "no batch has left a rest of a block";
  EXPECT_EQ(raw(keptRows_), hot);
  EXPECT_EQ(raw(keptBlocks_), blocks);
  EXPECT_EQ(kept(), before);
  EXPECT_EQ(rows(), before);
  EXPECT_EQ(store_.collections(store_.read()).at(0).rows, before.size());
  EXPECT_EQ(keptEntries(), hot.size() + blocks.size());
  EXPECT_TRUE(check(store_).sound());
  EXPECT_EQ(check(store_).rows, before.size());
  settle(*worker);
  EXPECT_EQ(keptEntries(), 0U);
  EXPECT_TRUE(kept().empty());
  EXPECT_EQ(rows(), before);
}

TEST_F(PreimagesTest, AreNotMadeUnlessAskedFor) {
  makeMixed();
  migrate(store_, "items", {.mode = CompactionMode::compress});
  EXPECT_FALSE(Preimages::find(*state_, "items"));
}

TEST_F(PreimagesTest, AreGoneWhenAMigrationHasEnded) {
  makeMixed();
  const Texts before = rows();
  std::uint64_t most = 0;
  const auto look = [&](const Progress&) { most = std::max(most, keptEntries()); };
  migrate(store_, "items", {.mode = CompactionMode::compress, .keepPreimages = true, .progress = look});
  EXPECT_GT(most, 1000U);
  EXPECT_EQ(keptEntries(), 0U);
  EXPECT_EQ(rows(), before);
}

TEST_F(PreimagesTest, OfRowsThatAreOnlyUpgradedAreKeptToo) {
  fill(store_, 1000);
  store_.collection("items", secondVersion());
  const Bytewise before = raw(rowTreeName("items"));
  const auto worker = this->worker(secondVersion());
  while (!worker->step({.lower = {}, .packs = false}, [] {})) {
  }
  EXPECT_EQ(raw(keptRows_), before);
  settle(*worker);
  EXPECT_EQ(keptEntries(), 0U);
}

// As after a crash in the midst of a pass: the next process need not keep what it replaces itself.
TEST_F(PreimagesTest, OfAPassInProgressStayUntilItHasEnded) {
  makeMixed();
  ASSERT_FALSE(worker(secondVersion())->step({.lower = {}, .packs = true}, [] {}));
  const std::uint64_t entries = keptEntries();
  ASSERT_GT(entries, 0U);
  const auto worker = this->worker(secondVersion(), false);
  EXPECT_FALSE(worker->pickToSettle());
  pass(*worker);
  EXPECT_EQ(keptEntries(), entries);
  settle(*worker);
  EXPECT_EQ(keptEntries(), 0U);
}

// One that begins anew would meet rows again, of which the first pass has kept what is out of date.
TEST_F(PreimagesTest, OfAnotherVersionAreSettledBeforeThePassBeginsAnew) {
  makeMixed();
  ASSERT_FALSE(worker(secondVersion())->step({.lower = {}, .packs = true}, [] {}));
  put(0, "since then");
  store_.collection("items", thirdVersion());
  const auto worker = this->worker(thirdVersion());
  ASSERT_TRUE(worker->pickToSettle());
  ASSERT_FALSE(worker->step({.lower = {}, .packs = true}, [] {}));
  EXPECT_EQ(kept().at(0), "since then");
  const auto snapshot = store_.read();
  auto scan = scanPreimages(snapshot, store_.collection("items"));
  ASSERT_TRUE(scan && scan->next());
  EXPECT_EQ(scan->row().version(), 2);
}

// They used to be read by the version that is tried, whatever was served: who only looked for a row of before
// was told that it cannot be derived.
TEST_F(PreimagesTest, AreReadByAHandleOnTrialAsTheVersionBelowHasThem) {
  makeMixed();
  ASSERT_FALSE(worker(secondVersion())->step({.lower = {}, .packs = true}, [] {}));
  const Texts before = kept();
  ASSERT_FALSE(before.empty());
  const auto number = testing::parseDeclarations(
      "struct Item @0xabcdefabcdef1234 $Instar.version(3) { id @0 :UInt64 $Instar.key(0); text @1 :Text;"
      " head @2 :Text $Instar.derived(since = 2, split = (field = \"text\", by = \" \", part = 0));"
      " number @3 :UInt32 $Instar.derived(since = 3, convert = \"text\"); }",
      "Item");
  const auto staged = store_.stage("items", number, {.shadow = 100});
  const auto expect = [&] {
    const auto snapshot = store_.read();
    auto scan = scanPreimages(snapshot, staged);
    ASSERT_TRUE(scan);
    Texts texts;
    for (const auto row : *scan) {
      EXPECT_EQ(row.servedAs(), 2);
      EXPECT_STREQ(row->get("head").as<capnp::Text>().cStr(), "row");
      texts[row->get("id").as<std::uint64_t>()] = row->get("text").as<capnp::Text>().cStr();
    }
    EXPECT_EQ(texts, before);
  };
  expect();
  abortVersion(store_, "items", 3, "");
  expect();
}

TEST_F(PreimagesTest, OfAnotherModeAreSettledBeforeThePassBeginsAnew) {
  makeMixed();
  const auto worker = this->worker(secondVersion());
  ASSERT_FALSE(worker->step({.lower = {}, .packs = false}, [] {}));
  put(0, "since then");
  EXPECT_FALSE(worker->pickToSettle());
  ASSERT_FALSE(worker->step({.lower = {}, .packs = true}, [] {}));
  EXPECT_EQ(kept().at(0), "since then");
}

TEST_F(PreimagesTest, LeaveOutWhatOthersHaveChangedMeanwhile) {
  fill(store_, 1000);
  migrate(store_, "items", {.mode = CompactionMode::compress});
  for (std::uint64_t id = 2000; id < 2100; ++id) put(id, "hot");
  store_.collection("items", secondVersion());
  Texts expected = rows();
  const auto others = [&](const char* point) {
    if (std::string_view(point) != "prepared") return;
    put(5, "changed");     // of a block
    put(2005, "changed");  // that is hot
    erase(6);
    erase(2006);
  };
  for (const std::uint64_t id : {5, 6, 2005, 2006}) expected.erase(id);
  const auto items = this->items(secondVersion());
  Batch batch(state_, *items, CompactionMode::compress,
              {.rows = 10'000, .keepPreimages = true, .probe = others}, 0);
  Texts found;
  batch.prepare({});
  do {
    batch.install();
    EXPECT_FALSE(batch.verify());
  } while (!batch.isInstalled());
  EXPECT_EQ(batch.takeResult().changed, 2U);
  const Key last = batch.partition().pass ? batch.partition().pass->position : Key();
  for (const auto& [id, text] : kept()) found[id] = text;
  for (auto each = expected.begin(); each != expected.end();) {  // as far as the batch came
    const bool isBehind = !last.empty() && last < store_.collection("items").key(each->first);
    each = isBehind ? expected.erase(each) : std::next(each);
  }
  EXPECT_GT(expected.size(), 900U);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(rows().at(5), "changed");
  EXPECT_FALSE(rows().contains(6));
}

// Between two batches of a pass: the row is then replaced in turn.
TEST_F(PreimagesTest, ShowARowAsItWasReplacedLast) {
  makeMixed();
  const auto worker = this->worker(secondVersion());
  for (int step = 0; step < 3; ++step) ASSERT_FALSE(worker->step({.lower = {}, .packs = true}, [] {}));
  Texts expected = rows();
  const Key behind = position();
  for (std::uint64_t id = 0; id < 6000; id += 13) {
    if (!(behind < store_.collection("items").key(id))) continue;
    if (id % 2 == 0) {
      put(id, expected[id] = "since then");
    } else {
      erase(id);
      expected.erase(id);
    }
  }
  pass(*worker);
  EXPECT_EQ(kept(), expected);
}

TEST_F(PreimagesTest, OfPartitionsThatAreCutGoOneAfterAnother) {
  fill(store_, 3000);
  store_.collection("items", secondVersion());
  const auto items = this->items(secondVersion());
  Batch batch(state_, *items, CompactionMode::compress,
              {.rows = 200, .partitionRows = 500, .keepPreimages = true}, 0);
  int partitions = 0;
  const auto preimages = Preimages::make(state_, "items");
  for (std::optional<Key> lower = Key(); lower; ++partitions) {
    const std::uint64_t before = keptEntries();
    do {
      batch.prepare(*lower);
      do batch.install();
      while (!batch.isInstalled());
    } while (!batch.endedPass());
    EXPECT_GT(keptEntries(), before);
    TransactionState transaction(state_, storage::Access::read);
    const Partitions all(transaction, "items");
    EXPECT_EQ(partitionToSettle(transaction, *items, preimages), Key()) << "the first comes first";
    if (partitions % 2 == 1) {
      Settlement settlement(state_, *items, preimages, *lower, {});
      while (!settlement.isDone()) EXPECT_FALSE(settlement.step());
      EXPECT_EQ(keptEntries(), before);
    }
    lower = all.upperOf(batch.partition());
  }
  EXPECT_GE(partitions, 4);
  settle(*worker(secondVersion()));
  EXPECT_EQ(keptEntries(), 0U);
}

TEST_F(PreimagesTest, AreErasedInTransactionsThatEndInTime) {
  fill(store_, 300);
  const auto worker = this->worker(firstVersion());
  pass(*worker);
  const auto items = this->items(firstVersion());
  Settlement settlement(state_, *items, *Preimages::find(*state_, "items"), {},
                        {.bytes = 1000, .lockTime = std::chrono::microseconds(0)});
  std::uint64_t steps = 0;
  std::uint64_t erasing = 0;
  for (; !settlement.isDone(); ++steps) {
    EXPECT_FALSE(settlement.step());
    erasing += settlement.takeResult().transactions;
  }
  EXPECT_EQ(erasing, 300U);
  EXPECT_GE(steps, erasing + 3) << "it is read in parts as well";
  EXPECT_EQ(keptEntries(), 0U);
}

// The rows and tombstones of pre-images went before the blocks that they cover, so that rows came back
// meanwhile that were out of date, or erased long ago.
TEST_F(PreimagesTest, ShowNothingOutOfDateWhileTheyAreErased) {
  makeMixed();
  const Texts before = rows();
  const auto worker = this->worker(secondVersion());
  pass(*worker);
  const auto items = this->items(secondVersion());
  Settlement settlement(state_, *items, *Preimages::find(*state_, "items"), {},
                        {.bytes = 1000, .lockTime = std::chrono::microseconds(0)});
  std::size_t halves = 0;
  for (std::uint64_t step = 0; !settlement.isDone(); ++step) {
    settlement.step();
    if (step % 20 != 0) continue;
    const Texts shown = kept();
    halves += !shown.empty() && shown.size() < before.size() ? 1 : 0;
    for (const auto& [id, text] : shown) {
      ASSERT_TRUE(before.contains(id)) << id;
      ASSERT_EQ(text, before.at(id)) << id;
    }
  }
  EXPECT_GE(halves, 2U) << "they went all at once";
}

class PreimagesMismatch : public PreimagesTest {
 protected:
  // What a process leaves that ends between a pass and its settlement.
  void passWithoutSettlement(bool packs) const {
    const auto worker = this->worker(secondVersion());
    while (!worker->step({.lower = {}, .packs = packs}, [] {})) {
    }
  }
  // The record of the partition counts a row in blocks that is not there.
  void damageCount() const {
    TransactionState transaction(state_, storage::Access::write);
    Partitions partitions(transaction, "items");
    Partition partition = partitions.of(Key());
    ++partition.cold.rows;
    partitions.put(partition);
    transaction.commit();
  }
  // Also by who would not have kept anything.
  void expectMismatch(const std::string& amount) const {
    try {
      migrate(store_, "items", {.mode = CompactionMode::compress});
      ADD_FAILURE() << "nothing was found";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::restoreFromBackup);
      EXPECT_THAT(error.what(), AllOf(HasSubstr("read back"), HasSubstr(amount),
                                      HasSubstr("instar dump FILE items --preimages")));
    }
    EXPECT_ERROR(migrate(store_, "items"), restoreFromBackup, "run verify");
    const AuditEntry entry = readAudit(store_, store_.read()).entries.back();
    EXPECT_EQ(entry.event, AuditEvent::mismatch);
    EXPECT_THAT(entry.reason, HasSubstr(amount));
  }
};

TEST_F(PreimagesMismatch, ADamagedBlockLeavesThemAndTheRowsComeBack) {
  makeMixed();
  const Texts before = rows();
  const std::uint64_t hot = raw(rowTreeName("items")).size();
  const std::uint64_t blocks = raw(coldTreeName("items")).size();
  passWithoutSettlement(true);
  damage(coldTreeName("items"), raw(coldTreeName("items")).begin()->first);
  expectMismatch(std::to_string(hot) + " rows and " + std::to_string(blocks) +
                 " blocks are kept as they were");
  EXPECT_EQ(verify(store_).problems, 1U);
  EXPECT_EQ(keptEntries(), hot + blocks);
  EXPECT_EQ(kept(), before);
}

TEST_F(PreimagesMismatch, ALostBlockLeavesThem) {
  makeMixed();
  const Texts before = rows();
  passWithoutSettlement(true);
  {
    TransactionState transaction(state_, storage::Access::write);
    const auto blocks = *state_->environment().openTree(coldTreeName("items"), false);
    const auto cursor = transaction.storage().cursor(blocks);
    ASSERT_TRUE(cursor->last());
    const Key last(cursor->key());
    transaction.storage().erase(blocks, last.bytes());
    transaction.commit();
  }
  expectMismatch("are kept as they were");
  EXPECT_EQ(kept(), before);
}

TEST_F(PreimagesMismatch, InTheMidstOfAPassLeavesWhatItHasReplaced) {
  makeMixed();
  const auto items = this->items(secondVersion());
  const auto damageBlock = [&](const char* point) {
    if (std::string_view(point) != "committed") return;
    damage(coldTreeName("items"), raw(coldTreeName("items")).begin()->first);
  };
  Batch batch(
      state_, *items, CompactionMode::compress,
      {.rows = 500, .lockTime = std::chrono::seconds(10), .keepPreimages = true, .probe = damageBlock}, 0);
  Texts expected = rows();
  batch.prepare({});
  batch.install();
  EXPECT_TRUE(batch.verify());
  const Key behind = position();
  std::erase_if(expected,
                [&](const auto& row) { return behind < store_.collection("items").key(row.first); });
  Texts found = kept();  // and the rest of the block that the batch ended in
  std::erase_if(found, [&](const auto& row) { return behind < store_.collection("items").key(row.first); });
  EXPECT_GT(expected.size(), 100U);
  EXPECT_EQ(found, expected);
}

TEST_F(PreimagesMismatch, AtTheEndOfAPassLeavesWhatItHasReplaced) {
  makeMixed();
  const auto worker = this->worker(secondVersion());
  ASSERT_FALSE(worker->step({.lower = {}, .packs = true}, [] {}));
  const std::uint64_t before = keptEntries();
  damageCount();
  EXPECT_ERROR(pass(*worker), restoreFromBackup, "instar dump FILE items --preimages");
  EXPECT_GT(keptEntries(), before);
  EXPECT_ERROR(migrate(store_, "items"), restoreFromBackup, "run verify");
}

TEST_F(PreimagesMismatch, ADamagedRowLeavesThemUntilItIsPutAgain) {
  fill(store_, 1000);
  store_.collection("items", secondVersion());
  const Texts before = rows();
  passWithoutSettlement(false);
  const std::string key(asText(store_.collection("items").key(std::uint64_t{7}).bytes()));
  damage(rowTreeName("items"), key);
  expectMismatch("1000 rows and 0 blocks are kept as they were");
  ASSERT_EQ(kept(), before);
  ASSERT_TRUE(resumeCompaction(store_));
  EXPECT_ERROR(migrate(store_, "items"), restoreFromBackup, "read back");
  ASSERT_EQ(kept(), before) << "to resume does not erase them";
  put(7, kept().at(7));
  ASSERT_TRUE(resumeCompaction(store_));
  migrate(store_, "items");
  EXPECT_EQ(keptEntries(), 0U);
  EXPECT_EQ(rows(), before);
}

// It is reported by whoever reads it, and compaction goes on beside it.
TEST_F(PreimagesMismatch, IsNotARowThatWasDamagedBefore) {
  fill(store_, 1000);
  store_.collection("items", secondVersion());
  damage(rowTreeName("items"), std::string(asText(store_.collection("items").key(std::uint64_t{7}).bytes())));
  const Migration done = migrate(store_, "items", {.mode = CompactionMode::compress, .keepPreimages = true});
  EXPECT_EQ(done.failed, 1U);
  EXPECT_EQ(keptEntries(), 0U);
}

TEST_F(PreimagesTest, ThatAreDamagedAreReportedByCheck) {
  makeMixed();
  const auto worker = this->worker(secondVersion());
  pass(*worker);
  damage(keptRows_, raw(keptRows_).begin()->first);
  damage(keptBlocks_, raw(keptBlocks_).begin()->first);
  const CheckReport report = check(store_);
  ASSERT_EQ(report.problemCount, 2U);
  EXPECT_EQ(report.problems[0].finding, Finding::damagedRow);
  EXPECT_EQ(report.problems[1].finding, Finding::damagedBlock);
  EXPECT_THAT(report.problems[1].message, HasSubstr("a pre-image: "));
}

TEST_F(PreimagesTest, AreInABackup) {
  makeMixed();
  pass(*worker(secondVersion()));
  store_.backup(folder_ / "copy.instar", {.compact = true});
  const Store copy = Store::open(folder_ / "copy.instar", {.mode = OpenMode::readOnly});
  const auto snapshot = copy.read();
  auto scan = scanPreimages(snapshot, copy.collection("items"));
  ASSERT_TRUE(scan);
  EXPECT_EQ(textsOf(*scan), kept());
}

TEST_F(PreimagesTest, AreReadWithinARangeAndBackwards) {
  makeMixed();
  pass(*worker(secondVersion()));
  const auto snapshot = store_.read();
  const auto items = store_.collection("items");
  auto scan = scanPreimages(
      snapshot, items,
      {.from = items.key(std::uint64_t{3}), .to = items.key(std::uint64_t{11}), .reverse = true});
  ASSERT_TRUE(scan);
  std::vector<std::uint64_t> ids;
  for (const auto row : *scan) {
    ids.push_back(row->get("id").as<std::uint64_t>());
    EXPECT_STREQ(row->get("head").as<capnp::Text>().cStr(), "row") << "upgraded";
  }
  EXPECT_EQ(ids, (std::vector<std::uint64_t>{8, 7, 6, 4}));  // 10 was erased
}

// Rows of pre-images are upgraded when they are read, and must not be put into the collection for it.
TEST_F(PreimagesTest, AreNotWrittenBack) {
  makeMixed();
  pass(*worker(secondVersion()));
  const Store other = Store::open(path_, {.durability = Durability::off, .writeBackRows = 100});
  const auto snapshot = other.read();
  auto scan = scanPreimages(snapshot, other.collection("items"));
  ASSERT_TRUE(scan);
  EXPECT_GT(textsOf(*scan).size(), 1000U);
  EXPECT_EQ(other.writeBack(), 0U);
}

TEST_F(CompactionThread, KeepsPreimagesWhereAskedToAndErasesThemInTheEnd) {
  StoreOptions options = compacting(CompactionMode::compress);
  options.compaction.keepPreimages = true;
  const Store store = Store::open(path_, options);
  fill(store, 3000);
  const auto isDone = [&] {
    return compactionProgress(store, store.read()).collections[0].coldRows == 3000 && isSettled(store) &&
           verify(store).kept.empty();
  };
  ASSERT_TRUE(comes(isDone));
  store.collection("items", secondVersion());
  ASSERT_TRUE(comes(isDone));
  expectWhole(store, 3000);
  EXPECT_TRUE(Preimages::find(*store.read().state().sharedStore(), "items"));
  EXPECT_EQ(store.compaction().status().detail, "");
}

}  // namespace
}  // namespace instar
