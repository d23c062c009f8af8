// The application over SQLite, as its documentation advises: a connection for each thread, a write-ahead log
// with its checkpoints as they come by themselves (every 1,000 pages, by whoever commits), prepared
// statements, a large cache and a memory map, memory that is not counted. Nothing is opened or prepared
// before the first answer but what that needs.
//
// Eager strategies are what a migration script does, in one transaction. The others need to know of each row
// in which form it is: a column with its version, or the old table beside the new one where the record type
// is another. Adding columns takes no time in SQLite, so that is done before the first answer, and rows are
// brought over by statements beside the load, or in code when they are read or changed.
//
// Writers of this process take turns by a mutex, as those of RocksDB do and those of LMDB and Instar by
// theirs: SQLite's own lock is asked for again and again, up to 100 ms apart, which would be measured as its
// writes. An application that writes from several processes, or from connections without a mutex, waits
// longer than these.

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include "instar/bench/upgrade/sqlite_script.h"
#include "instar/bench/upgrade/systems.h"

namespace instar::bench {
namespace {

constexpr int kOldRelease = 1;              // PRAGMA user_version
constexpr int kStepsBetweenLooks = 10'000;  // of SQLite's machine, at whether to stop

SqliteForm formOf(const Scenario& scenario) noexcept {
  switch (scenario.strategy) {
    case Strategy::eagerLater:
    case Strategy::batches:
    case Strategy::lazy:
    case Strategy::writeBack:
      return scenario.change == Change::replaced ? SqliteForm::moving : SqliteForm::versioned;
    default:
      return SqliteForm::settled;
  }
}

// Statements of one connection that are run as one transaction. The lock of writers is taken at its
// beginning.
class SqliteTransactions {
 public:
  SqliteTransactions(const SqliteConnection& connection, std::mutex& writers)
      : connection_(connection.connection()),
        writers_(writers),
        begin_(connection_, "BEGIN IMMEDIATE"),
        commit_(connection_, "COMMIT"),
        rollback_(connection_, "ROLLBACK") {}

  template <class Work>
  void run(Work&& work) {
    const std::lock_guard lock(writers_);
    begin_.run();
    try {
      work();
      commit_.run();
    } catch (...) {
      if (sqlite3_get_autocommit(connection_) == 0) rollback_.run();
      throw;
    }
  }

 private:
  sqlite3* const connection_;
  std::mutex& writers_;
  SqliteStatement begin_;
  SqliteStatement commit_;
  SqliteStatement rollback_;
};

void bindId(const SqliteStatement& statement, int place, std::uint64_t id) {
  sqlite3_bind_int64(statement.get(), place, static_cast<sqlite3_int64>(id));
}

// Ends the reading of a statement with the scope, so that it holds no snapshot.
class Resetting {
 public:
  explicit Resetting(SqliteStatement& statement) noexcept : statement_(statement) {}
  Resetting(const Resetting&) = delete;
  Resetting& operator=(const Resetting&) = delete;
  ~Resetting() { statement_.reset(); }

 private:
  SqliteStatement& statement_;
};

// Prepared when it is needed first, so that nobody waits for it before.
class LateStatement {
 public:
  LateStatement(sqlite3* connection, std::string text) : connection_(connection), text_(std::move(text)) {}

  SqliteStatement& operator*() {
    if (!statement_) statement_.emplace(connection_, text_.c_str());
    return *statement_;
  }
  SqliteStatement* operator->() { return &**this; }

 private:
  sqlite3* const connection_;
  const std::string text_;
  std::optional<SqliteStatement> statement_;
};

class SqliteSession final : public Session {
 public:
  SqliteSession(std::shared_ptr<SqliteConnection> connection, const Scenario& scenario,
                const SqliteScript& script, std::mutex& writers, MigrationProgress& progress)
      : scenario_(scenario),
        script_(script),
        writers_(writers),
        progress_(progress),
        connection_(std::move(connection)),
        select_(connection_->connection(), script.select()),
        scan_(connection_->connection(), script.scan()),
        insert_(connection_->connection(), script.insert()),
        setPrice_(connection_->connection(), script.setPrice()),
        store_(connection_->connection(), script.store()),
        remove_(connection_->connection(), script.remove()) {}

