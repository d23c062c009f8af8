#include "instar/engine/internal/staging/canary_reading.h"

#include <chrono>

namespace instar {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

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
