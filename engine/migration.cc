#include "instar/engine/migration.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/compaction/io_account.h"
#include "instar/engine/internal/compaction/pacer.h"
#include "instar/engine/internal/failed_row.h"
#include "instar/engine/internal/row_writer.h"
#include "instar/engine/internal/upgraded_record.h"

namespace instar {
namespace {

using Clock = std::chrono::steady_clock;

// Of what is prepared at once, without the lock. Bounds the memory, and how long the snapshot is held.
constexpr std::size_t kMostBytes = std::size_t{1} << 20;
constexpr std::uint64_t kMostRowsLookedAt = 16384;
constexpr std::uint64_t kRowsPerLook = 1024;
constexpr std::chrono::nanoseconds kLongestSleep = std::chrono::milliseconds(50);

// Nobody is given way to but by the rate: it is work in the foreground.
CompactionOptions rateAlone(std::uint64_t rate) { return {.rate = rate, .minFreeDisk = 0}; }

// The part of a collection's handle that the rest of the engine goes by.
class Rows : public CollectionBase {
 public:
  explicit Rows(const CollectionBase& handle) : CollectionBase(handle) {}
  const std::shared_ptr<CollectionState>& state() const noexcept { return state_; }
};

class Migrator {
 public:
  Migrator(const Store& store, std::string_view collection, const MigrationOptions& options)
      : store_(store),
        rows_(store.collection(collection)),
        collection_(*rows_.state()),
        options_(options),
        total_(rows_.count(store.read())),
        mostBytes_(options.rate == 0 ? kMostBytes
                                     : std::clamp<std::size_t>(options.rate / 16, 4096, kMostBytes)),
        pacer_(rateAlone(options.rate), Clock::now(), 0) {}

  Migration run() {
    while (prepare()) {
      std::size_t bytes = 0;
      for (const Prepared& row : prepared_) bytes += row.payload.size();
      auto left = std::span<const Prepared>(prepared_);
      do {
        if (!left.empty()) left = left.subspan(install(left));
        settle(left.empty() ? bytes : 0);
      } while (!left.empty());
    }
    look();
    result_.bytesWritten = account_.total().written;
    result_.waited = std::chrono::duration_cast<std::chrono::microseconds>(pacer_.waited(WaitReason::rate));
    return std::move(result_);
  }

 private:
  // A row that is to be rewritten, as it was in the snapshot and as it will be.
  struct Prepared {
    Key key;
    std::vector<std::byte> before;  // as stored, header included
    std::vector<std::byte> payload;
  };

  void look() const {
    if (options_.progress) options_.progress({result_.rows, std::max(total_, result_.rows)});
  }

  // Waits until what has been written and read fits the rate. `atLeast` bytes count as written where the
  // kernel accounts nothing.
  void settle(std::uint64_t atLeast) {
    look();
    const IoBytes total = account_.total();
    pacer_.spent(Clock::now(), std::max(total.written - settled_.written, atLeast),
                 total.read - settled_.read);
    settled_ = total;
    while (true) {
      const Answer answer = pacer_.ask(Clock::now(), {});
      if (answer.go) return;
      std::this_thread::sleep_for(std::min(answer.wait, kLongestSleep));
      look();
    }
  }

  // Upgrades the rows that follow, in a snapshot; false where none follow.
  bool prepare() {
    prepared_.clear();
    const ReadTransaction snapshot = store_.read();
    ScanOptions range;
    if (!last_.empty()) range.from = last_;
    ScanBase scan(rows_.state(), snapshot, range);
    std::size_t bytes = 0;
    std::uint64_t looked = 0;
    while (bytes < mostBytes_ && looked < kMostRowsLookedAt) {
      if (!scan.next()) return looked != 0;
      if (compareBytes(scan.key(), last_.bytes()) == 0) continue;
      ++looked;
      ++result_.rows;
      last_ = Key(scan.key());
      bytes += upgrade(last_, scan.value());
      if (result_.rows % kRowsPerLook == 0) look();
    }
    return true;
  }

  // Returns the bytes of what there is to write.
  std::size_t upgrade(const Key& key, Bytes value) {
    RowView row;
    const RowDamage damage = decodeRow(key.bytes(), value, Verify::yes, row);
    if (damage != RowDamage::none) {
      fail({.key = copy(key.bytes()), .reason = describe(damage)});
      return 0;
    }
    if (row.version >= collection_.schema().completeFrom()) return 0;
    try {
      auto payload = UpgradedRecord(collection_.plans(), key.bytes(), row).compact();
      prepared_.push_back({key, copy(value), std::move(payload)});
      return prepared_.back().payload.size();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::fixRow) throw;
      fail(failedRow(key.bytes(), row.version, error));
      return 0;
    }
  }

  static std::vector<std::byte> copy(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

  void fail(FailedRow row) {
    ++result_.failed;
    if (result_.failures.size() < options_.maxFailures) result_.failures.push_back(std::move(row));
  }

  // Stores the first rows, as many as the time allows and at least one; returns how many. A row that is
  // no longer what it was has been put by somebody, and is left to him.
  std::size_t install(std::span<const Prepared> rows) {
    WriteTransaction transaction = store_.write();
    TransactionState& state = transaction.state();
    collection_.admitWriting(state);
    const auto start = Clock::now();
    std::size_t done = 0;
    std::uint64_t rewritten = 0;
    do {
      const Prepared& row = rows[done++];
      const auto stored = state.storage().get(collection_.tree(), row.key.bytes());
      if (!stored || compareBytes(*stored, row.before) != 0) continue;
      writeRow(state, collection_.tree(), row.key, collection_.schema().version(), row.payload);
      ++rewritten;
    } while (done < rows.size() && Clock::now() - start < options_.lockTime);
    result_.longestLock = std::max(
        result_.longestLock, std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start));
    if (rewritten != 0) transaction.commit();
    result_.rewritten += rewritten;
    result_.changed += done - rewritten;
    ++result_.batches;
    return done;
  }

  const Store& store_;
  const Rows rows_;
  CollectionState& collection_;
  const MigrationOptions& options_;
  const std::uint64_t total_;  // rows, when it began
  const std::size_t mostBytes_;
  const IoAccount account_;
  IoBytes settled_;  // of the account, that the pacer knows of
  Pacer pacer_;
  Key last_;  // that was looked at
  std::vector<Prepared> prepared_;
  Migration result_;
};

}  // namespace

Migration migrate(const Store& store, std::string_view collection, const MigrationOptions& options) {
  return Migrator(store, collection, options).run();
}

}  // namespace instar
