#include "instar/engine/internal/salvage/salvage_target.h"

#include <algorithm>

#include "instar/engine/internal/store_state.h"

namespace instar {
namespace {

constexpr std::size_t kEntriesPerCommit = 65536;
constexpr std::size_t kBytesPerCommit = std::size_t{64} << 20;

}  // namespace

storage::TreeId SalvageTarget::openTree(const std::string& name) {
  commit();
  const ReadTransaction transaction = store_.read();
  return *transaction.state().store().environment().openTree(name, true);
}

TransactionState& SalvageTarget::state() {
  if (!transaction_) transaction_.emplace(store_.write());
  return transaction_->state();
}

void SalvageTarget::commit() {
  if (transaction_) transaction_->commit();
  transaction_.reset();
  entries_ = 0;
  bytes_ = 0;
}

bool SalvageTarget::has(storage::TreeId tree, Bytes key) {
  return state().storage().get(tree, key).has_value();
}

void SalvageTarget::count(std::size_t bytes) {
  bytes_ += bytes;
  if (++entries_ >= kEntriesPerCommit || bytes_ >= kBytesPerCommit) commit();
}

std::span<std::byte> SalvageTarget::reserve(storage::TreeId tree, Bytes key, std::size_t size) {
  state().changed();
  return state().storage().reserve(tree, key, size);
}

bool SalvageTarget::put(storage::TreeId tree, Bytes key, Bytes value) {
  if (has(tree, key)) return false;
  const auto place = reserve(tree, key, value.size());
  std::copy(value.begin(), value.end(), place.begin());
  count(key.size() + value.size());
  return true;
}

bool SalvageTarget::putRow(storage::TreeId tree, Bytes key, const RowView& row, Bytes value) {
  if (!value.empty() && row.flags == RowFlags::none) return put(tree, key, value);
  if (has(tree, key)) return false;
  const RowPlacement placement =
      state().store().environment().placement(key.size(), kMinRowHeaderLength + row.payload.size());
  const std::size_t length = rowHeaderLength(key.size(), placement) + row.payload.size();
  encodeRow(reserve(tree, key, length), key, row.version, row.payload, placement);
  count(key.size() + length);
  return true;
}

}  // namespace instar
