// Damage that has a name, and what is brought out of it.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "instar/engine/check.h"
#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/salvage/salvage_into.h"
#include "instar/engine/preimages.h"
#include "instar/format/file_format.h"
#include "instar/tests/engine/salvage/judge.h"
#include "instar/tests/support/expect_error.h"

namespace instar::testing {
namespace {

constexpr std::size_t kPage = 4096;

std::string zeroed(std::string bytes, std::size_t page) {
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(page * kPage), kPage, '\0');
  return bytes;
}

// Where the tree begins.
std::size_t rootOf(const std::string& bytes, const std::string& tree) {
  const MemoryFile memory(bytes);
  const pages::PageFile file(memory.descriptor(), "file");
  const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
  return static_cast<std::size_t>(map.find(tree)->record.root);
}

std::vector<pages::PageNumber> leavesOf(const std::string& bytes, const std::string& tree) {
  const MemoryFile memory(bytes);
  const pages::PageFile file(memory.descriptor(), "file");
  const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
  return map.find(tree)->walk.leaves;
}

// Makes the node of a branch page that leads to `from` lead to `to`.
void replaceChild(std::string& bytes, std::size_t branch, pages::PageNumber from, pages::PageNumber to) {
  const Bytes page = asBytes(std::string_view(bytes).substr(branch * kPage, kPage));
  const std::size_t nodes = (pages::loadNumber(page, 12, 2) - pages::kPageHeaderLength) / 2;
  for (std::size_t i = 0; i < nodes; ++i) {
    const std::size_t node = pages::loadNumber(page, pages::kPageHeaderLength + 2 * i, 2);
    if (pages::loadNumber(page, node, 6) != from) continue;
    for (std::size_t byte = 0; byte < 6; ++byte)
      bytes[branch * kPage + node + byte] = static_cast<char>(to >> (8 * byte));
  }
}

std::size_t mainRootOf(const std::string& bytes) {
  const MemoryFile memory(bytes);
  const pages::PageFile file(memory.descriptor(), "file");
  const auto& metas = file.metas();
  return static_cast<std::size_t>(
      (metas[0]->transaction > metas[1]->transaction ? metas[0] : metas[1])->mainTree.root);
}

// The bits of the entries of a page, or of their keys alone.
std::vector<std::size_t> bitsOf(const std::string& bytes, std::size_t number, bool keysAlone) {
  const Bytes content = asBytes(std::string_view(bytes).substr(number * kPage, kPage));
  pages::Page page;
  EXPECT_EQ(page.decode(content, number), nullptr);
  std::vector<std::size_t> bits;
  pages::Node node;
  for (std::size_t i = 0; i < page.nodes(); ++i) {
    EXPECT_TRUE(page.node(i, node));
    auto begin = static_cast<std::size_t>(node.key.data() - content.data());
    const std::size_t end = begin + node.key.size() + (keysAlone ? 0 : node.value.size());
    if (!keysAlone) begin -= pages::kNodeHeaderLength;
    for (std::size_t bit = begin * 8; bit < end * 8; ++bit) bits.push_back(bit);
  }
  EXPECT_FALSE(bits.empty());
  return bits;
}

void expectNothingUnsaid(const BaseFile& base, const DamagedFile& file, const std::string& where) {
  const Salvaged salvaged = salvageBytes(file.bytes, false);
  for (const std::string& complaint : judge(base, file, salvaged)) ADD_FAILURE() << where << complaint;
  if (!salvaged.report.isComplete()) return;
  EXPECT_EQ(salvaged.state, base.state) << where;
  EXPECT_EQ(salvaged.hasAudit, base.kind != "several") << where;
}

// One bit of a name in the list of trees left all counts and the order as they were: the rows in blocks, the
// audit or the pre-images were gone, and it was said that nothing is lost. With a hole in another tree as
// well, pre-images without a name came out as its rows.
TEST(Salvage, SaysWhatIsLostWithTheNameOfATree) {
  for (const char* const kind : {"kept", "compacted", "several"}) {
    const BaseFile base = makeBase(kind);
    const std::size_t page = mainRootOf(base.bytes);
    const char* const tree = base.kind == "several" ? "rows/first" : "cold/notes";
    const auto leaves = leavesOf(base.bytes, tree);
    ASSERT_FALSE(leaves.empty());
    const auto hole = static_cast<std::size_t>(leaves.front());
    for (const std::size_t bit : bitsOf(base.bytes, page, true)) {
      const std::string where = base.kind + ", bit " + std::to_string(bit) + ": ";
      DamagedFile file{DamageKind::bits, base.bytes, {page}};
      char& byte = file.bytes[page * kPage + bit / 8];
      byte = static_cast<char>(byte ^ (1 << (bit % 8)));
      expectNothingUnsaid(base, file, where);
      file.bytes = zeroed(file.bytes, hole);
      file.touched.insert(hole);
      expectNothingUnsaid(base, file, where + "with a hole: ");
    }
  }
}

// Likewise of all that is stored about the trees, of every third bit.
TEST(Salvage, SaysWhatIsLostWithABitOfTheListOfTrees) {
  const BaseFile base = makeBase("kept");
  const std::size_t page = mainRootOf(base.bytes);
  const std::vector<std::size_t> bits = bitsOf(base.bytes, page, false);
  for (std::size_t i = 0; i < bits.size(); i += 3) {
    const std::size_t bit = bits[i];
    DamagedFile file{DamageKind::bits, base.bytes, {page}};
    char& byte = file.bytes[page * kPage + bit / 8];
    byte = static_cast<char>(byte ^ (1 << (bit % 8)));
    expectNothingUnsaid(base, file, "bit " + std::to_string(bit) + ": ");
  }
}

TEST(Salvage, LosesNothingWithABranchPage) {
  const BaseFile base = makeBase("plain");
  const Salvaged salvaged = salvageBytes(zeroed(base.bytes, rootOf(base.bytes, "rows/notes")), false);
  EXPECT_EQ(salvaged.state.at("notes"), base.state.at("notes"));
  EXPECT_GT(salvaged.report.collections.front().orphanRows, 0U);
  EXPECT_NE(salvaged.report.problemCount, 0U);
  EXPECT_TRUE(salvaged.report.isComplete());
}

TEST(Salvage, LosesNothingWithTheListOfTreesWhereSchemasTellRowsApart) {
  const BaseFile base = makeBase("text keys");
  const Salvaged salvaged = salvageBytes(zeroed(base.bytes, mainRootOf(base.bytes)), false);
  EXPECT_EQ(salvaged.state.at("people"), base.state.at("people"));
  EXPECT_NE(salvaged.report.problemCount, 0U);
}

TEST(Salvage, GivesNoRowToACollectionThatMayNotHaveIt) {
  const BaseFile base = makeBase("several");  // two of them have the same schema
  const Salvaged salvaged = salvageBytes(zeroed(base.bytes, mainRootOf(base.bytes)), true);
  for (const auto& [name, rows] : salvaged.state) {
    for (const auto& row : rows) EXPECT_TRUE(base.state.at(name).contains(row.first)) << name;
  }
}

TEST(Salvage, SaysThatTheLastCommitMayBeMissingWithoutAMetaPage) {
  const BaseFile base = makeBase("plain");
  for (const std::size_t page : {0U, 1U}) {
    const Salvaged salvaged = salvageBytes(zeroed(base.bytes, page), false);
    EXPECT_TRUE(salvaged.report.mayBeOlder);
    EXPECT_FALSE(salvaged.report.isComplete());
    EXPECT_GT(salvaged.state.at("notes").size(), 250U);
  }
  const Salvaged salvaged = salvageBytes(zeroed(zeroed(base.bytes, 0), 1), false);
  EXPECT_TRUE(salvaged.report.mayBeOlder);
  EXPECT_GT(salvaged.state.at("notes").size(), 250U);
}

// One bit of a number in a branch page led into the other tree, to a leaf with the same keys and as many:
// all counts held, and rows of one collection came out as the other's, with "nothing is lost".
TEST(Salvage, GivesALeafThatTwoTreesLeadToToNeither) {
  const BaseFile base = makeBase("twins");
  for (const auto& [from, to] :
       {std::pair("rows/left", "rows/right"), std::pair("rows/right", "rows/left")}) {
    const auto own = leavesOf(base.bytes, from);
    const auto other = leavesOf(base.bytes, to);
    ASSERT_EQ(own.size(), other.size());
    ASSERT_GT(own.size(), 2U);
    std::string bytes = base.bytes;
    replaceChild(bytes, rootOf(bytes, from), own[1], other[1]);
    const Salvaged salvaged = salvageBytes(bytes, false);
    for (const auto& [name, rows] : salvaged.state) {
      for (const auto& [key, row] : rows) EXPECT_EQ(base.state.at(name).at(key), row) << name;
    }
    EXPECT_FALSE(salvaged.report.isComplete());
    EXPECT_GT(salvaged.report.unassignedRows, 0U);
    for (const SalvagedCollection& collection : salvaged.report.collections) {
      EXPECT_GT(collection.rows, 0U) << collection.name;
      EXPECT_NE(collection.lostRangeCount, 0U) << collection.name;
    }
  }
}

// A leaf of another tree in the place of the last one, with the right number: records of the catalog came out
// as rows, which their checksums do not tell.
TEST(Salvage, TakesNoEntriesOfAnotherTreeForRows) {
  const BaseFile base = makeBase("plain");
  const std::size_t last = leavesOf(base.bytes, "rows/notes").back();
  for (const pages::PageNumber other : leavesOf(base.bytes, std::string(kCatalogTree))) {
    std::string bytes = base.bytes;
    constexpr std::size_t kNumber = 8;
    bytes.replace(last * kPage + kNumber, kPage - kNumber, base.bytes, other * kPage + kNumber,
                  kPage - kNumber);
    const Salvaged salvaged = salvageBytes(bytes, false);
    for (const auto& [key, row] : salvaged.state.at("notes")) EXPECT_EQ(base.state.at("notes").at(key), row);
    ASSERT_EQ(salvaged.report.collections.size(), 1U);
    EXPECT_NE(salvaged.report.collections[0].lostRangeCount, 0U);
  }
}

// A leaf whose first entry cannot be read stopped the search for the place of an orphan: rows of a tree whose
// branch page was lost seemed to have room in the other one, and went to none.
TEST(Salvage, KnowsThePlaceOfALeafWhoseFirstEntryIsDamaged) {
  const BaseFile base = makeBase("twins");
  const auto leaves = leavesOf(base.bytes, "rows/left");
  ASSERT_GT(leaves.size(), 2U);
  for (const pages::PageNumber leaf : leaves) {
    std::string bytes = zeroed(base.bytes, rootOf(base.bytes, "rows/right"));
    bytes[leaf * kPage + pages::kPageHeaderLength] |= 1;  // no node begins at an odd byte
    const Salvaged salvaged = salvageBytes(bytes, false);
    EXPECT_EQ(salvaged.report.unassignedRows, 0U);
    EXPECT_EQ(salvaged.state.at("right"), base.state.at("right"));
    EXPECT_EQ(salvaged.state.at("left").size(), base.state.at("left").size() - 1);
  }
}

// A damaged count of entries was believed, and with a damaged row the sum of what is lost overflowed.
TEST(Salvage, DoesNotBelieveMoreRowsThanTheFileHasRoomFor) {
  const BaseFile base = makeBase("plain");
  const std::size_t names = mainRootOf(base.bytes);
  std::string bytes =
      zeroed(base.bytes, static_cast<std::size_t>(leavesOf(base.bytes, "rows/notes").front()));
  const Bytes content = asBytes(std::string_view(bytes).substr(names * kPage, kPage));
  pages::Page page;
  ASSERT_EQ(page.decode(content, names), nullptr);
  pages::Node node;
  std::size_t place = 0;
  for (std::size_t i = 0; i < page.nodes(); ++i) {
    if (page.node(i, node) && asText(node.key) == "rows/notes")
      place = names * kPage + static_cast<std::size_t>(node.value.data() - content.data());
  }
  ASSERT_NE(place, 0U);
  bytes.replace(place + 32, 8, std::string(8, '\xff'));
  const Salvaged salvaged = salvageBytes(bytes, false);
  EXPECT_FALSE(salvaged.report.collections.front().lostRows);
  EXPECT_FALSE(salvaged.report.isComplete());
  EXPECT_NE(salvaged.report.collections.front().lostRangeCount, 0U);
}

TEST(Salvage, ListsWhatALostLeafHad) {
  const BaseFile base = makeBase("plain");
  const auto page = *base.pagesOf.at("notes").begin()->second.begin();
  const Salvaged salvaged = salvageBytes(zeroed(base.bytes, page), false);
  const SalvagedCollection& notes = salvaged.report.collections.front();
  ASSERT_EQ(notes.lost.size(), 1U);
  EXPECT_EQ(notes.lost.front().page, page);
  EXPECT_EQ(notes.lostRows, base.state.at("notes").size() - salvaged.state.at("notes").size());
  EXPECT_FALSE(salvaged.report.isComplete());
}

// A row of a block was erased, and the tombstone is on the page that is lost: it must not come back unasked.
TEST(Salvage, LeavesOutRowsOfBlocksWhoseCoverIsLost) {
  const BaseFile base = makeBase("compacted");
  const std::size_t root = rootOf(base.bytes, "rows/notes");
  const Salvaged salvaged = salvageBytes(zeroed(base.bytes, root), false);
  for (const auto& [key, row] : salvaged.state.at("notes")) EXPECT_EQ(base.state.at("notes").at(key), row);
  const MemoryFile memory(base.bytes);
  const pages::PageFile file(memory.descriptor(), "file");
  const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
  std::string without = base.bytes;
  for (const pages::PageNumber leaf : map.find("rows/notes")->walk.leaves) without = zeroed(without, leaf);
  const Salvaged left = salvageBytes(without, false);
  EXPECT_GT(left.report.collections.front().leftOut, 300U);
  const Salvaged asked = salvageBytes(without, true);
  EXPECT_GE(asked.report.collections.front().sweptRows, left.report.collections.front().leftOut);
}

using Kept = std::map<std::string, std::string>;  // by key: version and payload of rows as they were replaced

Kept keptIn(const std::filesystem::path& path) {
  Kept kept;
  const Store store = Store::open(path, {.mode = OpenMode::readOnly});
  const auto transaction = store.read();
  auto scan = scanPreimages(transaction, store.collection("notes"));
  while (scan && scan->next()) {
    RowView row;
    EXPECT_EQ(decodeRow(scan->key(), scan->value(), Verify::yes, row), RowDamage::none);
    kept[std::string(asText(scan->key()))] =
        std::to_string(row.version) + ' ' + std::string(asText(row.payload));
  }
  return kept;
}

// What a stopped compaction had kept as evidence, and as the way back, was left behind.
TEST(Salvage, BringsOutPreimages) {
  const TemporaryFolder folder;
  const BaseFile base = makeBase("kept");
  std::ofstream(folder / "from", std::ios::binary) << base.bytes;
  const Kept kept = keptIn(folder / "from");
  EXPECT_GT(kept.size(), 100U);
  EXPECT_GT(leavesOf(base.bytes, "preimages/cold/notes").size(), 0U);
  const SalvageReport whole = salvage(folder / "from", folder / "whole");
  EXPECT_TRUE(whole.isComplete());
  EXPECT_EQ(whole.collections.front().preimageRows, kept.size());
  EXPECT_EQ(keptIn(folder / "whole"), kept);
  EXPECT_TRUE(check(Store::open(folder / "whole")).sound());

  std::ofstream(folder / "damaged", std::ios::binary)
      << zeroed(base.bytes, leavesOf(base.bytes, "preimages/cold/notes").front());
  const SalvageReport rest = salvage(folder / "damaged", folder / "rest");
  EXPECT_FALSE(rest.isComplete());
  EXPECT_GT(rest.collections.front().lostPreimageRangeCount, 0U);
  EXPECT_EQ(rest.collections.front().lostRangeCount, 0U);
  EXPECT_EQ(rest.collections.front().rows, base.state.at("notes").size());
  const Kept left = keptIn(folder / "rest");
  EXPECT_LT(left.size(), kept.size());
  for (const auto& [key, row] : left) EXPECT_EQ(kept.at(key), row);
}

TEST(Salvage, RefusesFilesOfAnotherByteOrder) {
  const BaseFile base = makeBase("small");
  std::string bytes = base.bytes.substr(0, 2 * kPage);
  for (const std::size_t page : {0U, 1U})
    std::reverse(bytes.begin() + page * kPage + 16, bytes.begin() + page * kPage + 20);
  EXPECT_ERROR(salvageBytes(bytes, false), fixEnvironment, "another byte order");
}

TEST(Salvage, RefusesWhatIsNoneOfOurs) {
  EXPECT_ERROR(salvageBytes(std::string(20'000, 'x'), false), fixEnvironment, "name another one");
  EXPECT_ERROR(salvageBytes("", false), fixEnvironment, "name another one");
}

TEST(Salvage, WritesANewFileOrNone) {
  const TemporaryFolder folder;
  const BaseFile base = makeBase("small");
  std::ofstream(folder / "from", std::ios::binary) << base.bytes;
  std::ofstream(folder / "there") << "mine";
  EXPECT_ERROR(salvage(folder / "from", folder / "there"), fixEnvironment, "exist");
  EXPECT_ERROR(salvage(folder / "absent", folder / "to"), fixEnvironment, "no such file");
  EXPECT_FALSE(std::filesystem::exists(folder / "to"));
  std::filesystem::permissions(folder / "from", std::filesystem::perms::owner_read);
  EXPECT_TRUE(salvage(folder / "from", folder / "to").isComplete());
  EXPECT_EQ(std::filesystem::status(folder / "to").permissions(), std::filesystem::perms::owner_read);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 3U) << "nothing else is left behind";
}

TEST(CheckPages, FindsNothingInSoundFiles) {
  for (const std::string& kind : baseKinds()) {
    const BaseFile base = makeBase(kind);
    const MemoryFile memory(base.bytes);
    const PageReport report = checkPagesOf(memory.descriptor(), "file", {});
    EXPECT_TRUE(report.sound()) << kind << ": " << (report.sound() ? "" : report.problems.front().message);
  }
}

}  // namespace
}  // namespace instar::testing
