// Files in which something is sound that should not be, or that change while they are read.

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "instar/engine/check.h"
#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/salvage/salvage_into.h"
#include "instar/engine/internal/storage/file_system.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
#include "instar/engine/staging.h"
#include "instar/format/file_format.h"
#include "instar/tests/engine/salvage/judge.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

constexpr std::size_t kPage = 4096;

// Flips a bit in the last byte of the value of the entry that `isWanted`, of the tree's leaves.
void flipValue(std::string& bytes, const std::string& tree, const std::function<bool(Bytes key)>& isWanted) {
  const std::string before = bytes;
  const MemoryFile memory(before);
  const pages::PageFile file(memory.descriptor(), "file");
  const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
  for (const pages::PageNumber leaf : map.find(tree)->walk.leaves) {
    const Bytes content = asBytes(std::string_view(before).substr(leaf * kPage, kPage));
    pages::Page page;
    ASSERT_EQ(page.decode(content, leaf), nullptr);
    pages::Node node;
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      if (!page.node(i, node) || !isWanted(node.key)) continue;
      const auto place = static_cast<std::size_t>(&node.value.back() - content.data());
      bytes[leaf * kPage + place] ^= 1;
      return;
    }
  }
  FAIL() << "there is no such entry";
}

class OddFile : public ::testing::Test {
 protected:
  OddFile() : path_(folder_ / "odd.instar") {}

  void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }

  // Puts another payload into a record of the catalog, under a checksum that is right.
  void replaceRecord(std::string_view name,
                     const std::function<void(std::vector<std::byte>&)>& change) const {
    const auto environment = storage::openLmdb(path_, {});
    const auto tree = environment->openTree(kCatalogTree, false);
    const auto transaction = environment->begin(storage::Access::write, std::chrono::seconds(1));
    RowView row;
    const Bytes key = asBytes(name);
    ASSERT_EQ(decodeRow(key, *transaction->get(*tree, key), Verify::yes, row), RowDamage::none);
    const std::uint16_t version = row.version;
    std::vector<std::byte> payload(row.payload.begin(), row.payload.end());
    change(payload);
    const std::size_t length = rowHeaderLength(key.size(), RowPlacement::leaf) + payload.size();
    encodeRow(transaction->reserve(*tree, key, length), key, version, payload, RowPlacement::leaf);
    transaction->commit();
  }

  TemporaryFolder folder_;
  const std::filesystem::path path_;
};

// How many bytes the thread reads in calls of its own, as the kernel counts them.
class ReadCount {
 public:
  std::uint64_t take() const { return count() - before_; }

 private:
  static std::uint64_t count() {
    std::ifstream account("/proc/thread-self/io");
    std::string name;
    std::uint64_t bytes = 0;
    account >> name >> bytes;
    if (name != "rchar:") throw std::runtime_error("the kernel does not say what the thread has read");
    return bytes;
  }

  const std::uint64_t before_ = count();
};

// Puts entries into a leaf from its end on.
class LeafMaker {
 public:
  explicit LeafMaker(pages::PageNumber number) : bytes_(kPage, '\0') { store(0, number, 8); }

  // False where there is no room.
  bool add(const std::string& key, const std::string& value, unsigned flags) {
    const std::size_t length = (8 + key.size() + value.size() + 1) / 2 * 2;
    if (16 + 2 * (nodes_ + 1) + length > upper_) return false;
    upper_ -= length;
    store(16 + 2 * nodes_, upper_, 2);
    ++nodes_;
    store(upper_, value.size(), 4);
    store(upper_ + 4, flags, 2);
    store(upper_ + 6, key.size(), 2);
    bytes_.replace(upper_ + 8, key.size(), key);
    bytes_.replace(upper_ + 8 + key.size(), value.size(), value);
    return true;
  }
  // Leads to a page, as a node of a branch page does.
  void lead(const std::string& key, pages::PageNumber page) {
    add(key, "", 0);
    store(upper_, page, 6);
    kind_ = 1;
  }
  std::string finish() {
    store(10, kind_, 2);
    store(12, 16 + 2 * nodes_, 2);
    store(14, upper_, 2);
    return bytes_;
  }

