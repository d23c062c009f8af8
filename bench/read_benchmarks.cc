#include <benchmark/benchmark.h>

#include "instar/bench/benchmarks.h"

namespace instar::bench {
namespace {

using benchmark::State;

void count(State& state) { state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations())); }

void getInstar(State& state, Subjects& subjects) {
  const InstarSubject& subject = subjects.instar();
  const auto snapshot = subject.store.read();
  Rotation ids(subjects.ids());
  for (auto _ : state) {
    const auto row = subject.orders.get(snapshot, ids.next());
    benchmark::DoNotOptimize(readThreeFields(*row));
  }
  count(state);
}

template <class Touch>
void getLmdb(State& state, Subjects& subjects, Touch touch) {
  const LmdbReference& reference = subjects.lmdb();
  const LmdbTransaction snapshot(reference, MDB_RDONLY);
  Rotation ids(subjects.ids());
  for (auto _ : state) {
    const std::uint64_t bytes = __builtin_bswap64(ids.next());
    MDB_val key{sizeof bytes, const_cast<std::uint64_t*>(&bytes)};
    MDB_val value;
    checkLmdb(mdb_get(snapshot.get(), reference.tree(), &key, &value), "mdb_get");
    benchmark::DoNotOptimize(touch(value));
  }
  count(state);
}

std::uint64_t firstByte(const MDB_val& value) noexcept {
  return *static_cast<const unsigned char*>(value.mv_data);
}

void getSqlite(State& state, Subjects& subjects) {
  SqliteReference& reference = subjects.sqlite();
  SqliteStatement select(reference.connection(), kSelectThree);
  reference.execute("BEGIN");
  Rotation ids(subjects.ids());
  for (auto _ : state) {
    sqlite3_bind_int64(select.get(), 1, static_cast<sqlite3_int64>(ids.next()));
    if (!select.step()) state.SkipWithError("a row is missing");
    benchmark::DoNotOptimize(readThreeColumns(select));
    select.reset();
  }
  reference.execute("COMMIT");
  count(state);
}

void snapshotAndGetInstar(State& state, Subjects& subjects) {
  const InstarSubject& subject = subjects.instar();
  Rotation ids(subjects.ids());
  for (auto _ : state) {
    const auto snapshot = subject.store.read();
    const auto row = subject.orders.get(snapshot, ids.next());
    benchmark::DoNotOptimize(readThreeFields(*row));
  }
  count(state);
}

void snapshotAndGetLmdb(State& state, Subjects& subjects) {
  const LmdbReference& reference = subjects.lmdb();
  const LmdbTransaction snapshot(reference, MDB_RDONLY);
  mdb_txn_reset(snapshot.get());
  Rotation ids(subjects.ids());
  for (auto _ : state) {
    const std::uint64_t bytes = __builtin_bswap64(ids.next());
    MDB_val key{sizeof bytes, const_cast<std::uint64_t*>(&bytes)};
    MDB_val value;
    checkLmdb(mdb_txn_renew(snapshot.get()), "mdb_txn_renew");
    checkLmdb(mdb_get(snapshot.get(), reference.tree(), &key, &value), "mdb_get");
    benchmark::DoNotOptimize(sumWords(value));
    mdb_txn_reset(snapshot.get());
  }
  count(state);
}

void snapshotAndGetSqlite(State& state, Subjects& subjects) {
  SqliteStatement select(subjects.sqlite().connection(), kSelectThree);
  Rotation ids(subjects.ids());
  for (auto _ : state) {
    sqlite3_bind_int64(select.get(), 1, static_cast<sqlite3_int64>(ids.next()));
    if (!select.step()) state.SkipWithError("a row is missing");
    benchmark::DoNotOptimize(readThreeColumns(select));
    select.reset();
  }
  count(state);
}

void containsInstar(State& state, Subjects& subjects) {
  const InstarSubject& subject = subjects.instar();
  const auto snapshot = subject.store.read();
  Rotation ids(subjects.ids());
  for (auto _ : state) benchmark::DoNotOptimize(subject.orders.contains(snapshot, ids.next()));
  count(state);
}

void containsLmdb(State& state, Subjects& subjects) {
  getLmdb(state, subjects, [](const MDB_val& value) { return value.mv_size; });
}

