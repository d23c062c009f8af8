// What every storage::Environment does: the same suite over LMDB and over the model in memory.

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <thread>

#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/tests/engine/storage/environment_helpers.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::storage {
namespace {

enum class Kind { lmdb, memory };

class StorageContract : public ::testing::TestWithParam<Kind> {
 protected:
  StorageContract()
      : environment(GetParam() == Kind::lmdb ? open(folder / "store", unsynced()) : openMemory()),
        tree(openTree(*environment)) {}

  void fill(std::initializer_list<std::string_view> keys) {
    const auto transaction = beginWrite(*environment);
    for (const std::string_view key : keys) put(*transaction, tree, key, "value of " + std::string(key));
    transaction->commit();
  }

  testing::TemporaryFolder folder;
  std::shared_ptr<Environment> environment;
  TreeId tree;
};

TEST_P(StorageContract, CommittedRowsAreThereAndOthersAreNot) {
  put(*environment, tree, "a", "1");
  EXPECT_EQ(get(*environment, tree, "a"), "1");
  EXPECT_EQ(get(*environment, tree, "b"), std::nullopt);
}

TEST_P(StorageContract, ATransactionThatIsDroppedLeavesNothing) {
  put(*beginWrite(*environment), tree, "a", "1");
  EXPECT_EQ(get(*environment, tree, "a"), std::nullopt);
}

TEST_P(StorageContract, AWriterSeesItsOwnChangesAndASnapshotDoesNot) {
  put(*environment, tree, "a", "old");
  const auto snapshot = beginRead(*environment);
  const auto writer = beginWrite(*environment);
  put(*writer, tree, "a", "new");
  EXPECT_EQ(get(*writer, tree, "a"), "new");
  EXPECT_EQ(get(*snapshot, tree, "a"), "old");
  writer->commit();
  EXPECT_EQ(get(*snapshot, tree, "a"), "old");
  EXPECT_EQ(get(*environment, tree, "a"), "new");
}

TEST_P(StorageContract, ReplacingChangesSizeAndContent) {
  put(*environment, tree, "a", "short");
  put(*environment, tree, "a", std::string(100'000, 'x'));
  EXPECT_EQ(get(*environment, tree, "a"), std::string(100'000, 'x'));
  put(*environment, tree, "a", "");
  EXPECT_EQ(get(*environment, tree, "a"), "");
}

TEST_P(StorageContract, EraseTellsWhetherThereWasARow) {
  put(*environment, tree, "a", "1");
  const auto writer = beginWrite(*environment);
  EXPECT_TRUE(writer->erase(tree, asBytes("a")));
  EXPECT_FALSE(writer->erase(tree, asBytes("a")));
  EXPECT_EQ(get(*writer, tree, "a"), std::nullopt);
}

TEST_P(StorageContract, KeysSortBytewiseShorterFirst) {
  fill({"b", "a", std::string_view("a\0", 2), "\xff", "ab", "\x7f"});
  const auto snapshot = beginRead(*environment);
  const auto cursor = snapshot->cursor(tree);
  std::vector<std::string> keys;
  for (bool found = cursor->first(); found; found = cursor->next()) keys.emplace_back(asText(cursor->key()));
  EXPECT_EQ(keys, (std::vector<std::string>{"a", std::string("a\0", 2), "ab", "b", "\x7f", "\xff"}));
}

TEST_P(StorageContract, ACursorGoesBothWaysAndFindsTheNextKey) {
  fill({"b", "d", "f"});
  const auto snapshot = beginRead(*environment);
  const auto cursor = snapshot->cursor(tree);
  ASSERT_TRUE(cursor->seek(asBytes("c")));
  EXPECT_EQ(asText(cursor->key()), "d");
  EXPECT_EQ(asText(cursor->value()), "value of d");
  ASSERT_TRUE(cursor->previous());
  EXPECT_EQ(asText(cursor->key()), "b");
  EXPECT_FALSE(cursor->previous());
  ASSERT_TRUE(cursor->seek(asBytes("d")));
  EXPECT_EQ(asText(cursor->key()), "d");
  ASSERT_TRUE(cursor->last());
  EXPECT_EQ(asText(cursor->key()), "f");
  EXPECT_FALSE(cursor->next());
  EXPECT_FALSE(cursor->seek(asBytes("g")));
  ASSERT_TRUE(cursor->seek({})) << "an empty key is less than all";
  EXPECT_EQ(asText(cursor->key()), "b");
  EXPECT_FALSE(cursor->seek(asBytes(std::string(600, 'z')))) << "a key that cannot exist still has a place";
  EXPECT_TRUE(cursor->seek(asBytes("c" + std::string(600, 'z'))));
}

TEST_P(StorageContract, ACursorWithoutPositionStaysSo) {
  fill({"a", "b"});
  const auto snapshot = beginRead(*environment);
  const auto cursor = snapshot->cursor(tree);
  EXPECT_FALSE(cursor->next());
  EXPECT_FALSE(cursor->previous());
  ASSERT_TRUE(cursor->last());
  EXPECT_FALSE(cursor->next());
  EXPECT_FALSE(cursor->previous()) << "the end is not a position";
}

TEST_P(StorageContract, ACursorReadsSeveralEntriesAtOnce) {
  fill({"a", "b", "c", "d", "e"});
  const auto snapshot = beginRead(*environment);
  const auto cursor = snapshot->cursor(tree);
  std::array<Entry, 3> room;
  const auto read = [&](std::size_t count) {
    std::string text;
    for (const Entry& entry : std::span(room).first(count)) {
      text += asText(entry.key);
      EXPECT_EQ(asText(entry.value), "value of " + std::string(asText(entry.key)));
    }
    return text;
  };
  EXPECT_EQ(cursor->next(room), 0U) << "there is no position yet";
  ASSERT_TRUE(cursor->first());
  EXPECT_EQ(read(cursor->next(room)), "bcd");
  EXPECT_EQ(asText(cursor->key()), "d") << "the last of them is where it stands";
  EXPECT_EQ(read(cursor->previous(std::span(room).first(2))), "cb");
  EXPECT_TRUE(cursor->next());
  EXPECT_EQ(asText(cursor->key()), "c");
  EXPECT_EQ(read(cursor->next(room)), "de");
  EXPECT_EQ(cursor->next(room), 0U);
  EXPECT_EQ(cursor->previous(room), 0U) << "the end is not a position";
  ASSERT_TRUE(cursor->last());
  EXPECT_EQ(cursor->next(room), 0U);
  ASSERT_TRUE(cursor->seek(asBytes("b")));
  EXPECT_EQ(read(cursor->previous(room)), "a");
}

TEST_P(StorageContract, AnEmptyTreeHasNoPositions) {
  const auto snapshot = beginRead(*environment);
  const auto cursor = snapshot->cursor(tree);
  EXPECT_FALSE(cursor->first());
  EXPECT_FALSE(cursor->last());
  EXPECT_FALSE(cursor->seek(asBytes("a")));
}

TEST_P(StorageContract, ACursorMustBePositionedAgainAfterAChange) {
  fill({"a", "b", "c"});
  const auto writer = beginWrite(*environment);
  const auto cursor = writer->cursor(tree);
  ASSERT_TRUE(cursor->first());
  put(*writer, tree, "aa", "new");
  EXPECT_ERROR(cursor->next(), fixCall, "position it again");
  EXPECT_ERROR(cursor->previous(), fixCall, "position it again");
  std::array<Entry, 2> room;
  EXPECT_ERROR(cursor->next(room), fixCall, "position it again");
  ASSERT_TRUE(cursor->seek(asBytes("a")));
  ASSERT_TRUE(cursor->next());
  EXPECT_EQ(asText(cursor->key()), "aa");
  EXPECT_TRUE(writer->erase(tree, asBytes("aa")));
  EXPECT_ERROR(cursor->next(), fixCall, "position it again");
}

TEST_P(StorageContract, ACursorsKeyMayBeWrittenAndErased) {
  // LMDB moves the bytes of a page while it changes it, and a cursor's key is such bytes.
  const auto writer = beginWrite(*environment);
  std::map<std::string, std::string> expected;
  for (int number = 0; number < 500; ++number) {
    const std::string key = "key " + std::to_string(number);
    put(*writer, tree, key, "short");
    expected[key] = std::string(200, 'x');
  }
  const auto cursor = writer->cursor(tree);
  std::string position;
  while (cursor->seek(asBytes(position))) {
    position = std::string(asText(cursor->key())) + '\0';
    const std::span<std::byte> room = writer->reserve(tree, cursor->key(), 200);
    std::memset(room.data(), 'x', room.size());
  }
  EXPECT_EQ(contents(*writer, tree), expected);
  for (bool found = cursor->first(); found; found = cursor->first())
    EXPECT_TRUE(writer->erase(tree, cursor->key()));
  EXPECT_TRUE(contents(*writer, tree).empty());
}

TEST_P(StorageContract, KeysThatAreEmptyOrTooLongAreRefusedBeforeAnythingIsWritten) {
  const std::string longest(511, 'k');
  const std::string tooLong(512, 'k');
  const auto writer = beginWrite(*environment);
  for (const std::string& key : {std::string(), tooLong}) {
    EXPECT_ERROR(writer->reserve(tree, asBytes(key), 1), fixCall, "1 to 511 bytes");
    EXPECT_ERROR(writer->erase(tree, asBytes(key)), fixCall, "1 to 511 bytes");
    EXPECT_ERROR(writer->get(tree, asBytes(key)), fixCall, "1 to 511 bytes");
  }
  put(*writer, tree, longest, "1");
  writer->commit();
  EXPECT_EQ(contents(*beginRead(*environment), tree), (std::map<std::string, std::string>{{longest, "1"}}));
}

TEST_P(StorageContract, AValueThatIsTooLongIsRefusedBeforeAnythingIsWritten) {
  const auto writer = beginWrite(*environment);
  EXPECT_ERROR(writer->reserve(tree, asBytes("a"), (std::size_t{1} << 30) + 16), fixCall, "1 GiB");
  put(*writer, tree, "b", "1");
  writer->commit();
  EXPECT_EQ(get(*environment, tree, "b"), "1");
}

TEST_P(StorageContract, NumbersOfTransactionsGoUpWithEachCommitThatChangesSomething) {
  const std::uint64_t before = beginRead(*environment)->id();
  const auto writer = beginWrite(*environment);
  EXPECT_EQ(writer->id(), before + 1);
  put(*writer, tree, "a", "1");
  writer->commit();
  EXPECT_EQ(beginRead(*environment)->id(), before + 1);
  EXPECT_EQ(environment->info().lastTransaction, before + 1);
  beginWrite(*environment)->commit();
  EXPECT_EQ(beginRead(*environment)->id(), before + 1) << "nothing was changed";
}

TEST_P(StorageContract, AReaderCannotWrite) {
  const auto snapshot = beginRead(*environment);
  EXPECT_ERROR(snapshot->reserve(tree, asBytes("a"), 1), fixCall, "only reads");
  EXPECT_ERROR(snapshot->erase(tree, asBytes("a")), fixCall, "only reads");
}

TEST_P(StorageContract, NothingCanBeDoneAfterTheEnd) {
  fill({"a"});
  for (const Access access : {Access::read, Access::write}) {
    const auto transaction = environment->begin(access, kLong);
    const auto cursor = transaction->cursor(tree);
    ASSERT_TRUE(cursor->first());
    transaction->commit();
    EXPECT_ERROR(transaction->get(tree, asBytes("a")), fixCall, "has ended");
    EXPECT_ERROR(transaction->cursor(tree), fixCall, "has ended");
    EXPECT_ERROR(transaction->commit(), fixCall, "has ended");
    EXPECT_ERROR(cursor->next(), fixCall, "has ended");
    EXPECT_ERROR(cursor->first(), fixCall, "has ended");
  }
}

TEST_P(StorageContract, ACursorMayOutliveItsTransaction) {
  fill({"a"});
  std::unique_ptr<Cursor> ofReader = beginRead(*environment)->cursor(tree);
  std::unique_ptr<Cursor> ofWriter = beginWrite(*environment)->cursor(tree);
  EXPECT_ERROR(ofReader->first(), fixCall, "has ended");
  EXPECT_ERROR(ofWriter->first(), fixCall, "has ended");
}

TEST_P(StorageContract, TreesAreSeparate) {
  const TreeId other = openTree(*environment, "other");
  put(*environment, tree, "a", "1");
  put(*environment, other, "a", "2");
  EXPECT_EQ(get(*environment, tree, "a"), "1");
  EXPECT_EQ(get(*environment, other, "a"), "2");
  EXPECT_EQ(beginRead(*environment)->statistics(other).entries, 1U);
}

TEST_P(StorageContract, SeveralTreesChangeTogetherOrNotAtAll) {
  const TreeId other = openTree(*environment, "other");
  {
    const auto writer = beginWrite(*environment);
    put(*writer, tree, "a", "1");
    put(*writer, other, "a", "1");
  }
  EXPECT_EQ(get(*environment, tree, "a"), std::nullopt);
  EXPECT_EQ(get(*environment, other, "a"), std::nullopt);
}

TEST_P(StorageContract, ATreeThatDoesNotExistIsNotOpenedUnlessItIsCreated) {
  EXPECT_EQ(environment->openTree("missing", false), std::nullopt);
  const TreeId created = openTree(*environment, "missing");
  EXPECT_EQ(environment->openTree("missing", false), created);
  EXPECT_EQ(environment->openTree("missing", true), created);
}

TEST_P(StorageContract, ATreesNameHasLimits) {
  EXPECT_ERROR(environment->openTree("", true), fixCall, "name of a tree");
  EXPECT_ERROR(environment->openTree(std::string(512, 'n'), true), fixCall, "name of a tree");
  EXPECT_ERROR(environment->openTree(std::string_view("a\0b", 3), true), fixCall, "name of a tree");
  EXPECT_TRUE(environment->openTree(std::string(511, 'n'), true).has_value());
}

TEST_P(StorageContract, ThousandsOfTreesFitAndOneMoreIsAClearError) {
  std::set<TreeId> trees{tree};
  for (int number = 1; number < 2010; ++number)
    trees.insert(openTree(*environment, "tree " + std::to_string(number)));
  EXPECT_EQ(trees.size(), 2010U);
  EXPECT_ERROR(environment->openTree("one too many", true), fixCall, "no room for another tree");
  put(*environment, *trees.rbegin(), "a", "1");
  EXPECT_EQ(get(*environment, *trees.rbegin(), "a"), "1");
}

TEST_P(StorageContract, ATransactionThatBeganBeforeATreeWasOpenedSaysSo) {
  const auto snapshot = beginRead(*environment);
  const TreeId later = openTree(*environment, "later");
  EXPECT_ERROR(snapshot->get(later, asBytes("a")), fixCall, "before the tree was opened");
  EXPECT_ERROR(snapshot->cursor(later), fixCall, "before the tree was opened");
  EXPECT_ERROR(snapshot->statistics(later), fixCall, "before the tree was opened");
  EXPECT_EQ(get(*snapshot, tree, "a"), std::nullopt) << "that is no reason to fail elsewhere";
  EXPECT_EQ(get(*environment, later, "a"), std::nullopt);
}

TEST_P(StorageContract, CreatingATreeInsideAWriteTransactionIsRefused) {
  const auto writer = beginWrite(*environment);
  EXPECT_ERROR(environment->openTree("other", true), fixCall, "write transaction open");
  EXPECT_EQ(environment->openTree("tree", false), tree) << "what is open already may be asked for";
  put(*writer, tree, "a", "1");
  writer->commit();
  EXPECT_TRUE(environment->openTree("other", true).has_value());
}

TEST_P(StorageContract, ASecondWriteTransactionOfAThreadIsRefusedInsteadOfHanging) {
  const auto writer = beginWrite(*environment);
  EXPECT_ERROR(beginWrite(*environment), fixCall, "write transaction open");
  put(*writer, tree, "a", "1");
  writer->commit();
  beginWrite(*environment)->commit();
}

TEST_P(StorageContract, AnotherThreadWaitsForTheWriteLockAsLongAsItSays) {
  auto writer = beginWrite(*environment);
  std::thread([&] { EXPECT_ERROR(beginWrite(*environment, kShort), retry, "holds the write lock"); }).join();
  writer.reset();
  std::thread([&] { beginWrite(*environment, kShort)->commit(); }).join();
}

TEST_P(StorageContract, AWriteTransactionIsCommittedByItsOwnThreadOnly) {
  const auto writer = beginWrite(*environment);
  put(*writer, tree, "a", "1");
  std::thread([&] { EXPECT_ERROR(writer->commit(), fixCall, "belongs to the thread"); }).join();
  writer->commit();
  EXPECT_EQ(get(*environment, tree, "a"), "1");
}

TEST_P(StorageContract, AWriteTransactionThatIsDroppedOnAnotherThreadIsAborted) {
  auto writer = beginWrite(*environment);
  put(*writer, tree, "a", "1");
  const auto cursor = writer->cursor(tree);
  std::thread([&] { writer.reset(); }).join();
  EXPECT_ERROR(cursor->first(), fixCall, "has ended");
  put(*environment, tree, "b", "2");  // the thread that began it may write again
  EXPECT_EQ(contents(*beginRead(*environment), tree), (std::map<std::string, std::string>{{"b", "2"}}));
}

TEST_P(StorageContract, ATransactionKeepsItsEnvironmentOpen) {
  put(*environment, tree, "a", "1");
  const auto snapshot = beginRead(*environment);
  environment.reset();
  EXPECT_EQ(get(*snapshot, tree, "a"), "1");
}

TEST_P(StorageContract, PlacementChangesAtTheSameSizeForEveryKeyLength) {
  for (const std::size_t keyLength : {1U, 8U, 100U, 511U}) {
    std::size_t size = 0;
    while (environment->placement(keyLength, size) == RowPlacement::leaf) ++size;
    EXPECT_EQ(8 + keyLength + size - 1, 2038U) << "the largest node on a page of 4096 bytes";
  }
}

INSTANTIATE_TEST_SUITE_P(Lmdb, StorageContract, ::testing::Values(Kind::lmdb));
INSTANTIATE_TEST_SUITE_P(Memory, StorageContract, ::testing::Values(Kind::memory));

TEST(MemoryFaults, StrikeTheChosenOperation) {
  const auto faults = std::make_shared<FaultPlan>();
  const auto environment = openMemory(faults);
  const TreeId tree = openTree(*environment);
  faults->failAt(Operation::reserve, 2, Error(ErrorCode::freeSpace, "full"));
  auto writer = beginWrite(*environment);
  put(*writer, tree, "a", "1");
  EXPECT_ERROR(put(*writer, tree, "b", "2"), freeSpace, "full");
  EXPECT_ERROR(put(*writer, tree, "c", "3"), freeSpace, "full");
  EXPECT_ERROR(writer->commit(), freeSpace, "full");
  EXPECT_EQ(get(*environment, tree, "a"), std::nullopt) << "nothing after a failure is committed";

  faults->failAt(Operation::get, 1, Error(ErrorCode::restoreFromBackup, "damaged"));
  EXPECT_ERROR(get(*environment, tree, "a"), restoreFromBackup, "damaged");
  EXPECT_EQ(get(*environment, tree, "a"), std::nullopt);
}

TEST(MemoryFaults, AFailedCommitStoresNothingUnlessItIsUnknown) {
  const auto faults = std::make_shared<FaultPlan>();
  const auto environment = openMemory(faults);
  const TreeId tree = openTree(*environment);
  faults->failAt(Operation::commit, 1, Error(ErrorCode::freeSpace, "full"));
  faults->failAt(Operation::commit, 2, Error(ErrorCode::readBack, "unknown"));
  EXPECT_ERROR(put(*environment, tree, "a", "1"), freeSpace, "full");
  EXPECT_EQ(get(*environment, tree, "a"), std::nullopt);
  EXPECT_ERROR(put(*environment, tree, "a", "1"), readBack, "unknown");
  EXPECT_EQ(get(*environment, tree, "a"), "1");
}

}  // namespace
}  // namespace instar::storage
