#include "instar/engine/rehearsal.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "instar/engine/internal/failed_row.h"
#include "instar/engine/internal/upgraded_record.h"

namespace instar {
namespace {

class Rehearser {
 public:
  Rehearser(Plans plans, const RehearsalOptions& options) : plans_(std::move(plans)), options_(options) {}

  void add(Bytes key, Bytes value) {
    ++result_.rows;
    RowView row;
    const RowDamage damage = decodeRow(key, value, Verify::yes, row);
    if (damage != RowDamage::none)
      return fail({.key = keep(key), .version = row.version, .reason = describe(damage)});
    const bool isOlder = row.version < plans_.schema().completeFrom();
    if (!isOlder && !plans_.hasRules()) return;
    if (isOlder) ++result_.older;
    upgrade(key, row);
  }

  Rehearsal take() {
    for (const auto& [why, kind] : kinds_) result_.kinds.push_back(kind);
    std::stable_sort(result_.kinds.begin(), result_.kinds.end(),
                     [](const FailureKind& one, const FailureKind& other) { return one.rows > other.rows; });
    return std::move(result_);
  }
  std::uint64_t rows() const noexcept { return result_.rows; }

 private:
  void upgrade(Bytes key, const RowView& row) {
    try {
      const UpgradedRecord record(plans_, key, row);
      if (!plans_.canJudge()) ++result_.unjudged;
      const auto rules = record.brokenRules(plans_);
      if (!rules.empty()) ++result_.broken;
      for (const BrokenRule& rule : rules) {
        list({.key = keep(key),
              .version = row.version,
              .function = rule.validator,
              .isBroken = true,
              .reason = rule.reason});
      }
    } catch (const Error& error) {
      if (plans_.from(row.version).isForLackOfFunction(error)) {
        ++result_.unjudged;
        return;
      }
      fail(failedRow(key, row.version, error));
    }
  }

  static std::vector<std::byte> keep(Bytes key) { return {key.begin(), key.end()}; }

  void fail(FailedRow row) {
    ++result_.failed;
    list(std::move(row));
  }

  void list(FailedRow row) {
    const auto why = std::tuple(row.version, row.field, row.function, row.reason);
    if (const auto kind = kinds_.find(why); kind != kinds_.end()) {
      ++kind->second.rows;
    } else if (kinds_.size() < options_.maxFailures) {
      kinds_.emplace(why, FailureKind{.example = row, .rows = 1});
    }
    if (result_.failures.size() < options_.maxFailures) result_.failures.push_back(std::move(row));
  }

  const Plans plans_;
  const RehearsalOptions& options_;
  Rehearsal result_;
  std::map<std::tuple<std::uint16_t, std::string, std::string, std::string>, FailureKind> kinds_;
};

}  // namespace

Rehearsal rehearse(const Store& store, std::string_view collection, const RecordSchema& schema,
                   const RehearsalOptions& options) {
  const auto rows = store.collection(collection);
  const ReadTransaction snapshot = store.read();
  const std::uint64_t total = rows.count(snapshot);
  Rehearser rehearser(store.plans(snapshot, collection, schema), options);
  auto scan = rows.scan(snapshot);
  while (scan.next()) {
    rehearser.add(scan.key(), scan.value());
    if (options.progress && rehearser.rows() % kRowsPerReport == 0)
      options.progress({rehearser.rows(), total});
  }
  if (options.progress) options.progress({total, total});
  return rehearser.take();
}

}  // namespace instar
