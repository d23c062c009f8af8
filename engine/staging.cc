#include "instar/engine/staging.h"

#include <algorithm>

#include "instar/engine/check.h"
#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/staging/canary_keeper.h"
#include "instar/engine/internal/staging/canary_record.h"
#include "instar/engine/internal/staging/divergence_log.h"
#include "instar/engine/internal/staging/stage_changes.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
namespace {

// One small transaction.
template <class Change>
void change(const Store& store, Change&& apply) {
  openAudit(store.read().state().store().environment());
  WriteTransaction transaction = store.write();
  apply(transaction.state());
  transaction.commit();
}

void setShare(const Store& store, std::string_view collection, std::uint16_t version,
              double Catalog::StagingRecord::*share, double percent) {
  change(store, [&](TransactionState& transaction) {
    auto record = Catalog(transaction).staging(collection).value_or(Catalog::StagingRecord());
    record.*share = percent;
    setShares(transaction, collection, version, record.percent, record.shadow);
  });
}

// Rows of versions below this one cannot be read without an upgrade from the versions that are to be retired.
std::uint16_t neededFloor(const Catalog& catalog, const Catalog::CollectionRecord& record,
                          std::uint16_t version) {
  const auto current = catalog.version(record.name, record.currentVersion);
  return std::min(current->schema.completeFrom(), static_cast<std::uint16_t>(version + 1));
}

bool floorsShow(TransactionState& transaction, std::string_view collection, std::uint16_t floor) {
  return std::ranges::all_of(Partitions(transaction, collection).all(),
                             [&](const Partition& partition) { return partition.floor >= floor; });
}

void requireOlderVersion(const Catalog& catalog, std::string_view collection, std::uint16_t version) {
  requireState(catalog, collection, version);
  const std::uint16_t current = requireCollection(catalog, collection).currentVersion;
  if (version < current) return;
  throw Error(ErrorCode::fixCall, "only versions below the current one can be retired",
              {{"collection", std::string(collection)},
               {"version", std::to_string(version)},
               {"current version", std::to_string(current)}});
}

[[noreturn]] void refuseOlderRows(std::string_view collection, std::uint64_t rows, std::uint16_t floor) {
  throw Error(ErrorCode::fixCall,
              "rows are left that have to be upgraded from the version: let compaction, or migrate, finish",
              {{"collection", std::string(collection)},
               {"rows", std::to_string(rows)},
               {"below version", std::to_string(floor)}});
}

// Another process, or a thread of this one, may still read a row that needs the version.
void refuseOlderReaders(const Store& store, std::string_view collection, std::uint64_t snapshot) {
  for (const ReaderInfo& reader : store.readers()) {
    if (!reader.alive || reader.transaction == 0 || reader.transaction >= snapshot) continue;
    throw Error(ErrorCode::retry, "a reader has a snapshot that may show older rows: wait for it to end",
                {{"collection", std::string(collection)}, {"process", std::to_string(reader.process)}});
  }
}

}  // namespace

std::optional<StagingStatus> stagingStatus(const Store&, const Transaction& transaction,
                                           std::string_view collection) {
  const Catalog catalog(transaction.state());
  requireCollection(catalog, collection);
  auto record = catalog.staging(collection);
  if (!record) return std::nullopt;
  auto canary =
      readCanaryRecord(transaction.state(), collection, record->version).value_or(CanaryStatistics());
  auto decision = decide(record->guardRails, canary, std::chrono::nanoseconds(now() - record->stagedAt));
  const auto keeper = transaction.state().store().canaryKeeper();
  return StagingStatus{.version = record->version,
                       .state = requireState(catalog, collection, record->version),
                       .percent = record->percent,
                       .shadow = record->shadow,
                       .isShadowOnly = isShadowOnly(catalog, collection, record->version),
                       .stagedAt = record->stagedAt,
                       .stagedBy = std::move(record->stagedBy),
                       .endReason = std::move(record->endReason),
                       .promotes = record->promotes,
                       .guardRails = record->guardRails,
                       .canary = std::move(canary),
                       .decision = std::move(decision),
                       .problem = keeper ? keeper->problem(collection) : std::string()};
}