  std::uint64_t read(std::uint64_t id) override {
    std::uint64_t digest = 0;
    bool old = false;
    find(id, [&](const SqliteRow& found) {
      digest = digestOf(scenario_.change, found.row);
      old = found.old;
    });
    if (old && writesBack()) storeUpgraded({id});
    return digest;
  }

  // One statement, and one transaction more where the row is of the old form and has to be upgraded.
  void update(std::uint64_t id, std::int64_t priceCents) override {
    {
      const std::lock_guard lock(writers_);
      if (setPriceOfNew(id, priceCents)) return;
    }
    if (script_.form() == SqliteForm::settled) missing(id);
    change(id, [&](std::int64_t) { return priceCents; });
  }

  void insert(std::uint64_t id) override {
    const NewRow row = insertedRow(scenario_.change, id, scratch_);
    bindRow(script_, row, *insert_);
    const std::lock_guard lock(writers_);
    insert_->run();
  }

  std::uint64_t scan(std::uint64_t id, unsigned count) override {
    std::uint64_t sum = 0;
    std::vector<std::uint64_t> old;
    {
      SqliteStatement& scan = *scan_;
      const Resetting reset(scan);
      bindId(scan, 1, id);
      sqlite3_bind_int64(scan.get(), 2, count);
      while (scan.step()) {
        const SqliteRow found = readRow(script_, scenario_.change, scan, scratch_);
        sum += digestOf(scenario_.change, found.row);
        if (found.old) old.push_back(found.row.id);
      }
    }
    if (!old.empty() && writesBack()) storeUpgraded(old);
    return sum;
  }

  void readModifyWrite(std::uint64_t id) override { change(id, raised); }

 private:
  template <class Work>
  void inTransaction(Work&& work) {
    if (!transactions_) transactions_.emplace(*connection_, writers_);
    transactions_->run(work);
  }

  bool writesBack() const noexcept { return scenario_.strategy == Strategy::writeBack; }

  [[noreturn]] static void missing(std::uint64_t id) {
    throw std::runtime_error("row " + std::to_string(id) + " is missing");
  }

  template <class Use>
  void find(std::uint64_t id, Use&& use) {
    SqliteStatement& select = *select_;
    const Resetting reset(select);
    bindId(select, 1, id);
    if (!select.step()) missing(id);
    const SqliteRow found = readRow(script_, scenario_.change, select, scratch_);
    if (found.row.id != id) throw std::runtime_error("another row lies under " + std::to_string(id));
    use(found);
  }

  // Whether there is a row of the new form.
  bool setPriceOfNew(std::uint64_t id, std::int64_t priceCents) {
    sqlite3_bind_int64(setPrice_->get(), 1, priceCents);
    bindId(*setPrice_, 2, id);
    setPrice_->run();
    return sqlite3_changes(connection_->connection()) != 0;
  }

  template <class NewPrice>
  void change(std::uint64_t id, NewPrice&& newPrice) {
    inTransaction([&] {
      find(id, [&](SqliteRow found) {
        const std::int64_t price = newPrice(priceOf(scenario_.change, found.row));
        if (!found.old) {
          setPriceOfNew(id, price);
          return;
        }
        setPrice(scenario_.change, found.row, price);
        store(found.row);
      });
    });
  }

  // In place of the row of the old form.
  void store(const NewRow& row) {
    bindRow(script_, row, *store_);
    store_->run();
    if (script_.remove().empty()) return;
    bindId(*remove_, 1, row.id);
    remove_->run();
  }

