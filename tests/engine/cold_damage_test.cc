// A bit of a block is wrong: who reads learns of it, gets everything beside it, and nothing wrong.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "instar/engine/check.h"
#include "instar/engine/internal/catalog.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/engine/migration.h"
#include "instar/format/cold_block.h"
#include "instar/tests/support/expect_error.h"
#include "instar/tests/support/parse_schema.h"

namespace instar {
namespace {

using Rows = Collection<capnp::DynamicStruct>;
using storage::Access;

constexpr std::uint64_t kRows = 300;
constexpr std::chrono::milliseconds kWait{1000};

std::string textOf(std::uint64_t id) {  // which hardly can be compressed
  std::string text;
  for (std::uint64_t i = 0; i < 6; ++i) text += std::to_string((id * 6 + i) * 0x9e3779b97f4a7c15U);
  return text;
}

class ColdDamage : public ::testing::Test {
 protected:
  ColdDamage() {
    const Rows rows = collection(store);
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kRows; ++id) {
      auto draft = rows.create();
      draft->set("id", 2 * id);
      draft->set("text", textOf(2 * id).c_str());
      rows.put(transaction, draft);
    }
    transaction.commit();
    migrate(store, "notes", {.mode = CompactionMode::compress});
    tree = environment->openTree(coldTreeName("notes"), false).value();
    findBlock();
  }

  static Rows collection(const Store& of) {
    static const RecordSchema schema = testing::parseDeclarations(
        "struct Note @0x9a1b2c3d4e5f6071 $Instar.version(1) { id @0 :UInt64 $Instar.key(0); text @1 :Text; }",
        "Note");
    return of.collection("notes", schema);
  }

  // The second of them, and the rows that are in it.
  void findBlock() {
    const auto transaction = environment->begin(Access::read, kWait);
    const auto cursor = transaction->cursor(tree);
    ASSERT_TRUE(cursor->first() && cursor->next());
    lastKey = Key(cursor->key());
    block.assign(cursor->value().begin(), cursor->value().end());
    ColdBlockHeader header;
    ASSERT_EQ(decodeBlockHeader(block, header), BlockDamage::none);
    const Rows rows = collection(store);
    for (first = 0; rows.key(first).bytes()[0] == std::byte{0}; first += 2) {
      if (compareBytes(rows.key(first).bytes(), header.firstKey) == 0) break;
    }
    behind = first + 2 * header.rows;
    ASSERT_LT(behind, 2 * kRows) << "there is to be another one behind it";
  }

  void replaceBlock(const std::vector<std::byte>& bytes) const {
    const auto transaction = environment->begin(Access::write, kWait);
    const auto place = transaction->reserve(tree, lastKey.bytes(), bytes.size());
    std::copy(bytes.begin(), bytes.end(), place.begin());
    transaction->commit();
  }

  bool isInBlock(std::uint64_t id) const { return id >= first && id < behind; }

  struct Walk {
    std::uint64_t rows = 0;
    std::uint64_t inBlock = 0;
    std::uint64_t errors = 0;
    std::uint64_t wrong = 0;
  };
  Walk walk(const Rows& rows, const Transaction& seen, ScanOptions options = {}) const {
    Walk found;
    std::uint64_t previous = options.reverse ? 3 * kRows : 0;
    auto scan = rows.scan(seen, std::move(options));
    const bool reverse = previous != 0;
    while (true) {
      try {
        if (!scan.next()) return found;
        const auto row = scan.row();
        const auto id = row->get("id").as<std::uint64_t>();
        if (textOf(id) != row->get("text").as<capnp::Text>().cStr()) ++found.wrong;
        if (found.rows != 0 && (reverse ? id >= previous : id <= previous)) ++found.wrong;
        previous = id;
        ++found.rows;
        found.inBlock += isInBlock(id) ? 1 : 0;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::restoreFromBackup || ++found.errors > 3) throw;
      }
    }
  }

  std::shared_ptr<storage::Environment> environment = storage::openMemory();
  Store store = Store::open(environment);
  storage::TreeId tree = 0;
  Key lastKey;
  std::vector<std::byte> block;
  std::uint64_t first = 0;   // id of the first row in the block
  std::uint64_t behind = 0;  // and of the first behind it
};

