// Programs of every version of a random history (random_history.h) on one file: they arrive in turn, some of
// them late, put and edit rows as the floors allow it, and read what the others have put. In between rows are
// written back as they were read, upgraded, and packed into blocks. What each gets is what the model says,
// which knows nothing of blocks: lazy, eager and mixed are one.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <iostream>
#include <map>
#include <optional>

#include "instar/engine/check.h"
#include "instar/engine/internal/storage/memory_storage.h"
#include "instar/engine/migration.h"
#include "instar/engine/rehearsal.h"
#include "instar/engine/store.h"
#include "instar/evolve/difference.h"
#include "instar/tests/evolve/model_record.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using capnp::DynamicStruct;

#if defined(INSTAR_SANITIZES_ADDRESSES) || defined(INSTAR_SANITIZES_THREADS)
constexpr unsigned kHistoriesPerCase = 3;  // which take ten times as long there
#else
constexpr unsigned kHistoriesPerCase = 10;
#endif
constexpr unsigned kChangesPerVersion = 40;
constexpr unsigned kRows = 30;

struct Tally {
  std::uint64_t histories = 0;
  std::uint64_t puts = 0;
  std::uint64_t reads = 0;
  std::uint64_t below = 0;  // refusals of a floor
  std::uint64_t underived = 0;
  std::uint64_t unmirrored = 0;
  std::uint64_t late = 0;       // programs that came after a newer one
  std::uint64_t lateBelow = 0;  // and were refused
  std::uint64_t writtenBack = 0;
  std::uint64_t upgraded = 0;
  std::uint64_t packed = 0;
};

// A store beside what the model thinks of its rows and floors.
class SharedStore {
 public:
  SharedStore(std::uint64_t seed, Tally& tally) : seed_(seed), random_(seed), history_(seed), tally_(tally) {}

  void run() {
    if (!parse()) return;
    ++tally_.histories;
    const unsigned first = below(3) == 0 ? 1 + below(history_.newest()) : 1;
    for (unsigned version = first; version <= history_.newest(); ++version) {
      if (version == first || version == history_.newest() || below(4) > 0) arrive(version);
      for (unsigned missed = 1; missed < current_; ++missed) {
        if (!programs_.contains(missed) && below(2) == 0) arriveLate(missed);
      }
      for (unsigned change = 0; change < kChangesPerVersion; ++change) changeSomething();
      if (below(2) == 0) writeBack(std::next(programs_.begin(), below(programs_.size()))->first);
      if (below(3) == 0) compact(below(3) == 0 ? CompactionMode::upgrade : CompactionMode::compress);
    }
    for (const auto& [version, rows] : programs_) readAll(version, rows);
    checkFile();
  }

 private:
  using Rows = Collection<DynamicStruct>;
  struct StoredRow {
    unsigned version = 0;
    ModelRow model;
  };

  unsigned below(std::size_t count) { return static_cast<unsigned>(random_() % count); }
  const ModelSchema& schema(unsigned version) const { return schemas_[version - 1]; }

  [[noreturn]] void fail(const std::string& what) const {
    RC_FAIL(what + "\nin the history of seed " + std::to_string(seed_) + "\n" + history_.texts());
    throw std::logic_error("unreachable");
  }

  bool parse() {
    if (auto schemas = parseVersions(history_)) schemas_ = *std::move(schemas);
    return !schemas_.empty();
  }

  // ---- programs

  FloorEffect effect(unsigned older, unsigned newer) const {
    if (older + 1 == newer) return history_.version(newer).floor;
    return floorEffect(judge(difference(schema(older).schema(), schema(newer).schema())));
  }

  void raise(unsigned older, unsigned newer) {
    const FloorEffect raised = effect(older, newer);
    if (raised != FloorEffect::none) writerFloor_ = std::max(writerFloor_, newer);
    if (raised == FloorEffect::readerAndWriter) readerFloor_ = std::max(readerFloor_, newer);
  }

  void arrive(unsigned version) {
    if (current_ != 0) {
      checkRehearsal(version);
      raise(current_, version);
    }
    current_ = version;
    programs_.emplace(version, store_.collection("records", schema(version).schema()));
    checkFloors();
  }

  void checkRehearsal(unsigned version) const {
    std::uint64_t failing = 0;
    for (const auto& [id, row] : rows_) {
      ModelRow upgraded = row.model;
      failing += history_.upgrade(upgraded, row.version, version, version).empty() ? 0 : 1;
    }
    if (rehearse(store_, "records", schema(version).schema()).failed != failing) fail("another rehearsal");
  }

  // A program of a release that the file has never seen, after newer ones.
  void arriveLate(unsigned version) {
    ++tally_.late;
    const auto next = programs_.upper_bound(version);
    const unsigned above = next->first;
    const unsigned older = next == programs_.begin() ? 0 : std::prev(next)->first;
    const bool isBelow = version < readerFloor_ || effect(version, above) == FloorEffect::readerAndWriter;
    try {
      programs_.emplace(version, store_.collection("records", schema(version).schema()));
      if (isBelow) fail("a program below the reader floor came in");
      if (older != 0) raise(older, version);
      raise(version, above);
    } catch (const Error& error) {
      if (!isBelow || error.code() != ErrorCode::upgradeProgram) fail(error.what());
      ++tally_.lateBelow;
    }
    checkFloors();
  }

