#pragma once
// The subject of a key-value store whose rows are TaggedRows: the code that people write around LMDB or
// RocksDB to migrate, once for both. What differs is the Engine, a class that has
//
//     Engine(path, durability)
//     Engine::Connection(engine)         of one thread; shorter-lived than the engine
//       read()  -> Connection::Reading   a consistent view: get(id), from(id)
//       write() -> Connection::Writing   one transaction, the only one at a time: get(id), from(id), put(id, value),
//                                        commit(), isFull(): it has grown as large as one may get; gives up unless committed
//     flush()                            what was written is on the disk, and the store as it is after a long time
//     settle()                           what was put off is on the disk
//
// where get() is the value or nothing, and from() a cursor over the rows from an id on, in order: isValid(),
// value(), next(), and replace(value) in a transaction. Values are valid until the next call.
//
// migrate() takes the lock of writers for each transaction; updates that come meanwhile wait for it. Threads:
// see subject.h.

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "instar/bench/upgrade/systems.h"
#include "instar/bench/upgrade/tagged_row.h"

namespace instar::bench {

// Whether a store of tagged rows has the strategy. An additive change is none to it: the bytes of Order are
// those of a record with more fields, and nobody would rewrite them.
inline bool taggedRowsOffer(const Scenario& scenario) noexcept {
  if (scenario.packs || scenario.rate != 0 || scenario.lockTime != 0) return false;
  switch (scenario.strategy) {
    case Strategy::none:
    case Strategy::lazy:
      return true;
    case Strategy::eager:
    case Strategy::eagerLater:
    case Strategy::batches:
    case Strategy::writeBack:
      return scenario.change != Change::additive;
    case Strategy::rebuild:
    case Strategy::background:
    case Strategy::paced:
    case Strategy::standard:
      return false;
  }
  return false;
}

template <class Engine>
class TaggedSession final : public Session {
 public:
  TaggedSession(Engine& engine, const Scenario& scenario, MigrationProgress& progress)
      : connection_(engine), scenario_(scenario), progress_(progress), rows_(scenario.change) {}

  std::uint64_t read(std::uint64_t id) override {
    const auto decoded = [&] {
      auto reading = connection_.read();
      return decode(reading.get(id), id);
    }();
    const std::uint64_t digest = digestOf(scenario_.change, decoded.row);
    if (decoded.old && writesBack()) storeUpgraded({id});
    return digest;
  }

  void update(std::uint64_t id, std::int64_t priceCents) override {
    change(id, [&](NewRow& row) { setPrice(scenario_.change, row, priceCents); });
  }

  void insert(std::uint64_t id) override {
    auto writing = connection_.write();
    writing.put(id, rows_.encodeNew(insertedRow(scenario_.change, id, scratch_)));
    writing.commit();
  }

  std::uint64_t scan(std::uint64_t id, unsigned count) override {
    std::uint64_t sum = 0;
    std::vector<std::uint64_t> old;
    {
      auto reading = connection_.read();
      for (auto cursor = reading.from(id); count != 0 && cursor.isValid(); cursor.next(), --count) {
        const auto decoded = rows_.decode(cursor.value());
        sum += digestOf(scenario_.change, decoded.row);
        if (decoded.old) old.push_back(decoded.row.id);
      }
    }
    if (!old.empty() && writesBack()) storeUpgraded(old);
    return sum;
  }

  void readModifyWrite(std::uint64_t id) override {
    change(id, [&](NewRow& row) { setPrice(scenario_.change, row, raised(priceOf(scenario_.change, row))); });
  }

 private:
  bool writesBack() const noexcept { return scenario_.strategy == Strategy::writeBack; }

  TaggedRows::Decoded decode(const std::optional<std::string_view>& value, std::uint64_t id) {
    if (!value) throw std::runtime_error("row " + std::to_string(id) + " is missing");
    const auto decoded = rows_.decode(*value);
    if (decoded.row.id != id) throw std::runtime_error("another row lies under " + std::to_string(id));
    return decoded;
  }

  template <class Modify>
  void change(std::uint64_t id, Modify&& modify) {
    auto writing = connection_.write();
    auto decoded = decode(writing.get(id), id);
    modify(decoded.row);
    writing.put(id, rows_.encodeNew(decoded.row));
    writing.commit();
  }

