#include "instar/engine/preimages.h"

#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/compaction/preimages.h"

namespace instar {

std::optional<Scan<capnp::DynamicStruct>> scanPreimages(const Transaction& transaction,
                                                        const Collection<capnp::DynamicStruct>& rows,
                                                        ScanOptions options) {
  CollectionState& collection = *stateOf(rows);
  TransactionState& state = transaction.state();
  collection.admitReading(state);
  const auto preimages = Preimages::find(state, collection.name());
  if (!preimages) return std::nullopt;
  const KeptPreimages kept = preimages->count(state);
  if (kept.rows + kept.blocks == 0) return std::nullopt;
  return Scan<capnp::DynamicStruct>(std::make_shared<CollectionState>(collection, *preimages, state),
                                    transaction, std::move(options));
}

std::string describe(const KeptPreimages& kept) {
  const auto counted = [](std::uint64_t count, const char* noun) {
    return std::to_string(count) + ' ' + noun + (count == 1 ? "" : "s");
  };
  return counted(kept.rows, "row") + " and " + counted(kept.blocks, "block") +
         " are kept as they were: instar dump FILE " + kept.collection + " --preimages";
}

}  // namespace instar
