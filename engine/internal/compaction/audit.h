#pragma once

// The record of what compaction has decided and done: entries that are only ever added, each with the hash of
// the one before it, in the same transaction as the work that they tell of. A hash finds accidents and gaps,
// not somebody who writes the whole chain anew. One thread, as the transaction.

#include "instar/engine/compaction.h"
#include "instar/engine/internal/catalog.h"

namespace instar {

// `entry`: number and program are filled in, and the time where it is 0. The tree has to be open: openAudit()
// before the transaction.
void openAudit(storage::Environment& environment);
void appendAudit(TransactionState& transaction, AuditEntry entry);

}  // namespace instar
