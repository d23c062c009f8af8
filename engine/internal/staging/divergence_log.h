#pragma once

// The rows that have diverged, in the catalog (Divergence in format/catalog.capnp): which keys and fields,
// for who repairs them. Does not belong to the catalog's generation. One thread, as the transaction.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "instar/engine/internal/catalog.h"

namespace instar {

// Rows, and which of their mirrored fields are not what they should be.
using DivergedRows = std::map<Key, std::vector<std::string>>;

// More keys than these are counted, not kept: so many nobody repairs one by one.
inline constexpr std::size_t kMaxDivergences = 1000;

void logDivergences(TransactionState& transaction, std::string_view collection, std::uint16_t version,
                    const DivergedRows& rows);
void eraseDivergences(TransactionState& transaction, std::string_view collection);
void eraseDivergences(TransactionState& transaction, std::string_view collection,
                      const std::vector<Key>& rows);

// In the order of the hashes of their keys.
void forEachDivergence(TransactionState& transaction, std::string_view collection,
                       const std::function<void(catalog::Divergence::Reader)>& visit);

}  // namespace instar
