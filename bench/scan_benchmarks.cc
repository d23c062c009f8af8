#include <benchmark/benchmark.h>

#include "instar/bench/benchmarks.h"

namespace instar::bench {
namespace {

using benchmark::State;

void count(State& state, const Subjects& subjects) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(subjects.sizes().rows));
}

void scanInstar(State& state, Subjects& subjects, const ScanOptions& options) {
  const InstarSubject& subject = subjects.instar();
  const auto snapshot = subject.store.read();
  for (auto _ : state) {
    for (const auto& row : subject.orders.scan(snapshot, options)) {
      benchmark::DoNotOptimize(readThreeFields(*row));
    }
  }
  count(state, subjects);
}

void scanLmdb(State& state, Subjects& subjects, MDB_cursor_op step) {
  const LmdbReference& reference = subjects.lmdb();
  const LmdbTransaction snapshot(reference, MDB_RDONLY);
  for (auto _ : state) {
    MDB_cursor* cursor = nullptr;
    checkLmdb(mdb_cursor_open(snapshot.get(), reference.tree(), &cursor), "mdb_cursor_open");
    MDB_val key;
    MDB_val value;
    while (mdb_cursor_get(cursor, &key, &value, step) == 0) benchmark::DoNotOptimize(sumWords(value));
    mdb_cursor_close(cursor);
  }
  count(state, subjects);
}

void scanSqlite(State& state, Subjects& subjects) {
  SqliteStatement select(subjects.sqlite().connection(), kSelectThreeOfAll);
  for (auto _ : state) {
    while (select.step()) benchmark::DoNotOptimize(readThreeColumns(select));
    select.reset();
  }
  count(state, subjects);
}

}  // namespace

void addScanBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  const auto add = [&subjects](const char* name, auto function) {
    benchmark::RegisterBenchmark(name, [&subjects, function](State& state) { function(state, subjects); });
  };
  add("scan/instar", [](State& state, Subjects& all) { scanInstar(state, all, {}); });
  add("scan/lmdb", [](State& state, Subjects& all) { scanLmdb(state, all, MDB_NEXT); });
  add("scan/sqlite", scanSqlite);
  add("scan in reverse/instar",
      [](State& state, Subjects& all) { scanInstar(state, all, {.reverse = true}); });
  add("scan in reverse/lmdb", [](State& state, Subjects& all) { scanLmdb(state, all, MDB_PREV); });

  figures.insert(figures.end(),
                 {{"scan, verified, three fields : LMDB, all bytes", "scan/instar", "scan/lmdb", 1.3},
                  {"scan, verified, three fields : SQLite", "scan/instar", "scan/sqlite"},
                  {"scan in reverse : LMDB, all bytes", "scan in reverse/instar", "scan in reverse/lmdb"}});
}

}  // namespace instar::bench
