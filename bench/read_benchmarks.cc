#include <benchmark/benchmark.h>

#include <memory>

#include "instar/bench/alternation.h"
#include "instar/bench/benchmarks.h"

namespace instar::bench {
namespace {

constexpr std::uint64_t kReadsPerBlock = 5'000;
constexpr std::uint64_t kCountsPerBlock = 50'000;
constexpr std::uint64_t kOpeningsPerBlock = 10;

// All read the same rows in the same order.
Block getInstar(Subjects& subjects) {
  const InstarSubject& subject = subjects.instar();
  const auto snapshot = std::make_shared<ReadTransaction>(subject.store.read());
  return repeat(kReadsPerBlock, [&subject, snapshot, ids = Rotation(subjects.ids())]() mutable {
    const auto row = subject.orders.get(*snapshot, ids.next());
    benchmark::DoNotOptimize(readThreeFields(*row));
  });
}

template <class Touch>
void getLmdb(const LmdbReference& reference, MDB_txn* snapshot, std::uint64_t id, Touch touch) {
  const std::uint64_t bytes = __builtin_bswap64(id);
  MDB_val key{sizeof bytes, const_cast<std::uint64_t*>(&bytes)};
  MDB_val value;
  checkLmdb(mdb_get(snapshot, reference.tree(), &key, &value), "mdb_get");
  benchmark::DoNotOptimize(touch(value));
}

template <class Touch>
Block getLmdb(Subjects& subjects, Touch touch) {
  const LmdbReference& reference = subjects.lmdb();
  const auto snapshot = std::make_shared<LmdbTransaction>(reference, MDB_RDONLY);
  return repeat(kReadsPerBlock, [&reference, snapshot, touch, ids = Rotation(subjects.ids())]() mutable {
    getLmdb(reference, snapshot->get(), ids.next(), touch);
  });
}

std::uint64_t firstByte(const MDB_val& value) noexcept {
  return *static_cast<const unsigned char*>(value.mv_data);
}
std::size_t nothing(const MDB_val& value) noexcept { return value.mv_size; }

void selectThree(SqliteStatement& select, std::uint64_t id) {
  sqlite3_bind_int64(select.get(), 1, static_cast<sqlite3_int64>(id));
  if (!select.step()) throw std::runtime_error("a row is missing");
  benchmark::DoNotOptimize(readThreeColumns(select));
  select.reset();
}

Block selectSqlite(Subjects& subjects, bool oneTransaction) {
  SqliteReference& reference = subjects.sqlite();
  const auto select = std::make_shared<SqliteStatement>(reference.connection(), kSelectThree);
  return {.run = [&reference, select, oneTransaction, ids = Rotation(subjects.ids())]() mutable {
    if (oneTransaction) reference.execute("BEGIN");
    for (std::uint64_t i = 0; i < kReadsPerBlock; ++i) selectThree(*select, ids.next());
    if (oneTransaction) reference.execute("COMMIT");
  }};
}

Block snapshotAndGetInstar(Subjects& subjects) {
  const InstarSubject& subject = subjects.instar();
  return repeat(kReadsPerBlock, [&subject, ids = Rotation(subjects.ids())]() mutable {
    const auto snapshot = subject.store.read();
    const auto row = subject.orders.get(snapshot, ids.next());
    benchmark::DoNotOptimize(readThreeFields(*row));
  });
}

// As cheap as LMDB can do it: the transaction keeps its place in the table of readers.
Block snapshotAndGetLmdb(Subjects& subjects) {
  const LmdbReference& reference = subjects.lmdb();
  const auto snapshot = std::make_shared<LmdbTransaction>(reference, MDB_RDONLY);
  mdb_txn_reset(snapshot->get());
  return repeat(kReadsPerBlock, [&reference, snapshot, ids = Rotation(subjects.ids())]() mutable {
    checkLmdb(mdb_txn_renew(snapshot->get()), "mdb_txn_renew");
    getLmdb(reference, snapshot->get(), ids.next(), sumWords);
    mdb_txn_reset(snapshot->get());
  });
}

Block containsInstar(Subjects& subjects) {
  const InstarSubject& subject = subjects.instar();
  const auto snapshot = std::make_shared<ReadTransaction>(subject.store.read());
  return repeat(kReadsPerBlock, [&subject, snapshot, ids = Rotation(subjects.ids())]() mutable {
    benchmark::DoNotOptimize(subject.orders.contains(*snapshot, ids.next()));
  });
}

Block countInstar(Subjects& subjects) {
  const InstarSubject& subject = subjects.instar();
  const auto snapshot = std::make_shared<ReadTransaction>(subject.store.read());
  return repeat(kCountsPerBlock,
                [&subject, snapshot] { benchmark::DoNotOptimize(subject.orders.count(*snapshot)); });
}

Block countLmdb(Subjects& subjects) {
  const LmdbReference& reference = subjects.lmdb();
  const auto snapshot = std::make_shared<LmdbTransaction>(reference, MDB_RDONLY);
  return repeat(kCountsPerBlock, [&reference, snapshot] {
    MDB_stat statistics;
    checkLmdb(mdb_stat(snapshot->get(), reference.tree(), &statistics), "mdb_stat");
    benchmark::DoNotOptimize(statistics.ms_entries);
  });
}

// From nothing to the first row, and closed again.
Block openInstar(Subjects& subjects) {
  return repeat(kOpeningsPerBlock, [path = subjects.instarFile(), ids = Rotation(subjects.ids())]() mutable {
    const InstarSubject subject(path, Durability::off);
    const auto snapshot = subject.store.read();
    const auto row = subject.orders.get(snapshot, ids.next());
    benchmark::DoNotOptimize(readThreeFields(*row));
  });
}

Block openLmdb(Subjects& subjects) {
  return repeat(kOpeningsPerBlock, [path = subjects.lmdbFile(), ids = Rotation(subjects.ids())]() mutable {
    const LmdbReference reference(path, Durability::off);
    const LmdbTransaction snapshot(reference, MDB_RDONLY);
    getLmdb(reference, snapshot.get(), ids.next(), sumWords);
  });
}

Block openSqlite(Subjects& subjects) {
  return repeat(kOpeningsPerBlock, [path = subjects.sqliteFile(), ids = Rotation(subjects.ids())]() mutable {
    const SqliteReference reference(path, Durability::off);
    SqliteStatement select(reference.connection(), kSelectThree);
    selectThree(select, ids.next());
  });
}

}  // namespace

void addReadBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  add({.name = "get, three fields",
       .itemsPerBlock = kReadsPerBlock,
       .contenders = {{"Instar", [&] { return getInstar(subjects); }},
                      {"LMDB, all bytes", [&] { return getLmdb(subjects, sumWords); }},
                      {"LMDB, one byte", [&] { return getLmdb(subjects, firstByte); }},
                      {"SQLite", [&] { return selectSqlite(subjects, true); }}}});
  figures.push_back({"get, three fields", "Instar", "LMDB, all bytes", 1.25});
  figures.push_back({"get, three fields", "Instar", "LMDB, one byte"});
  figures.push_back({"get, three fields", "Instar", "SQLite", 1.0});

