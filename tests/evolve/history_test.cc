// Whole histories of a record type: rows of every version, put by programs of every version, read by all of
// them. What each sees is compared with a slow reference that applies one version at a time
// (random_history.h).

#include <capnp/message.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <iostream>
#include <map>
#include <optional>

#include "instar/evolve/difference.h"
#include "instar/evolve/plan.h"
#include "instar/format/error.h"
#include "instar/tests/evolve/model_record.h"
#include "instar/tests/support/parse_schema.h"

namespace instar::testing {
namespace {

using capnp::DynamicStruct;

#if defined(INSTAR_SANITIZES_ADDRESSES) || defined(INSTAR_SANITIZES_THREADS)
constexpr unsigned kHistoriesPerCase = 4;  // which take ten times as long there
#else
constexpr unsigned kHistoriesPerCase = 11;
#endif
constexpr unsigned kCases = 100;  // RapidCheck's
constexpr unsigned kRowsPerHistory = 100;

// What has been tried, so that a test that tries nothing is seen.
struct Tally {
  std::map<std::string, std::uint64_t> edits;
  std::uint64_t histories = 0;
  std::uint64_t notCompiled = 0;
  std::uint64_t rows = 0;
  std::uint64_t reads = 0;
  std::uint64_t underived = 0;
  std::uint64_t unmirrored = 0;
  std::uint64_t rewritten = 0;
  std::uint64_t restamped = 0;
};

// A row as it is stored, beside what the model thinks of it.
struct StoredRow {
  capnp::MallocMessageBuilder message;
  unsigned version = 0;
  unsigned newest = 0;  // version that has put the row
  ModelRow model;

  StoredRow() = default;
  StoredRow(StoredRow& other) : version(other.version), newest(other.newest), model(other.model) {
    message.setRoot(other.message.getRoot<capnp::AnyPointer>().asReader());
  }
  DynamicStruct::Builder as(const ModelSchema& schema) {
    return message.getRoot<DynamicStruct>(schema.schema().root());
  }
};

// One history: its labels, and rows that go through it.
class Player {
 public:
  Player(std::uint64_t seed, Tally& tally) : seed_(seed), random_(seed), history_(seed), tally_(tally) {}

  void play() {
    if (!parse()) return;
    ++tally_.histories;
    for (const std::string& edit : history_.edits()) ++tally_.edits[edit];
    checkLabels();
    for (unsigned row = 0; row < kRowsPerHistory; ++row) playRow();
  }

 private:
  unsigned below(unsigned count) { return static_cast<unsigned>(random_() % count); }
  unsigned anyVersion() { return 1 + below(history_.newest()); }
  // Below the writer floor programs may write here: that costs values, but not as many as to make a row
  // another than foretold.
  bool mayTouch(unsigned program, const StoredRow& row) const {
    for (unsigned version = program + 1; version <= row.newest; ++version) {
      if (history_.version(version).floor == FloorEffect::readerAndWriter) return false;
    }
    return true;
  }
  const ModelSchema& schema(unsigned version) const { return schemas_[version - 1]; }

  [[noreturn]] void fail(const std::string& what) const {
    RC_FAIL(what + "\nin the history of seed " + std::to_string(seed_) + "\n" + history_.texts());
    throw std::logic_error("unreachable");
  }

  bool parse() {
    try {
      auto schemas = parseVersions(history_);
      if (!schemas)
        ++tally_.notCompiled;
      else
        schemas_ = *std::move(schemas);
      return !schemas_.empty();
    } catch (const kj::Exception& exception) {
      fail(exception.getDescription().cStr());
    } catch (const Error& error) {
      fail(error.what());
    }
  }

  void checkLabels() {
    for (unsigned number = 2; number <= history_.newest(); ++number) {
      const auto judgements = judge(difference(schema(number - 1).schema(), schema(number).schema()));
      const std::string where = "version " + std::to_string(number) + "\n" + describe(judgements);
      const bool derives = std::any_of(judgements.begin(), judgements.end(),
                                       [](const Judgement& one) { return one.verdict == Verdict::derived; });
      if (isRefused(judgements)) fail("refused: " + where);
      if (floorEffect(judgements) != history_.version(number).floor) fail("another floor: " + where);
      if (derives != history_.version(number).derives) fail("another verdict: " + where);
    }
    const std::string mistake = history_.mistake();
    if (mistake.empty()) return;
    ++tally_.edits["mistake"];
    const auto judgements =
        judge(difference(schema(history_.newest()).schema(), parseDeclarations(mistake, "Record")));
    if (!isRefused(judgements)) fail("not refused: " + mistake + describe(judgements));
  }

