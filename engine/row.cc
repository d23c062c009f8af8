#include "instar/engine/row.h"

#include <capnp/serialize.h>

#include "instar/engine/internal/transaction_state.h"
#include "instar/format/error.h"
#include "instar/format/payload.h"

namespace instar::internal {
namespace {

bool isAligned(Bytes payload) noexcept {
  return reinterpret_cast<std::uintptr_t>(payload.data()) % alignof(capnp::word) == 0;
}

// No limit of traversal: it protects from messages that make little data look like much, but it counts every
// visit, also repeated ones to a row that is kept for long, and a row whose checksum holds is not such a
// message.
constexpr capnp::ReaderOptions kReaderOptions{.traversalLimitInWords = UINT64_MAX,
                                              .nestingLimit = kMaxRowNesting};

}  // namespace

RowBytes::~RowBytes() {
  if (snapshot_ != nullptr) snapshot_->rowGone();
}

void RowBytes::borrow(TransactionState& transaction, Bytes key, const RowView& row) {
  if (!isAligned(row.payload)) return copy(key, row);
  key_ = key;
  version_ = row.version;
  payload_ = row.payload;
  snapshot_ = &transaction;
  transaction.rowBorn();
}

void RowBytes::copy(Bytes key, const RowView& row) {
  key_ = key;
  copyKey();
  version_ = row.version;
  copy_ = std::make_unique_for_overwrite<std::byte[]>(row.payload.size());  // new aligns to 16
  std::memcpy(copy_.get(), row.payload.data(), row.payload.size());
  payload_ = {copy_.get(), row.payload.size()};
}

void RowBytes::take(Bytes key, std::uint16_t version, std::unique_ptr<std::byte[]> bytes, Bytes payload) {
  key_ = key;
  copyKey();
  version_ = version;
  copy_ = std::move(bytes);
  payload_ = payload;
}

void RowBytes::share(std::shared_ptr<const void> owner, Bytes key, const RowView& row) {
  owner_ = std::move(owner);
  key_ = key;
  version_ = row.version;
  payload_ = row.payload;
}

void RowBytes::copyKey() {
  ownKey_ = Key(key_);
  key_ = ownKey_.bytes();
}

void throwNoRow() { throw Error(ErrorCode::fixCall, "there is no row: test it before using it"); }

PayloadMessage::Checked::Checked(Bytes payload)
    : segment(reinterpret_cast<const capnp::word*>(payload.data()), payload.size() / sizeof(capnp::word)),
      reader(kj::arrayPtr(&segment, 1), kReaderOptions) {}

PayloadMessage::PayloadMessage(Bytes payload) {
  if (isWhole(payload)) {
    const auto* words = reinterpret_cast<const capnp::word*>(payload.data());
    root_ = capnp::readMessageUnchecked<capnp::AnyPointer>(words);
  } else {
    root_ = checked_.emplace(payload).reader.getRoot<capnp::AnyPointer>();
  }
}

}  // namespace instar::internal
