#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "instar/bench/benchmarks.h"

namespace instar::bench {
namespace {

using benchmark::State;

constexpr std::size_t kPutsPerTransaction = 1'000;

// What can put a batch of rows in one transaction. Only run() is measured.
class Putter {
 public:
  virtual ~Putter() = default;
  virtual void prepare(std::span<const Sample> samples) = 0;
  virtual void run() = 0;
};

// From values: the record is built, its key encoded, its checksum computed.
class InstarPutter final : public Putter {
 public:
  InstarPutter(const std::filesystem::path& path, Durability durability) : subject_(path, durability) {}
  void prepare(std::span<const Sample> samples) override { samples_ = samples; }
  void run() override {
    auto transaction = subject_.store.write();
    for (const Sample& sample : samples_) {
      auto order = subject_.orders.create();
      fill(*order, sample);
      subject_.orders.put(transaction, order);
    }
    transaction.commit();
  }

 private:
  InstarSubject subject_;
  std::span<const Sample> samples_;
};

// Of keys and values that lie ready: as little as LMDB can do.
class LmdbPutter final : public Putter {
 public:
  LmdbPutter(const std::filesystem::path& path, Durability durability) : reference_(path, durability) {}
  void prepare(std::span<const Sample> samples) override {
    rows_.resize(samples.size());
    for (std::size_t i = 0; i < samples.size(); ++i) encoder_.encode(samples[i], rows_[i]);
  }
  void run() override {
    LmdbTransaction transaction(reference_, 0);
    for (const StoredRow& row : rows_) {
      MDB_val key = toValue(row.key.bytes());
      MDB_val value = toValue(row.value);
      checkLmdb(mdb_put(transaction.get(), reference_.tree(), &key, &value, 0), "mdb_put");
    }
    transaction.commit();
  }

 private:
  LmdbReference reference_;
  RowEncoder encoder_;
  std::vector<StoredRow> rows_;
};

class SqlitePutter final : public Putter {
 public:
  SqlitePutter(const std::filesystem::path& path, Durability durability)
      : reference_(path, durability), insert_(reference_) {}
  void prepare(std::span<const Sample> samples) override { samples_ = samples; }
  void run() override {
    reference_.execute("BEGIN IMMEDIATE");
    for (const Sample& sample : samples_) insert_.insert(sample);
    reference_.execute("COMMIT");
  }

 private:
  SqliteReference reference_;
  SqliteInsert insert_;
  std::span<const Sample> samples_;
};

// The ids that a repetition puts: of all those between the stored ones, or of none where the store is empty, in
// random order.
std::vector<std::uint64_t> idsToPut(const Sizes& sizes) {
  const std::uint64_t puts = sizes.transactions * kPutsPerTransaction;
  std::vector<std::uint64_t> ids = shuffled(std::max(sizes.rows, puts));
  ids.resize(puts);
  for (std::uint64_t& id : ids) id = newId(id);
  return ids;
}

void putAll(State& state, Putter& putter, std::span<const std::uint64_t> ids) {
  std::vector<Sample> samples(kPutsPerTransaction);
  for (auto _ : state) {
    for (std::size_t i = 0; i < kPutsPerTransaction; ++i) samples[i] = sampleOf(ids[i]);
    ids = ids.subspan(kPutsPerTransaction);
    putter.prepare(samples);
    const auto begin = std::chrono::steady_clock::now();
    putter.run();
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kPutsPerTransaction));
}

struct Case {
  std::string name;
  bool filled;  // whether all rows are there before
  Durability durability;
  Sizes sizes;
};

template <class Subject>
void addPut(Subjects& subjects, const Case& put, const char* suffix,
            const std::filesystem::path& (Subjects::*filled)()) {
  benchmark::RegisterBenchmark((put.name + suffix).c_str(),
                               [&subjects, put, filled](State& state) {
                                 const Workspace& workspace = subjects.workspace();
                                 const auto path = workspace.file("put");
                                 if (put.filled) copyDurably((subjects.*filled)(), path);
                                 {
                                   Subject subject(path, put.durability);
                                   putAll(state, subject, idsToPut(put.sizes));
                                 }
                                 workspace.remove(path);
                               })
      ->UseManualTime()
      ->Iterations(static_cast<benchmark::IterationCount>(put.sizes.transactions));
}

}  // namespace

void addWriteBenchmarks(Subjects& subjects, std::vector<Figure>& figures) {
  const Sizes& sizes = subjects.sizes();
  const std::uint64_t rest = std::max<std::uint64_t>(sizes.rows / kPutsPerTransaction, 1);
  const Sizes untilFilled{sizes.rows, rest};
  const Sizes durable{sizes.rows,
                      std::max<std::uint64_t>(sizes.transactions / 4, 1)};  // the disk takes its time
  const Case cases[] = {
      {"put into an empty store, durability off", false, Durability::off, untilFilled},
      {"put into a filled store, durability off", true, Durability::off, sizes},
      {"put into an empty store, durability full", false, Durability::full, durable},
      {"put into a filled store, durability full", true, Durability::full, durable},
  };
  for (const Case& put : cases) {
    addPut<InstarPutter>(subjects, put, "/instar", &Subjects::instarFile);
    addPut<LmdbPutter>(subjects, put, "/lmdb", &Subjects::lmdbFile);
    addPut<SqlitePutter>(subjects, put, "/sqlite", &Subjects::sqliteFile);
    figures.push_back({put.name + " : LMDB", put.name + "/instar", put.name + "/lmdb", 1.3});
    figures.push_back({put.name + " : SQLite", put.name + "/instar", put.name + "/sqlite"});
  }
}

}  // namespace instar::bench