 private:
  void store(std::size_t place, std::uint64_t number, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) bytes_[place + i] = static_cast<char>(number >> (8 * i));
  }

  std::string bytes_;
  std::size_t nodes_ = 0;
  std::size_t upper_ = kPage;
  unsigned kind_ = 2;
};

// Its large rows take more pages than are passed between two calls of the progress function.
class BigFile : public OddFile {
 protected:
  BigFile() : store_(Store::open(path_, {.durability = Durability::off})) {
    const Collection<capnp::DynamicStruct> rows = open();
    auto transaction = store_.write();
    for (std::uint64_t id = 0; id < 20; ++id) put(rows, transaction, id, std::size_t{1} << 20);
    transaction.commit();
  }

  Collection<capnp::DynamicStruct> open(std::string_view name = "notes") const {
    return store_.collection(
        name, parseDeclarations("struct Note @0x9a1b2c3d4e5f6071 $Instar.version(1) { id @0 :UInt64 "
                                "$Instar.key(0); text @1 :Text; }",
                                "Note"));
  }

  static void put(const Collection<capnp::DynamicStruct>& rows, WriteTransaction& transaction,
                  std::uint64_t id, std::size_t length) {
    auto draft = rows.create();
    draft->set("id", id);
    draft->set("text", std::string(length, 'x').c_str());
    rows.put(transaction, draft);
  }

  const Store store_;
};

// Leaves are read twice, and a commit between both was not noticed: the rows were of no one state.
TEST_F(BigFile, IsNotSalvagedWhileAProgramWritesToIt) {
  const Collection<capnp::DynamicStruct> rows = open();
  std::uint64_t id = 100;
  const auto commit = [&](const Progress&) {
    auto transaction = store_.write();
    put(rows, transaction, id++, 10);
    transaction.commit();
  };
  EXPECT_ERROR(salvage(path_, folder_ / "to", {.progress = commit}), retry,
               "a program writes to the file: end it, then try again");
  EXPECT_GT(id, 100U);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "to"));
  EXPECT_TRUE(salvage(path_, folder_ / "to").isComplete());
}

// What a walk over the pages meets can be written anew before it comes there. `check` took pages that look
// damaged while somebody commits for such ones, and went on to LMDB, which damage can end the program in.
class BusyFile : public BigFile {
 protected:
  // Each commit frees pages, and the next ones use them.
  SalvageOptions whileCommitting() {
    return {.progress = [this](const Progress&) {
      for (int commit = 0; commit < 3; ++commit) {
        auto transaction = store_.write();
        for (const std::uint64_t id : {commits_ % 20, (commits_ + 7) % 20})
          put(rows_, transaction, id, std::size_t{1} << 20);
        transaction.commit();
        ++commits_;
      }
    }};
  }

  // The only page of a tree that nobody touches any more.
  void damageAPage() const {
    const Collection<capnp::DynamicStruct> still = open("still");
    auto transaction = store_.write();
    put(still, transaction, 1, 10);
    transaction.commit();
    const storage::FileDescriptor descriptor = storage::openRegularFile(path_, O_RDONLY);
    const pages::PageFile file(descriptor.get(), path_);
    const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
    const auto page = static_cast<std::streamoff>(map.find("rows/still")->walk.leaves.front());
    std::fstream(path_, std::ios::in | std::ios::out | std::ios::binary).seekp(page * kPage)
        << std::string(kPage, '\0');
  }

  const Collection<capnp::DynamicStruct> rows_ = open();
  std::uint64_t commits_ = 0;
};

TEST_F(BusyFile, IsSound) {
  const PageReport report = checkPages(path_, whileCommitting());
  EXPECT_TRUE(report.sound());
  EXPECT_GT(commits_, 0U);
}

TEST_F(BusyFile, IsDamaged) {
  damageAPage();
  const PageReport report = checkPages(path_, whileCommitting());
  EXPECT_EQ(report.problemCount, 1U);
  EXPECT_FALSE(report.changes);
  EXPECT_GT(commits_, 0U);
}