TEST_F(ColdDamage, OfAnyBitIsReportedAndNothingWrongIsReturned) {
  const std::uint64_t outside = kRows - (behind - first) / 2;
  std::uint64_t bits = 0;
  for (std::size_t bit = 0; bit < block.size() * 8; bit += 7, ++bits) {
    std::vector<std::byte> damaged = block;
    damaged[bit / 8] ^= std::byte(1U << bit % 8);
    replaceBlock(damaged);
    const Store fresh = Store::open(environment);
    const Rows rows = collection(fresh);
    const auto seen = fresh.read();
    // The neighbours are in the cache, should the block take one for itself.
    EXPECT_TRUE(rows.get(seen, first - 2));
    EXPECT_TRUE(rows.get(seen, behind));
    for (const std::uint64_t id : {first, first + 1, behind - 2}) {
      EXPECT_THROW(rows.get(seen, id), Error) << "bit " << bit << ", row " << id;
      EXPECT_THROW(rows.contains(seen, id), Error) << "bit " << bit << ", row " << id;
    }
    for (const bool reverse : {false, true}) {
      const Walk found = walk(rows, seen, {.reverse = reverse});
      EXPECT_EQ(found.errors, 1U) << "bit " << bit;
      EXPECT_EQ(found.rows, outside) << "bit " << bit;
      EXPECT_EQ(found.wrong + found.inBlock, 0U) << "bit " << bit;
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(bits, 4000U);
}

// Rows that are slices of one text: a dictionary is made for them, and so blocks of several sections. Some of
// these are in the cache when a bit of header, table or bounds is wrong: no row is missed for that, nor taken
// from elsewhere.
TEST(ColdSections, ThatAreCachedAreNotMistakenWhenTheTableIsDamaged) {
  constexpr std::uint64_t kMany = 6000;
  const auto environment = storage::openMemory();
  const Store store = Store::open(environment);
  static const RecordSchema schema = testing::parseDeclarations(
      "struct Note @0x9a1b2c3d4e5f6071 $Instar.version(1) { id @0 :UInt64 $Instar.key(0); text @1 :Text; }",
      "Note");
  const Rows rows = store.collection("notes", schema);
  std::string whole;
  for (std::uint64_t id = 0; id < 60; ++id) whole += textOf(id);
  {
    auto transaction = store.write();
    for (std::uint64_t id = 0; id < kMany; ++id) {
      auto draft = rows.create();
      draft->set("id", 2 * id);
      draft->set("text", whole.substr(id * 7919 % (whole.size() - 100), 100).c_str());
      rows.put(transaction, draft);
    }
    transaction.commit();
  }
  migrate(store, "notes", {.mode = CompactionMode::compress});
  const storage::TreeId tree = environment->openTree(coldTreeName("notes"), false).value();
  Key lastKey;
  std::vector<std::byte> block;
  ColdBlockHeader header;
  std::uint64_t begin = 0;
  {
    const auto transaction = environment->begin(Access::read, kWait);
    const auto cursor = transaction->cursor(tree);
    ASSERT_TRUE(cursor->first());
    ASSERT_EQ(decodeBlockHeader(cursor->value(), header), BlockDamage::none);
    begin = header.rows;
    ASSERT_TRUE(cursor->next());
    lastKey = Key(cursor->key());
    block.assign(cursor->value().begin(), cursor->value().end());
  }
  ASSERT_EQ(decodeBlockHeader(block, header), BlockDamage::none);
  ASSERT_GE(header.sections, 3U);
  const auto write = [&](const std::vector<std::byte>& bytes) {
    const auto transaction = environment->begin(Access::write, kWait);
    const auto place = transaction->reserve(tree, lastKey.bytes(), bytes.size());
    std::copy(bytes.begin(), bytes.end(), place.begin());
    transaction->commit();
  };
  const std::size_t tableEnd = static_cast<std::size_t>(header.section(0).frame.data() - block.data());
  const std::uint64_t second = begin + header.section(0).rows;  // where the second section begins
  const std::uint64_t behind = begin + header.rows;
  for (std::size_t bit = 0; bit < tableEnd * 8; ++bit) {
    write(block);
    const Store fresh = Store::open(environment);
    const Rows seenRows = fresh.collection("notes", schema);
    for (const std::uint64_t row :
         {begin, second, behind}) {  // two of its sections, and one of its neighbour
      const auto seen = fresh.read();
      ASSERT_TRUE(seenRows.get(seen, 2 * row));
    }
    std::vector<std::byte> damaged = block;
    damaged[bit / 8] ^= std::byte(1U << bit % 8);
    write(damaged);
    const auto seen = fresh.read();
    std::uint64_t next = begin - 1;
    try {
      auto scan = seenRows.scan(seen, {.from = seenRows.key(2 * next)});
      for (; next < behind + 3 && scan.next(); ++next)
        ASSERT_EQ(scan.row()->get("id").as<std::uint64_t>(), 2 * next) << "bit " << bit;
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::restoreFromBackup) << error.what();
    }
    for (std::uint64_t row = begin; row < behind; row += row + 4 < second || row > second + 4 ? 7 : 1) {
      try {
        EXPECT_TRUE(seenRows.get(seen, 2 * row)) << "bit " << bit << ", row " << row;
        EXPECT_FALSE(seenRows.get(seen, 2 * row + 1)) << "bit " << bit << ", behind row " << row;
        auto scan = seenRows.scan(seen, {.from = seenRows.key(2 * row)});
        ASSERT_TRUE(scan.next());
        EXPECT_EQ(scan.row()->get("id").as<std::uint64_t>(), 2 * row) << "bit " << bit;
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::restoreFromBackup) << error.what();
      }
    }
    if (::testing::Test::HasFailure()) return;
  }
}

