#include "instar/bench/size.h"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <vector>

#include "instar/bench/lmdb_reference.h"
#include "instar/bench/order.capnp.h"
#include "instar/bench/order_history.h"
#include "instar/bench/sample.h"
#include "instar/bench/sqlite_reference.h"
#include "instar/engine/migration.h"
#ifdef INSTAR_BENCH_ROCKSDB
#include "instar/bench/rocksdb_reference.h"
#endif

namespace instar::bench {
namespace {

// A table with the columns of a record type of which each field is a scalar, an enum or a text.
class SqliteCopy {
 public:
  SqliteCopy(const std::filesystem::path& path, const RecordSchema& schema) {
    if (sqlite3_open(path.c_str(), &connection_) != SQLITE_OK)
      throw std::runtime_error("sqlite3_open: " + path.string());
    std::string columns;
    std::string places;
    for (const auto field : schema.root().getFields()) {
      columns += std::string(columns.empty() ? "" : ", ") + '"' + field.getProto().getName().cStr() + "\" " +
                 (field.getType().isText() ? "TEXT" : "INTEGER");
      places += places.empty() ? "?" : ", ?";
    }
    std::string key;
    for (const KeyPart& part : schema.key()) key += (key.empty() ? "\"" : ", \"") + part.name + '"';
    execute("PRAGMA journal_mode = OFF");
    execute("PRAGMA synchronous = OFF");
    // A single integer is the number of the row, everything else would need an index beside the table.
    const bool isNumbered = schema.key().size() == 1 && schema.key()[0].type != KeyType::text;
    execute("CREATE TABLE copy (" + columns + ", PRIMARY KEY (" + key + "))" +
            (isNumbered ? "" : " WITHOUT ROWID"));
    insert_.emplace(connection_, ("INSERT INTO copy VALUES (" + places + ")").c_str());
  }
  SqliteCopy(const SqliteCopy&) = delete;
  SqliteCopy& operator=(const SqliteCopy&) = delete;
  ~SqliteCopy() {
    insert_.reset();
    sqlite3_close(connection_);
  }

  void copy(const Store& store, std::string_view collection) {
    const auto snapshot = store.read();
    execute("BEGIN");
    for (const auto& row : store.collection(collection).scan(snapshot)) insert(*row);
    execute("COMMIT");
    execute("VACUUM");
  }

 private:
  void execute(const std::string& text) {
    if (sqlite3_exec(connection_, text.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error(text + ": " + sqlite3_errmsg(connection_));
  }

  void insert(const capnp::DynamicStruct::Reader& record) {
    int place = 0;
    for (const auto field : record.getSchema().getFields()) bind(++place, record.get(field));
    insert_->run();
  }

  void bind(int place, const capnp::DynamicValue::Reader& value) {
    sqlite3_stmt* const row = insert_->get();
    switch (value.getType()) {
      case capnp::DynamicValue::TEXT: {
        const auto text = value.as<capnp::Text>();
        sqlite3_bind_text(row, place, text.cStr(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
        break;
      }
      case capnp::DynamicValue::ENUM:
        sqlite3_bind_int64(row, place, value.as<capnp::DynamicEnum>().getRaw());
        break;
      case capnp::DynamicValue::BOOL:
        sqlite3_bind_int64(row, place, value.as<bool>() ? 1 : 0);
        break;
      case capnp::DynamicValue::UINT:
        sqlite3_bind_int64(row, place, static_cast<sqlite3_int64>(value.as<std::uint64_t>()));
        break;
      case capnp::DynamicValue::INT:
        sqlite3_bind_int64(row, place, value.as<std::int64_t>());
        break;
      default:
        throw std::runtime_error("a table has no such column: choose a collection of scalars, enums, texts");
    }
  }

  sqlite3* connection_ = nullptr;
  std::optional<SqliteStatement> insert_;
};

class SizeTable {
 public:
  SizeTable(std::ostream& out, std::uint64_t rows) : out_(out), rows_(static_cast<double>(rows)) {}

  void add(const char* name, std::uint64_t bytes) { lines_.emplace_back(name, static_cast<double>(bytes)); }

  void print(double sqlite) const {
    for (const auto& [name, bytes] : lines_) {
      char line[160];
      std::snprintf(line, sizeof line, "%-44s %14.0f %10.1f %9.2f\n", name.c_str(), bytes, bytes / rows_,
                    bytes / sqlite);
      out_ << line;
    }
    out_ << std::flush;
  }

 private:
  std::ostream& out_;
  const double rows_;
  std::vector<std::pair<std::string, double>> lines_;
};

std::uint64_t livePages(const Store& store) {
  const EnvironmentInfo info = store.info();
  return info.usedPages * info.pageSize;
}

}  // namespace

void measureSize(const Workspace& workspace, const SizeInput& input, std::ostream& out) {
  const auto path = workspace.file("sized.instar");
  const std::string collection = input.file.empty() ? "orders" : input.collection;
  if (!input.file.empty()) copyDurably(input.file, path);
  const Store store = Store::open(path, {.durability = Durability::off, .mapSize = kMapSize});
  if (input.file.empty())
    putOrders(store, RecordSchema::fromStruct(capnp::Schema::from<Order>()),
              shuffled(input.rows));  // as rows come
  const auto rows = store.collection(collection);
  const std::uint64_t count = rows.count(store.read());
  SizeTable table(out, count);

  const std::uint64_t before = std::filesystem::file_size(path);
  table.add("Instar, as put: file", before);
  table.add("Instar, as put: live pages", livePages(store));
  const auto copy = workspace.file("copy.instar");
  store.backup(copy, {.compact = true});
  table.add("Instar, hot tree copied compactly: file", std::filesystem::file_size(copy));

  const auto sqlite = workspace.file("sized.sqlite");
  SqliteCopy(sqlite, rows.schema()).copy(store, collection);
  const std::uint64_t sqliteBytes = std::filesystem::file_size(sqlite);
#ifdef INSTAR_BENCH_ROCKSDB
  const std::uint64_t rocksBlocks4 = copyToRocksDb(store, collection, workspace.file("rocks4"), 4096);
  const std::uint64_t rocksBlocks16 = copyToRocksDb(store, collection, workspace.file("rocks16"), 16384);
#endif

  std::uint64_t highest = before;
  MigrationOptions options{.mode = CompactionMode::compress};
  options.progress = [&](const Progress&) {
    highest = std::max<std::uint64_t>(highest, std::filesystem::file_size(path));
  };
  migrate(store, collection, options);
  const std::uint64_t after = livePages(store);
  table.add("Instar, compacted: live pages", after);
  store.backup(copy, {.compact = true, .replace = true});
  table.add("Instar, compacted and copied compactly: file", std::filesystem::file_size(copy));
  table.add("SQLite after VACUUM: file", sqliteBytes);
#ifdef INSTAR_BENCH_ROCKSDB
  table.add("RocksDB, zstd, blocks of 4 KiB: tables", rocksBlocks4);
  table.add("RocksDB, zstd, blocks of 16 KiB: tables", rocksBlocks16);
#endif
  out << count << " rows" << std::string(41, ' ') << "bytes  bytes/row  of SQLite\n";
  table.print(static_cast<double>(sqliteBytes));
  char line[160];
  std::snprintf(line, sizeof line,
                "the file while it was compacted: at most %.3f of its size before (aim 1.05)\n",
                static_cast<double>(highest) / static_cast<double>(before));
  out << line;
}

}  // namespace instar::bench
