#pragma once

// What a store holds for its users, as text. Where rows lie, which version they are stamped with and how far
// compaction is does not show, nor what the audit says of that, nor what canary reads have counted; a version
// that is settled counts as active. One thread.

#include <string>

#include "instar/engine/store.h"

namespace instar::testing {

// All of it: collections, versions with their states and floors, trials with their shares, what the audit
// says was decided about versions, and every row as the newest version has it, upgraded where it is older.
std::string textOfStore(const Store& store);

// Collections, versions with their states and floors, and trials with their shares.
std::string textOfVersions(const Store& store);

}  // namespace instar::testing