  void checkFloors() const {
    const auto info = store_.collections(store_.read()).front();
    if (info.readerFloor != readerFloor_ || info.writerFloor != writerFloor_ ||
        info.currentVersion != current_) {
      fail("floors " + std::to_string(info.readerFloor) + ", " + std::to_string(info.writerFloor) +
           " in place of " + std::to_string(readerFloor_) + ", " + std::to_string(writerFloor_));
    }
  }

  // ---- writing

  void changeSomething() {
    const auto& [version, rows] = *std::next(programs_.begin(), below(programs_.size()));
    const std::uint64_t id = below(kRows);
    auto transaction = store_.write();
    StoredRow row;
    Obstacles underived;
    Obstacles unmirrored;
    try {
      if (below(2) == 0 || !rows_.contains(id)) {
        putNew(version, rows, id, transaction, row, unmirrored);
      } else {
        edit(version, rows, id, transaction, row, underived, unmirrored);
      }
      if (version < writerFloor_ || !underived.empty() || !unmirrored.empty())
        fail("a row that cannot be put was");
      transaction.commit();
      rows_[id] = std::move(row);
      ++tally_.puts;
    } catch (const Error& error) {
      checkRefusal(error, version, version < readerFloor_ || (version < writerFloor_ && underived.empty()),
                   underived, unmirrored);
    }
  }

  void putNew(unsigned version, const Rows& rows, std::uint64_t id, WriteTransaction& transaction,
              StoredRow& row, Obstacles& unmirrored) {
    auto draft = rows.create();
    const auto before = rows_.find(id);
    const bool keepsUnknown = before != rows_.end() && version < current_;
    ModelRow fresh = history_.freshRow();
    set(version, *draft, fresh, 0, wholeValue(static_cast<Wide>(id)));
    for (unsigned field = 1; field < history_.version(version).fields; ++field) {
      if (below(5) > 0) set(version, *draft, fresh, field, history_.randomValue(field, version));
    }
    unmirrored = history_.mirror(fresh, version);
    row = {.version = version, .model = keepsUnknown ? before->second.model : fresh};
    if (keepsUnknown) {
      for (unsigned field = 0; field < history_.version(version).fields; ++field)
        history_.assign(row.model, field, fresh[field], version);
    }
    rows.put(transaction, draft);
  }

  void edit(unsigned version, const Rows& rows, std::uint64_t id, WriteTransaction& transaction,
            StoredRow& row, Obstacles& underived, Obstacles& unmirrored) {
    row = rows_.at(id);
    if (row.version < version) underived = history_.upgrade(row.model, row.version, version, version);
    row.version = version;
    auto draft = rows.edit(transaction, id);
    if (!draft) fail("a row is lost");
    for (unsigned count = below(4); count > 0; --count) {
      const unsigned field = 1 + below(history_.version(version).fields - 1);
      set(version, *draft, row.model, field, history_.randomValue(field, version));
    }
    unmirrored = history_.mirror(row.model, version);
    rows.put(transaction, draft);
  }

  void set(unsigned version, DynamicStruct::Builder record, ModelRow& row, unsigned field,
           const Value& value) {
    if (history_.isRetired(field, version)) return;
    schema(version).write(record, field, value);
    history_.assign(row, field, value, version);
  }

  void checkRefusal(const Error& error, unsigned version, bool isBelow, const Obstacles& underived,
                    const Obstacles& unmirrored) {
    const auto isForeseen = [&](const Obstacles& obstacles) {
      return obstacles.contains(schema(version).numberOf(error.fact("field")));
    };
    if (isBelow) {
      if (error.code() != ErrorCode::upgradeProgram) fail(std::string("below a floor: ") + error.what());
      ++tally_.below;
    } else if (error.code() == ErrorCode::fixRow && isForeseen(underived)) {
      ++tally_.underived;
    } else if (error.code() == ErrorCode::fixInput && isForeseen(unmirrored)) {
      ++tally_.unmirrored;
    } else {
      fail(std::string("unforeseen: ") + error.what());
    }
  }

  // ---- reading

  void readAll(unsigned version, const Rows& rows) {
    const auto snapshot = store_.read();
    for (const auto& [id, row] : rows_) {
      ModelRow expected = row.model;
      Obstacles underived;
      if (row.version < version) underived = history_.upgrade(expected, row.version, version, version);
      ++tally_.reads;
      try {
        const auto found = rows.get(snapshot, id);
        if (version < readerFloor_ || !underived.empty()) fail("a row that cannot be read was");
        if (!found || found.version() != row.version) fail("another version");
        compare(version, schema(version).read(*found), history_.visible(expected, version));
      } catch (const Error& error) {
        checkRefusal(error, version, version < readerFloor_, underived, {});
      }
    }
  }