TEST_F(BusyFile, CannotBeJudgedWhereItsPagesCannotBeHeld) {
  damageAPage();
  std::vector<ReadTransaction> snapshots;
  const auto takeAllSlots = [&] {
    for (;;) snapshots.push_back(store_.read());
  };
  EXPECT_ERROR(takeAllSlots(), retry, "close snapshots");
  EXPECT_TRUE(checkPages(path_, whileCommitting()).changes);
  snapshots.clear();
  EXPECT_FALSE(checkPages(path_, whileCommitting()).changes);
}

// Nothing was said while trees were walked, so that a check of pages could not be interrupted.
TEST_F(BigFile, SaysHowFarTheWalkOverItsTreesIs) {
  std::uint64_t calls = 0;
  const PageReport report = checkPages(path_, {.progress = [&](const Progress& progress) {
                                         ++calls;
                                         EXPECT_GT(progress.done, 0U);
                                         EXPECT_LE(progress.done, progress.total);
                                       }});
  EXPECT_TRUE(report.sound());
  EXPECT_GT(calls, 0U);
}

// One bit of a record of the catalog made all rows of its version unreadable, though pages of older commits
// had it: nobody looked, because all pages were sound.
TEST_F(OddFile, HasADamagedRecordOfASchemaInAnOlderCommit) {
  const BaseFile base = makeBase("versions");
  std::string bytes = base.bytes;
  flipValue(bytes, std::string(kCatalogTree), [](Bytes key) {
    return asText(key).starts_with(kVersionKeyPrefix) && asText(key).ends_with('\1');
  });
  const Salvaged salvaged = salvageBytes(bytes, false);
  EXPECT_EQ(salvaged.report.lostCatalogRecords, 1U);
  EXPECT_EQ(salvaged.report.olderCatalogRecords, 1U);
  EXPECT_TRUE(salvaged.report.collections.front().isUsable);
  EXPECT_TRUE(salvaged.report.collections.front().lostVersions.empty());
  EXPECT_EQ(salvaged.state, base.state);
}

// Likewise of a row: that an older copy of it can be had was not said.
TEST_F(OddFile, HasADamagedRowInAnOlderCommit) {
  const BaseFile base = makeBase("plain");
  std::string bytes = base.bytes;
  flipValue(bytes, "rows/notes", [](Bytes) { return true; });
  const Salvaged left = salvageBytes(bytes, false);
  EXPECT_EQ(left.report.collections.front().lostRows, 1U);
  EXPECT_GE(left.report.collections.front().leftOut, 1U);
  const Salvaged asked = salvageBytes(bytes, true);
  EXPECT_GE(asked.report.collections.front().sweptRows, 1U);
  for (const auto& row : base.state.at("notes")) EXPECT_TRUE(asked.state.at("notes").contains(row.first));
}

// Any empty collection with the same schema was taken for a rival of the damaged one.
TEST_F(OddFile, WithAnEmptyCollectionLosesNothingOfTheDamagedOne) {
  write(makeBase("plain").bytes);
  {
    const Store store = Store::open(path_);
    const auto notes = store.collection("notes");
    store.collection("empty", *store.version(store.read(), "notes", 1));
  }
  std::ifstream file(path_, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  {
    const MemoryFile memory(bytes);
    const pages::PageFile pageFile(memory.descriptor(), "file");
    const pages::PageMap map(pageFile, pages::PageMap::Sweep::never, [](std::uint64_t) {});
    ASSERT_NE(map.find("rows/empty"), nullptr);
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(map.find("rows/notes")->record.root * kPage),
                kPage, '\0');
  }
  const Salvaged salvaged = salvageBytes(bytes, false);
  EXPECT_EQ(salvaged.report.unassignedRows, 0U);
  EXPECT_EQ(salvaged.state.at("notes"), makeBase("plain").state.at("notes"));
}

// The rows of a newer release were taken for damaged ones.
TEST_F(OddFile, OfANewerReleaseIsRefused) {
  write(makeBase("small").bytes);
  replaceRecord(kFormatKey, [](std::vector<std::byte>& payload) {
    payload[16] = std::byte{kFileFormat + 1};  // behind the root pointer and the magic
  });
  EXPECT_ERROR(salvage(path_, folder_ / "to"), upgradeProgram, "newer format");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "to"));
}