  add({.name = "get in a transaction of its own",
       .itemsPerBlock = kReadsPerBlock,
       .contenders = {{"Instar", [&] { return snapshotAndGetInstar(subjects); }},
                      {"LMDB, all bytes", [&] { return snapshotAndGetLmdb(subjects); }},
                      {"SQLite", [&] { return selectSqlite(subjects, false); }}}});
  figures.push_back({"get in a transaction of its own", "Instar", "LMDB, all bytes"});
  figures.push_back({"get in a transaction of its own", "Instar", "SQLite"});

  add({.name = "contains",
       .itemsPerBlock = kReadsPerBlock,
       .contenders = {{"Instar", [&] { return containsInstar(subjects); }},
                      {"LMDB", [&] { return getLmdb(subjects, nothing); }}}});
  figures.push_back({"contains", "Instar", "LMDB"});

  add({.name = "count of all rows",
       .itemsPerBlock = kCountsPerBlock,
       .contenders = {{"Instar", [&] { return countInstar(subjects); }},
                      {"LMDB", [&] { return countLmdb(subjects); }}}});
  figures.push_back({"count of all rows", "Instar", "LMDB"});

  add({.name = "open, read a row, close",
       .measured = Measured::realTime,
       .itemsPerBlock = kOpeningsPerBlock,
       .contenders = {{"Instar", [&] { return openInstar(subjects); }},
                      {"LMDB", [&] { return openLmdb(subjects); }},
                      {"SQLite", [&] { return openSqlite(subjects); }}}});
  figures.push_back({"open, read a row, close", "Instar", "LMDB"});
  figures.push_back({"open, read a row, close", "Instar", "SQLite"});
}

}  // namespace instar::bench
