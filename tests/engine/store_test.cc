#include "instar/engine/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/format/file_format.h"
#include "instar/format/row.h"
#include "instar/tests/engine/contact.capnp.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/fault_io.h"
#include "instar/tests/support/forwarding_storage.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using ::testing::HasSubstr;

void putContact(const Store& store, std::uint64_t id) {
  const auto contacts = store.collection<Contact>("contacts");
  auto contact = contacts.create();
  contact->setId(id);
  auto transaction = store.write();
  contacts.put(transaction, contact);
  transaction.commit();
}

TEST(StoreTest, AFileKeepsItsRows) {
  const testing::TemporaryFolder folder;
  putContact(Store::open(folder / "store.instar"), 7);
  const Store store = Store::open(folder / "store.instar");
  EXPECT_TRUE(store.collection<Contact>("contacts").get(store.read(), 7));
  const FileInfo info = store.fileInfo(store.read());
  EXPECT_EQ(info.formatVersion, kFileFormat1);
  EXPECT_THAT(info.createdBy, HasSubstr("instar "));
  EXPECT_GT(info.createdAt, 0);
}

TEST(StoreTest, OpeningWritesNothing) {
  const testing::TemporaryFolder folder;
  putContact(Store::open(folder / "store.instar"), 7);
  const auto state = [&] {
    const Store store = Store::open(folder / "store.instar");
    const auto contacts = store.collection<Contact>("contacts");
    EXPECT_EQ(contacts.count(store.read()), 1U);
    return store.info().lastTransaction;
  };
  const auto before = state();
  EXPECT_EQ(state(), before);
}

// A storage that must not be asked for what takes long in a large file.
class StorageWithoutInfo final : public testing::ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  EnvironmentInfo info() override { throw std::logic_error("info() reads the whole list of free pages"); }
};

// Opening a file of 230 MB read all of it from the disk, page by page of its list of free pages.
TEST(StoreTest, OpeningDoesNotCountPages) {
  const testing::TemporaryFolder folder;
  for (int time = 0; time < 2; ++time) {
    const auto storage = std::make_shared<StorageWithoutInfo>(storage::openLmdb(folder / "store.instar", {}));
    putContact(Store::open(storage), 7);
  }
  const auto storage = std::make_shared<StorageWithoutInfo>(
      storage::openLmdb(folder / "store.instar", {.mode = OpenMode::readOnly}));
  const Store store = Store::open(storage, {.mode = OpenMode::readOnly});
  EXPECT_TRUE(store.collection("contacts").get(store.read(), 7));
}

TEST(StoreTest, TwoHandlesInOneProcessAreTheSameStore) {
  const testing::TemporaryFolder folder;
  const Store first = Store::open(folder / "store.instar");
  const Store second = Store::open(folder / "store.instar");
  putContact(first, 1);
  EXPECT_TRUE(second.collection<Contact>("contacts").get(second.read(), 1));
  const auto contacts = first.collection<Contact>("contacts");
  EXPECT_TRUE(contacts.get(second.read(), 1));
}

TEST(StoreTest, HandlesOutliveTheirStore) {
  const testing::TemporaryFolder folder;
  auto store = std::make_unique<Store>(Store::open(folder / "store.instar"));
  putContact(*store, 1);
  const auto contacts = store->collection<Contact>("contacts");
  const auto snapshot = store->read();
  store.reset();
  EXPECT_TRUE(contacts.get(snapshot, 1));
}

TEST(StoreTest, AnAbsentCollectionIsCreatedOrNamed) {
  const testing::TemporaryFolder folder;
  putContact(Store::open(folder / "store.instar"), 1);
  const Store store = Store::open(folder / "store.instar", {.mode = OpenMode::readOnly});
  EXPECT_ERROR(store.collection<Visit>("visits"), fixCall, "collections: contacts");
  EXPECT_ERROR(store.collection("visits"), fixCall, "no such collection");
  EXPECT_ERROR(store.versions(store.read(), "visits"), fixCall, "no such collection");
  EXPECT_ERROR(store.versions(store.read(), std::string(600, 'n')), fixCall, "no such collection");
}

