#pragma once

// Whether the blocks of a collection get a dictionary: one is trained on a sample of its rows, and kept where
// small sections with it take about as much as whole blocks without one, or less. Decided once for each
// version of the schema. One thread, outside of transactions: it begins some.

#include <memory>

#include "instar/engine/internal/collection_state.h"

namespace instar {

// The dictionary for new blocks; null: they have none.
std::shared_ptr<const Dictionary> chooseDictionary(const std::shared_ptr<StoreState>& store,
                                                   CollectionState& collection, ColdTier& cold);

}  // namespace instar
