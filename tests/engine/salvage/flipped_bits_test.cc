// Every bit of a small file that says where things are: of both meta pages, of the headers of pages and
// entries, of the records of trees, the list of free pages and the keys of branch pages. Each is flipped in
// turn, and `instar check` ends by itself; where it finds nothing wrong, the file reads and is written to
// as before. INSTAR_DAMAGED_FILES says how many of these files are made, spread evenly; all of them unless
// told.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>

#include "instar/engine/check.h"
#include "instar/engine/internal/pages/page_map.h"
#include "instar/engine/internal/salvage/salvage_into.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/from_environment.h"
#include "instar/tests/support/memory_file.h"
#include "instar/tests/support/parse_schema.h"
#include "instar/tests/support/shared_memory.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar::testing {
namespace {

using Rows = Collection<capnp::DynamicStruct>;
using Texts = std::map<std::uint64_t, std::string>;

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kFlipsPerChild = 400;
constexpr unsigned kLongestSeconds = 60;
constexpr std::uint64_t kIds = 45;
constexpr std::uint64_t kLarge = 30;

Rows open(const Store& store) {
  return store.collection(
      "notes", parseDeclarations("struct Note @0x9a1b2c3d4e5f6071 $Instar.version(1) { id @0 :UInt64 "
                                 "$Instar.key(0); text @1 :Text; }",
                                 "Note"));
}

std::string textOf(std::uint64_t id, char mark) {
  const std::size_t length = id == kLarge ? 9'000 : 300;
  return std::to_string(id) + std::string(length, mark);
}

void put(const Rows& rows, WriteTransaction& transaction, std::uint64_t id, const std::string& text) {
  auto draft = rows.create();
  draft->set("id", id);
  draft->set("text", text.c_str());
  rows.put(transaction, draft);
}

// Leaves under a branch page, a value on pages of its own, and pages that are free.
std::string makeFile(const std::filesystem::path& path, Texts& texts) {
  {
    const Store store = Store::open(path, {.durability = Durability::off});
    const Rows rows = open(store);
    for (const char mark : {'a', 'b', 'c'}) {
      auto transaction = store.write();
      for (std::uint64_t id = 0; id < kIds; id += mark == 'a' ? 1 : 7) {
        texts[id] = textOf(id, mark);
        put(rows, transaction, id, texts[id]);
      }
      if (mark == 'c') {
        for (const std::uint64_t id : {3, 4, 20}) {
          rows.erase(transaction, rows.key(id));
          texts.erase(id);
        }
      }
      transaction.commit();
    }
  }
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The places in the file whose bits say where things are.
std::vector<std::size_t> placesOf(const std::string& bytes) {
  std::set<std::size_t> places;
  const auto add = [&](std::size_t from, std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) places.insert(from + i);
  };
  const MemoryFile memory(bytes);
  const pages::PageFile file(memory.descriptor(), "file");
  const auto& metas = file.metas();
  const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
  for (std::size_t number = 0; number < 2; ++number) add(number * kPage, pages::kMetaLength);
  std::vector<std::byte> content;
  for (pages::PageNumber number = 2; number < file.pages(); ++number) {
    pages::Page page;
    if (map.isFree(number) || !file.read(number, content) || page.decode(content, number) != nullptr)
      continue;
    const std::size_t start = number * kPage;
    add(start, pages::kPageHeaderLength);
    if (page.kind() == pages::PageKind::overflow) continue;
    add(start + pages::kPageHeaderLength, 2 * page.nodes());
    const bool isFreeList = number == metas[0]->freeTree.root || number == metas[1]->freeTree.root;
    pages::Node node;
    for (std::size_t i = 0; i < page.nodes() && page.node(i, node); ++i) {
      const auto header =
          static_cast<std::size_t>(node.key.data() - content.data()) - pages::kNodeHeaderLength;
      const bool isValueWanted = isFreeList || node.isTree || node.isOverflow;
      const bool isKeyWanted = isValueWanted || !page.isLeaf();
      add(start + header, pages::kNodeHeaderLength + (isKeyWanted ? node.key.size() : 0) +
                              (isValueWanted ? node.value.size() : 0));
    }
  }
  return {places.begin(), places.end()};
}

Texts read(const Store& store, const Rows& rows, std::uint64_t ids) {
  const ReadTransaction transaction = store.read();
  Texts scanned;
  for (const auto& row : rows.scan(transaction))
    scanned[row->get("id").as<std::uint64_t>()] = row->get("text").as<capnp::Text>().cStr();
  Texts got;
  for (std::uint64_t id = 0; id < ids; ++id) {
    if (const auto row = rows.get(transaction, id)) got[id] = row->get("text").as<capnp::Text>().cStr();
  }
  EXPECT_EQ(scanned, got) << "a scan finds what each key finds";
  return got;
}

// As the application goes on. Each commit uses pages that those before have freed.
void goOn(const Store& store, const Rows& rows, Texts& texts) {
  for (const std::uint64_t step : {1, 2, 3}) {
    auto transaction = store.write();
    for (std::uint64_t id = step; id < kIds + 12; id += 5) {
      texts[id] = textOf(id, 'x');
      put(rows, transaction, id, texts[id]);
    }
    for (std::uint64_t id = step; id < kIds; id += 4) {
      rows.erase(transaction, rows.key(id));
      texts.erase(id);
    }
    put(rows, transaction, kLarge, texts[kLarge] = textOf(kLarge, static_cast<char>('0' + step)));
    transaction.commit();
  }
}

struct Shared {
  std::uint64_t next;     // the flip that comes next, or that the child ended in
  std::uint64_t inPages;  // damage that the pages show
  std::uint64_t inStore;  // that the rows show, or opening
  std::uint64_t harmless;
  bool isUsed;  // no Error may come
};

class FlippedBits : public ::testing::Test {
 protected:
  FlippedBits() : bytes_(makeFile(folder_ / "sound.instar", texts_)) {}

