// The program of version 1 and the one that tries version 2, two processes, write the same few rows for a
// minute while the version is served to ever more keys, promoted in the middle, and packed. Whoever holds the
// lock of writers knows what every row has to be, by the rules of either program.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "instar/engine/check.h"
#include "instar/engine/migration.h"
#include "instar/engine/staging.h"
#include "instar/tests/engine/staging/contacts.h"
#include "instar/tests/support/child_process.h"
#include "instar/tests/support/temporary_folder.h"

namespace instar {
namespace {

using namespace testing;
using capnp::DynamicStruct;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kBefore(30);  // the promotion
constexpr std::chrono::seconds kAfter(30);
constexpr std::chrono::milliseconds kShareLasts(25);
constexpr std::uint64_t kKeys = 200;
constexpr unsigned kNumbers = 100'000;
constexpr unsigned kPlainTier = 1;

const RecordSchema& oldPerson() {
  static const RecordSchema schema = contactSchema(1, "name @1 :Text; puts @2 :UInt64;");
  return schema;
}

const RecordSchema& newPerson() {
  static const RecordSchema schema = contactSchema(2, R"(
      name  @1 :Text $Instar.mirrored(since = 2, concat = [(field = "first"), (text = " "), (field = "last")]);
      puts  @2 :UInt64;
      first @3 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 0));
      last  @4 :Text $Instar.derived(since = 2, split = (field = "name", by = " ", part = 1));
      tier  @5 :UInt8 = 1;)");
  return schema;
}

// What a row has to be.
struct Person {
  bool isThere;
  unsigned number;     // in both names
  unsigned tier;       // which the older program knows nothing of, and keeps
  std::uint64_t puts;  // of this key, and erasures: never fewer
};

std::string firstOf(unsigned number) { return "Ada" + std::to_string(number); }
std::string lastOf(unsigned number) { return "Evans" + std::to_string(number); }

// Shared by the processes. People are read and changed under the lock of writers.
struct Board {
  std::atomic<bool> isOver;
  std::array<std::atomic<std::uint64_t>, 2> puts;         // by program
  std::array<std::atomic<std::uint64_t>, 2> reads;        // likewise
  std::array<std::atomic<std::uint64_t>, 2> servedReads;  // of rows that came the new way
  std::array<Person, kKeys + 1> people;
};