TEST(StoreTest, NamesOfCollectionsAreChecked) {
  const testing::TemporaryFolder folder;
  const Store store = Store::open(folder / "store.instar");
  for (const std::string& name : {std::string(""), std::string("a/b"), std::string("a\nb"),
                                  std::string("\xff"), std::string(129, 'n')}) {
    EXPECT_ERROR(store.collection<Contact>(name), fixCall, "1 to 128 bytes");
  }
  for (const std::string& name : {std::string("ünï cødé"), std::string("a.b-c"), std::string(128, 'n')}) {
    EXPECT_EQ(store.collection<Contact>(name).name(), name);
  }
}

TEST(StoreTest, AThousandCollectionsAreTheLimit) {
  const testing::TemporaryFolder folder;
  const Store store = Store::open(folder / "store.instar", {.durability = Durability::off});
  for (std::size_t i = 0; i < kMaxCollections; ++i) store.collection<Visit>("c" + std::to_string(i));
  EXPECT_ERROR(store.collection<Visit>("one more"), fixCall, "at most 1,000 collections");
  EXPECT_EQ(store.collections(store.read()).size(), kMaxCollections);
  const auto last = store.info().lastTransaction;
  EXPECT_ERROR(store.collection<Visit>("another"), fixCall, "at most 1,000 collections");
  EXPECT_EQ(store.info().lastTransaction, last) << "a refused collection must not leave a tree";
}

// A power cut after open() had created a store with Durability::normal or off left a file without its
// catalog: programs that only read were told that it was not finished, and had to wait for one that writes.
TEST(StoreTest, IsDurableAtEveryLevelOnceItIsCreated) {
  for (const Durability durability : {Durability::normal, Durability::off}) {
    const testing::TemporaryFolder folder;
    bool isSynced = false;
    const testing::ScopedIoRule rule([&](const testing::IoEvent& event) {
      isSynced = event.call == testing::IoCall::fdatasync || event.call == testing::IoCall::fsync;
      return testing::IoOutcome();
    });
    const Store store = Store::open(folder / "store.instar", {.durability = durability});
    EXPECT_TRUE(isSynced) << "something was written after the last sync";
  }
}

TEST(StoreTest, TheOwnWriteTransactionIsNotWaitedFor) {
  const testing::TemporaryFolder folder;
  const Store store = Store::open(folder / "store.instar");
  store.collection<Visit>("visits");
  auto transaction = store.write();
  EXPECT_ERROR(store.write(), fixCall, "");
  EXPECT_ERROR(store.collection<Contact>("new"), fixCall, "");
  EXPECT_EQ(store.collection<Visit>("visits").name(), "visits");  // nothing to record
  transaction.abort();
  EXPECT_EQ(store.collection<Contact>("new").name(), "new");
}

TEST(StoreTest, ANewerFileFormatIsRefused) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "store.instar";
  putContact(Store::open(path), 1);
  {
    // The record as a later release would write it: the same struct with a higher version.
    const auto environment = storage::openLmdb(path, {});
    const auto tree = environment->openTree(kCatalogTree, false);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    RowView row;
    const Bytes key = asBytes(kFormatKey);
    ASSERT_EQ(decodeRow(key, *transaction->get(*tree, key), Verify::yes, row), RowDamage::none);
    std::vector<std::byte> payload(row.payload.begin(), row.payload.end());
    payload[16] = std::byte{kFileFormat + 1};  // after the root pointer and the magic
    const std::size_t length = rowHeaderLength(key.size(), RowPlacement::leaf) + payload.size();
    encodeRow(transaction->reserve(*tree, key, length), key, kFileFormat1, payload, RowPlacement::leaf);
    transaction->commit();
  }
  EXPECT_ERROR(Store::open(path), upgradeProgram, "newer format");
  EXPECT_ERROR(Store::open(path, {.mode = OpenMode::readOnly}), upgradeProgram,
               "file format: " + std::to_string(kFileFormat + 1));
}

