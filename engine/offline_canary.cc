#include "instar/engine/offline_canary.h"

#include <algorithm>
#include <optional>

#include "instar/engine/internal/schema_registration.h"
#include "instar/engine/internal/staging/canary_reading.h"
#include "instar/engine/internal/staging/key_share.h"
#include "instar/engine/internal/staging/stage_changes.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
namespace {

// One that is staged, or was aborted, may be tried again.
void requireNewVersion(TransactionState& transaction, std::string_view collection,
                       const RecordSchema& schema) {
  SchemaChange change = examineSchema(transaction, collection, schema);
  if (change.refusal) change = examineSchema(transaction, collection, schema, Opening::staged);
  requireAllowed(change);
  if (schema.version() > change.from) return;
  throw Error(ErrorCode::fixCall,
              "only a version above the current one can be tried: raise the number in $Instar.version",
              {{"collection", std::string(collection)},
               {"version", std::to_string(schema.version())},
               {"current version", std::to_string(change.from)}});
}

class OfflineTrial {
 public:
  OfflineTrial(std::string_view collection, const Plans& active, const Plans& staged,
               const OfflineCanaryOptions& options)
      : active_(active),
        staged_(staged),
        canary_(active, staged),
        lackingMirrors_(staged.unusableForPut()),
        share_(collection, staged.schema().version()),
        options_(options) {
    result_.activeVersion = active.schema().version();
  }

  void add(Bytes key, Bytes value) {
    ++result_.rows;
    if (share_.of(key) >= options_.percent) return;
    ++result_.sampledRows;
    RowView row;
    if (decodeRow(key, value, Verify::yes, row) == RowDamage::none)
      read(key, row);
    else
      ++result_.unreadableRows;
  }

  std::uint64_t rows() const noexcept { return result_.rows; }

  OfflineCanary take() {
    const bool isWhole = options_.percent >= 100 && result_.unreadableRows + result_.unjudgedRows == 0;
    result_.decision = isWhole ? decideOnAll(options_.guardRails, result_.canary)
                               : decide(options_.guardRails, result_.canary, options_.guardRails.holdFor);
    if (result_.unjudgedRows != 0 && result_.decision.verdict != GuardVerdict::breach)
      result_.decision = {GuardVerdict::undecided, lackOfFunction()};
    return std::move(result_);
  }

 private:
  void read(Bytes key, const RowView& row) {
    std::optional<CanaryReading> reading;
    try {
      reading.emplace(active_, staged_, key, row);
    } catch (const Error& error) {
      ++(active_.from(row.version).isForLackOfFunction(error) ? result_.unjudgedRows
                                                              : result_.unreadableRows);
      return;
    }
    const auto& failure = reading->failure();
    const CanaryFindings findings = reading->examine(canary_);
    if (failure ? staged_.from(row.version).isForLackOfFunction(*failure) : isForLackOfMirror(findings)) {
      ++result_.unjudgedRows;
      return;
    }
    if (!staged_.canJudge()) ++result_.unjudgedRows;
    canary_.count(reading->read(), findings, result_.canary);
    if (findings.diverged.empty() || result_.divergences.size() >= options_.maxDivergences) return;
    result_.divergences.push_back({.key = Key(key),
                                   .fields = findings.diverged,
                                   .version = staged_.schema().version(),
                                   .seenAt = seenAt_});
  }

  std::string lackOfFunction() const {
    const std::uint64_t rows = result_.unjudgedRows;
    return std::to_string(rows) + (rows == 1 ? " row needs" : " rows need") +
           " a function that this program does not have: try the version in the application";
  }

  bool isForLackOfMirror(const CanaryFindings& findings) const {
    return findings.failure && std::ranges::any_of(lackingMirrors_, [&](const UnusableFunction& one) {
             return one.field == findings.failure->field && one.function == findings.failure->function;
           });
  }

  const Plans active_;
  const Plans staged_;
  const Canary canary_;
  const std::vector<UnusableFunction> lackingMirrors_;
  const KeyShare share_;
  const OfflineCanaryOptions& options_;
  const std::int64_t seenAt_ = now();
  OfflineCanary result_;
};

}  // namespace

OfflineCanary tryOffline(const Store& store, std::string_view collection, const RecordSchema& schema,
                         const OfflineCanaryOptions& options) {
  checkShares(options.percent, 0);
  checkGuardRails(options.guardRails);
  const auto rows = store.collection(collection);
  const ReadTransaction snapshot = store.read();
  requireNewVersion(snapshot.state(), collection, schema);
  const std::uint64_t total = rows.count(snapshot);
  OfflineTrial trial(collection, store.plans(snapshot, collection, rows.schema()),
                     store.plans(snapshot, collection, schema), options);
  auto scan = rows.scan(snapshot);
  while (scan.next()) {
    trial.add(scan.key(), scan.value());
    if (options.progress && trial.rows() % kRowsPerReport == 0) options.progress({trial.rows(), total});
  }
  if (options.progress) options.progress({total, total});
  return trial.take();
}

}  // namespace instar
