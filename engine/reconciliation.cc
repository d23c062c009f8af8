#include "instar/engine/reconciliation.h"

#include <kj/exception.h>

#include <algorithm>
#include <utility>

#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/foreground_pace.h"
#include "instar/engine/internal/failed_row.h"
#include "instar/engine/internal/row_writer.h"
#include "instar/engine/internal/staging/divergence_log.h"
#include "instar/engine/internal/upgraded_record.h"
#include "instar/evolve/mirror_check.h"
#include "instar/evolve/want_of_memory.h"

namespace instar {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kUnsound = "a pointer in it is not sound";

// Of rows that are looked at in one snapshot. A small rate has small batches, as compaction does.
constexpr std::uint64_t kRowsAtOnce = 4096;
std::uint64_t bytesAtOnce(std::uint64_t rate) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 20;
  return rate == 0 ? kMost : std::clamp<std::uint64_t>(rate / 16, 4096, kMost);
}

const char* wordsFor(Follow follow) {
  return follow == Follow::newer ? "the mirrors follow the newer fields"
                                 : "the derived fields follow the mirrors";
}

class Reconciler {
 public:
  Reconciler(const Store& store, const CollectionBase& rows, Follow follow,
             const ReconciliationOptions& options)
      : store_(store),
        rows_(rows),
        collection_(*stateOf(rows)),
        plans_(collection_.plans()),
        mirrors_(plans_),
        follow_(follow),
        options_(options),
        total_(rows.count(store.read())),
        pace_(options.rate) {
    result_.version = collection_.version();
  }

  Reconciliation run() {
    refuseWhatCannotBeMirrored();
    look();
    for (bool isEnd = false; !isEnd;) {
      isEnd = !examineSome();
      install();
      settle(0);
    }
    if (!options_.dryRun) finish();
    const IoBytes total = pace_.total();
    result_.bytesWritten = total.written;
    result_.bytesRead = total.read;
    result_.waited = pace_.waited();
    return std::move(result_);
  }

 private:
  // What becomes of a row, as long as it is what it was.
  struct Repair {
    Key key;
    std::uint16_t version;  // that it is stamped with
    std::vector<std::byte> before;
    std::vector<std::byte> after;
  };

  void refuseWhatCannotBeMirrored() const {
    std::vector<Error::Fact> facts{{"collection", rows_.name()},
                                   {"version", std::to_string(result_.version)}};
    if (mirrors_.isEmpty()) {
      throw Error(ErrorCode::fixCall,
                  "the current version mirrors no field, so none can diverge: promote the one that does",
                  std::move(facts));
    }
    const auto unusable = plans_.unusableForPut();
    if (unusable.empty()) return;
    facts.insert(facts.end(), {{"field", unusable.front().field},
                               {"function", unusable.front().function},
                               {"reason", unusable.front().reason}});
    throw Error(ErrorCode::fixCall,
                "a mirror calls a function that this program cannot run: reconcile with one that has it",
                std::move(facts));
  }

  // Looks at the rows behind the position; false at the end of the collection.
  bool examineSome() {
    const ReadTransaction snapshot = store_.read();
    admit(snapshot.state());
    ScanBase scan(stateOf(rows_), snapshot, {.from = position_});
    std::uint64_t bytes = 0;
    for (std::uint64_t rows = 0; rows < kRowsAtOnce && bytes < bytesAtOnce(options_.rate); ++rows) {
      if (!scan.next()) return false;
      if (position_ && compareBytes(position_->bytes(), scan.key()) == 0) continue;  // where it has ended
      position_ = Key(scan.key());
      const Bytes value = scan.value();
      bytes += value.size();
      ++result_.rows;
      examine(position_->bytes(), value);
    }
    return true;
  }