  // In one transaction; somebody else may have changed them since they were read.
  void storeUpgraded(const std::vector<std::uint64_t>& ids) {
    std::uint64_t stored = 0;
    inTransaction([&] {
      stored = 0;
      for (const std::uint64_t id : ids) {
        find(id, [&](const SqliteRow& found) {
          if (!found.old) return;
          store(found.row);
          ++stored;
        });
      }
    });
    progress_.add(stored);
  }

  const Scenario& scenario_;
  const SqliteScript& script_;
  std::mutex& writers_;
  MigrationProgress& progress_;
  const std::shared_ptr<SqliteConnection> connection_;
  std::optional<SqliteTransactions> transactions_;
  LateStatement select_;
  LateStatement scan_;
  LateStatement insert_;
  LateStatement setPrice_;
  LateStatement store_;
  LateStatement remove_;
  std::string scratch_;
};

class SqliteSubject final : public Subject {
 public:
  SqliteSubject(const Scenario& scenario, const std::filesystem::path& folder)
      : scenario_(scenario), path_(folder / "orders.sqlite"), script_(scenario.change, formOf(scenario)) {}

  void fill() override {
    if (scenario_.strategy == Strategy::none) {
      SqliteConnection connection(path_, Durability::off, SqliteSharing::exclusive);
      for (const std::string& statement : script_.create()) connection.execute(statement.c_str());
      SqliteStatement insert(connection.connection(), script_.insert().c_str());
      std::string scratch;
      fillBy(connection, [&](std::uint64_t id) {
        const NewRow row = insertedRow(scenario_.change, id, scratch);
        bindRow(script_, row, insert);
        insert.run();
      });
    } else {
      SqliteReference connection(path_, Durability::off);
      connection.execute("PRAGMA user_version = 1");
      SqliteInsert insert(connection);
      fillBy(connection, [&](std::uint64_t id) { insert.insert(sampleOf(id)); });
    }
  }

  void open(MigrationProgress& progress) override {
    progress_ = &progress;
    connection_ = connect();
    const bool isEager = scenario_.strategy == Strategy::eager || scenario_.strategy == Strategy::rebuild;
    if (release() == kOldRelease) {
      SqliteTransactions(*connection_, writers_).run([&] {
        const auto statements = scenario_.strategy == Strategy::eager     ? script_.eager()
                                : scenario_.strategy == Strategy::rebuild ? script_.rebuild()
                                                                          : script_.prepare();
        for (const std::string& statement : statements) connection_->execute(statement.c_str());
        connection_->execute("PRAGMA user_version = 2");
      });
      const bool rewritesAll =
          scenario_.change != Change::additive || scenario_.strategy == Strategy::rebuild;
      if (isEager && rewritesAll) progress.reach(scenario_.rows);
    }
    if (isEager) progress.complete = true;
  }

  // The first one has the connection that the file was opened by: the first answer waits for one alone.
  std::unique_ptr<Session> session() override {
    auto connection = hasSession_ ? connect() : connection_;
    hasSession_ = true;
    return std::make_unique<SqliteSession>(std::move(connection), scenario_, script_, writers_, *progress_);
  }

  void migrate(MigrationProgress& progress, const std::atomic<bool>& stop) override {
    if (scenario_.strategy == Strategy::eagerLater) rewrite(scenario_.rows, progress, stop);
    if (scenario_.strategy == Strategy::batches) rewrite(kRowsPerBatch, progress, stop);
  }

  void settle() override { connection_->execute("PRAGMA wal_checkpoint(TRUNCATE)"); }

  Census census() override {
    SqliteStatement statement(connection_->connection(), script_.scan().c_str());
    sqlite3_bind_int64(statement.get(), 1, 0);
    sqlite3_bind_int64(statement.get(), 2, -1);  // without limit
    Census census;
    std::string scratch;
    while (statement.step()) {
      const SqliteRow found = readRow(script_, scenario_.change, statement, scratch);
      ++census.rows;
      if (found.old) ++census.old;
      census.digest += digestOf(scenario_.change, found.row);
    }
    return census;
  }

