#include "instar/engine/rehearsal.h"

#include "instar/engine/internal/upgraded_record.h"

namespace instar {
namespace {

constexpr std::uint64_t kRowsPerReport = 16384;

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
    const bool canUpgrade = plans_.from(row.version).unusable().empty();
    if (!canUpgrade || !plans_.canJudge()) ++result_.unjudged;
    if (canUpgrade) upgrade(key, row);
  }

  Rehearsal take() { return std::move(result_); }
  std::uint64_t rows() const noexcept { return result_.rows; }

 private:
  void upgrade(Bytes key, const RowView& row) {
    try {
      const UpgradedRecord record(plans_, key, row);
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
      fail({.key = keep(key),
            .version = row.version,
            .field = std::string(error.fact("field")),
            .function = std::string(error.fact("function")),
            .reason = std::string(error.fact("reason"))});
    }
  }

  static std::vector<std::byte> keep(Bytes key) { return {key.begin(), key.end()}; }

  void fail(FailedRow row) {
    ++result_.failed;
    list(std::move(row));
  }

  void list(FailedRow row) {
    if (result_.failures.size() < options_.maxFailures) result_.failures.push_back(std::move(row));
  }

  const Plans plans_;
  const RehearsalOptions& options_;
  Rehearsal result_;
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
