#pragma once

// SQLite, set up for speed as its documentation advises: one connection without mutexes, the whole database
// in its cache and in a memory map, a write-ahead log, exclusive locking, statements prepared once. Owns its
// connection; one thread.

#include <sqlite3.h>

#include <filesystem>

#include "instar/bench/sample.h"
#include "instar/engine/options.h"

namespace instar::bench {

class SqliteStatement {
 public:
  SqliteStatement(sqlite3* connection, const char* text);
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;
  ~SqliteStatement() { sqlite3_finalize(statement_); }

  sqlite3_stmt* get() const noexcept { return statement_; }
  bool step();  // whether there is a row
  void reset() noexcept { sqlite3_reset(statement_); }
  void run() {
    step();
    reset();
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

// shared: by connections of several threads, each of which waits a minute for another one's lock.
enum class SqliteSharing : std::uint8_t { exclusive, shared };

class SqliteConnection {
 public:
  // Before the first connection of the process: SQLite does not count its memory, for which all threads would
  // take a mutex.
  static void countNoMemory();

  SqliteConnection(const std::filesystem::path& path, Durability durability, SqliteSharing sharing);
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;
  ~SqliteConnection() { sqlite3_close(connection_); }

  sqlite3* connection() const noexcept { return connection_; }
  void execute(const char* text);

 private:
  sqlite3* connection_ = nullptr;
};

// Has the table of orders, which it makes where it is missing.
class SqliteReference : public SqliteConnection {
 public:
  // Before the first connection of the process; then only one thread may use SQLite. Counts no memory.
  static void configure();

  SqliteReference(const std::filesystem::path& path, Durability durability,
                  SqliteSharing sharing = SqliteSharing::exclusive);
};

inline constexpr const char* kSelectThree = "SELECT customer, priceCents, recipient FROM orders WHERE id = ?";
inline constexpr const char* kSelectThreeOfAll =
    "SELECT customer, priceCents, recipient FROM orders ORDER BY id";

// The three columns of the row that the statement stands on.
std::uint64_t readThreeColumns(const SqliteStatement& statement);

class SqliteInsert {
 public:
  explicit SqliteInsert(SqliteReference& reference);
  void insert(const Sample& sample);

 private:
  SqliteStatement statement_;
};

}  // namespace instar::bench
