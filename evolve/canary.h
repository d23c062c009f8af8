#pragma once

// Canary reads: a row that a program reads the way of the active version is looked at the way of the staged
// one too, to see what would become of it. Three steps of the caller:
//
//   1. Read the row both ways. A row that the active version cannot read says nothing about the staged one.
//   2. examine(), or failure() where the staged way has thrown: what is wrong. Calls the program's functions.
//   3. count(): add it to the statistics. Calls none, so that a lock may be held.
//
// What the active version has likewise is not held against the staged one: its mirrors, and rules that the
// record breaks through both. A row that is read often counts often.
//
// Pure; immutable and cheap to copy; any thread.

#include <capnp/any.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "instar/evolve/canary_statistics.h"
#include "instar/evolve/plan.h"
#include "instar/format/error.h"

namespace instar {

// One row, read both ways; borrowed.
struct CanaryRead {
  std::uint16_t version = 0;             // of the stored row
  capnp::AnyStruct::Reader active = {};  // the record, as the active version's Plan leaves it
  capnp::AnyStruct::Reader staged = {};  // and the staged one's
  std::chrono::nanoseconds activeTime{};
  std::chrono::nanoseconds stagedTime{};
};

struct CanaryFindings {
  std::optional<CanaryFailure> failure{};  // then nothing else was looked at
  std::vector<BrokenRule> brokenRules{};
  std::vector<std::string> diverged{};  // mirrored fields that hold something else than their sources make
};

class Canary {
 public:
  // Of all fields no more are counted; those that the schema makes come first.
  static constexpr std::size_t kMaxFields = 64;

  Canary(Plans active, Plans staged);

  // Throws std::bad_alloc alone.
  CanaryFindings examine(const CanaryRead& read) const;

  // Of an error that the staged Plan has thrown; count() then takes an empty CanaryRead.
  static CanaryFindings failure(const Error& error);

  // `statistics` is empty at first, and only this Canary counts into it. Counted are the fields that can come
  // out differently than through the active version: those that are made, new ones, and all where a function
  // has all of the record in its hands. Of sensitive fields it counts only whether they are set.
  void count(const CanaryRead& read, const CanaryFindings& findings, CanaryStatistics& statistics) const;

 private:
  struct Bound;
  std::shared_ptr<const Bound> bound_;
};

}  // namespace instar
