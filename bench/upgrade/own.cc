#include "instar/bench/upgrade/own.h"

#include <capnp/any.h>

#include <optional>
#include <stdexcept>
#include <vector>

#include "instar/bench/upgrade/instar_strategy.h"
#include "instar/engine/migration.h"
#include "instar/evolve/plan.h"
#include "instar/format/checksum.h"
#include "instar/format/row.h"
#include "instar/tools/schema_file.h"

namespace instar::bench {
namespace {

using Rows = Collection<capnp::DynamicStruct>;

// Of more rows every n-th is asked for.
constexpr std::uint64_t kMostKeys = 1'000'000;

// The same for a row however its texts and lists lie.
std::uint64_t digestOf(Bytes key, capnp::DynamicStruct::Reader record) {
  const auto words = record.as<capnp::AnyStruct>().canonicalize();
  return hash64(std::as_bytes(std::span(words.begin(), words.size())), hash64(key));
}

RecordSchema schemaOf(const OwnFile& own) { return tools::loadSchemaFile(own.schema, {}); }

// Of key and record, as every system has them. What is no row is found when the file is opened.
std::uint64_t bytesOf(Bytes key, Bytes value) {
  RowView row;
  return decodeRow(key, value, Verify::no, row) == RowDamage::none ? key.size() + row.payload.size() : 0;
}

class OwnSession : public Session {
 public:
  OwnSession(const Store& store, const Rows& rows, const std::vector<Key>& keys)
      : store_(store), rows_(rows), keys_(keys) {}

  std::uint64_t read(std::uint64_t id) override {
    const auto snapshot = store_.read();
    const auto row = rows_.get(snapshot, keyOf(id));
    if (!row) missing();
    return hash64(row.payload());
  }

  void update(std::uint64_t id, std::int64_t) override {
    const Key& key = keyOf(id);
    auto transaction = store_.write();
    auto record = rows_.edit(transaction, key);
    if (!record) missing();
    if (rows_.keySpec().empty())
      rows_.put(transaction, key, record);
    else
      rows_.put(transaction, record);
    transaction.commit();
  }

  void readModifyWrite(std::uint64_t id) override { update(id, 0); }

  void insert(std::uint64_t) override { throw std::logic_error("a file of others gets no new rows"); }

  std::uint64_t scan(std::uint64_t id, unsigned count) override {
    const auto snapshot = store_.read();
    std::uint64_t sum = 0;
    for (const auto& row : rows_.scan(snapshot, {.from = keyOf(id), .limit = count}))
      sum += hash64(row.payload());
    return sum;
  }

 private:
  [[noreturn]] static void missing() { throw std::runtime_error("a row is missing"); }
  const Key& keyOf(std::uint64_t id) const { return keys_[id % keys_.size()]; }

  const Store store_;
  const Rows rows_;
  const std::vector<Key>& keys_;
};

class OwnApplication : public Subject {
 public:
  OwnApplication(const Scenario& scenario, const OwnFile& own, const std::filesystem::path& folder)
      : scenario_(scenario), own_(own), schema_(schemaOf(own)), file_(folder / "own.instar") {
    if (std::filesystem::exists(file_)) loadKeys();
  }

  void fill() override {
    Store::open(own_.file, {.mode = OpenMode::readOnly}).backup(file_);
    if (scenario_.strategy != Strategy::none) return;
    const Store store = Store::open(file_);
    store.collection(own_.collection, schema_);
    instar::migrate(store, own_.collection);
  }

  void open(MigrationProgress& progress) override {
    store_.emplace(Store::open(file_, storeOptions(scenario_)));
    rows_.emplace(store_->collection(own_.collection, schema_));
    if (scenario_.strategy == Strategy::eager)
      rewriteInOneTransaction(*store_, *rows_, progress, std::atomic<bool>(false));
  }

  std::unique_ptr<Session> session() override { return std::make_unique<OwnSession>(*store_, *rows_, keys_); }

  void migrate(MigrationProgress& progress, const std::atomic<bool>& stop) override {
    if (scenario_.strategy == Strategy::eagerLater)
      rewriteInOneTransaction(*store_, *rows_, progress, stop);
    else
      migrateBeside(*store_, own_.collection, scenario_, progress, stop);
  }

  void settle() override { store_->sync(); }

  // Where putting a row changes fields of it (those that are mirrored), rows that were put differ from those
  // that were not, as they should: then only their number counts, and the digest is 0.
  Census census() override {
    const auto snapshot = store_->read();
    Census census;
    for (const auto& row : rows_->scan(snapshot)) {
      ++census.rows;
      if (row.version() < schema_.completeFrom()) ++census.old;
      if (!schema_.changesPuts()) census.digest += digestOf(row.key(), *row);
    }
    return census;
  }

 private:
  void loadKeys() {
    const Store store = Store::open(file_, {.mode = OpenMode::readOnly});
    const Rows rows = store.collection(own_.collection);
    const auto snapshot = store.read();
    const std::uint64_t every = rows.count(snapshot) / kMostKeys + 1;
    std::uint64_t place = 0;
    for (auto scan = rows.scan(snapshot); scan.next(); ++place) {
      if (place % every == 0) keys_.emplace_back(scan.key());
    }
    if (keys_.empty()) throw std::invalid_argument("there is no row in collection " + own_.collection);
  }

  const Scenario scenario_;
  const OwnFile own_;
  const RecordSchema schema_;
  const std::filesystem::path file_;
  std::vector<Key> keys_;
  std::optional<Store> store_;
  std::optional<Rows> rows_;
};

}  // namespace

void refuseWhatCannotBeMeasured(const OwnFile& own, const Scenario& scenario) {
  if (scenario.mix == Mix::d || scenario.mix == Mix::e)
    throw std::invalid_argument(
        "mix " + std::string(textOf(scenario.mix)) +
        " inserts rows, which nobody can make for a file of your own; take --mix a, b, "
        "c or f");
  const Plans plans(schemaOf(own));
  try {
    plans.requireFunctions();
  } catch (const Error& error) {
    throw std::invalid_argument(own.schema + " calls the function " + std::string(error.fact("function")) +
                                ", which is in your application and not here; measure a schema without "
                                "functions, as call, upgraded, replaces and validated name them");
  }
}

void measureOwn(OwnFile& own) {
  const Store store = Store::open(own.file, {.mode = OpenMode::readOnly});
  const auto snapshot = store.read();
  const Rows rows = store.collection(own.collection);
  std::uint64_t bytes = 0;
  own.rows = 0;
  for (auto scan = rows.scan(snapshot); scan.next(); ++own.rows) bytes += bytesOf(scan.key(), scan.value());
  if (own.rows == 0) throw std::invalid_argument("there is no row in collection " + own.collection);
  own.bytesOfRow = static_cast<double>(bytes) / static_cast<double>(own.rows);
}

std::unique_ptr<Subject> makeOwnSubject(const Scenario& scenario, const OwnFile& own,
                                        const std::filesystem::path& folder) {
  return std::make_unique<OwnApplication>(scenario, own, folder);
}

}  // namespace instar::bench