  void examine(Bytes key, Bytes value) {
    RowView stored;
    const RowDamage damage = decodeRow(key, value, Verify::yes, stored);
    if (damage != RowDamage::none)
      return fail({.key = {key.begin(), key.end()}, .version = stored.version, .reason = describe(damage)});
    if (stored.version > collection_.version()) {
      ++result_.newer;
      return;
    }
    try {
      examine(key, stored);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::fixRow && error.code() != ErrorCode::fixInput) throw;
      fail(failedRow(key, stored.version, error));
    } catch (const kj::Exception& exception) {
      internal::passOnWantOfMemory(exception);
      fail({.key = {key.begin(), key.end()}, .version = stored.version, .reason = kUnsound});
    }
  }

  void examine(Bytes key, const RowView& stored) {
    const RecordView row(plans_, key, stored);
    const auto diverged = mirrors_.diverged(row.record());
    if (diverged.empty()) return;
    ++result_.diverged;
    for (const std::string& field : diverged) ++result_.fields[field];
    if (result_.listed.size() < options_.maxListed)
      result_.listed.push_back({Key(key), stored.version, diverged});
    internal::RecordMessage message;
    message.initRoot<capnp::AnyPointer>().set(row.root());
    const auto record = message.getRoot<capnp::DynamicStruct>(plans_.schema().root());
    bool isApart = false;
    bool isChanged = true;
    if (follow_ == Follow::newer) {
      plans_.prepareToPut(record);
    } else {
      plans_.deriveAgain(record, diverged);
      const capnp::AnyStruct::Reader derived = record.asReader();
      isApart = !mirrors_.diverged(derived).empty();
      isChanged = !(derived == row.record());
    }
    if (isApart) ++result_.apart;
    if (!isChanged) return;
    if (options_.dryRun) {
      ++result_.reconciled;
      return;
    }
    const FlatRecord flat(message);
    repairs_.push_back({.key = Key(key),
                        .version = stored.version,
                        .before = {stored.payload.begin(), stored.payload.end()},
                        .after = {flat.payload().begin(), flat.payload().end()}});
  }

  void fail(FailedRow row) {
    ++result_.failed;
    if (result_.failures.size() < options_.maxListed) result_.failures.push_back(std::move(row));
  }

  void install() {
    if (repairs_.empty()) return;
    openAudit(collection_.store().environment());
    for (auto next = repairs_.begin(); next != repairs_.end();) {
      WriteTransaction transaction = store_.write();
      const auto start = Clock::now();
      admit(transaction.state());
      std::uint64_t put = 0;
      std::uint64_t bytes = 0;
      const auto first = next;
      do {
        if (!isAsItWas(transaction.state(), *next)) continue;
        collection_.put(transaction.state(), next->key, collection_.version(), next->after);
        bytes += next->after.size();
        ++put;
      } while (++next != repairs_.end() && Clock::now() - start < options_.lockTime);
      if (put != 0 && !std::exchange(isSaid_, true)) {
        appendAudit(transaction.state(), entry(std::string("begun: ") + wordsFor(follow_)));
      }
      const auto locked = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
      if (put != 0)
        transaction.commit();
      else
        transaction.abort();
      result_.reconciled += put;
      result_.changed += static_cast<std::uint64_t>(next - first) - put;
      result_.longestLock = std::max(result_.longestLock, locked);
      ++result_.batches;
      settle(bytes);
    }
    repairs_.clear();
  }

  // Whoever promotes a version, or goes back from one, shuts nobody out who calls again.
  void admit(TransactionState& transaction) const {
    if (collection_.mayWrite(transaction) && !collection_.isOlderProgram()) return;
    throw Error(ErrorCode::retry, "the collection has another current version meanwhile: reconcile again",
                {{"collection", rows_.name()}, {"version", std::to_string(result_.version)}});
  }

  bool isAsItWas(TransactionState& transaction, const Repair& repair) const {
    internal::RowBytes row;
    collection_.findStored(transaction, repair.key.bytes(), row);
    return row.found() && row.version() == repair.version && compareBytes(row.payload(), repair.before) == 0;
  }

  // Takes out of the log what is right again, and says what was done.
  void finish() {
    const std::vector<Key> right = loggedRowsThatAreRight();
    if (right.empty() && !isSaid_) return;
    openAudit(collection_.store().environment());
    WriteTransaction transaction = store_.write();
    admit(transaction.state());
    eraseDivergences(transaction.state(), rows_.name(), right);
    std::string reason = std::string("ended: ") + wordsFor(follow_);
    for (const auto& [field, count] : result_.fields) reason += "; " + field + ": " + std::to_string(count);
    AuditEntry said = entry(std::move(reason));
    said.rows = result_.reconciled;
    said.failedRows = result_.failed;
    said.bytes = pace_.total().written;
    said.taken = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start_);
    appendAudit(transaction.state(), std::move(said));
    transaction.commit();
    ++result_.batches;
    result_.forgotten = right.size();
  }

  // Of a version that is staged nobody keeps the mirrors yet.
  std::vector<Key> loggedRowsThatAreRight() const {
    std::vector<Key> right;
    const ReadTransaction snapshot = store_.read();
    admit(snapshot.state());
    forEachDivergence(snapshot.state(), rows_.name(), [&](catalog::Divergence::Reader record) {
      const Key key(bytesOf(record.getKey()));
      if (record.getVersion() <= collection_.version() && isRight(snapshot.state(), key))
        right.push_back(key);
    });
    return right;
  }

  // A row that is gone has not diverged.
  bool isRight(TransactionState& transaction, const Key& key) const {
    try {
      internal::RowBytes row;
      collection_.findStored(transaction, key.bytes(), row);
      if (!row.found()) return true;
      if (row.version() > collection_.version()) return false;
      const RowView stored{row.version(), RowFlags::none, row.payload()};
      return mirrors_.diverged(RecordView(plans_, key.bytes(), stored).record()).empty();
    } catch (const Error&) {  // what is wrong with it was counted
      return false;
    } catch (const kj::Exception& exception) {
      internal::passOnWantOfMemory(exception);
      return false;
    }
  }

  AuditEntry entry(std::string reason) const {
    return {.event = AuditEvent::reconciled,
            .collection = rows_.name(),
            .toVersion = collection_.version(),
            .reason = std::move(reason)};
  }

  void look() const {
    if (options_.progress) options_.progress({result_.rows, std::max(total_, result_.rows)});
  }

  // Waits until what has been read and written fits the rate.
  void settle(std::uint64_t stored) {
    look();
    pace_.settle({.stored = stored}, [this] { look(); });
  }

  const Store& store_;
  const CollectionBase& rows_;
  CollectionState& collection_;
  const Plans& plans_;
  const MirrorCheck mirrors_;
  const Follow follow_;
  const ReconciliationOptions& options_;
  const std::uint64_t total_;  // rows, when it began
  const Clock::time_point start_ = Clock::now();
  ForegroundPace pace_;
  std::optional<Key> position_;  // the last row that was looked at
  std::vector<Repair> repairs_;  // of the rows up to there
  bool isSaid_ = false;          // in the audit, that it has begun
  Reconciliation result_;
};

}  // namespace

Reconciliation reconcile(const Store& store, std::string_view collection, Follow follow,
                         const ReconciliationOptions& options) {
  const auto rows = store.collection(collection);
  if (!options.dryRun) stateOf(rows)->requireWritableStore();
  return Reconciler(store, rows, follow, options).run();
}

}  // namespace instar