  void playRow() {
    StoredRow row;
    if (!create(row)) return;
    ++tally_.rows;
    for (unsigned count = below(4); count > 0; --count) rewriteAtRandom(row);
    for (unsigned reader = 1; reader <= history_.newest(); ++reader) {
      if (mayTouch(reader, row)) checkReading(row, reader);
    }
    checkMigration(row);
  }

  bool create(StoredRow& row) {
    const unsigned writer = anyVersion();
    auto record = row.message.initRoot<DynamicStruct>(schema(writer).schema().root());
    row.model = history_.freshRow();
    for (unsigned field = 0; field < history_.version(writer).fields; ++field) {
      if (below(5) > 0) set(row, record, field, writer);
    }
    return put(row, writer);
  }

  void set(StoredRow& row, DynamicStruct::Builder record, unsigned field, unsigned writer) {
    if (history_.isRetired(field, writer)) return;
    const Value value = history_.randomValue(field, writer);
    schema(writer).write(record, field, value);
    history_.assign(row.model, field, value, writer);
  }

  // False: the program cannot put it, and the row is not to be used any more.
  bool put(StoredRow& row, unsigned writer) {
    const Obstacles obstacles = history_.mirror(row.model, writer);
    row.version = writer;
    row.newest = std::max(row.newest, writer);
    try {
      schema(writer).plans().prepareToPut(row.as(schema(writer)));
      if (!obstacles.empty()) fail("a mirror that should not be possible");
      return true;
    } catch (const Error& error) {
      checkRefusal(error, ErrorCode::fixInput, obstacles, writer);
      ++tally_.unmirrored;
      return false;
    }
  }

  // What reading does: the row as one of the reader's version.
  bool upgrade(StoredRow& row, unsigned reader) {
    if (row.version >= reader) return true;
    const Obstacles obstacles = history_.upgrade(row.model, row.version, reader, reader);
    const Plan plan = schema(reader).plans().from(static_cast<std::uint16_t>(row.version));
    try {
      if (!plan.isIdentity()) plan.run(row.as(schema(reader)));
      if (!obstacles.empty()) fail("a row that cannot be upgraded was");
      row.version = reader;
      return true;
    } catch (const Error& error) {
      checkRefusal(error, ErrorCode::fixRow, obstacles, reader);
      return false;
    }
  }

  void checkRefusal(const Error& error, ErrorCode code, const Obstacles& obstacles, unsigned version) const {
    if (error.code() != code) fail(error.what());
    if (!obstacles.contains(schema(version).numberOf(error.fact("field"))))
      fail(std::string("unforeseen: ") + error.what());
  }

  // A program of some version reads the row, changes it and puts it.
  void rewriteAtRandom(StoredRow& row) {
    const unsigned writer = anyVersion();
    StoredRow copy(row);
    if (!mayTouch(writer, row) || !upgrade(copy, writer)) return;
    auto record = copy.as(schema(writer));
    for (unsigned count = 1 + below(3); count > 0; --count)
      set(copy, record, 1 + below(history_.version(writer).fields - 1), writer);
    const bool isOlder = writer < row.version;
    if (!put(copy, writer)) return;
    ++(isOlder ? tally_.restamped : tally_.rewritten);
    row.message.setRoot(copy.message.getRoot<capnp::AnyPointer>().asReader());
    row.model = copy.model;
    row.version = copy.version;
    row.newest = copy.newest;
  }

  void checkReading(StoredRow& row, unsigned reader) {
    StoredRow copy(row);
    ++tally_.reads;
    if (!upgrade(copy, reader)) {
      ++tally_.underived;
      return;
    }
    compare(copy, reader, "read by");
  }

