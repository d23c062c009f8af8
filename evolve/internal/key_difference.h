#pragma once

// What has become of the key of a record. Pure; any thread.

#include <optional>

#include "instar/evolve/difference.h"

namespace instar::internal {

// Of two keys that differ. With numbers and types of the fields where their names are the same.
KeyChanged keyChanged(const RecordSchema& older, const RecordSchema& newer);

// Of two versions of one struct. By number: a key field may get another name.
std::optional<KeyChanged> keyDifference(const RecordSchema& older, const RecordSchema& newer);

}  // namespace instar::internal
