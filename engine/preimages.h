#pragma once

// Rows as they were before compaction replaced them, where it was asked to keep them
// (CompactionOptions::keepPreimages): the evidence after a mismatch, and the way back.

#include <optional>

#include "instar/engine/collection.h"

namespace instar {

// What is kept of a collection, in key order and upgraded as `rows` would: each row as it was when it was
// replaced, whatever was put or erased under its key since. Nothing where nothing is kept. Throws as scans of
// the collection do; Error(restoreFromBackup) for what is kept and damaged.
std::optional<Scan<capnp::DynamicStruct>> scanPreimages(const Transaction& transaction,
                                                        const Collection<capnp::DynamicStruct>& rows,
                                                        ScanOptions options = {});

}  // namespace instar
