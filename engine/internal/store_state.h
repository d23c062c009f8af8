#pragma once

// What is behind the handles of a store. Shared by all of them; any thread.

#include <memory>

#include "instar/engine/internal/cold/block_cache.h"
#include "instar/engine/internal/write_back_queue.h"
#include "instar/engine/storage.h"
#include "instar/engine/store.h"

namespace instar {

class StoreState {
 public:
  StoreState(std::shared_ptr<storage::Environment> environment, const StoreOptions& options,
             storage::TreeId catalog)
      : environment_(std::move(environment)),
        options_(options),
        catalog_(catalog),
        writeBackQueue_(options.mode == OpenMode::readOnly ? 0 : options.writeBackRows),
        blockCache_(options.coldCacheBytes) {}

  storage::Environment& environment() const noexcept { return *environment_; }
  const StoreOptions& options() const noexcept { return options_; }
  storage::TreeId catalog() const noexcept { return catalog_; }
  WriteBackQueue& writeBackQueue() noexcept { return writeBackQueue_; }
  BlockCache& blockCache() noexcept { return blockCache_; }
  Verify verify() const noexcept { return options_.verifyChecksums ? Verify::yes : Verify::no; }

 private:
  std::shared_ptr<storage::Environment> environment_;
  StoreOptions options_;
  storage::TreeId catalog_;
  WriteBackQueue writeBackQueue_;
  BlockCache blockCache_;
};

}  // namespace instar
