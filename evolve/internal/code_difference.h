#pragma once

// What differs in what functions do to records as a whole. Pure; any thread.

#include <vector>

#include "instar/evolve/difference.h"

namespace instar::internal {

// Of two versions with different record structs: that, and what keeps rows from being converted.
std::vector<Change> replacement(const RecordSchema& older, const RecordSchema& newer);

// Of two versions with the same record struct.
std::vector<Change> codeDifference(const RecordSchema& older, const RecordSchema& newer);

}  // namespace instar::internal
