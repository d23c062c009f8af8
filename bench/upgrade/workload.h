#pragma once
// Which operation on which row comes next: YCSB's core workloads, the same stream for a seed whoever is
// measured. A Workload belongs to one thread.
//
// The stream is one sequence of operations; readers and writers take those of their kind out of it, so that
// both together keep to the mix.

#include <cstdint>
#include <optional>
#include <random>

#include "instar/bench/upgrade/scenario.h"

namespace instar::bench {

struct Operation {
  enum class Kind : std::uint8_t { read, update, insert, scan, readModifyWrite };
  Kind kind = Kind::read;
  std::uint64_t id = 0;
  std::int64_t priceCents = 0;  // of an update
  unsigned count = 0;           // of a scan

  bool isWrite() const noexcept { return kind != Kind::read && kind != Kind::scan; }
  friend bool operator==(const Operation&, const Operation&) = default;
};

// Ranks 0 to count - 1, of which rank r is drawn in proportion to 1 / (r + 1)^0.99: the generator of Gray and
// others ("Quickly generating billion-record synthetic databases", 1994), as in YCSB.
class Zipf {
 public:
  static constexpr double kExponent = 0.99;

  explicit Zipf(std::uint64_t count);
  std::uint64_t operator()(std::mt19937_64& random) const;

  // The sum of 1 / r^0.99 for r from 1 to count; within a millionth for large ones.
  static double weight(std::uint64_t count);

 private:
  std::uint64_t count_;
  double weight_;
  double alpha_;
  double eta_;
  double secondUpTo_;
};

// Ids in the order in which YCSB would ask for them. Zipf's favourites are scattered over all ids; with
// latest the newest ids are the favourites.
class Chooser {
 public:
  Chooser(Access access, std::uint64_t rows) : access_(access), rows_(rows), zipf_(rows) {}
  // `newest` is the highest id that is there.
  std::uint64_t operator()(std::mt19937_64& random, std::uint64_t newest) const;

 private:
  Access access_;
  std::uint64_t rows_;
  Zipf zipf_;
};

class Workload {
 public:
  static constexpr unsigned kLongestScan = 100;

  explicit Workload(const Scenario& scenario, std::uint64_t seed = 1);

  // The share of operations that write.
  static double shareOfWrites(Mix mix) noexcept;

  Operation next();

 private:
  const Mix mix_;
  const Chooser choose_;
  std::mt19937_64 random_;
  std::uint64_t newest_;
};

}  // namespace instar::bench
