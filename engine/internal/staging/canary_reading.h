#pragma once

// A row read both ways, as the active version has it and as the staged one does: the first step of a canary
// read (evolve/canary.h). One thread.

#include <optional>

#include "instar/engine/internal/upgraded_record.h"
#include "instar/evolve/canary.h"

namespace instar {

class CanaryReading {
 public:
  enum class First : std::uint8_t { active, staged };

  // Throws the error of the active way, which says nothing about the staged one.
  CanaryReading(const Plans& active, const Plans& staged, Bytes key, const RowView& stored,
                First first = First::active);
  CanaryReading(const CanaryReading&) = delete;
  CanaryReading& operator=(const CanaryReading&) = delete;

  // That the staged way has thrown.
  const std::optional<Error>& failure() const noexcept { return failure_; }

  // Empty where the staged way has thrown; borrows from this object.
  const CanaryRead& read() const noexcept { return read_; }

  CanaryFindings examine(const Canary& canary) const {
    return failure_ ? Canary::failure(*failure_) : canary.examine(read_);
  }

 private:
  void readStaged(const Plans& plans, Bytes key, const RowView& stored);

  std::optional<RecordView> active_;
  std::optional<RecordView> staged_;
  std::optional<Error> failure_;
  CanaryRead read_;
};

}  // namespace instar
