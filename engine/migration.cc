#include "instar/engine/migration.h"

#include <algorithm>

#include "instar/engine/internal/compaction/foreground_pace.h"
#include "instar/engine/internal/compaction/worker.h"

namespace instar {
namespace {

class Migrator {
 public:
  Migrator(const Store& store, const CollectionBase& rows, const MigrationOptions& options)
      : options_(options),
        total_(rows.count(store.read())),
        store_(store.read().state().sharedStore()),
        lock_(store_),
        worker_(store_, stateOf(rows),
                {.mode = options.mode,
                 .lockTime = options.lockTime,
                 .rate = options.rate,
                 .threads = options.threads,
                 .keepPreimages = options.keepPreimages,
                 .mostFailures = options.maxFailures}),
        pace_(options.rate) {}

  Migration run() {
    look();
    settleRest();
    std::optional<Key> lower = options_.partition ? partitionOf(*options_.partition).lower : Key();
    const std::optional<Key> end = options_.partition ? behind(*lower) : std::nullopt;
    // A pass may cut the partition: what is behind the cut is gone through too.
    for (; lower && (!end || *lower < *end); lower = behind(*lower)) {
      if (!hasWork(*lower)) continue;
      while (!worker_.step({*lower, options_.mode == CompactionMode::compress}, [&] { settle(); })) {
      }
      ++result_.partitions;
      settleRest();
    }
    worker_.noteSettled();
    take();
    look();
    const IoBytes total = pace_.total();
    result_.bytesWritten = total.written;
    result_.bytesRead = total.read + readElsewhere_;
    result_.waited = pace_.waited();
    return std::move(result_);
  }

 private:
  // Of partitions whose pass has ended.
  void settleRest() {
    while (const auto choice = worker_.pickToSettle()) worker_.step(*choice, [&] { settle(); });
  }

  Partition partitionOf(const Key& key) const {
    TransactionState transaction(store_, storage::Access::read);
    return Partitions(transaction, worker_.collection().name()).of(key);
  }

  std::optional<Key> behind(const Key& lower) const {
    TransactionState transaction(store_, storage::Access::read);
    const Partitions partitions(transaction, worker_.collection().name());
    return partitions.upperOf(partitions.of(lower));
  }

  bool hasWork(const Key& lower) const {
    return options_.mode == CompactionMode::compress ||
           partitionOf(lower).floor < worker_.collection().schema().completeFrom();
  }

  BatchResult take() {
    BatchResult done = worker_.takeResult();
    result_.rows += done.rows;
    result_.rewritten += done.rewritten;
    result_.packed += done.packed;
    result_.repacked += done.repacked;
    result_.verified += done.verified;
    result_.changed += done.changed;
    result_.failed += done.failed;
    result_.batches += done.transactions;
    result_.longestLock = std::max(result_.longestLock, done.longestLock);
    for (FailedRow& row : done.failures) {
      if (result_.failures.size() < options_.maxFailures) result_.failures.push_back(std::move(row));
    }
    readElsewhere_ += done.bytesRead;
    return done;
  }

  void look() const {
    if (options_.progress) options_.progress({result_.rows, std::max(total_, result_.rows)});
  }

  // Waits until what has been written and read fits the rate.
  void settle() {
    const BatchResult done = take();
    if (options_.committed) options_.committed(result_);
    look();
    pace_.settle({.stored = done.bytes, .readElsewhere = done.bytesRead}, [this] {
      worker_.waited();
      look();
    });
  }

  const MigrationOptions& options_;
  const std::uint64_t total_;  // rows, when it began
  const std::shared_ptr<StoreState> store_;
  const CompactionLock lock_;
  Worker worker_;
  ForegroundPace pace_;
  std::uint64_t readElsewhere_ = 0;  // bytes, by threads that prepare
  Migration result_;
};

}  // namespace

Migration migrate(const Store& store, std::string_view collection, const MigrationOptions& options) {
  const auto rows = store.collection(collection);
  stateOf(rows)->requireWritableStore();
  return Migrator(store, rows, options).run();
}

}  // namespace instar
