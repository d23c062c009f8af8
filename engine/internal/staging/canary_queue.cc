#include "instar/engine/internal/staging/canary_queue.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace instar {

CanaryQueue::Put CanaryQueue::put(Bytes key, const RowView& row) {
  const Header header{.keySize = static_cast<std::uint32_t>(key.size()),
                      .payloadSize = static_cast<std::uint32_t>(row.payload.size()),
                      .version = row.version};
  const std::lock_guard lock(mutex_);
  const std::size_t before = waiting_.size();
  const std::size_t after = before + sizeof(header) + key.size() + row.payload.size();
  if (after > kMostBytes) return Put::passedOver;
  // At once, so that a row is there whole or not at all.
  if (after > waiting_.capacity()) waiting_.reserve(std::min(std::bit_ceil(after), kMostBytes));
  const auto* const bytes = reinterpret_cast<const std::byte*>(&header);
  waiting_.insert(waiting_.end(), bytes, bytes + sizeof(header));
  waiting_.insert(waiting_.end(), key.begin(), key.end());
  waiting_.insert(waiting_.end(), row.payload.begin(), row.payload.end());
  if (before == 0) return Put::first;
  return before < kMostBytes / 4 && after >= kMostBytes / 4 ? Put::much : Put::more;
}

CanaryQueue::Rows CanaryQueue::take() {
  taken_.clear();
  const std::lock_guard lock(mutex_);
  waiting_.swap(taken_);
  return Rows(taken_);
}

bool CanaryQueue::isEmpty() {
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

bool CanaryQueue::Rows::next(Bytes& key, RowView& row) {
  if (rest_.empty()) return false;
  Header header;
  std::memcpy(&header, rest_.data(), sizeof(header));
  rest_ = rest_.subspan(sizeof(header));
  key = rest_.first(header.keySize);
  row = {.version = header.version, .payload = rest_.subspan(header.keySize, header.payloadSize)};
  rest_ = rest_.subspan(header.keySize + header.payloadSize);
  return true;
}

}  // namespace instar
