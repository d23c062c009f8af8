#include <benchmark/benchmark.h>

#include <memory>

#include "instar/bench/alternation.h"
#include "instar/bench/benchmarks.h"

namespace instar::bench {
namespace {

enum class Use : std::uint8_t { nothing, threeFields };

template <Use use>
Block scanInstar(Subjects& subjects, const ScanOptions& options) {
  const InstarSubject& subject = subjects.instar();
  const auto snapshot = std::make_shared<ReadTransaction>(subject.store.read());
  return {.run = [&subject, snapshot, options] {
    for (const auto& row : subject.orders.scan(*snapshot, options)) {
      if constexpr (use == Use::threeFields) benchmark::DoNotOptimize(readThreeFields(*row));
    }
  }};
}

Block scanLmdb(Subjects& subjects, MDB_cursor_op step) {
  const LmdbReference& reference = subjects.lmdb();
  const auto snapshot = std::make_shared<LmdbTransaction>(reference, MDB_RDONLY);
  return {.run = [&reference, snapshot, step] {
    MDB_cursor* cursor = nullptr;
    checkLmdb(mdb_cursor_open(snapshot->get(), reference.tree(), &cursor), "mdb_cursor_open");
    MDB_val key;
    MDB_val value;
    while (mdb_cursor_get(cursor, &key, &value, step) == 0) benchmark::DoNotOptimize(sumWords(value));
    mdb_cursor_close(cursor);
  }};
}

Block scanSqlite(Subjects& subjects) {
  const auto select = std::make_shared<SqliteStatement>(subjects.sqlite().connection(), kSelectThreeOfAll);
  return {.run = [select] {
    while (select->step()) benchmark::DoNotOptimize(readThreeColumns(*select));
    select->reset();
  }};
}

}  // namespace

void addScanBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  add({.name = "scan",
       .itemsPerBlock = subjects.sizes().rows,
       .contenders = {{"Instar, three fields", [&] { return scanInstar<Use::threeFields>(subjects, {}); }},
                      {"Instar, verified only", [&] { return scanInstar<Use::nothing>(subjects, {}); }},
                      {"LMDB, all bytes", [&] { return scanLmdb(subjects, MDB_NEXT); }},
                      {"SQLite", [&] { return scanSqlite(subjects); }}}});
  figures.push_back({"scan", "Instar, three fields", "LMDB, all bytes", 1.3});
  figures.push_back({"scan", "Instar, verified only", "LMDB, all bytes"});
  figures.push_back({"scan", "Instar, three fields", "SQLite"});

  add({.name = "scan in reverse",
       .itemsPerBlock = subjects.sizes().rows,
       .contenders = {{"Instar, three fields",
                       [&] { return scanInstar<Use::threeFields>(subjects, {.reverse = true}); }},
                      {"LMDB, all bytes", [&] { return scanLmdb(subjects, MDB_PREV); }}}});
  figures.push_back({"scan in reverse", "Instar, three fields", "LMDB, all bytes"});
}

}  // namespace instar::bench