// Such a record of the audit ended the whole salvage.
TEST_F(OddFile, WithAHeadOfTheAuditThatIsNoRecordLosesTheAuditAlone) {
  const BaseFile base = makeBase("compacted");
  write(base.bytes);
  replaceRecord(kAuditKey, [](std::vector<std::byte>& payload) {
    payload[0] = std::byte{0xff};  // no pointer to a struct
  });
  const SalvageReport report = salvage(path_, folder_ / "to");
  EXPECT_TRUE(report.auditIsLost);
  EXPECT_EQ(report.collections.front().rows, base.state.at("notes").size());
}

// Which collection a page of an older commit could belong to was asked anew for each collection.
TEST_F(OddFile, WithManyCollectionsIsReadAFewTimes) {
  constexpr int kCollections = 40;
  const RecordSchema schema = parseDeclarations(
      "struct Note @0x9a1b2c3d4e5f6071 $Instar.version(1) { id @0 :UInt64 $Instar.key(0); text @1 :Text; }",
      "Note");
  {
    const Store store = Store::open(path_, {.durability = Durability::off});
    for (int i = 0; i < kCollections; ++i) {
      const auto rows = store.collection("notes" + std::to_string(i), schema);
      auto transaction = store.write();
      auto draft = rows.create();
      draft->set("id", std::uint64_t{1});
      rows.put(transaction, draft);
      transaction.commit();
    }
  }
  const ReadCount read;
  const SalvageReport report = salvage(path_, folder_ / "to", {.swept = true});
  EXPECT_EQ(report.collections.size(), std::size_t{kCollections});
  EXPECT_LT(read.take(), 30 * std::filesystem::file_size(path_));
}

// Every entry of a leaf may name the pages of the same large value: each read them, so that a damaged file of
// some megabytes took as long as one of gigabytes.
TEST_F(OddFile, WhoseEntriesNameTheSameLargeValueIsReadAFewTimes) {
  constexpr std::uint64_t kLength = std::uint64_t{4} << 20;
  {
    const Store store = Store::open(path_, {.durability = Durability::off});
    const auto rows = store.collection(
        "notes", parseDeclarations("struct Note @0x9a1b2c3d4e5f6071 $Instar.version(1) { id @0 :UInt64 "
                                   "$Instar.key(0); text @1 :Text; }",
                                   "Note"));
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < 400; ++id) {
      auto draft = rows.create();
      draft->set("id", id);
      draft->set("text", std::string(id == 0 ? kLength : 3000, 'x').c_str());
      rows.put(transaction, draft);
    }
    transaction.commit();
  }
  std::ifstream file(path_, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const std::string before = bytes;
  const MemoryFile sound(before);
  const pages::PageFile pageFile(sound.descriptor(), "file");
  const pages::PageMap map(pageFile, pages::PageMap::Sweep::never, [](std::uint64_t) {});
  std::string length;
  std::string place;
  std::size_t changed = 0;
  for (const pages::PageNumber leaf : map.find("rows/notes")->walk.leaves) {
    const Bytes content = asBytes(std::string_view(before).substr(leaf * kPage, kPage));
    pages::Page page;
    ASSERT_EQ(page.decode(content, leaf), nullptr);
    pages::Node node;
    for (std::size_t i = 0; i < page.nodes(); ++i) {
      ASSERT_TRUE(page.node(i, node) && node.isOverflow);
      const auto at = leaf * kPage + static_cast<std::size_t>(node.key.data() - content.data());
      if (length.empty()) {
        length = before.substr(at - 8, 4);
        place = before.substr(at + node.key.size(), 8);
      }
      bytes.replace(at - 8, 4, length);
      bytes.replace(at + node.key.size(), 8, place);
      ++changed;
    }
  }
  ASSERT_EQ(changed, 400U);
  const ReadCount read;
  const Salvaged salvaged = salvageBytes(bytes, true);
  EXPECT_TRUE(salvaged.state.at("notes").contains(std::string(8, '\0'))) << "the one whose value it is";
  EXPECT_EQ(salvaged.state.at("notes").size(), 1U);
  EXPECT_LT(read.take(), 40 * bytes.size());
}

