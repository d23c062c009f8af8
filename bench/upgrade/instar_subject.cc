// The application over Instar.

#include <numeric>
#include <optional>
#include <stdexcept>
#include <vector>

#include "instar/bench/order_history.h"
#include "instar/bench/upgrade/change.h"
#include "instar/bench/upgrade/instar_strategy.h"
#include "instar/bench/upgrade/releases.h"
#include "instar/bench/upgrade/systems.h"

namespace instar::bench {
namespace {

constexpr std::uint64_t kRowsPerTransaction = 10'000;

// The old release's schema of the collection that Record is the new one's of.
RecordSchema oldSchema(Change change) {
  switch (change) {
    case Change::additive:
      return versionBefore(capnp::Schema::from<AdditiveOrder>(), 1, 1);
    case Change::derived:
      return versionBefore(capnp::Schema::from<DerivedOrder>(), 1, 1);
    case Change::history:
      return versionBefore(capnp::Schema::from<HistoryOrder>(), 9, 1);
    case Change::replaced:
    case Change::own:
      break;
  }
  return RecordSchema::fromStruct(capnp::Schema::from<Order>());
}

std::shared_ptr<const Functions> newFunctions() {
  auto functions = std::make_shared<Functions>();
  functions->conversion<Order, Parcel>("parcelFromOrder", [](Order::Reader order, Parcel::Builder parcel) {
    std::string scratch;
    writeNew(parcel, upgraded(Change::replaced, readOld(order), scratch));
  });
  return functions;
}

template <class Record>
class InstarSession : public Session {
 public:
  InstarSession(Change change, const Store& store, const Collection<Record>& rows)
      : change_(change), store_(store), rows_(rows) {}

  std::uint64_t read(std::uint64_t id) override {
    const auto snapshot = store_.read();
    const auto row = rows_.get(snapshot, id);
    if (!row) missing(id);
    return digestOf(change_, readNew(*row));
  }

  void update(std::uint64_t id, std::int64_t priceCents) override {
    change(id, [&](std::int64_t) { return priceCents; });
  }

  void readModifyWrite(std::uint64_t id) override { change(id, raised); }

  void insert(std::uint64_t id) override {
    auto record = rows_.create();
    writeNew(*record, insertedRow(change_, id, scratch_));
    auto transaction = store_.write();
    rows_.put(transaction, record);
    transaction.commit();
  }

  std::uint64_t scan(std::uint64_t id, unsigned count) override {
    const auto snapshot = store_.read();
    std::uint64_t sum = 0;
    for (const auto& row : rows_.scan(snapshot, {.from = rows_.key(id), .limit = count}))
      sum += digestOf(change_, readNew(*row));
    return sum;
  }

 private:
  [[noreturn]] static void missing(std::uint64_t id) {
    throw std::runtime_error("row " + std::to_string(id) + " is missing");
  }

  template <class NewPrice>
  void change(std::uint64_t id, NewPrice&& newPrice) {
    auto transaction = store_.write();
    auto record = rows_.edit(transaction, id);
    if (!record) missing(id);
    storePrice(*record, newPrice(priceOf(change_, readNew(record->asReader()))));
    rows_.put(transaction, record);
    transaction.commit();
  }

  const Change change_;
  const Store store_;
  const Collection<Record> rows_;
  std::string scratch_;
};

template <class Record>
class InstarApplication : public Subject {
 public:
  InstarApplication(const Scenario& scenario, const std::filesystem::path& folder)
      : scenario_(scenario), file_(folder / "orders.instar") {}

  void fill() override {
    Scenario filling = scenario_;
    filling.strategy = Strategy::none;
    filling.durability = Durability::off;
    StoreOptions options = storeOptions(filling);
    options.functions = newFunctions();
    const Store store = Store::open(file_, options);
    if (scenario_.strategy == Strategy::none) {
      fillNew(store);
    } else {
      std::vector<std::uint64_t> ids(scenario_.rows);
      std::iota(ids.begin(), ids.end(), std::uint64_t{0});
      putOrders(store, oldSchema(scenario_.change), ids);
    }
    store.sync();
  }

  void open(MigrationProgress& progress) override {
    StoreOptions options = storeOptions(scenario_);
    options.functions = newFunctions();
    store_.emplace(Store::open(file_, options));
    rows_.emplace(store_->template collection<Record>(kCollection));
    if (scenario_.strategy == Strategy::eager)
      rewriteInOneTransaction(*store_, *rows_, progress, std::atomic<bool>(false));
  }

  std::unique_ptr<Session> session() override {
    return std::make_unique<InstarSession<Record>>(scenario_.change, *store_, *rows_);
  }

  void migrate(MigrationProgress& progress, const std::atomic<bool>& stop) override {
    if (scenario_.strategy == Strategy::eagerLater)
      rewriteInOneTransaction(*store_, *rows_, progress, stop);
    else
      migrateBeside(*store_, kCollection, scenario_, progress, stop);
  }

  void settle() override { store_->sync(); }

  // Rows of an older version are in the old form where that has to be upgraded.
  Census census() override {
    const auto snapshot = store_->read();
    Census census;
    for (const auto& row : rows_->scan(snapshot)) {
      ++census.rows;
      if (scenario_.change != Change::additive && row.version() < rows_->schema().version()) ++census.old;
      census.digest += digestOf(scenario_.change, readNew(*row));
    }
    return census;
  }

 private:
  void fillNew(const Store& store) const {
    const auto rows = store.collection<Record>(kCollection);
    std::string scratch;
    for (std::uint64_t id = 0; id < scenario_.rows;) {
      auto transaction = store.write();
      for (const std::uint64_t end = std::min(id + kRowsPerTransaction, scenario_.rows); id < end; ++id) {
        auto record = rows.create();
        writeNew(*record, insertedRow(scenario_.change, id, scratch));
        rows.put(transaction, record);
      }
      transaction.commit();
    }
  }

  const Scenario scenario_;
  const std::filesystem::path file_;
  std::optional<Store> store_;
  std::optional<Collection<Record>> rows_;
};

}  // namespace

bool instarOffers(const Scenario& scenario) noexcept { return scenario.strategy != Strategy::rebuild; }

std::unique_ptr<Subject> makeInstarSubject(const Scenario& scenario, const std::filesystem::path& folder) {
  return withRelease(scenario.change, [&](auto* type) -> std::unique_ptr<Subject> {
    return std::make_unique<InstarApplication<std::remove_pointer_t<decltype(type)>>>(scenario, folder);
  });
}

}  // namespace instar::bench
