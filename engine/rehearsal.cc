#include "instar/engine/rehearsal.h"

#include "instar/engine/internal/store_state.h"
#include "instar/engine/internal/transaction_state.h"
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
    if (damage != RowDamage::none) return fail(key, row.version, "", describe(damage));
    if (row.version >= plans_.schema().completeFrom()) return;
    ++result_.older;
    if (!plans_.from(row.version).unusable().empty()) {
      ++result_.unjudged;
      return;
    }
    try {
      static_cast<void>(UpgradedRecord(plans_, row));
    } catch (const Error& error) {
      fail(key, row.version, error.fact("field"), error.fact("reason"));
    }
  }

  Rehearsal take() { return std::move(result_); }
  std::uint64_t rows() const noexcept { return result_.rows; }

 private:
  void fail(Bytes key, std::uint16_t version, std::string_view field, std::string_view reason) {
    ++result_.failed;
    if (result_.failures.size() >= options_.maxFailures) return;
    result_.failures.push_back({{key.begin(), key.end()}, version, std::string(field), std::string(reason)});
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
  Rehearser rehearser(snapshot.state().store().plans(schema), options);
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
