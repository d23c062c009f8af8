#include "instar/bench/subjects.h"

#include <algorithm>

namespace instar::bench {
namespace {

constexpr std::size_t kRowsPerTransaction = 10'000;

template <class Put>
void inTransactions(std::span<const std::uint64_t> ids, Put&& put) {
  while (!ids.empty()) {
    const std::size_t count = std::min(ids.size(), kRowsPerTransaction);
    put(ids.first(count));
    ids = ids.subspan(count);
  }
}

void fillInstar(InstarSubject& subject, std::span<const std::uint64_t> ids) {
  inTransactions(ids, [&](std::span<const std::uint64_t> some) {
    auto transaction = subject.store.write();
    for (const std::uint64_t id : some) {
      auto order = subject.orders.create();
      fill(*order, sampleOf(id));
      subject.orders.put(transaction, order);
    }
    transaction.commit();
  });
  subject.store.sync();
}

void fillLmdb(const LmdbReference& reference, std::span<const std::uint64_t> ids) {
  const RowEncoder encoder;
  StoredRow row;
  inTransactions(ids, [&](std::span<const std::uint64_t> some) {
    LmdbTransaction transaction(reference, 0);
    for (const std::uint64_t id : some) {
      encoder.encode(sampleOf(id), row);
      MDB_val key = toValue(row.key.bytes());
      MDB_val value = toValue(row.value);
      checkLmdb(mdb_put(transaction.get(), reference.tree(), &key, &value, 0), "mdb_put");
    }
    transaction.commit();
  });
  checkLmdb(mdb_env_sync(reference.environment(), 1), "mdb_env_sync");
}

void fillSqlite(SqliteReference& reference, std::span<const std::uint64_t> ids) {
  SqliteInsert insert(reference);
  inTransactions(ids, [&](std::span<const std::uint64_t> some) {
    reference.execute("BEGIN");
    for (const std::uint64_t id : some) insert.insert(sampleOf(id));
    reference.execute("COMMIT");
  });
  reference.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  reference.execute("ANALYZE");
}

std::uint64_t readAll(const InstarSubject& subject) {
  const auto snapshot = subject.store.read();
  std::uint64_t sum = 0;
  for (const auto& row : subject.orders.scan(snapshot)) sum += readThreeFields(*row);
  return sum;
}

std::uint64_t readAll(const LmdbReference& reference) {
  const LmdbTransaction snapshot(reference, MDB_RDONLY);
  MDB_cursor* cursor = nullptr;
  checkLmdb(mdb_cursor_open(snapshot.get(), reference.tree(), &cursor), "mdb_cursor_open");
  std::uint64_t sum = 0;
  MDB_val key;
  MDB_val value;
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) sum += sumWords(value);
  mdb_cursor_close(cursor);
  return sum;
}

std::uint64_t readAll(const SqliteReference& reference) {
  SqliteStatement statement(reference.connection(), kSelectThreeOfAll);
  std::uint64_t sum = 0;
  while (statement.step()) sum += readThreeColumns(statement);
  return sum;
}

// Stops the compiler from leaving the reading out.
void use(std::uint64_t sum) {
  volatile std::uint64_t sink = sum;
  static_cast<void>(sink);
}

}  // namespace

const std::vector<std::uint64_t>& Subjects::ids() {
  if (ids_.empty()) {
    ids_ = shuffled(sizes_.rows);
    for (std::uint64_t& id : ids_) id = storedId(id);
  }
  return ids_;
}

const std::filesystem::path& Subjects::instarFile() {
  if (instarFile_.empty()) {
    instarFile_ = workspace_.file("filled.instar");
    InstarSubject subject(instarFile_, Durability::off);
    fillInstar(subject, ids());
  }
  return instarFile_;
}

const std::filesystem::path& Subjects::lmdbFile() {
  if (lmdbFile_.empty()) {
    lmdbFile_ = workspace_.file("filled.lmdb");
    fillLmdb(LmdbReference(lmdbFile_, Durability::off), ids());
  }
  return lmdbFile_;
}

const std::filesystem::path& Subjects::sqliteFile() {
  if (sqliteFile_.empty()) {
    sqliteFile_ = workspace_.file("filled.sqlite");
    SqliteReference reference(sqliteFile_, Durability::off);
    fillSqlite(reference, ids());
  }
  return sqliteFile_;
}

InstarSubject& Subjects::instar() {
  if (!instar_) {
    const auto path = workspace_.file("read.instar");
    copyDurably(instarFile(), path);
    use(readAll(instar_.emplace(path, Durability::off)));
  }
  return *instar_;
}

LmdbReference& Subjects::lmdb() {
  if (!lmdb_) {
    const auto path = workspace_.file("read.lmdb");
    copyDurably(lmdbFile(), path);
    use(readAll(lmdb_.emplace(path, Durability::off)));
  }
  return *lmdb_;
}

SqliteReference& Subjects::sqlite() {
  if (!sqlite_) {
    const auto path = workspace_.file("read.sqlite");
    copyDurably(sqliteFile(), path);
    use(readAll(sqlite_.emplace(path, Durability::off)));
  }
  return *sqlite_;
}

}  // namespace instar::bench