void countInstar(State& state, Subjects& subjects) {
  const InstarSubject& subject = subjects.instar();
  const auto snapshot = subject.store.read();
  for (auto _ : state) benchmark::DoNotOptimize(subject.orders.count(snapshot));
  count(state);
}

void countLmdb(State& state, Subjects& subjects) {
  const LmdbReference& reference = subjects.lmdb();
  const LmdbTransaction snapshot(reference, MDB_RDONLY);
  for (auto _ : state) {
    MDB_stat statistics;
    checkLmdb(mdb_stat(snapshot.get(), reference.tree(), &statistics), "mdb_stat");
    benchmark::DoNotOptimize(statistics.ms_entries);
  }
  count(state);
}

// From nothing to the first row, and closed again.
void openInstar(State& state, Subjects& subjects) {
  const auto path = subjects.instarFile();
  Rotation ids(subjects.ids());
  for (auto _ : state) {
    const InstarSubject subject(path, Durability::off);
    const auto snapshot = subject.store.read();
    const auto row = subject.orders.get(snapshot, ids.next());
    benchmark::DoNotOptimize(readThreeFields(*row));
  }
  count(state);
}

void openLmdb(State& state, Subjects& subjects) {
  const auto path = subjects.lmdbFile();
  Rotation ids(subjects.ids());
  for (auto _ : state) {
    const LmdbReference reference(path, Durability::off);
    const LmdbTransaction snapshot(reference, MDB_RDONLY);
    const std::uint64_t bytes = __builtin_bswap64(ids.next());
    MDB_val key{sizeof bytes, const_cast<std::uint64_t*>(&bytes)};
    MDB_val value;
    checkLmdb(mdb_get(snapshot.get(), reference.tree(), &key, &value), "mdb_get");
    benchmark::DoNotOptimize(sumWords(value));
  }
  count(state);
}

void openSqlite(State& state, Subjects& subjects) {
  const auto path = subjects.sqliteFile();
  Rotation ids(subjects.ids());
  for (auto _ : state) {
    const SqliteReference reference(path, Durability::off);
    SqliteStatement select(reference.connection(), kSelectThree);
    sqlite3_bind_int64(select.get(), 1, static_cast<sqlite3_int64>(ids.next()));
    if (!select.step()) state.SkipWithError("a row is missing");
    benchmark::DoNotOptimize(readThreeColumns(select));
  }
  count(state);
}

}  // namespace

void addReadBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  const auto add = [&subjects](const char* name, auto function) {
    return benchmark::RegisterBenchmark(name,
                                        [&subjects, function](State& state) { function(state, subjects); });
  };
  add("get/instar", getInstar);
  add("get/lmdb", [](State& state, Subjects& all) { getLmdb(state, all, sumWords); });
  add("get/lmdb one byte", [](State& state, Subjects& all) { getLmdb(state, all, firstByte); });
  add("get/sqlite", getSqlite);
  add("get in a new transaction/instar", snapshotAndGetInstar);
  add("get in a new transaction/lmdb", snapshotAndGetLmdb);
  add("get in a new transaction/sqlite", snapshotAndGetSqlite);
  add("contains/instar", containsInstar);
  add("contains/lmdb", containsLmdb);
  add("count/instar", countInstar);
  add("count/lmdb", countLmdb);
  add("open to first row/instar", openInstar)->UseRealTime();
  add("open to first row/lmdb", openLmdb)->UseRealTime();
  add("open to first row/sqlite", openSqlite)->UseRealTime();

  figures.insert(figures.end(),
                 {{"get, verified, three fields : LMDB, all bytes", "get/instar", "get/lmdb", 1.25},
                  {"get, verified, three fields : LMDB, one byte", "get/instar", "get/lmdb one byte"},
                  {"get, verified, three fields : SQLite, three columns", "get/instar", "get/sqlite", 1.0},
                  {"get in a new transaction : LMDB", "get in a new transaction/instar",
                   "get in a new transaction/lmdb"},
                  {"get in a new transaction : SQLite", "get in a new transaction/instar",
                   "get in a new transaction/sqlite"},
                  {"contains : LMDB", "contains/instar", "contains/lmdb"},
                  {"count : LMDB", "count/instar", "count/lmdb"},
                  {"open to first row : LMDB", "open to first row/instar", "open to first row/lmdb"},
                  {"open to first row : SQLite", "open to first row/instar", "open to first row/sqlite"}});
}

}  // namespace instar::bench
