// Files in which something is sound that should not be, or that change while they are read.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/salvage/salvage_into.h"
#include "instar/engine/internal/storage/lmdb_storage.h"
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

// Its large rows take more pages than are passed between two calls of the progress function.
class BigFile : public OddFile {
 protected:
  BigFile() : store_(Store::open(path_, {.durability = Durability::off})) {
    const Collection<capnp::DynamicStruct> rows = open();
    auto transaction = store_.write();
    for (std::uint64_t id = 0; id < 20; ++id) put(rows, transaction, id, std::size_t{1} << 20);
    transaction.commit();
  }

  Collection<capnp::DynamicStruct> open() const {
    return store_.collection(
        "notes", parseDeclarations("struct Note @0x9a1b2c3d4e5f6071 $Instar.version(1) { id @0 :UInt64 "
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

}  // namespace
}  // namespace instar::testing
