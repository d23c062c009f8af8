#pragma once

// How a version is tried before anything depends on it (engine/staging.h). Plain values.

#include <cstdint>
#include <functional>
#include <string>

#include "instar/evolve/admission.h"
#include "instar/evolve/guard_rails.h"
#include "instar/format/key.h"

namespace instar {

// How a trial has ended.
struct StagingEnd {
  std::string collection;
  std::uint16_t version = 0;
  VersionState state = VersionState::aborted;
  std::string reason;  // as in the audit; empty where another version was staged since
};

struct StagingOptions {
  // Of the keys: those whose rows are served the new way, and those on whose reads the version is tried,
  // where that is more. By a hash of the key, so that a key stays in a share that does not shrink. For the
  // first program that stages a version; afterwards the file's settings count, which setStagedPercent()
  // changes while programs run.
  double percent = 0;
  double shadow = 0;
  // In place of the hash: whether a key is served the new way, in this program alone. Called whenever a row
  // is read or put, by all threads; must say the same of the same key each time, and must not throw.
  std::function<bool(Bytes key)> serves = {};
  // Whether the version is promoted as soon as the guard rails are satisfied; the file's, as above. A breach
  // aborts it in any case.
  bool promotes = false;
  GuardRails guardRails = {};
  // Called once for each handle, by a thread of the store, when the version is no longer staged, whoever has
  // ended that; some second later where it was another program. Not any more once the handle is gone, but for
  // a call that has begun: what it uses has to live until the store is closed. Nor where the version was over
  // when the handle was opened, nor in a store that is open for reading only. Must not throw, nor hold the
  // store or a handle of it, since it would be the one that closes the store.
  std::function<void(const StagingEnd&)> ended = {};
};

}  // namespace instar
