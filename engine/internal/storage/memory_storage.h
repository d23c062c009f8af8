#pragma once

// The storage contract in memory: small enough to be right at a glance, so that tests can hold LMDB against
// it, and able to fail on demand, so that tests can see what the engine does then. Nothing is durable, and
// there is no file.
//
// A write transaction copies a tree when it first touches it. Threads: as storage.h says; a FaultPlan by all.

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

#include "instar/engine/storage.h"
#include "instar/format/error.h"

namespace instar::storage {

enum class Operation : std::uint8_t { get = 1, reserve, commit };

// Which operations are to fail. A failed commit has stored nothing, except with Error(readBack): then it has.
class FaultPlan {
 public:
  // The `nth` operation of that kind from now on, counted from 1, throws `error`.
  void failAt(Operation operation, std::size_t nth, Error error);

  // For the model: throws if this operation is to fail.
  void count(Operation operation);

 private:
  struct Fault {
    Operation operation;
    std::size_t remaining;
    Error error;
  };

  std::mutex mutex_;
  std::deque<Fault> faults_;  // protected by mutex_
};

std::shared_ptr<Environment> openMemory(std::shared_ptr<FaultPlan> faults = nullptr);

}  // namespace instar::storage