  // A program reads, and has rewritten what had to be upgraded for it.
  void writeBack(unsigned version) {
    if (version < readerFloor_) return;
    const Store store = Store::open(environment_, {.writeBackRows = kRows});
    const Rows rows = store.collection("records", schema(version).schema());
    for (auto& [id, row] : rows_) {
      try {
        const auto snapshot = store.read();
        if (!rows.get(snapshot, id)) fail("a row is lost");
      } catch (const Error& error) {
        if (error.code() != ErrorCode::fixRow) fail(error.what());
        continue;  // it stays as it is
      }
      if (row.version >= schema(version).schema().completeFrom() || version < writerFloor_) continue;
      history_.upgrade(row.model, row.version, version, version);
      row.version = version;
      ++tally_.writtenBack;
    }
    while (store.writeBack(7) > 0) {
    }
  }

  // Done by the newest, which is always allowed to.
  void compact(CompactionMode mode) {
    const Migration done = migrate(store_, "records", {.mode = mode});
    tally_.upgraded += done.rewritten;
    tally_.packed += done.packed;
    const Rows& newest = programs_.at(current_);
    const auto snapshot = store_.read();
    auto scan = newest.scan(snapshot);
    while (scan.next()) {
      RowView stored;
      if (decodeRow(scan.key(), scan.value(), Verify::yes, stored) != RowDamage::none) fail("a damaged row");
      StoredRow& row = rows_.at(idOf(scan.key()));
      if (stored.version == row.version) continue;
      if (stored.version != current_) fail("a row of a version that nobody has made it");
      if (!history_.upgrade(row.model, row.version, current_, current_).empty())
        fail("a row that cannot be upgraded was");
      row.version = current_;
    }
    for (const auto& [id, row] : rows_) {
      ModelRow upgraded = row.model;
      if (row.version < schema(current_).schema().completeFrom() &&
          history_.upgrade(upgraded, row.version, current_, current_).empty())
        fail("a row is left that can be upgraded");
    }
    if (verify(store_).problems != 0) fail("verification fails");
  }

  std::uint64_t idOf(Bytes key) const {
    for (const auto& [id, row] : rows_) {
      if (compareBytes(programs_.at(current_).key(id).bytes(), key) == 0) return id;
    }
    fail("a row that nobody has put");
  }

  void compare(unsigned version, const ModelRow& seen, const ModelRow& expected) const {
    for (unsigned field = 0; field < expected.size(); ++field) {
      if (seen[field] == expected[field]) continue;
      fail("read by version " + std::to_string(version) + ", field @" + std::to_string(field) + ": " +
           describe(seen[field]) + " in place of " + describe(expected[field]));
    }
  }

  void checkFile() const {
    std::uint64_t failing = 0;
    for (const auto& [id, row] : rows_) {
      ModelRow upgraded = row.model;
      failing += history_.upgrade(upgraded, row.version, current_, current_).empty() ? 0 : 1;
    }
    const CheckReport report = check(store_);
    if (report.damaged() || report.rows != rows_.size() || report.problems.size() != failing)
      fail("check finds " + std::to_string(report.problems.size()) + " in place of " +
           std::to_string(failing));
  }

  const std::uint64_t seed_;
  std::mt19937_64 random_;
  RandomHistory history_;
  Tally& tally_;
  std::vector<ModelSchema> schemas_;
  const std::shared_ptr<storage::Environment> environment_ = storage::openMemory();
  Store store_ = Store::open(environment_);
  std::map<unsigned, Rows> programs_;
  std::map<std::uint64_t, StoredRow> rows_;
  unsigned current_ = 0;
  unsigned readerFloor_ = 1;
  unsigned writerFloor_ = 1;
};

TEST(EvolutionHistory, ProgramsOfEveryVersionShareOneFile) {
  Tally tally;
  const bool isRight = rc::check([&] {
    std::mt19937_64 seeds(
        *rc::gen::noShrink(rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>())));
    for (unsigned history = 0; history < kHistoriesPerCase; ++history) SharedStore(seeds(), tally).run();
  });
  std::cout << tally.histories << " histories, " << tally.puts << " rows put, " << tally.reads << " read, "
            << tally.below << " refused below a floor, " << tally.underived << " that cannot be derived, "
            << tally.unmirrored << " that cannot be mirrored, " << tally.late << " late programs, "
            << tally.lateBelow << " of them refused, " << tally.writtenBack << " rows written back, "
            << tally.upgraded << " upgraded, " << tally.packed << " packed\n";
  ASSERT_TRUE(isRight);
  EXPECT_GE(tally.histories, 90 * kHistoriesPerCase);
  EXPECT_GE(tally.puts, tally.histories * kChangesPerVersion);
  EXPECT_GE(tally.below, tally.puts / 10);
  EXPECT_GE(tally.underived, 1U);
  EXPECT_GE(tally.unmirrored, 1U);
  EXPECT_GE(tally.late, tally.histories / 10);
  EXPECT_GE(tally.lateBelow, 1U);
  EXPECT_GE(tally.writtenBack, tally.histories);
  EXPECT_GE(tally.upgraded, tally.histories);
  EXPECT_GE(tally.packed, 10 * tally.histories);
}

}  // namespace
}  // namespace instar::testing
