#pragma once

// What canary reads have shown, in the file (format/catalog.capnp), where programs put together what each of
// them has seen. One thread, as the transaction.

#include <optional>
#include <string_view>

#include "instar/engine/internal/catalog.h"
#include "instar/evolve/canary_statistics.h"

namespace instar {

// Of that staged version of the collection; nothing where no program has added anything.
std::optional<CanaryStatistics> readCanaryRecord(TransactionState& transaction, std::string_view collection,
                                                 std::uint16_t version);

// Adds what a program has seen since it added last, and returns the whole. What is there of another version
// goes.
CanaryStatistics addToCanaryRecord(TransactionState& transaction, std::string_view collection,
                                   std::uint16_t version, const CanaryStatistics& more);

}  // namespace instar
