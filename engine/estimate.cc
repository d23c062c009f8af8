#include <algorithm>
#include <cmath>

#include "instar/engine/compaction.h"
#include "instar/engine/internal/cold/cold_tier.h"
#include "instar/engine/internal/compaction/arena.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kSampleRows = 2000;
constexpr std::uint64_t kPlaces = 8;
constexpr std::uint64_t kMostRows = 4 * kSampleRows;  // that are looked at: some cannot be upgraded
constexpr std::size_t kMostSampled = std::size_t{8} << 20;
// A transaction of compaction writes these beside the rows: paths to the leaves, the catalog, the list of
// free pages. A test holds the sum against what the kernel counts.
constexpr double kPagesPerTransaction = 12;
constexpr double kRowsPerTransaction = 2000;
constexpr double kLeafFill = 0.8;       // of pages whose rows have grown in place
constexpr double kTreeOfBlocks = 1.03;  // branches and leaves that point to the blocks' pages

// Keys at even distances between two, as numbers behind what these share.
Key between(Bytes first, Bytes last, std::uint64_t part, std::uint64_t parts) {
  std::size_t shared = 0;
  while (shared < std::min(first.size(), last.size()) && first[shared] == last[shared]) ++shared;
  const auto number = [&](Bytes key) {
    std::uint64_t value = 0;
    for (std::size_t i = shared; i < shared + 8; ++i)
      value = value << 8 | (i < key.size() ? static_cast<std::uint8_t>(key[i]) : 0U);
    return value;
  };
  const std::uint64_t start = number(first);
  const std::uint64_t value = start + (number(last) - start) / parts * part;
  Key key(first.first(shared));
  key.appendNumber(value, 8);
  return key;
}

class Estimator {
 public:
  Estimator(const Store& store, std::string_view collection, CompactionMode mode)
      : store_(store),
        pageSize_(store.info().pageSize),
        rows_(store.collection(collection)),
        transaction_(store.read()),
        packs_(mode == CompactionMode::compress) {
    for (const CollectionInfo& info : store.collections(transaction_)) {
      if (info.name == collection) info_ = info;
    }
  }

  Estimate run(std::uint64_t rate) {
    const auto start = Clock::now();
    takeSample();
    if (packs_) pack();
    const std::chrono::duration<double> taken = Clock::now() - start;
    Estimate estimate{.rows = rowsToLookAt(), .sampledRows = sampled_};
    const double pageSize = pageSize_;
    const double hotBytes = static_cast<double>(info_.pages) * pageSize;
    const double coldBytes = static_cast<double>(info_.coldPages) * pageSize;
    estimate.bytesBefore = whole(hotBytes + coldBytes);
    estimate.bytesAfter = estimate.bytesBefore;
    if (sampled_ == 0) return estimate;
    const double olderShare = share(older_);
    double written = 0;
    double changed = 0;
    if (packs_) {
      const double largeShare = share(large_);
      const auto cold = static_cast<double>(info_.coldRows);
      const double hot = static_cast<double>(info_.rows) - cold;
      changed = hot * (1 - largeShare) + cold * olderShare;
      written = packed_ == 0 ? 0 : changed * static_cast<double>(blockPages_) / static_cast<double>(packed_);
      written *= pageSize * kTreeOfBlocks;
      estimate.bytesAfter = whole(hotBytes * largeShare + coldBytes * (1 - olderShare) + written);
    } else {
      changed = static_cast<double>(info_.rows) * olderShare;
      const double growth = static_cast<double>(newBytes_) / static_cast<double>(oldBytes_);
      estimate.bytesAfter = whole((hotBytes + coldBytes) * growth / (growth > 1 ? kLeafFill : 1));
      written = changed * static_cast<double>(newBytes_) / static_cast<double>(sampled_) / kLeafFill;
    }
    estimate.changedRows = whole(changed);
    if (changed > 0) written += (changed / kRowsPerTransaction + 2) * kPagesPerTransaction * pageSize;
    estimate.bytesToWrite = whole(written);
    const double seconds = std::max(rate == 0 ? 0 : written / static_cast<double>(rate),
                                    taken.count() * changed / static_cast<double>(sampled_));
    estimate.time = std::chrono::milliseconds(std::llround(seconds * 1000));
    return estimate;
  }

 private:
  static std::uint64_t whole(double value) { return static_cast<std::uint64_t>(std::llround(value)); }
  double share(std::uint64_t rows) const { return static_cast<double>(rows) / static_cast<double>(sampled_); }

