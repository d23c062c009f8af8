#pragma once

// What the program that compacts says of itself in the file, for others to read (format/catalog.capnp). One
// thread, as the transaction.

#include <optional>

#include "instar/engine/compaction.h"
#include "instar/engine/internal/catalog.h"

namespace instar {

std::optional<CompactorReport> readCompactorRecord(TransactionState& transaction);
// Time, process and program are filled in.
void writeCompactorRecord(TransactionState& transaction, const CompactorReport& record);

}  // namespace instar
