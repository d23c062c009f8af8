#include "instar/engine/internal/staging/canary_reading.h"

#include <kj/exception.h>

#include <chrono>

#include "instar/evolve/want_of_memory.h"

namespace instar {
namespace {

template <class Work>
std::chrono::nanoseconds timeOf(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::steady_clock::now() - start;
}

}  // namespace

CanaryReading::CanaryReading(const Plans& active, const Plans& staged, Bytes key, const RowView& stored,
                             First first) {
  const auto readActive = [&] { active_.emplace(active, key, stored); };
  const auto readStaged = [&] { this->readStaged(staged, key, stored); };
  if (first == First::active) read_.activeTime = timeOf(readActive);
  read_.stagedTime = timeOf(readStaged);
  if (first == First::staged) read_.activeTime = timeOf(readActive);
  if (failure_) {
    read_ = {};
    return;
  }
  read_.version = stored.version;
  read_.active = active_->record();
  read_.staged = staged_->record();
}

void CanaryReading::readStaged(const Plans& plans, Bytes key, const RowView& stored) {
  try {
    staged_.emplace(plans, key, stored);
  } catch (const Error& error) {
    failure_.emplace(error);
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
    failure_.emplace(ErrorCode::fixRow, "a pointer in the row is not sound; correct the row");
  }
}

}  // namespace instar