  // As the command does: the pages first, and LMDB where these are sound.
  void examine(const std::string& bytes, Shared& shared) const {
    const MemoryFile memory(bytes);
    try {
      const PageReport report = checkPagesOf(memory.descriptor(), "flipped", {});
      if (!report.sound()) {
        ++shared.inPages;
        return;
      }
    } catch (const Error&) {  // nothing of an Instar file: opening says what it is
    }
    const auto path = write(bytes);
    try {
      const Store store = Store::open(path, {.mode = OpenMode::openExisting, .durability = Durability::off});
      if (check(store).sound()) return use(store, shared);
    } catch (const Error&) {
      if (shared.isUsed) throw;
    }
    ++shared.inStore;
  }

  // Nothing is wrong with it, it was said.
  void use(const Store& store, Shared& shared) const {
    shared.isUsed = true;
    const Rows rows = open(store);
    EXPECT_EQ(read(store, rows, kIds + 12), texts_);
    Texts texts = texts_;
    goOn(store, rows, texts);
    EXPECT_EQ(read(store, rows, kIds + 12), texts);
    EXPECT_TRUE(check(store).sound());
    const PageReport after = checkPages(folder_ / "flipped.instar");
    EXPECT_TRUE(after.sound()) << after.problems.front().message;
    shared.isUsed = false;
    ++shared.harmless;
  }

  static std::string flipped(const std::string& bytes, std::size_t place, unsigned bit) {
    std::string copy = bytes;
    copy[place] = static_cast<char>(static_cast<unsigned char>(copy[place]) ^ 1U << bit);
    return copy;
  }

  // Of the page that the newest commit's list of trees is, where the record of the rows begins.
  std::size_t rowRecord() const {
    const std::string name = "rows/notes";
    const std::size_t place = bytes_.find(name, newest().mainTree.root * kPage);
    EXPECT_EQ(place / kPage, newest().mainTree.root);
    return place + name.size();
  }
  pages::Meta newest() const {
    const MemoryFile memory(bytes_);
    const auto metas = pages::PageFile(memory.descriptor(), "file").metas();
    return metas[0]->transaction > metas[1]->transaction ? *metas[0] : *metas[1];
  }
  // The page in place of another one on the list of free pages, which stays in order where that can be.
  std::string withFreePage(pages::PageNumber page) const {
    std::string bytes = bytes_;
    const pages::PageNumber root = newest().freeTree.root;
    const MemoryFile memory(bytes);
    const pages::PageFile file(memory.descriptor(), "file");
    std::vector<std::byte> content;
    pages::Page leaf;
    pages::Node node;
    EXPECT_TRUE(file.read(root, content) && leaf.decode(content, root) == nullptr && leaf.isLeaf());
    for (std::size_t i = 0; i < leaf.nodes(); ++i) {
      if (!leaf.node(i, node)) continue;
      const auto place = root * kPage + static_cast<std::size_t>(node.value.data() - content.data());
      const std::uint64_t count = pages::loadNumber(node.value, 0, 8);
      for (std::uint64_t k = 1; k <= count; ++k) {
        const bool fitsBefore = k == 1 || pages::loadNumber(node.value, 8 * (k - 1), 8) > page;
        const bool fitsBehind = k == count || pages::loadNumber(node.value, 8 * (k + 1), 8) < page;
        if (!fitsBefore || !fitsBehind) continue;
        std::memcpy(&bytes[place + 8 * k], &page, sizeof page);
        return bytes;
      }
    }
    ADD_FAILURE() << "no list has room for page " << page;
    return bytes;
  }
  std::size_t newestMeta() const { return newest().transaction % 2 * kPage; }

