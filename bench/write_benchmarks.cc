#include <algorithm>
#include <memory>
#include <optional>

#include "instar/bench/alternation.h"
#include "instar/bench/benchmarks.h"

namespace instar::bench {
namespace {

constexpr std::size_t kPutsPerTransaction = 1'000;

// Each of the three puts a batch of rows in one transaction. Only run() is measured.

// Of values: the record is built, its key encoded, its checksum computed.
class InstarPutter {
 public:
  InstarPutter(const std::filesystem::path& path, Durability durability) : subject_(path, durability) {}
  void prepare(std::span<const Sample> samples) { samples_ = samples; }
  void run() {
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
class LmdbPutter {
 public:
  LmdbPutter(const std::filesystem::path& path, Durability durability) : reference_(path, durability) {}
  void prepare(std::span<const Sample> samples) {
    rows_.resize(samples.size());
    for (std::size_t i = 0; i < samples.size(); ++i) encoder_.encode(samples[i], rows_[i]);
  }
  void run() {
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

class SqlitePutter {
 public:
  SqlitePutter(const std::filesystem::path& path, Durability durability)
      : reference_(path, durability), insert_(reference_) {}
  void prepare(std::span<const Sample> samples) { samples_ = samples; }
  void run() {
    reference_.execute("BEGIN IMMEDIATE");
    for (const Sample& sample : samples_) insert_.insert(sample);
    reference_.execute("COMMIT");
  }

 private:
  SqliteReference reference_;
  SqliteInsert insert_;
  std::span<const Sample> samples_;
};

// The ids that a repetition puts: of all those between the stored ones, or of none where the store is empty,
// in random order.
std::vector<std::uint64_t> idsToPut(const Sizes& sizes) {
  const std::uint64_t puts = sizes.transactions * kPutsPerTransaction;
  std::vector<std::uint64_t> ids = shuffled(std::max(sizes.rows, puts));
  ids.resize(puts);
  for (std::uint64_t& id : ids) id = newId(id);
  return ids;
}

struct Case {
  std::string name;
  bool filled;  // whether all rows are there before
  Durability durability;
  Sizes sizes;
};

// A file that is removed when nobody uses it any more.
class TemporaryFile {
 public:
  TemporaryFile(const Workspace& workspace, const char* name)
      : workspace_(workspace), path_(workspace.file(name)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { workspace_.remove(path_); }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  const Workspace& workspace_;
  std::filesystem::path path_;
};

// Puts the ids one transaction after the other.
template <class Subject>
class Putting {
 public:
  Putting(Subjects& subjects, const Case& put, const char* name, const std::filesystem::path* filled)
      : file_(subjects.workspace(), name), ids_(idsToPut(put.sizes)), samples_(kPutsPerTransaction) {
    if (filled != nullptr) copyDurably(*filled, file_.path());
    subject_.emplace(file_.path(), put.durability);
  }

  void prepare() {
    for (Sample& sample : samples_) sample = sampleOf(ids_[next_++]);
    subject_->prepare(samples_);
  }
  void run() { subject_->run(); }

 private:
  TemporaryFile file_;
  std::vector<std::uint64_t> ids_;
  std::size_t next_ = 0;
  std::vector<Sample> samples_;
  std::optional<Subject> subject_;
};

template <class Subject>
Contender contender(Subjects& subjects, const Case& put, const char* name,
                    const std::filesystem::path& (Subjects::*filled)()) {
  return {name, [&subjects, put, name, filled] {
            const auto putting = std::make_shared<Putting<Subject>>(
                subjects, put, name, put.filled ? &(subjects.*filled)() : nullptr);
            return Block{.prepare = [putting] { putting->prepare(); }, .run = [putting] { putting->run(); }};
          }};
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
    add({.name = put.name,
         .measured = Measured::realTime,
         .itemsPerBlock = kPutsPerTransaction,
         .blocks = put.sizes.transactions,
         .contenders = {contender<InstarPutter>(subjects, put, "Instar", &Subjects::instarFile),
                        contender<LmdbPutter>(subjects, put, "LMDB", &Subjects::lmdbFile),
                        contender<SqlitePutter>(subjects, put, "SQLite", &Subjects::sqliteFile)}});
    figures.push_back({put.name, "Instar", "LMDB", 1.3});
    figures.push_back({put.name, "Instar", "SQLite"});
  }
}

}  // namespace instar::bench
