#pragma once

// Opening a collection with a schema: what that would change in the catalog, changing it, and what becomes of
// older rows. One thread at a time, as the transaction.

#include <string_view>

#include "instar/engine/internal/catalog.h"
#include "instar/evolve/admission.h"
#include "instar/evolve/plan.h"

namespace instar {

// What opening the collection with this schema does, as the transaction sees the catalog. Changes nothing.
// Throws as Store::examine does.
SchemaChange examineSchema(TransactionState& transaction, std::string_view collection,
                           const RecordSchema& schema, Opening opening = Opening::plain);

// The same change; throws its refusal.
SchemaChange requireAllowed(SchemaChange change);

// How the stored versions of a collection are reached; borrows both.
StoredVersions storedVersions(const Catalog& catalog, std::string_view collection);

// Stores in the catalog what examineSchema found in the same transaction.
void recordSchema(TransactionState& transaction, std::string_view collection, const RecordSchema& schema,
                  const SchemaChange& change);

// How rows of older versions become ones of the schema, in this program. The only place that plans come from.
Plans plansOf(TransactionState& transaction, std::string_view collection, const RecordSchema& schema);

// Whether there is something to store.
bool isRecorded(const SchemaChange& change) noexcept;

}  // namespace instar