  std::uint64_t rowsToLookAt() const {
    if (packs_) return info_.rows;
    for (const CollectionProgress& progress : compactionProgress(store_, transaction_).collections) {
      if (progress.name == info_.name) return progress.rows - progress.doneRows;
    }
    return 0;
  }

  // Where to read: at the partitions, where they are many enough, otherwise at even distances.
  std::vector<Key> places() const {
    auto first = rows_.scan(transaction_, {.limit = 1});
    auto last = rows_.scan(transaction_, {.reverse = true, .limit = 1});
    if (!first.next() || !last.next()) return {};
    std::vector<Key> places = {Key(first.key())};
    if (info_.rows <= kSampleRows) return places;
    const auto partitions = Partitions(transaction_.state(), info_.name).all();
    for (std::uint64_t i = 1; i < kPlaces; ++i) {
      places.push_back(partitions.size() >= kPlaces ? partitions[partitions.size() * i / kPlaces].lower
                                                    : between(first.key(), last.key(), i, kPlaces));
    }
    return places;
  }

  void takeSample() {
    const std::vector<Key> places = this->places();
    Key last;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const std::uint64_t limit = kSampleRows * (i + 1) / places.size();
      auto scan = rows_.scan(transaction_, {.from = last.empty() || last < places[i] ? places[i] : last});
      while (sampled_ < limit && looked_ < kMostRows && bytes_ < kMostSampled && scan.next()) {
        if (!last.empty() && compareBytes(scan.key(), last.bytes()) <= 0) continue;
        take(scan);
        last = Key(scan.key());
      }
    }
  }

  void take(const Scan<capnp::DynamicStruct>& scan) {
    const std::size_t stored = scan.value().size();
    ++looked_;
    bytes_ += stored;
    try {
      const auto row = scan.row();
      ++sampled_;
      const bool isOlder = row.version() < rows_.schema().completeFrom();
      if (isOlder) ++older_;
      oldBytes_ += stored;
      newBytes_ +=
          isOlder ? rowHeaderLength(row.key().size(), RowPlacement::leaf) + row.payload().size() : stored;
      if (!packs_) return;
      if (row.payload().size() > kMostColdPayload) {
        ++large_;
      } else {
        sample_.push_back({arena_.copy(scan.key()), arena_.copy(row.payload())});
      }
    } catch (const Error& error) {
      // A row that cannot be upgraded stays as it is.
      if (error.code() != ErrorCode::fixRow) throw;
    }
  }

  void pack() {
    const Tiers tiers = readTiers(transaction_.state(), info_.name);
    std::shared_ptr<const Dictionary> dictionary;
    if (tiers.dictionary != 0) {
      const auto tree = transaction_.state().store().environment().openTree(coldTreeName(info_.name), false);
      if (tree) {
        dictionary = ColdTier(transaction_.state().store(), info_.name, *tree)
                         .dictionary(transaction_.state(), tiers.dictionary);
      }
    }
    BlockPacker packer(rows_.schema().version(), dictionary);
    std::vector<std::byte> block;
    for (std::span<const ColdRow> left = sample_; !left.empty();) {
      const std::size_t rows = packer.pack(left, 1, block);
      left = left.subspan(rows);
      if (left.empty() && packed_ != 0) break;  // the rest does not fill a block
      packed_ += rows;
      blockPages_ += (block.size() + kBlockTarget - 1) / kBlockTarget;
    }
  }

  const Store& store_;
  const std::uint32_t pageSize_;
  const Collection<capnp::DynamicStruct> rows_;
  const ReadTransaction transaction_;  // last: nothing else begins while it is open
  const bool packs_;
  CollectionInfo info_;

  Arena arena_;
  std::vector<ColdRow> sample_;
  std::size_t bytes_ = 0;  // that were read
  std::uint64_t looked_ = 0;
  std::uint64_t sampled_ = 0;
  std::uint64_t older_ = 0;     // of these, to be upgraded
  std::uint64_t large_ = 0;     // of these, that are not put into blocks
  std::uint64_t oldBytes_ = 0;  // of values, as they are and as they would be
  std::uint64_t newBytes_ = 0;
  std::uint64_t packed_ = 0;  // rows of the sample
  std::uint64_t blockPages_ = 0;
};

}  // namespace

Estimate estimate(const Store& store, std::string_view collection, CompactionMode mode, std::uint64_t rate) {
  return Estimator(store, collection, mode).run(rate);
}

}  // namespace instar