class SharedBoard {
 public:
  SharedBoard()
      : board_(static_cast<Board*>(
            ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  ~SharedBoard() { ::munmap(board_, sizeof(Board)); }
  Board& operator*() const noexcept { return *board_; }

 private:
  Board* board_;
};

void expectPerson(DynamicStruct::Reader row, bool isServed, const Person& person) {
  EXPECT_EQ(textOf(row, "name"), firstOf(person.number) + " " + lastOf(person.number));
  EXPECT_EQ(row.get("puts").as<std::uint64_t>(), person.puts);
  if (!isServed) return;
  EXPECT_EQ(textOf(row, "first"), firstOf(person.number));
  EXPECT_EQ(textOf(row, "last"), lastOf(person.number));
  EXPECT_EQ(row.get("tier").as<unsigned>(), person.tier);
}

// As the board has them; the transaction holds the lock of writers.
void expectAll(const Transaction& transaction, const StagedRows& rows, const Board& board) {
  for (std::uint64_t id = 1; id <= kKeys; ++id) {
    SCOPED_TRACE(id);
    const auto row = rows.get(transaction, id);
    ASSERT_EQ(static_cast<bool>(row), board.people[id].isThere);
    if (static_cast<bool>(row)) expectPerson(*row, row.serves(2), board.people[id]);
  }
}

class Program {
 public:
  enum Kind : unsigned { older, newer };

  Program(Kind kind, const std::filesystem::path& path, Board& board)
      : kind_(kind),
        board_(board),
        random_(kind),
        store_(Store::open(path, {.durability = Durability::off})),
        rows_(kind == older ? store_.collection("contacts", oldPerson())
                            : store_.stage("contacts", newPerson(), {.shadow = 20})) {}

  void run() {
    for (unsigned turn = 0; !board_.isOver && !::testing::Test::HasFailure(); ++turn) {
      write();
      read();
      if (turn % 20 == 0) {
        auto transaction = store_.write();
        expectAll(transaction, rows_, board_);
      }
    }
  }

 private:
  unsigned below(unsigned count) { return static_cast<unsigned>(random_() % count); }

  bool isServed(const WriteTransaction& transaction, std::uint64_t id) const {
    return kind_ == newer && rows_.serves(transaction, rows_.key(id), 2);
  }

  void write() {
    std::map<std::uint64_t, Person> changed;
    auto transaction = store_.write();
    for (unsigned count = 1 + below(4); count != 0; --count) {
      const std::uint64_t id = 1 + below(kKeys);
      change(transaction, id, changed.try_emplace(id, board_.people[id]).first->second);
    }
    if (below(20) == 0) return;  // given up
    for (const auto& [id, person] : changed) board_.people[id] = person;
    board_.puts[kind_] += changed.size();
    transaction.commit();
  }

  void change(WriteTransaction& transaction, std::uint64_t id, Person& person) {
    ++person.puts;
    person.number = below(kNumbers);
    if (below(40) == 0) {
      EXPECT_EQ(rows_.erase(transaction, id), person.isThere);
      person.isThere = false;
      person.tier = kPlainTier;
      return;
    }
    auto draft = rows_.edit(transaction, id);
    ASSERT_EQ(static_cast<bool>(draft), person.isThere);
    const bool isNew = !person.isThere || below(2) == 0;
    person.isThere = true;
    if (isNew) {
      auto record = rows_.create();
      fill(*record, isServed(transaction, id), id, person);
      rows_.put(transaction, record);
    } else {
      fill(*draft, kind_ == newer && draft.origin()->servedAs >= 2, id, person);
      rows_.put(transaction, draft);
    }
  }

  void fill(DynamicStruct::Builder& record, bool isServed, std::uint64_t id, Person& person) {
    record.set("id", id);
    record.set("puts", person.puts);
    if (isServed) {
      person.tier = below(256);
      record.set("first", firstOf(person.number).c_str());
      record.set("last", lastOf(person.number).c_str());
      record.set("tier", person.tier);
    } else {
      record.set("name", (firstOf(person.number) + " " + lastOf(person.number)).c_str());
    }
  }

  // In a snapshot, where nothing but the row itself says what is right, and that it never grows younger.
  void read() {
    const auto snapshot = store_.read();
    for (auto row : rows_.scan(snapshot, {.from = rows_.key(1 + below(kKeys)), .limit = 20})) {
      const auto id = row->get("id").as<std::uint64_t>();
      const std::string name = textOf(*row, "name");
      const auto space = name.find(' ');
      const bool isServed = kind_ == newer && row.serves(2);
      EXPECT_EQ(name.substr(3, space - 3), name.substr(space + 6)) << id;
      const auto puts = row->get("puts").as<std::uint64_t>();
      EXPECT_GE(puts, std::exchange(seen_[id], puts)) << id;
      if (isServed) {
        EXPECT_EQ(textOf(*row, "first") + " " + textOf(*row, "last"), name) << id;
      }
      ++board_.reads[kind_];
      board_.servedReads[kind_] += isServed ? 1 : 0;
    }
  }

  const Kind kind_;
  Board& board_;
  std::mt19937 random_;
  Store store_;
  StagedRows rows_;
  std::array<std::uint64_t, kKeys + 1> seen_{};  // puts of each key
};

void runProgram(Program::Kind kind, const std::filesystem::path& path, Board& board, const Steps& parent) {
  Program program(kind, path, board);
  parent.tell();
  parent.await();
  program.run();
}

void sleepFor(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

TEST(StagingProcesses, TheOldAndTheNewProgramWriteForAMinuteWithThePromotionInTheMiddle) {
  const TemporaryFolder folder;
  const auto path = folder / "store.instar";
  const SharedBoard shared;
  Board& board = *shared;
  for (Person& person : board.people) person.tier = kPlainTier;
  ChildProcess older([&](const Steps& parent) { runProgram(Program::older, path, board, parent); });
  older.await();
  ChildProcess newer([&](const Steps& parent) { runProgram(Program::newer, path, board, parent); });
  newer.await();
  older.tell();
  newer.tell();

  const Store store = Store::open(path, {.durability = Durability::off});
  // Up and down, so that a key is served now and then.
  std::mt19937 random(1);
  for (const auto end = Clock::now() + kBefore; Clock::now() < end; sleepFor(kShareLasts))
    setStagedPercent(store, "contacts", 2, static_cast<double>(random() % 101));
  const std::uint64_t servedBefore = board.servedReads[Program::newer];
  promoteVersion(store, "contacts", 2, {.forced = true});
  const StagedRows rows = store.collection("contacts", newPerson());
  constexpr int kPasses = 6;
  for (int pass = 0; pass < kPasses; ++pass) {
    migrate(store, "contacts", {.mode = CompactionMode::compress});
    sleepFor(std::chrono::milliseconds(kAfter) / kPasses);
  }
  board.isOver = true;
  older.expectSuccess();
  newer.expectSuccess();

  EXPECT_GT(servedBefore, 100U);
  EXPECT_GT(board.servedReads[Program::newer], 2 * servedBefore);
  for (const auto kind : {Program::older, Program::newer}) {
    EXPECT_GT(board.puts[kind], 1000U);
    EXPECT_GT(board.reads[kind], 1000U);
  }
  const auto transaction = store.read();
  expectAll(transaction, rows, board);
  expectAll(transaction, store.collection("contacts", oldPerson()), board);
  EXPECT_TRUE(check(store).sound());
  EXPECT_EQ(readAudit(store, transaction).damage, "");
  std::uint64_t count = 0;
  for (const Person& person : board.people) count += person.isThere ? 1 : 0;
  EXPECT_EQ(rows.count(transaction), count);
}

}  // namespace
}  // namespace instar
