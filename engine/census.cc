#include <map>

#include "instar/engine/check.h"
#include "instar/engine/internal/compaction/partition.h"
#include "instar/engine/internal/store_state.h"

namespace instar {
namespace {

class CensusTaker {
 public:
  CensusTaker(const Store& store, const Transaction& transaction, std::string_view collection,
              const ProgressCallback& progress)
      : transaction_(transaction),
        progress_(progress),
        rows_(store.collection(collection)),
        catalog_(transaction.state()),
        current_(catalog_.collection(collection)->currentVersion),
        hasNewer_(catalog_.highestVersion(rows_.name()) > current_),
        total_(rows_.count(transaction)) {}

  Census run() {
    const auto partitions = Partitions(transaction_.state(), rows_.name()).all();
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      if (partitions[i].floor == current_ && !hasNewer_) {
        ++census_.settledPartitions;
        continue;
      }
      ++census_.walkedPartitions;
      walk(partitions[i].lower, upperOf(partitions, i));
    }
    census_.walkedRows = walk_.count();
    const std::uint64_t met = walk_.count();
    if (met > total_ || (census_.settledPartitions == 0 && met != total_))
      refuse("of " + std::to_string(total_) + " rows " + std::to_string(met) + " are met");
    addSettled(total_ - met);
    report();
    for (const auto& [version, count] : counts_) census_.versions.push_back(count);
    for (auto version = catalog_.versionAbove(rows_.name(), 0); version && *version < current_;
         version = catalog_.versionAbove(rows_.name(), *version)) {
      if (!counts_.contains(*version)) census_.gone.push_back(*version);
    }
    return std::move(census_);
  }

 private:
  [[noreturn]] void refuse(const std::string& damage) const {
    throw Error(ErrorCode::restoreFromBackup, "rows cannot be reached: restore the file from a backup",
                {{"collection", rows_.name()}, {"damage", damage}});
  }

  void report() const {
    if (progress_) progress_({walk_.count(), census_.settledPartitions == 0 ? total_ : 0});
  }

  void walk(const Key& lower, const Key* upper) {
    ScanOptions range;
    if (!lower.empty()) range.from = lower;
    if (upper != nullptr) range.to = *upper;
    auto scan = rows_.scan(transaction_, range);
    while (scan.next()) {
      if (!walk_.follows(scan.key())) refuse("they are not in the order of their keys");
      const Bytes value = scan.value();
      RowView row;
      decodeRow(scan.key(), value, Verify::no, row);
      VersionCount& count = counts_[row.version];
      count.version = row.version;
      ++count.rows;
      count.bytes = count.bytes.value_or(0) + value.size();
      if (walk_.count() % kRowsPerReport == 0) report();
    }
  }

  void addSettled(std::uint64_t rows) {
    if (rows == 0) return;
    VersionCount& count = counts_[current_];
    count.version = current_;
    count.rows += rows;
    count.bytes.reset();
  }

  const Transaction& transaction_;
  const ProgressCallback& progress_;
  const Collection<capnp::DynamicStruct> rows_;
  const Catalog catalog_;
  const std::uint16_t current_;
  const bool hasNewer_;  // versions that are staged or aborted: their rows are anywhere
  const std::uint64_t total_;
  WalkCheck walk_;
  std::map<std::uint16_t, VersionCount> counts_;
  Census census_;
};

}  // namespace

Census countVersions(const Store& store, const Transaction& transaction, std::string_view collection,
                     const ProgressCallback& progress) {
  return CensusTaker(store, transaction, collection, progress).run();
}

}  // namespace instar