TEST(StoreTest, SomebodyElsesDatabaseIsRefusedAndLeftAlone) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "store.mdb";
  {
    const auto environment = storage::openLmdb(path, {});
    environment->openTree("theirs", true);
  }
  EXPECT_ERROR(Store::open(path), fixEnvironment, "not an Instar file");
  const auto environment = storage::openLmdb(path, {});
  EXPECT_FALSE(environment->openTree(kCatalogTree, false).has_value());
}

// A tree of that name was enough to be taken for an Instar file that had not been finished.
TEST(StoreTest, SomebodyElsesTreeNamedCatalogIsLeftAlone) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "store.mdb";
  {
    const auto environment = storage::openLmdb(path, {});
    const auto tree = environment->openTree(kCatalogTree, true);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    transaction->reserve(*tree, asBytes("theirs"), 1)[0] = std::byte{1};
    transaction->commit();
  }
  for (const OpenMode mode : {OpenMode::createOrOpen, OpenMode::readOnly}) {
    EXPECT_ERROR(Store::open(path, {.mode = mode}), fixEnvironment, "not an Instar file");
  }
  const auto environment = storage::openLmdb(path, {});
  EXPECT_EQ(environment->info().lastTransaction, 2U);
}

// In a compact copy the numbers of commits begin anew. Of another program's file that had a tree of that name
// this made one that looked not finished: it was finished, with a record in that program's tree.
TEST(StoreTest, ACopyOfSomebodyElsesDatabaseIsLeftAlone) {
  const testing::TemporaryFolder folder;
  for (const bool holdsRows : {true, false}) {
    const auto path = folder / (holdsRows ? "rows.mdb" : "trees.mdb");
    {
      const auto environment = storage::openLmdb(folder / ("original of " + path.filename().string()), {});
      const auto tree = environment->openTree(kCatalogTree, true);
      if (holdsRows) {
        const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
        transaction->reserve(*tree, asBytes("theirs"), 1)[0] = std::byte{1};
        transaction->commit();
      } else {
        environment->openTree("settings", true);
      }
      environment->copyTo(path, {.compact = true});
    }
    ASSERT_EQ(storage::openLmdb(path, {})->info().lastTransaction, 1U) << "the test has lost its subject";
    for (const OpenMode mode : {OpenMode::createOrOpen, OpenMode::openExisting, OpenMode::readOnly}) {
      EXPECT_ERROR(Store::open(path, {.mode = mode}), fixEnvironment, "not an Instar file");
    }
    EXPECT_EQ(storage::openLmdb(path, {})->info().lastTransaction, 1U);
  }
}