  void compare(StoredRow& row, unsigned reader, const char* how) const {
    const ModelRow seen = schema(reader).read(row.as(schema(reader)).asReader());
    const ModelRow expected = history_.visible(row.model, reader);
    for (unsigned field = 0; field < expected.size(); ++field) {
      if (seen[field] == expected[field]) continue;
      fail(std::string(how) + " version " + std::to_string(reader) + ", field @" + std::to_string(field) +
           ": " + describe(seen[field]) + " in place of " + describe(expected[field]));
    }
  }

  // At once, version by version, or with some left out: the same row comes out.
  void checkMigration(StoredRow& row) {
    StoredRow lazy(row);
    const bool isLazy = upgrade(lazy, history_.newest());
    for (const bool isMixed : {false, true}) {
      StoredRow eager(row);
      bool isEager = true;
      for (unsigned version = row.version + 1; isEager && version <= history_.newest(); ++version) {
        if (isMixed && version < history_.newest() && below(2) == 0) continue;
        isEager = upgrade(eager, version) && put(eager, version);
      }
      if (!isEager || row.version == history_.newest()) continue;
      ++tally_.edits[isMixed ? "mixed" : "eager"];
      compare(eager, history_.newest(),
              isMixed ? "rewritten by some versions up to" : "rewritten by each version up to");
      if (isLazy) compareMigrations(lazy, eager);
    }
  }

  void compareMigrations(StoredRow& lazy, StoredRow& eager) const {
    const ModelSchema& newest = schema(history_.newest());
    const ModelRow left = newest.read(lazy.as(newest).asReader());
    const ModelRow right = newest.read(eager.as(newest).asReader());
    for (unsigned field = 0; field < left.size(); ++field) {
      if (left[field] == right[field] || history_.dependsOnRewriting(field)) continue;
      fail("lazy and eager differ in @" + std::to_string(field) + ": " + describe(left[field]) + " and " +
           describe(right[field]));
    }
  }

  const std::uint64_t seed_;
  std::mt19937_64 random_;
  RandomHistory history_;
  Tally& tally_;
  std::vector<ModelSchema> schemas_;
};

void print(const Tally& tally) {
  std::cout << tally.histories << " histories, " << tally.notCompiled << " that the compiler refuses, "
            << tally.rows << " rows, " << tally.reads << " reads, " << tally.underived
            << " rows that cannot be derived, " << tally.unmirrored << " that cannot be mirrored, "
            << tally.rewritten << " rewritten by newer programs, " << tally.restamped << " by older ones\n";
  for (const auto& [edit, count] : tally.edits) std::cout << "  " << edit << ' ' << count << '\n';
}

constexpr const char* kEveryEdit[] = {
    "addEnumerant", "addField",      "addGroup",    "addMember",     "addUnion",      "chain",
    "coalesce",     "concat",        "constant",    "convert",       "convertList",   "copy",
    "copyList",     "eager",         "endMirror",   "growStruct",    "match",         "matchList",
    "mirrorconcat", "mirrorconvert", "mirrorLater", "mirrorcopy",    "mirrormatch",   "mirrorscale",
    "mirrorsplit",  "mistake",       "mixed",       "moveIntoGroup", "moveIntoUnion", "nested",
    "rename",       "retire",        "scale",       "scaleList",     "split"};

TEST(EvolutionHistory, EveryRowIsTheSameWheneverAndByWhomItIsUpgraded) {
  Tally tally;
  const bool isRight = rc::check([&] {
    std::mt19937_64 seeds(
        *rc::gen::noShrink(rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>())));
    for (unsigned history = 0; history < kHistoriesPerCase; ++history) Player(seeds(), tally).play();
  });
  print(tally);
  ASSERT_TRUE(isRight);
  EXPECT_GE(tally.histories, kHistoriesPerCase * kCases * 10 / 11);
  EXPECT_GE(tally.rows, kHistoriesPerCase * kCases * kRowsPerHistory * 10 / 11);
  EXPECT_GE(tally.restamped, tally.rows / 10);
  EXPECT_GE(tally.rewritten, tally.rows / 10);
  EXPECT_GE(tally.underived, 1U);
  EXPECT_LE(tally.underived, tally.reads / 4) << "too few rows are compared";
  EXPECT_GE(tally.unmirrored, 1U);
  for (const char* edit : kEveryEdit) EXPECT_GE(tally.edits[edit], 1U) << edit;
}

}  // namespace
}  // namespace instar::testing
