#include "instar/bench/growth.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <iomanip>
#include <ostream>
#include <stdexcept>
#include <string>

#include "instar/bench/comparison.h"
#include "instar/bench/lmdb_reference.h"
#include "instar/bench/order_history.h"
#include "instar/bench/process_account.h"
#include "instar/bench/sample.h"
#include "instar/engine/instar.h"

namespace instar::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kRowsPerTransaction = 10'000;

double nanosecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

struct Growth {
  std::uint64_t rows = 0;
  double fillSeconds = 0;
  std::uint64_t fileBytes = 0;
  Repetitions openInMemory;  // nanoseconds, to the first row
  Repetitions openFromDisk;
  Repetitions openWithLmdb;  // the same from disk without Instar
  Repetitions addVersion;
  Repetitions addVersionBytes;
  Repetitions addVersionCommits;
};

class GrowthFile {
 public:
  GrowthFile(std::filesystem::path path, const OrderHistory& history)
      : path_(std::move(path)), history_(history) {}

  void fill(std::uint64_t rows, Growth& growth) {
    const auto begin = Clock::now();
    const Store store = Store::open(path_, {.durability = Durability::off});
    const auto orders = store.collection("orders", history_.at(version_));
    const DynamicFiller filler(orders.schema().root());
    for (std::uint64_t done = 0; done < rows;) {
      auto transaction = store.write();
      for (const std::uint64_t end = std::min(done + kRowsPerTransaction, rows); done < end; ++done) {
        auto order = orders.create();
        filler.fill(*order, sampleOf(done));
        orders.put(transaction, order);
      }
      transaction.commit();
    }
    store.sync();
    growth.fillSeconds = nanosecondsSince(begin) / 1e9;
    growth.fileBytes = std::filesystem::file_size(path_);
  }

  void open(std::uint64_t rows, Repetitions& times) const {
    const RecordSchema schema = history_.at(version_);
    const auto begin = Clock::now();
    {
      const Store store = Store::open(path_);
      const auto orders = store.collection("orders", schema);
      const auto snapshot = store.read();
      if (!orders.get(snapshot, rows / 2)) throw std::runtime_error("a row is missing");
      times.add(nanosecondsSince(begin));
    }
  }

  void openWithLmdb(std::uint64_t rows, Repetitions& times) const {
    const auto begin = Clock::now();
    {
      const LmdbReference reference(path_, Durability::full, "rows/orders");
      const LmdbTransaction snapshot(reference, MDB_RDONLY);
      const Key id = keyOf(rows / 2);
      MDB_val key = toValue(id.bytes());
      MDB_val value;
      checkLmdb(mdb_get(snapshot.get(), reference.tree(), &key, &value), "mdb_get");
      times.add(nanosecondsSince(begin));
    }
  }

  void addVersion(Growth& growth) {
    const Store store = Store::open(path_);
    store.collection("orders", history_.at(version_));
    const RecordSchema schema = history_.at(++version_);
    const std::uint64_t bytes = bytesWritten();
    const std::uint64_t commits = store.info().lastTransaction;
    const auto begin = Clock::now();
    store.collection("orders", schema);
    growth.addVersion.add(nanosecondsSince(begin));
    growth.addVersionBytes.add(static_cast<double>(bytesWritten() - bytes));
    growth.addVersionCommits.add(static_cast<double>(store.info().lastTransaction - commits));
  }

  void forget() const { dropFromMemory(path_); }

 private:
  std::filesystem::path path_;
  const OrderHistory& history_;
  std::uint16_t version_ = 1;
};

Growth measure(const Workspace& workspace, std::uint64_t rows, unsigned repetitions,
               const OrderHistory& history) {
  Growth growth;
  growth.rows = rows;
  const auto path = workspace.file(("growth-" + std::to_string(rows)).c_str());
  GrowthFile file(path, history);
  file.fill(rows, growth);
  for (unsigned i = 0; i < repetitions; ++i) {
    file.forget();
    file.openWithLmdb(rows, growth.openWithLmdb);
    file.forget();
    file.open(rows, growth.openFromDisk);
    file.open(rows, growth.openInMemory);
    file.addVersion(growth);
  }
  workspace.remove(path);
  return growth;
}

struct Line {
  const char* name;
  std::function<std::string(const Growth&)> value;
};

std::string withRange(const Repetitions& times) {
  return printTime(times.median()) + " (" + printTime(times.least()) + " to " + printTime(times.most()) + ")";
}

std::string whole(double number) { return std::to_string(static_cast<std::uint64_t>(number)); }

void print(std::ostream& out, const Growth& small, const Growth& large) {
  const Line lines[] = {
      {"rows", [](const Growth& growth) { return std::to_string(growth.rows); }},
      {"bytes of file", [](const Growth& growth) { return std::to_string(growth.fileBytes); }},
      {"seconds to fill it", [](const Growth& growth) { return whole(growth.fillSeconds); }},
      {"opening it to the first row, in memory",
       [](const Growth& growth) { return withRange(growth.openInMemory); }},
      {"opening it to the first row, from disk",
       [](const Growth& growth) { return withRange(growth.openFromDisk); }},
      {"the same from disk with LMDB alone",
       [](const Growth& growth) { return withRange(growth.openWithLmdb); }},
      {"adding an additive version", [](const Growth& growth) { return withRange(growth.addVersion); }},
      {"bytes written by that", [](const Growth& growth) { return whole(growth.addVersionBytes.median()); }},
      {"commits of that", [](const Growth& growth) { return whole(growth.addVersionCommits.median()); }},
  };
  for (const Line& line : lines) {
    out << std::left << std::setw(40) << line.name << std::setw(40) << line.value(small) << line.value(large)
        << '\n';
  }
  out << std::flush;
}

}  // namespace

void measureGrowth(const Workspace& workspace, const GrowthSizes& sizes, std::ostream& out) {
  const OrderHistory history;
  const Growth small = measure(workspace, sizes.smallRows, sizes.repetitions, history);
  const Growth large = measure(workspace, sizes.rows, sizes.repetitions, history);
  out << "medians of " << sizes.repetitions
      << " (least to most); durability full; every row is of version 1\n\n";
  print(out, small, large);
}

}  // namespace instar::bench
