#pragma once

// How a version is tried before anything depends on it (engine/staging.h). Plain values.

#include <cstdint>
#include <functional>

#include "instar/format/key.h"

namespace instar {

struct StagingOptions {
  // Of the keys: those whose rows are served the new way, and those on whose reads the version is tried, where
  // that is more. By a hash of the key, so that a key stays in the share as long as the share does not
  // shrink. For the first program that stages a version; afterwards the file's settings count, which
  // setStagedPercent() changes while programs run.
  double percent = 0;
  double shadow = 0;
  // In place of the hash: whether a key is served the new way, in this program alone. Called whenever a row is
  // read or put, by all threads; must say the same of the same key each time, and must not throw.
  std::function<bool(Bytes key)> serves = {};
};

}  // namespace instar