TEST(StoreTest, ManyProcessesMayCreateTheSameStore) {
  for (int round = 0; round < 20; ++round) {
    const testing::TemporaryFolder folder;
    const auto path = folder / "store.instar";
    std::vector<pid_t> children;
    for (std::uint64_t id = 0; id < 4; ++id) {
      children.push_back(fork());
      if (children.back() != 0) continue;
      try {
        putContact(Store::open(path, {.durability = Durability::off}), id);
        _exit(0);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        _exit(1);
      }
    }
    for (const pid_t child : children) {
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
    const Store store = Store::open(path);
    EXPECT_EQ(store.collection<Contact>("contacts").count(store.read()), 4U);
  }
}

// Without a lock file a writer does not know that its pages are being read: rows are copied, and the reading
// ends in time.
TEST(StoreTest, AReaderWithoutALockFileNeverSeesWhatAWriterDoes) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "store.instar";
  for (std::uint64_t id = 0; id < 50; ++id) putContact(Store::open(path), id);
  std::filesystem::remove(path.string() + "-lock");
  int toChild[2];
  int toParent[2];
  ASSERT_EQ(pipe(toChild), 0);
  ASSERT_EQ(pipe(toParent), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    if (read(toChild[0], &byte, 1) != 1) _exit(1);
    for (int round = 0; round < 5; ++round) {
      for (std::uint64_t id = 0; id < 50; ++id) putContact(Store::open(path), id);
    }
    _exit(write(toParent[1], "x", 1) == 1 ? 0 : 1);
  }
  {
    const Store store = Store::open(path, {.mode = OpenMode::readOnly});
    const auto contacts = store.collection<Contact>("contacts");
    const auto snapshot = store.read();
    const auto row = contacts.get(snapshot, 7);
    const std::string before(asText(row.payload()));
    char byte;
    ASSERT_EQ(write(toChild[1], "x", 1), 1);
    ASSERT_EQ(read(toParent[0], &byte, 1), 1);
    EXPECT_EQ(asText(row.payload()), before);
    EXPECT_EQ(row->getId(), 7U);
    EXPECT_ERROR(contacts.get(snapshot, 8), retry, "overwritten");
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(StoreTest, AFileThatWasNotFinishedIsFinished) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "store.instar";
  storage::openLmdb(path, {})->openTree(kCatalogTree, true);  // the process died here
  EXPECT_ERROR(Store::open(path, {.mode = OpenMode::readOnly}), fixEnvironment, "not finished");
  putContact(Store::open(path), 1);
  EXPECT_EQ(Store::open(path).collections(Store::open(path).read()).size(), 1U);
}

TEST(StoreTest, BackupAndCompactKeepEveryRow) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "store.instar";
  {
    const Store store = Store::open(path, {.durability = Durability::off});
    const auto contacts = store.collection<Contact>("contacts");
    for (int round = 0; round < 2; ++round) {
      auto transaction = store.write();
      for (std::uint64_t id = 0; id < 20'000; ++id) {
        auto contact = contacts.create();
        contact->setId(id);
        contact->setName(round == 0 ? "a long name that takes some room in the file" : "short");
        contacts.put(transaction, contact);
      }
      transaction.commit();
    }
    const auto snapshot = store.read();
    store.backup(folder / "backup.instar");
    EXPECT_ERROR(store.backup(folder / "backup.instar"), fixEnvironment, "");
    EXPECT_ERROR(Store::compact(path), retry, "");
  }
  const auto size = std::filesystem::file_size(path);
  Store::compact(path);
  EXPECT_LT(std::filesystem::file_size(path), size);
  for (const auto& file : {path, folder / "backup.instar"}) {
    const Store store = Store::open(file);
    const auto snapshot = store.read();
    EXPECT_EQ(store.collection<Contact>("contacts").count(snapshot), 20'000U);
    EXPECT_EQ(store.collection<Contact>("contacts").get(snapshot, 19'999)->getName(), "short");
  }
}

TEST(StoreTest, WhatIsNotOursIsNotCompacted) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "text.txt";
  std::ofstream(path) << std::string(10'000, 'x');
  EXPECT_ERROR(Store::compact(path), fixEnvironment, "not an Instar file");
  EXPECT_EQ(std::filesystem::file_size(path), 10'000U);
}

TEST(StoreTest, AFailedCommitLeavesTheStoreAsItWas) {
  const auto faults = std::make_shared<storage::FaultPlan>();
  const auto environment = storage::openMemory(faults);
  const Store store = Store::open(environment);
  putContact(store, 1);
  const auto contacts = store.collection<Contact>("contacts");
  auto transaction = store.write();
  contacts.erase(transaction, 1);
  faults->failAt(storage::Operation::commit, 1, Error(ErrorCode::freeSpace, "the disk is full"));
  EXPECT_ERROR(transaction.commit(), freeSpace, "disk is full");
  EXPECT_TRUE(contacts.get(store.read(), 1));
  putContact(store, 2);
  EXPECT_EQ(contacts.count(store.read()), 2U);
}

}  // namespace
}  // namespace instar