TEST_F(ColdDamage, IsFoundByCheckAndByVerify) {
  for (std::size_t bit = 3; bit < block.size() * 8; bit += 701) {
    std::vector<std::byte> damaged = block;
    damaged[bit / 8] ^= std::byte(1U << bit % 8);
    replaceBlock(damaged);
    const Store fresh = Store::open(environment);
    const CheckReport report = check(fresh);
    EXPECT_TRUE(report.damaged()) << "bit " << bit;
    EXPECT_TRUE(std::any_of(report.problems.begin(), report.problems.end(),
                            [](const Problem& problem) { return problem.finding == Finding::damagedBlock; }))
        << "bit " << bit;
    EXPECT_EQ(verify(fresh).problems, 1U) << "bit " << bit;
    EXPECT_ERROR(migrate(fresh, "notes", {.mode = CompactionMode::compress}), restoreFromBackup, "damaged");
  }
}

TEST_F(ColdDamage, OfABlockThatIsMissingIsFoundByCheckAndByVerify) {
  {
    const auto transaction = environment->begin(Access::write, kWait);
    transaction->erase(tree, lastKey.bytes());
    transaction->commit();
  }
  EXPECT_TRUE(check(store).damaged());
  EXPECT_EQ(verify(store).problems, 1U);
}

// A scan that began backwards, from a key inside of the damaged block, turned round at the error and asked
// for the key of a row that was not there.
TEST_F(ColdDamage, ScansThatBeginInItGoOnBesideIt) {
  block[block.size() / 2] ^= std::byte{1};
  replaceBlock(block);
  const Store fresh = Store::open(environment);
  const Rows rows = collection(fresh);
  const auto seen = fresh.read();
  const Walk down = walk(rows, seen, {.to = rows.key(first + 4), .reverse = true});
  EXPECT_EQ(down.errors, 1U);
  EXPECT_EQ(down.rows, first / 2);
  EXPECT_EQ(down.wrong, 0U);
  const Walk up = walk(rows, seen, {.from = rows.key(first + 4)});
  EXPECT_EQ(up.errors, 1U);
  EXPECT_EQ(up.rows, kRows - behind / 2);
  EXPECT_EQ(up.wrong, 0U);
}

// The row before the damaged block came a second time, where the transaction had changed something there.
TEST_F(ColdDamage, ScansThatHaveChangedRowsGoOnBehindIt) {
  block[block.size() / 2] ^= std::byte{1};
  replaceBlock(block);
  const Store fresh = Store::open(environment);
  const Rows rows = collection(fresh);
  for (const bool reverse : {false, true}) {
    auto transaction = fresh.write();
    const std::uint64_t last = reverse ? behind : first - 2;  // before it comes to the block
    std::vector<std::uint64_t> met;
    std::uint64_t errors = 0;
    auto scan = rows.scan(transaction, {.reverse = reverse});
    for (bool more = true; more;) {
      try {
        more = scan.next();
        if (!more) break;
        met.push_back(scan.row()->get("id").as<std::uint64_t>());
        if (met.back() != last) continue;
        auto draft = rows.edit(transaction, last);
        rows.put(transaction, draft);
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::restoreFromBackup);
        ASSERT_LE(++errors, 3U);
      }
    }
    EXPECT_EQ(errors, 1U);
    EXPECT_EQ(met.size(), kRows - (behind - first) / 2);
    if (reverse) std::reverse(met.begin(), met.end());
    EXPECT_TRUE(std::is_sorted(met.begin(), met.end(), std::less_equal<>())) << "none comes twice";
  }
}

}  // namespace
}  // namespace instar
