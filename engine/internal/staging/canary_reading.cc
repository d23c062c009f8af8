#include "instar/engine/internal/staging/canary_reading.h"

#include "instar/engine/internal/upgraded_record.h"

namespace instar {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

CanaryReading::View::View(const Plans& plans, Bytes key, const RowView& stored) {
  if (stored.version >= plans.schema().completeFrom())
    row_.copy(key, stored);
  else
    UpgradedRecord(plans, key, stored).moveTo(row_, key);
  message_.emplace(row_.payload());
}

CanaryReading::CanaryReading(const Plans& active, const Plans& staged, Bytes key, const RowView& stored) {
  const auto start = Clock::now();
  active_.emplace(active, key, stored);
  const auto middle = Clock::now();
  try {
    staged_.emplace(staged, key, stored);
  } catch (const Error& error) {
    failure_.emplace(error);
    return;
  }
  read_ = {.version = stored.version,
           .active = active_->record(),
           .staged = staged_->record(),
           .activeTime = middle - start,
           .stagedTime = Clock::now() - middle};
}

}  // namespace instar