 private:
  std::shared_ptr<SqliteConnection> connect() const {
    return std::make_shared<SqliteConnection>(path_, scenario_.durability, SqliteSharing::shared);
  }

  template <class Insert>
  void fillBy(SqliteConnection& connection, Insert&& insert) {
    for (std::uint64_t id = 0; id < scenario_.rows;) {
      connection.execute("BEGIN");
      for (const std::uint64_t end = std::min(id + kRowsPerFilling, scenario_.rows); id < end; ++id)
        insert(id);
      connection.execute("COMMIT");
    }
    connection.execute("PRAGMA synchronous = FULL");  // from here on all is synced
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  int release() const {
    SqliteStatement statement(connection_->connection(), "PRAGMA user_version");
    statement.step();
    return sqlite3_column_int(statement.get(), 0);
  }

  void rewrite(std::uint64_t rowsPerTransaction, MigrationProgress& progress, const std::atomic<bool>& stop) {
    SqliteConnection connection(path_, scenario_.durability, SqliteSharing::shared);
    SqliteTransactions transactions(connection, writers_);
    const bool all = rowsPerTransaction >= scenario_.rows;
    std::vector<std::unique_ptr<SqliteStatement>> statements;
    for (const std::string& text : script_.rewrite(all))
      statements.push_back(std::make_unique<SqliteStatement>(connection.connection(), text.c_str()));
    const auto isStopped = [](void* flag) -> int {
      return *static_cast<const std::atomic<bool>*>(flag) ? 1 : 0;
    };
    sqlite3_progress_handler(connection.connection(), kStepsBetweenLooks, isStopped,
                             const_cast<std::atomic<bool>*>(&stop));
    for (std::uint64_t from = 0; from < scenario_.rows; from += rowsPerTransaction) {
      try {
        transactions.run([&] {
          for (const auto& statement : statements) {
            if (!all) {
              bindId(*statement, 1, from);
              bindId(*statement, 2, from + rowsPerTransaction - 1);
            }
            statement->run();
          }
        });
      } catch (const std::runtime_error&) {
        if (stop) return;  // it was interrupted
        throw;
      }
      progress.add(static_cast<std::uint64_t>(sqlite3_changes64(connection.connection())));
      if (stop) return;
      if (!all && from + rowsPerTransaction < scenario_.rows)
        std::this_thread::sleep_for(kPauseBetweenBatches);
    }
    progress.complete = true;
  }

  const Scenario scenario_;
  const std::filesystem::path path_;
  const SqliteScript script_;
  // As long as this is open no other one's end ends the log. Belongs to the first session, and to whoever
  // calls settle() and census() when that does nothing.
  std::shared_ptr<SqliteConnection> connection_;
  bool hasSession_ = false;
  MigrationProgress* progress_ = nullptr;
  std::mutex writers_;
};

}  // namespace

bool sqliteOffers(const Scenario& scenario) noexcept {
  switch (scenario.strategy) {
    case Strategy::none:
    case Strategy::eager:
      return true;
    case Strategy::rebuild:  // of another record type that is the same as eager
      return scenario.change != Change::replaced;
    case Strategy::eagerLater:
    case Strategy::batches:
    case Strategy::lazy:
    case Strategy::writeBack:  // an added column with a default is there at once
      return scenario.change != Change::additive;
    case Strategy::background:
    case Strategy::paced:
    case Strategy::standard:
      return false;
  }
  return false;
}

std::unique_ptr<Subject> makeSqliteSubject(const Scenario& scenario, const std::filesystem::path& folder) {
  static std::once_flag isConfigured;
  std::call_once(isConfigured, SqliteConnection::countNoMemory);
  return std::make_unique<SqliteSubject>(scenario, folder);
}

}  // namespace instar::bench
