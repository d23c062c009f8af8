#include "instar/engine/internal/upgraded_record.h"

#include <capnp/message.h>
#include <kj/exception.h>

#include <algorithm>
#include <span>

#include "instar/engine/internal/row_writer.h"
#include "instar/evolve/want_of_memory.h"
#include "instar/format/error.h"
#include "instar/format/payload.h"

namespace instar {
namespace {

constexpr std::size_t kLeastRoom = 256;  // bytes behind a small payload for what the upgrade adds

std::span<std::uint64_t> wordsIn(std::span<std::byte> bytes) {
  return {reinterpret_cast<std::uint64_t*>(bytes.data()), bytes.size() / sizeof(std::uint64_t)};
}

void refuseTooLarge(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments) {
  std::size_t words = 0;
  for (const auto segment : segments) words += segment.size();
  if (words <= kMaxPayloadLength / sizeof(capnp::word)) return;
  throw Error(ErrorCode::fixRow,
              "a row of an older version becomes too large with what the schema derives from it; divide it",
              {{"field", ""}, {"reason", "the row would be larger than 1 GiB"}});
}

// A program that puts such a record would leave the old row behind.
void refuseOtherKey(const RecordSchema& schema, Bytes key, capnp::AnyStruct::Reader record,
                    const std::string& function) {
  if (schema.key().empty()) return;
  Key made;
  try {
    encodeKey(schema.key(), record, made);
  } catch (const Error&) {  // which no key can be
    made.clear();
  }
  if (compareBytes(made.bytes(), key) == 0) return;
  throw Error(
      ErrorCode::fixRow,
      "a function has given a row of an older version another key; let it fill the $key fields as they were",
      {{"function", function}, {"reason", "the key is another one"}});
}

// Lives as long as its arguments.
WholeRecordHook keyCheck(const Plan& plan, Bytes key, capnp::MessageBuilder& message) {
  if (!plan.mayChangeKey()) return {};
  return [&plan, key, &message](const std::string& function) {
    refuseOtherKey(plan.schema(), key, message.getRoot<capnp::AnyStruct>().asReader(), function);
  };
}

void run(const Plan& plan, Bytes key, capnp::MessageBuilder& message) {
  plan.run(message.getRoot<capnp::DynamicStruct>(plan.schema().root()), keyCheck(plan, key, message));
}

}  // namespace

UpgradedRecord::UpgradedRecord(const Plan& plan, Bytes key, const RowView& stored)
    : version_(stored.version) {
  if (plan.replaces())
    replace(plan, key, stored);
  else
    derive(plan, key, stored.payload);
}

void UpgradedRecord::derive(const Plan& plan, Bytes key, Bytes payload) {
  const std::size_t used = payload.size();
  const std::size_t size = used + std::max(used / 2 / sizeof(capnp::word) * sizeof(capnp::word), kLeastRoom);
  bytes_ = std::make_unique<std::byte[]>(size);
  std::memcpy(bytes_.get(), payload.data(), used);
  const Bytes copy(bytes_.get(), used);
  if (isWhole(copy)) {
    // Growing the record in place takes a quarter of the time of copying it field by field; but it trusts the
    // pointers, so the payload has to be whole in itself.
    internal::RecordMessage message(wordsIn({bytes_.get(), size}), used / sizeof(capnp::word));
    run(plan, key, message);
    const auto segments = message.getSegmentsForOutput();
    refuseTooLarge(segments);
    if (message.isOneSegment()) {
      payload_ = {bytes_.get(), segments[0].size() * sizeof(capnp::word)};
    } else {
      keep(message);
    }
  } else {
    const internal::PayloadMessage checked(copy);
    internal::RecordMessage message;
    message.initRoot<capnp::AnyPointer>().set(checked.root());
    run(plan, key, message);
    keep(message);
  }
}

void UpgradedRecord::replace(const Plan& plan, Bytes key, const RowView& stored) {
  const Plan before = plan.before();
  const UpgradedRecord older(before, key, stored);
  const internal::PayloadMessage source(older.payload_);
  internal::RecordMessage message;
  const auto record = message.initRoot<capnp::DynamicStruct>(plan.schema().root());
  plan.replace(source.root().getAs<capnp::DynamicStruct>(before.schema().root()), record,
               keyCheck(plan, key, message));
  run(plan, key, message);
  keep(message);
}

void UpgradedRecord::keep(internal::RecordMessage& message) {
  refuseTooLarge(message.getSegmentsForOutput());
  const FlatRecord flat(message);
  auto bytes = std::make_unique_for_overwrite<std::byte[]>(flat.payload().size());
  std::memcpy(bytes.get(), flat.payload().data(), flat.payload().size());
  bytes_ = std::move(bytes);
  payload_ = {bytes_.get(), flat.payload().size()};
}

std::vector<BrokenRule> UpgradedRecord::brokenRules(const Plans& plans) const {
  const internal::PayloadMessage message(payload_);
  return plans.brokenRules(message.root().getAs<capnp::DynamicStruct>(plans.schema().root()));
}

std::vector<std::byte> UpgradedRecord::compact() const {
  try {
    const internal::PayloadMessage record(payload_);
    internal::RecordMessage message(payload_.size() / sizeof(capnp::word));
    message.initRoot<capnp::AnyPointer>().set(record.root());
    const FlatRecord flat(message);
    return {flat.payload().begin(), flat.payload().end()};
  } catch (const kj::Exception& exception) {
    internal::passOnWantOfMemory(exception);
    throw Error(ErrorCode::fixRow, "a row of an older version cannot be copied; correct the row",
                {{"field", ""}, {"reason", "a pointer in it is not sound"}});
  }
}

void UpgradedRecord::moveTo(internal::RowBytes& row, Bytes key) && {
  row.take(key, version_, std::move(bytes_), payload_);
}

RecordView::RecordView(const Plans& plans, Bytes key, const RowView& stored) {
  if (stored.version >= plans.schema().completeFrom())
    row_.copy(key, stored);
  else
    UpgradedRecord(plans, key, stored).moveTo(row_, key);
  message_.emplace(row_.payload());
}

}  // namespace instar