  std::filesystem::path write(const std::string& bytes) const {
    const auto path = folder_ / "flipped.instar";
    std::filesystem::remove(path.string() + "-lock");
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  static std::string problemOf(const std::string& bytes) {
    const MemoryFile memory(bytes);
    const PageReport report = checkPagesOf(memory.descriptor(), "flipped", {});
    return report.sound() ? "" : report.problems.front().message;
  }

  // All that was stored comes out.
  void expectSalvage(const std::string& bytes) const {
    const auto path = write(bytes);
    const auto to = folder_ / "salvaged.instar";
    std::filesystem::remove(to);
    EXPECT_TRUE(salvage(path, to).isComplete());
    const Store store = Store::open(to);
    EXPECT_EQ(read(store, open(store), kIds), texts_);
  }

  const TemporaryFolder folder_;
  Texts texts_;
  const std::string bytes_;
};

// `check` knew two flags of entries and passed over all others. LMDB knows a third, and followed a null
// pointer where it was set: the command ended with a signal.
TEST_F(FlippedBits, OfAnEntrysFlagsAreDamage) {
  const pages::PageNumber root = newest().mainTree.root;
  const std::size_t flags = rowRecord() - std::string("rows/notes").size() - 4;
  ASSERT_EQ(flags / kPage, root);
  for (unsigned bit = 0; bit < 16; ++bit)
    EXPECT_NE(problemOf(flipped(bytes_, flags + bit / 8, bit % 8)), "") << bit;
  expectSalvage(flipped(bytes_, flags, 2));
}

// The flags of a tree say how LMDB orders its keys. One bit of them, and `get` said of most rows that there
// are none, `check` that there are no problems, and what was put went to other places.
TEST_F(FlippedBits, OfATreesFlagsAreDamageAndItIsNotOpened) {
  const std::size_t flags = rowRecord() + 4;
  for (unsigned bit = 0; bit < 16; ++bit) {
    const std::string bytes = flipped(bytes_, flags + bit / 8, bit % 8);
    EXPECT_EQ(problemOf(bytes), "what is stored about it says another order of keys") << bit;
    const auto path = write(bytes);
    const bool isSeenByLmdb = bit == 15;  // a flag of calls alone
    for (const OpenMode mode : {OpenMode::readOnly, OpenMode::openExisting}) {
      const auto get = [&] {
        const Store store = Store::open(path, {.mode = mode});
        open(store).get(store.read(), 1);
      };
      if (isSeenByLmdb)
        EXPECT_ERROR(get(), fixEnvironment, "a name stands for something else")
      else
        EXPECT_ERROR(get(), restoreFromBackup,
                     "what the file says about a tree is damaged: restore it from a backup, or bring")
    }
  }
  expectSalvage(flipped(bytes_, flags, 1));
}

TEST_F(FlippedBits, OfTheFlagsOfLmdbsOwnTreesAreDamageAndTheFileIsNotOpened) {
  constexpr std::size_t kFreeTreeFlags = 16 + 24 + 4;
  constexpr std::size_t kMainTreeFlags = kFreeTreeFlags + 48;
  constexpr unsigned kMadeWithoutFolder = 14;  // says nothing about the tree
  for (const std::size_t flags : {kFreeTreeFlags, kMainTreeFlags}) {
    for (unsigned bit = 0; bit < 16; ++bit) {
      if (flags == kFreeTreeFlags && bit == kMadeWithoutFolder) continue;
      const std::string bytes = flipped(bytes_, newestMeta() + flags + bit / 8, bit % 8);
      EXPECT_EQ(problemOf(bytes), "what is stored about it says another order of keys") << bit;
      EXPECT_ERROR(Store::open(write(bytes), {.mode = OpenMode::readOnly}), restoreFromBackup,
                   "the file's first pages are damaged: restore it from a backup, or use instar salvage");
      if (bit == 2) expectSalvage(bytes);
    }
  }
}

// LMDB reads no page behind the last one, and said that one was missing where `check` had found nothing
// wrong.
TEST_F(FlippedBits, ThatPutPagesBehindTheLastOneAreDamage) {
  constexpr std::size_t kLastPage = 16 + 24 + 2 * 48;
  std::string bytes = bytes_;
  bytes[newestMeta() + kLastPage] = static_cast<char>(newest().mainTree.root);
  const MemoryFile memory(bytes);
  const PageReport report = checkPagesOf(memory.descriptor(), "flipped", {});
  EXPECT_TRUE(std::any_of(report.problems.begin(), report.problems.end(), [](const PageProblem& problem) {
    return problem.message == "it lies behind the last page of the commit";
  }));
}

// LMDB takes the commit with the highest number. One bit of a number brought the commit before the last one
// back, with nothing to show for it.
TEST_F(FlippedBits, OfTheNumberOfACommitAreDamage) {
  constexpr std::size_t kTransaction = 16 + 24 + 2 * 48 + 8;
  for (const std::size_t meta : {std::size_t{0}, kPage}) {
    for (unsigned bit = 0; bit < 64; ++bit)
      EXPECT_NE(problemOf(flipped(bytes_, meta + kTransaction + bit / 8, bit % 8)), "") << meta << ' ' << bit;
  }
}

// Of the pages of a large value the first alone was looked up on the list of free pages. The next put wrote
// into the middle of the value.
TEST_F(FlippedBits, ThatSetAPageOfALargeValueFreeAreDamage) {
  const MemoryFile memory(bytes_);
  const pages::PageFile file(memory.descriptor(), "file");
  const pages::PageMap map(file, pages::PageMap::Sweep::never, [](std::uint64_t) {});
  std::vector<std::byte> content;
  std::size_t seen = 0;
  for (pages::PageNumber number = 2; number < file.pages(); ++number) {
    pages::Page page;
    if (map.isFree(number) || !file.read(number, content) || page.decode(content, number) != nullptr ||
        page.kind() != pages::PageKind::overflow)
      continue;
    for (pages::PageNumber one = number; one < number + page.overflowPages(); ++one, ++seen)
      EXPECT_NE(problemOf(withFreePage(one)), "") << one - number;
  }
  EXPECT_GE(seen, 3U);
}

TEST_F(FlippedBits, AreFoundOrChangeNothing) {
  const std::vector<std::size_t> places = placesOf(bytes_);
  const std::uint64_t flips = 8 * places.size();
  std::uint64_t stride = std::max<std::uint64_t>(flips / fromEnvironment("INSTAR_DAMAGED_FILES", flips), 1);
  stride += stride != 1 && stride % 2 == 0 ? 1 : 0;  // otherwise the same bits of every byte
  const SharedMemory<Shared> shared;
  while (shared->next < flips) {
    const std::uint64_t begin = shared->next;
    ChildProcess child([&](const Steps&) {
      for (; shared->next < std::min(begin + kFlipsPerChild * stride, flips); shared->next += stride) {
        ::alarm(kLongestSeconds);
        examine(flipped(bytes_, places[shared->next / 8], shared->next % 8), *shared);
        if (HasFailure()) return;
      }
    });
    child.expectSuccess();
    if (!HasFailure()) continue;
    const std::size_t place = places[shared->next / 8];
    FAIL() << "page " << place / kPage << ", byte " << place % kPage << ", bit " << shared->next % 8;
  }
  std::printf("%lu bits: %lu show in the pages, %lu when the store is read, %lu change nothing\n",
              (flips + stride - 1) / stride, shared->inPages, shared->inStore, shared->harmless);
  EXPECT_NE(shared->inPages, 0U);
  EXPECT_NE(shared->harmless, 0U);
}

}  // namespace
}  // namespace instar::testing
