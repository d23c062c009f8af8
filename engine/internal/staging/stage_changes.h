#pragma once

// The changes of a version's state (VersionState), each in the caller's write transaction, with its entry in
// the audit, whose tree has to be open. Throws Error(fixCall) that says what is missing where a change is not
// allowed; nothing is written then. One thread, as the transaction.

#include <memory>
#include <string_view>

#include "instar/engine/internal/schema_registration.h"
#include "instar/engine/internal/staging/staged_version.h"
#include "instar/engine/staging_options.h"

namespace instar {

// Throw Error(fixCall) where a share is not a percentage; the second also for guard rails that cannot be.
void checkShares(double percent, double shadow);
void checkOptions(const StagingOptions& options);

// Whether a program that opens a version like this tries it.
bool isTrial(const SchemaChange& change) noexcept;

// Behind recordSchema(), of a new version that is staged.
void recordStaging(TransactionState& transaction, std::string_view collection, const SchemaChange& change,
                   const StagingOptions& options);

// What a handle of the version goes by. Its reads are counted where it is staged, with those of the other
// handles of this store.
std::shared_ptr<StagedVersion> stagedVersion(TransactionState& transaction, std::string_view collection,
                                             const Plans& plans, const StagingOptions& options);
// Has the thread of the store look at what the handle reads, where the version is staged; together with what
// other handles do, before anybody reads.
void keepTrial(TransactionState& transaction, std::string_view collection, StagedVersion& staged,
               std::function<void(const StagingEnd&)> ended);

// Whether a version cannot be served while it is staged, because it shuts older programs out.
bool isShadowOnly(const Catalog& catalog, std::string_view collection, std::uint16_t version);

void setShares(TransactionState& transaction, std::string_view collection, std::uint16_t version,
               double percent, double shadow);
void promote(TransactionState& transaction, std::string_view collection, std::uint16_t version,
             std::string_view reason);
void abort(TransactionState& transaction, std::string_view collection, std::uint16_t version,
           std::string_view reason);
// Both floors rise above `version`. The caller has seen that no row needs it.
void retire(TransactionState& transaction, std::string_view collection, std::uint16_t version);

// Whether the current version is active and could be settled: no partition has a row that has to be upgraded.
bool canSettle(TransactionState& transaction, std::string_view collection);
// Does so, where it still can.
void settle(TransactionState& transaction, std::string_view collection);
// A settled version is only active again. The audit is there, since it was settled.
void unsettle(TransactionState& transaction, std::string_view collection, std::uint16_t version,
              std::string_view reason);

// Throws Error(fixCall) for a collection or a version that is not there.
Catalog::CollectionRecord requireCollection(const Catalog& catalog, std::string_view collection);
VersionState requireState(const Catalog& catalog, std::string_view collection, std::uint16_t version);
void requireStaged(const Catalog& catalog, std::string_view collection, std::uint16_t version);

}  // namespace instar