  // In one transaction; somebody else may have changed them since they were read.
  void storeUpgraded(const std::vector<std::uint64_t>& ids) {
    auto writing = connection_.write();
    std::uint64_t stored = 0;
    for (const std::uint64_t id : ids) {
      const auto decoded = decode(writing.get(id), id);
      if (!decoded.old) continue;
      writing.put(id, rows_.encodeNew(decoded.row));
      ++stored;
    }
    if (stored == 0) return;
    writing.commit();
    progress_.add(stored);
  }

  typename Engine::Connection connection_;
  const Scenario& scenario_;
  MigrationProgress& progress_;
  TaggedRows rows_;
  std::string scratch_;
};

template <class Engine>
class TaggedSubject final : public Subject {
 public:
  TaggedSubject(const Scenario& scenario, std::filesystem::path path)
      : scenario_(scenario), path_(std::move(path)) {}

  void fill() override {
    Engine engine(path_, Durability::off);
    typename Engine::Connection connection(engine);
    TaggedRows rows(scenario_.change);
    std::string scratch;
    for (std::uint64_t id = 0; id < scenario_.rows;) {
      auto writing = connection.write();
      for (const std::uint64_t end = std::min(id + kRowsPerFilling, scenario_.rows); id < end; ++id) {
        writing.put(id, scenario_.strategy == Strategy::none
                            ? rows.encodeNew(insertedRow(scenario_.change, id, scratch))
                            : rows.encodeOld(sampleOf(id)));
      }
      writing.commit();
    }
    engine.flush();
  }

  void open(MigrationProgress& progress) override {
    engine_.emplace(path_, scenario_.durability);
    progress_ = &progress;
    const std::atomic<bool> never = false;
    if (scenario_.strategy == Strategy::eager) rewriteAll(scenario_.rows, progress, never);
  }

  std::unique_ptr<Session> session() override {
    return std::make_unique<TaggedSession<Engine>>(*engine_, scenario_, *progress_);
  }

  void migrate(MigrationProgress& progress, const std::atomic<bool>& stop) override {
    if (scenario_.strategy == Strategy::eagerLater) rewriteAll(scenario_.rows, progress, stop);
    if (scenario_.strategy == Strategy::batches) rewriteAll(kRowsPerBatch, progress, stop);
  }

  void settle() override { engine_->settle(); }

  Census census() override {
    typename Engine::Connection connection(*engine_);
    TaggedRows rows(scenario_.change);
    Census census;
    auto reading = connection.read();
    for (auto cursor = reading.from(0); cursor.isValid(); cursor.next()) {
      const auto decoded = rows.decode(cursor.value());
      ++census.rows;
      if (decoded.old) ++census.old;
      census.digest += digestOf(scenario_.change, decoded.row);
    }
    return census;
  }

 private:
  // From the first row to the last; those that are new already, since others have changed them, are passed
  // over.
  void rewriteAll(std::uint64_t rowsPerTransaction, MigrationProgress& progress,
                  const std::atomic<bool>& stop) {
    typename Engine::Connection connection(*engine_);
    TaggedRows rows(scenario_.change);
    std::uint64_t next = 0;
    while (!progress.complete && !stop) {
      const Rewritten done = rewriteSome(connection, rows, next, rowsPerTransaction, stop);
      progress.add(done.rows);
      progress.complete = done.ended;
      if (!done.ended && !stop && rowsPerTransaction == kRowsPerBatch)
        std::this_thread::sleep_for(kPauseBetweenBatches);
    }
  }

  struct Rewritten {
    std::uint64_t rows = 0;
    bool ended = false;  // nothing comes behind them
  };

  // One transaction, whose lock is given back at its end. Stores nothing where it is stopped.
  Rewritten rewriteSome(typename Engine::Connection& connection, TaggedRows& rows, std::uint64_t& next,
                        std::uint64_t rowsPerTransaction, const std::atomic<bool>& stop) {
    auto writing = connection.write();
    Rewritten done;
    {
      auto cursor = writing.from(next);
      const std::uint64_t end = next + rowsPerTransaction;
      for (; cursor.isValid() && next < end && !writing.isFull(); cursor.next()) {
        if (stop) return {};
        const auto decoded = rows.decode(cursor.value());
        next = decoded.row.id + 1;
        if (!decoded.old) continue;
        cursor.replace(rows.encodeNew(decoded.row));
        ++done.rows;
      }
      done.ended = !cursor.isValid();
    }
    if (done.rows != 0) writing.commit();
    return done;
  }

  const Scenario scenario_;
  const std::filesystem::path path_;
  std::optional<Engine> engine_;
  MigrationProgress* progress_ = nullptr;
};

}  // namespace instar::bench