std::vector<Divergence> divergences(const Store&, const Transaction& transaction,
                                    std::string_view collection) {
  requireCollection(Catalog(transaction.state()), collection);
  std::vector<Divergence> found;
  forEachDivergence(transaction.state(), collection, [&](catalog::Divergence::Reader record) {
    Divergence one{.key = Key(bytesOf(record.getKey())),
                   .fields = {},
                   .version = record.getVersion(),
                   .seenAt = record.getSeenAt()};
    for (const auto field : record.getFields()) one.fields.emplace_back(field.cStr());
    found.push_back(std::move(one));
  });
  return found;
}

void setStagedPercent(const Store& store, std::string_view collection, std::uint16_t version,
                      double percent) {
  setShare(store, collection, version, &Catalog::StagingRecord::percent, percent);
}

void setStagedShadow(const Store& store, std::string_view collection, std::uint16_t version, double percent) {
  setShare(store, collection, version, &Catalog::StagingRecord::shadow, percent);
}

void promoteVersion(const Store& store, std::string_view collection, std::uint16_t version,
                    const PromoteOptions& options) {
  change(store, [&](TransactionState& transaction) {
    requireStaged(Catalog(transaction), collection, version);
    const auto record = *Catalog(transaction).staging(collection);
    const GuardDecision decision = decide(
        record.guardRails, readCanaryRecord(transaction, collection, version).value_or(CanaryStatistics()),
        std::chrono::nanoseconds(now() - record.stagedAt));
    const bool isSatisfied = decision.verdict == GuardVerdict::satisfied;
    if (!isSatisfied && !options.forced) {
      throw Error(ErrorCode::fixCall,
                  "the guard rails are not satisfied: let it be tried for longer, or force it",
                  {{"collection", std::string(collection)},
                   {"version", std::to_string(version)},
                   {"guard rails", decision.reason}});
    }
    const std::string judged = isSatisfied ? decision.reason : "by force: " + decision.reason;
    promote(transaction, collection, version, options.reason.empty() ? judged : options.reason);
  });
}

void abortVersion(const Store& store, std::string_view collection, std::uint16_t version,
                  std::string_view reason, const AbortOptions& options) {
  change(store, [&](TransactionState& transaction) {
    if (options.stagedOnly) requireStaged(Catalog(transaction), collection, version);
    abort(transaction, collection, version, reason);
  });
}

void retireVersions(const Store& store, std::string_view collection, std::uint16_t version) {
  requireOlderVersion(Catalog(store.read().state()), collection, version);
  openAudit(store.read().state().store().environment());  // a commit of ours, which the proof has to see
  std::uint64_t provenAt = 0;                             // the snapshot in which no older row was left
  {
    const ReadTransaction transaction = store.read();
    const Catalog catalog(transaction.state());
    const auto record = requireCollection(catalog, collection);
    const std::uint16_t floor = neededFloor(catalog, record, version);
    if (!floorsShow(transaction.state(), collection, floor)) {
      std::uint64_t older = 0;
      for (const VersionCount& count : countVersions(store, transaction, collection).versions)
        older += count.version < floor ? count.rows : 0;
      if (older != 0) refuseOlderRows(collection, older, floor);
    }
    provenAt = transaction.id();
  }
  refuseOlderReaders(store, collection, provenAt);
  change(store, [&](TransactionState& transaction) {
    const Catalog catalog(transaction);
    const auto record = requireCollection(catalog, collection);
    const bool isProven = transaction.snapshot() == provenAt ||
                          floorsShow(transaction, collection, neededFloor(catalog, record, version));
    if (!isProven || version >= record.currentVersion) {
      throw Error(
          ErrorCode::retry,
          "somebody has written while rows were looked at: let compaction, or migrate, finish, so that "
          "nobody has to look, and try again",
          {{"collection", std::string(collection)}});
    }
    retire(transaction, collection, version);
  });
}

}  // namespace instar
