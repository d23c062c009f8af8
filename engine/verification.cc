#include <utility>

#include "instar/engine/compaction.h"
#include "instar/engine/internal/cold/cold_tier.h"
#include "instar/engine/internal/compaction/audit.h"
#include "instar/engine/internal/compaction/compactor_record.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/compaction/preimages.h"
#include "instar/engine/internal/compaction/worker.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
namespace {

class Verifier {
 public:
  Verifier(const Store& store, const ProgressCallback& progress)
      : progress_(progress), transaction_(store.read()), state_(transaction_.state()) {}

  Verification run() {
    const auto collections = Catalog(state_).collections();
    for (const auto& collection : collections) total_ += readTiers(state_, collection.name).coldRows;
    for (const auto& collection : collections) {
      if (collection.tiered) verifyCollection(collection.name);
      if (const auto preimages = Preimages::find(state_, collection.name)) {
        KeptPreimages kept = preimages->count(state_);
        kept.collection = collection.name;
        if (kept.rows + kept.blocks != 0) result_.kept.push_back(std::move(kept));
      }
    }
    report();
    return std::move(result_);
  }

 private:
  void report() const {
    if (progress_) progress_({result_.rows, total_});
  }

  void verifyCollection(const std::string& name) {
    const storage::TreeId tree = openColdTree(state_.store(), name);
    ColdTier tier(state_.store(), name, tree);
    const auto partitions = Partitions(state_, name).all();
    const auto cursor = state_.storage().cursor(tree);
    bool more = cursor->first();
    Key last;
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      VerifiedPartition found{.collection = name,
                              .lower = partitions[i].lower,
                              .expected = partitions[i].allCold(),
                              .found = {},
                              .problem = {}};
      const Key* const upper = upperOf(partitions, i);
      for (; more && isBelow(cursor->key(), upper); more = cursor->next()) {
        addBlock(tier, *cursor, partitions[i].lower, last, found);
        last = Key(cursor->key());
      }
      if (found.problem.empty() && found.found != found.expected)
        found.problem = "its rows are not those that were packed";
      if (!found.problem.empty()) ++result_.problems;
      result_.partitions.push_back(std::move(found));
    }
  }

  void addBlock(ColdTier& tier, const storage::Cursor& cursor, const Key& lower, const Key& last,
                VerifiedPartition& partition) {
    std::vector<std::byte> copy;
    const Bytes value = state_.steady(cursor.value(), copy);
    std::string damage;
    const auto block = tier.unpack(state_, cursor.key(), value, damage);
    if (!block) {
      if (partition.problem.empty()) partition.problem = "a block: " + damage;
      return;
    }
    const Bytes first = block->key(0);
    if (compareBytes(first, lower.bytes()) < 0 || (!last.empty() && compareBytes(first, last.bytes()) <= 0)) {
      if (partition.problem.empty()) partition.problem = "a block begins before the one before it ends";
    }
    partition.found += totalsOf(*block, value.size());
    const std::uint64_t rowsBefore = std::exchange(result_.rows, result_.rows + block->rows());
    if (rowsBefore / kRowsPerReport != result_.rows / kRowsPerReport) report();
  }

  const ProgressCallback& progress_;
  const ReadTransaction transaction_;
  TransactionState& state_;
  std::uint64_t total_ = 0;
  Verification result_;
};

}  // namespace

Verification verify(const Store& store, const ProgressCallback& progress) {
  return Verifier(store, progress).run();
}

}  // namespace instar
