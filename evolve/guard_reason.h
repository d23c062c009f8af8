#pragma once

// What the reason of a guard rail (guard_rails.h) quotes: the kind of failure that was met most often, which
// can be in the words of a function of the program (UpgradeFailure, a rule). Pure; any thread.

#include <cstddef>
#include <string>
#include <string_view>

#include "instar/evolve/canary_statistics.h"

namespace instar {

// ", most of them at first by splitName: the part is missing"; empty where nothing was met.
std::string mostFrequentIn(const FailureTally& tally);

// Where the words of a function begin in such a reason, or in a text that has one in it; npos where there are
// none. What stands before them tells no values.
std::size_t functionWords(std::string_view reason) noexcept;

}  // namespace instar
