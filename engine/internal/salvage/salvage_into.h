#pragma once

// Salvage from a descriptor into any storage; what salvage() does between opening one file and naming the
// other. One thread.

#include <filesystem>
#include <memory>

#include "instar/engine/salvage.h"
#include "instar/engine/storage.h"

namespace instar {

// `target` is empty.
SalvageReport salvageInto(int descriptor, const std::filesystem::path& from,
                          const std::shared_ptr<storage::Environment>& target, const SalvageOptions& options);

PageReport checkPagesOf(int descriptor, const std::filesystem::path& path, const SalvageOptions& options);

}  // namespace instar
