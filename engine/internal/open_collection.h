#pragma once

// What the engine's own functions reach behind a collection's handle. Any thread.

#include <memory>

#include "instar/engine/collection.h"
#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/store_state.h"

namespace instar {

class OpenCollection : public CollectionBase {
 public:
  explicit OpenCollection(const CollectionBase& handle) : CollectionBase(handle) {}

  const std::shared_ptr<CollectionState>& state() const noexcept { return state_; }

  // Throws Error(fixCall) where the store is open for reading only.
  void requireWritable(const Transaction& transaction) const {
    if (!transaction.state().storage().canBeOverwritten() && !state_->store().environment().readOnly())
      return;
    throw Error(ErrorCode::fixCall, "the store is open for reading only: open it for writing",
                {{"collection", name()}});
  }
};

}  // namespace instar
