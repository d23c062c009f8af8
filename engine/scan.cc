#include "instar/engine/internal/collection_state.h"
#include "instar/engine/internal/scan_cursor.h"

namespace instar {

ScanBase::ScanBase(std::shared_ptr<CollectionState> collection, const Transaction& transaction,
                   ScanOptions options)
    : collection_(std::move(collection)) {
  TransactionState& state = transaction.state();
  collection_->admitReading(state);
  cursor_ = std::make_unique<ScanCursor>(*collection_, state, std::move(options));
}

ScanBase::ScanBase(ScanBase&&) noexcept = default;
ScanBase::~ScanBase() = default;

bool ScanBase::next() { return cursor_->next(); }
Bytes ScanBase::key() const { return cursor_->key(); }
Bytes ScanBase::value() const { return cursor_->value(); }
void ScanBase::load(internal::RowBytes& row) const {
  row.serveAs(collection_->version());
  cursor_->load(row);
}

}  // namespace instar
