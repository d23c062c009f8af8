#include "instar/bench/sqlite_reference.h"

#include <stdexcept>
#include <string>

namespace instar::bench {
namespace {

void check(int code, const char* what) {
  if (code == SQLITE_OK) return;
  throw std::runtime_error(std::string(what) + ": " + sqlite3_errstr(code));
}

const char* synchronousOf(Durability durability) noexcept {
  switch (durability) {
    case Durability::full:
      return "PRAGMA synchronous = FULL";
    case Durability::normal:
      return "PRAGMA synchronous = NORMAL";
    case Durability::off:
      return "PRAGMA synchronous = OFF";
  }
  return "";
}

}  // namespace

SqliteStatement::SqliteStatement(sqlite3* connection, const char* text) {
  check(sqlite3_prepare_v3(connection, text, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr), text);
}

bool SqliteStatement::step() {
  const int code = sqlite3_step(statement_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    reset();
    check(code, sqlite3_sql(statement_));
  }
  return code == SQLITE_ROW;
}

void SqliteReference::configure() {
  check(sqlite3_config(SQLITE_CONFIG_SINGLETHREAD), "sqlite3_config");
  countNoMemory();
}

void SqliteConnection::countNoMemory() {
  check(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0), "sqlite3_config");
}

SqliteConnection::SqliteConnection(const std::filesystem::path& path, Durability durability,
                                   SqliteSharing sharing) {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &connection_, kFlags, nullptr);
  try {
    check(code, "sqlite3_open_v2");
    if (sharing == SqliteSharing::exclusive) execute("PRAGMA locking_mode = EXCLUSIVE");
    sqlite3_busy_timeout(connection_, 60'000);
    execute("PRAGMA journal_mode = WAL");
    execute(synchronousOf(durability));
    execute("PRAGMA mmap_size = 8589934592");
    execute("PRAGMA cache_size = -1048576");
  } catch (...) {
    sqlite3_close(connection_);
    throw;
  }
}

SqliteReference::SqliteReference(const std::filesystem::path& path, Durability durability,
                                 SqliteSharing sharing)
    : SqliteConnection(path, durability, sharing) {
  execute(
      "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, customer INTEGER, quantity INTEGER, "
      "priceCents INTEGER, placedAt INTEGER, state INTEGER, recipient TEXT, street TEXT, note TEXT)");
}

void SqliteConnection::execute(const char* text) {
  check(sqlite3_exec(connection_, text, nullptr, nullptr, nullptr), text);
}

std::uint64_t readThreeColumns(const SqliteStatement& statement) {
  sqlite3_stmt* const row = statement.get();
  const auto customer = static_cast<std::uint64_t>(sqlite3_column_int64(row, 0));
  const auto price = static_cast<std::uint64_t>(sqlite3_column_int64(row, 1));
  const unsigned char* recipient = sqlite3_column_text(row, 2);
  return customer + price + static_cast<std::uint64_t>(sqlite3_column_bytes(row, 2)) + recipient[0];
}

SqliteInsert::SqliteInsert(SqliteReference& reference)
    : statement_(reference.connection(), "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)") {}

void SqliteInsert::insert(const Sample& sample) {
  sqlite3_stmt* const row = statement_.get();
  const auto bindText = [row](int place, std::string_view text) {
    sqlite3_bind_text(row, place, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  };
  sqlite3_bind_int64(row, 1, static_cast<sqlite3_int64>(sample.id));
  sqlite3_bind_int64(row, 2, sample.customer);
  sqlite3_bind_int64(row, 3, sample.quantity);
  sqlite3_bind_int64(row, 4, sample.priceCents);
  sqlite3_bind_int64(row, 5, sample.placedAt);
  sqlite3_bind_int64(row, 6, sample.state);
  bindText(7, sample.recipient);
  bindText(8, sample.street);
  bindText(9, sample.note);
  statement_.run();
}

}  // namespace instar::bench
