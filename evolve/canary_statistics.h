#pragma once

// What canary reads of a staged version (canary.h) have shown, in figures that add up: of threads, of
// processes, of what lies in the file. Merging is exact, whatever is merged first: there are only counts,
// least and greatest values, and sums of whole steps.
//
// Values; one thread at a time.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "instar/evolve/latency_histogram.h"

namespace instar {

// Something that a read has met: a field that cannot be made, or a rule that is broken.
struct CanaryFailure {
  std::string field;     // empty where a function has all of the record in its hands
  std::string function;  // empty where the schema says all of it; a rule's name
  std::string reason;    // at most kMaxReasonLength bytes of it

  friend auto operator<=>(const CanaryFailure&, const CanaryFailure&) = default;
};

// How often each kind was met. Functions may give any number of reasons, so kinds are bounded: those that
// come first in their order have a count of their own. Such a kind is among the first wherever it occurs, so
// that its count is right however tallies are merged.
class FailureTally {
 public:
  static constexpr std::size_t kMaxKinds = 32;          // more than that nobody reads
  static constexpr std::size_t kMaxReasonLength = 160;  // bytes: a line

  void add(CanaryFailure failure, std::uint64_t times = 1);
  void addOthers(std::uint64_t times) noexcept { others_ += times; }
  void merge(const FailureTally& other);

  const std::map<CanaryFailure, std::uint64_t>& kinds() const noexcept { return kinds_; }
  std::uint64_t others() const noexcept { return others_; }  // of all other kinds together

  // The kind with the greatest count; nothing where there is none.
  std::optional<CanaryFailure> mostFrequent() const;

  friend bool operator==(const FailureTally&, const FailureTally&) = default;

 private:
  std::map<CanaryFailure, std::uint64_t> kinds_;
  std::uint64_t others_ = 0;
};

// A number as a field holds it: bools and enums by number, the length of text and data in bytes, of lists in
// elements.
struct FieldNumber {
  double value = 0;
  __extension__ __int128 steps = 0;  // the same in steps of 2^-24, to be added up; within ±2^64
};

// The values of a field in one of the two views.
struct FieldDistribution {
  std::uint64_t rows = 0;
  std::uint64_t unset = 0;    // null pointers, and members of unions that are not active
  std::uint64_t numbers = 0;  // that least, greatest and sum are of; NaN is none
  double least = std::numeric_limits<double>::infinity();
  double greatest = -std::numeric_limits<double>::infinity();
  __extension__ __int128 sumOfSteps = 0;  // sums of floating point would depend on their order

  void addUnset() noexcept { ++rows, ++unset; }
  void add(const std::optional<FieldNumber>& number) noexcept;
  void merge(const FieldDistribution& other) noexcept;

  double unsetShare() const noexcept;
  std::optional<double> mean() const noexcept;  // numbers beyond ±2^64 count as that

  friend bool operator==(const FieldDistribution&, const FieldDistribution&) = default;
};

struct CanaryField {
  std::string name;            // "address.city"
  FieldDistribution active{};  // no rows where the active version does not have the field
  FieldDistribution staged{};  // of the same rows
  std::uint64_t diverged = 0;  // a mirrored field: rows that have something else
  std::uint64_t unexpectedlyUnset = 0;

  friend bool operator==(const CanaryField&, const CanaryField&) = default;
};

struct CanaryStatistics {
  std::uint64_t samples = 0;     // canary reads
  std::uint64_t passedOver = 0;  // that would have been others, but came too fast
  std::uint64_t failed = 0;      // among these: the staged version could not make the record, or a mirror
  std::uint64_t brokeRules = 0;  // others, whose record breaks a rule that the active version has not broken
  std::uint64_t diverged = 0;    // that have something else in a mirrored field than its sources make
  std::uint64_t unexpectedlyUnset = 0;  // with a field that lost its value, or did not get one
  FailureTally failures{};
  FailureTally brokenRules{};
  std::vector<CanaryField> fields{};  // by name
  LatencyHistogram activeLatency{};   // of the reads that have not failed
  LatencyHistogram stagedLatency{};

  void merge(const CanaryStatistics& other);

  std::uint64_t errors() const noexcept { return failed + brokeRules; }

  friend bool operator==(const CanaryStatistics&, const CanaryStatistics&) = default;
};

}  // namespace instar
