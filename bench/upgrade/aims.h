#pragma once
// What Instar is meant to reach, against what was measured of its two ways to migrate beside the load. Pure;
// any thread.

#include <span>
#include <string>
#include <vector>

#include "instar/bench/upgrade/run.capnp.h"

namespace instar::bench {

struct Aim {
  std::string title;
  std::string strategy;
  std::string measured;  // the worst of the conditions that were measured: median [least to most]
  std::string where;     // that was
  std::string verdict;   // "met", "missed", "undecided: why", "not measured"
  std::string command;   // measures it again, or what is missing
};

// Each aim for each strategy. Decided only by scenarios that were repeated, with two runs that were not
// disturbed, and whose repetitions all lie on one side of the limit; of warm files, not killed, not packed.
std::vector<Aim> aimsOf(std::span<const Run::Reader> runs);

}  // namespace instar::bench