// A file without meta pages, all of whose pages seem to be full of names of trees: as many trees were taken
// on as there were names, and a walk over the whole file was begun for each of them.
TEST_F(OddFile, FullOfNamesOfTreesHasNoMoreTreesThanAFileMayHave) {
  constexpr pages::PageNumber kBranch = 2;
  constexpr pages::PageNumber kLeaves = 120;
  std::string record(pages::kTreeRecordLength, '\0');
  record[32] = 1;  // counts an entry that it does not have
  record[40] = static_cast<char>(kBranch);
  LeafMaker branch(kBranch);
  std::string leaves;
  std::size_t names = 0;
  const auto name = [&] { return "rows/" + std::to_string(10'000 + names); };
  for (pages::PageNumber page = kBranch + 1; page <= kBranch + kLeaves; ++page) {
    branch.lead(name(), page);
    LeafMaker leaf(page);
    while (leaf.add(name(), record, 2)) ++names;
    leaves += leaf.finish();
  }
  ASSERT_GT(names, kMaxCollections * 4 + 2);
  const std::string bytes = std::string(2 * kPage, '\0') + branch.finish() + leaves;
  const MemoryFile memory(bytes);
  const ReadCount read;
  const pages::PageFile file(memory.descriptor(), "file");
  const pages::PageMap map(file, pages::PageMap::Sweep::always, [](std::uint64_t) {});
  EXPECT_EQ(map.trees().size(), kMaxCollections * 4 + 2);
  EXPECT_LT(read.take(), 200 * bytes.size());
}

// Without a meta page trees are tried by all records of them that are left. Those of one big damaged tree
// took all walks, and the small one beside it came out by a record that leads nowhere.
TEST_F(OddFile, WithABigDamagedTreeFindsTheSmallOneToo) {
  constexpr pages::PageNumber kRoots = 30;  // of the big tree
  constexpr pages::PageNumber kLeaves = 100;
  constexpr pages::PageNumber kSmall = 2 + kRoots + kLeaves;
  const auto record = [](std::uint64_t entries, pages::PageNumber root) {
    std::string value(pages::kTreeRecordLength, '\0');
    for (std::size_t i = 0; i < 8; ++i) {
      value[16 + i] = static_cast<char>(std::uint64_t{1} >> (8 * i));
      value[32 + i] = static_cast<char>(entries >> (8 * i));
      value[40 + i] = static_cast<char>(root >> (8 * i));
    }
    return value;
  };
  const auto key = [](pages::PageNumber leaf) { return "key" + std::to_string(1000 + leaf); };
  std::string bytes(2 * kPage, '\0');
  LeafMaker names(kSmall + 1);
  for (pages::PageNumber root = 2; root < 2 + kRoots; ++root) {
    LeafMaker branch(root);
    for (pages::PageNumber leaf = 2 + kRoots; leaf < kSmall; ++leaf) branch.lead(key(leaf), leaf);
    bytes += branch.finish();
    ASSERT_TRUE(names.add("rows/big", record(1'000'000, root), 2));
  }
  for (pages::PageNumber number = 2 + kRoots; number <= kSmall; ++number) {
    LeafMaker leaf(number);
    leaf.add(key(number), "x", 0);
    bytes += leaf.finish();
  }
  ASSERT_TRUE(names.add("rows/small", record(5, 9999), 2));
  ASSERT_TRUE(names.add("rows/small", record(1, kSmall), 2));
  bytes += names.finish();
  const MemoryFile memory(bytes);
  const pages::PageFile file(memory.descriptor(), "file");
  const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
  ASSERT_NE(map.find("rows/small"), nullptr);
  EXPECT_EQ(map.find("rows/small")->record.root, kSmall);
  EXPECT_EQ(map.find("rows/small")->walk.leaves.size(), 1U);
}

// Rows that look like entries of the audit were taken for some, so that no page with one of them was given to
// its tree, though the audit had all of its pages.
TEST_F(OddFile, WithRowsThatLookLikeInstarsOwnLosesNoneOfThem) {
  {
    const Store store = Store::open(path_, {.durability = Durability::off});
    const auto rows = store.collection(
        "logins", parseDeclarations(
                      "struct Login @0x9a1b2c3d4e5f6073 $Instar.version(1) { id @0 :UInt64 $Instar.key(0); "
                      "userId @1 :UInt64; createdAtNs @2 :Int64; kind @3 :UInt16; }",
                      "Login"));
    auto transaction = store.write();
    for (std::uint64_t id = 1; id <= 300; ++id) {
      auto draft = rows.create();
      draft->set("id", id);
      draft->set("createdAtNs", std::int64_t{1'700'000'000'000'000'000});
      draft->set("kind", std::uint16_t{1});
      rows.put(transaction, draft);
    }
    transaction.commit();
  }
  std::ifstream file(path_, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  {
    const MemoryFile memory(bytes);
    const pages::PageFile pageFile(memory.descriptor(), "file");
    const pages::PageMap map(pageFile, pages::PageMap::Sweep::never, [](std::uint64_t) {});
    ASSERT_GT(map.find("rows/logins")->walk.leaves.size(), 1U);
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(map.find("rows/logins")->record.root * kPage),
                kPage, '\0');
  }
  const Salvaged salvaged = salvageBytes(bytes, false);
  EXPECT_EQ(salvaged.report.unassignedRows, 0U);
  EXPECT_EQ(salvaged.state.at("logins").size(), 300U);
  EXPECT_TRUE(salvaged.report.isComplete());
}

// What a checksum holds was copied into the new file whatever it was, which then could not be opened.
TEST_F(OddFile, WithARecordThatCannotBeRightComesOutWithoutIt) {
  const std::string version = std::string(kVersionKeyPrefix) + "notes/" + std::string(1, '\0') + '\1';
  const std::vector<std::function<void(std::vector<std::byte>&)>> changes = {
      [](std::vector<std::byte>& payload) { payload[0] = std::byte{0xff}; },   // no pointer to a struct
      [](std::vector<std::byte>& payload) { payload[8] ^= std::byte{0x40}; },  // another number
      [](std::vector<std::byte>& payload) { payload[16] ^= std::byte{1}; }};   // another fingerprint
  for (const auto& change : changes) {
    std::filesystem::remove(path_);
    std::filesystem::remove(folder_ / "to");
    write(makeBase("small").bytes);
    replaceRecord(version, change);
    const SalvageReport report = salvage(path_, folder_ / "to");
    EXPECT_EQ(report.lostCatalogRecords, 1U);
    ASSERT_EQ(report.problems.size(), 1U);
    EXPECT_EQ(report.problems.front().tree, kCatalogTree);
    EXPECT_NE(report.problems.front().message.find("left out"), std::string::npos);
    EXPECT_EQ(report.collections.front().rows, 4U);
    const CheckReport checked = check(Store::open(folder_ / "to"));
    for (const Problem& problem : checked.problems) EXPECT_NE(problem.message, "it cannot be decoded");
    EXPECT_EQ(report.olderCatalogRecords, report.collections.front().isUsable ? 1U : 0U);
  }
}

// The version was staged, and nothing said how: promoting it took a record that was not there.
TEST_F(OddFile, WhoseTrialIsLostTriesTheVersionOnNobody) {
  std::string bytes = makeBase("staged").bytes;
  flipValue(bytes, std::string(kCatalogTree),
            [](Bytes key) { return asText(key).starts_with(kStagingKeyPrefix); });
  write(bytes);
  const SalvageReport report = salvage(path_, folder_ / "to");
  EXPECT_EQ(report.lostCatalogRecords, 1U);
  const Store store = Store::open(folder_ / "to");
  const auto status = stagingStatus(store, store.read(), "notes");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->version, 2U);
  EXPECT_EQ(status->state, VersionState::staged);
  EXPECT_EQ(status->percent, 0);
  EXPECT_ERROR(promoteVersion(store, "notes", 2), fixCall, "the guard rails are not satisfied");
  setStagedPercent(store, "notes", 2, 10);
  promoteVersion(store, "notes", 2, {.forced = true});
  EXPECT_TRUE(check(store).sound());
}

}  // namespace
}  // namespace instar::testing
