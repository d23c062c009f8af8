#pragma once
// What has to be stored after some operations, by a model that knows nothing of any system. Pure.

#include <span>

#include "instar/bench/upgrade/subject.h"
#include "instar/bench/upgrade/workload.h"

namespace instar::bench {

// `old` is left at 0: how far a migration is is not the model's.
Subject::Census expectedCensus(const Scenario& scenario, std::span<const Operation> written);

// Bytes of key and Cap'n Proto record of a row of the old release, on average: the same for every system.
double bytesOfOldRow(std::uint64_t rows);

}  // namespace instar::bench
