#include "instar/bench/sample.h"

#include <capnp/message.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>

#include "instar/bench/order.capnp.h"
#include "instar/evolve/record_schema.h"
#include "instar/format/row.h"

namespace instar::bench {
namespace {

// SplitMix64's finalizer: every bit of the result depends on every bit of the number.
constexpr std::uint64_t mix(std::uint64_t number) noexcept {
  number += 0x9e3779b97f4a7c15;
  number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
  number = (number ^ number >> 27) * 0x94d049bb133111eb;
  return number ^ number >> 31;
}

constexpr std::size_t kTextLength = 4096;

constexpr std::array<char, kTextLength> makeText() {
  std::array<char, kTextLength> text{};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint64_t bits = mix(i);
    text[i] = bits % 6 == 0 ? ' ' : static_cast<char>('a' + bits % 26);
  }
  return text;
}

constexpr std::array<char, kTextLength> kText = makeText();

std::string_view slice(std::uint64_t bits, std::size_t shortest, std::size_t longest) noexcept {
  const std::size_t length = shortest + bits % (longest - shortest + 1);
  return {kText.data() + (bits >> 16) % (kTextLength - longest), length};
}

}  // namespace

Sample sampleOf(std::uint64_t id) noexcept {
  const std::uint64_t bits = mix(id);
  return {
      .id = id,
      .customer = static_cast<std::uint32_t>(bits),
      .quantity = static_cast<std::uint32_t>(bits >> 32 & 0xff),
      .priceCents = static_cast<std::int64_t>(bits >> 40),
      .placedAt = static_cast<std::int64_t>(1'700'000'000'000'000'000 + id),
      .state = static_cast<std::uint16_t>(bits & 7),
      .recipient = slice(mix(bits), 12, 28),
      .street = slice(mix(bits + 1), 24, 48),
      .note = slice(mix(bits + 2), 32, 72),
  };
}

std::vector<std::uint64_t> shuffled(std::uint64_t count) {
  std::vector<std::uint64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), std::uint64_t{0});
  std::shuffle(numbers.begin(), numbers.end(), std::mt19937_64(7));
  return numbers;
}

DynamicFiller::DynamicFiller(capnp::StructSchema schema) {
  for (const char* name :
       {"id", "customer", "quantity", "priceCents", "placedAt", "state", "recipient", "street", "note"}) {
    fields_.push_back(schema.getFieldByName(name));
  }
}

void DynamicFiller::fill(capnp::DynamicStruct::Builder order, const Sample& sample) const {
  order.set(fields_[0], sample.id);
  order.set(fields_[1], sample.customer);
  order.set(fields_[2], sample.quantity);
  order.set(fields_[3], sample.priceCents);
  order.set(fields_[4], sample.placedAt);
  order.set(fields_[5], sample.state);
  const std::string_view texts[] = {sample.recipient, sample.street, sample.note};
  for (std::size_t i = 0; i < std::size(texts); ++i) {
    const std::string_view text = texts[i];
    auto place = order.init(fields_[6 + i], static_cast<unsigned>(text.size())).as<capnp::Text>();
    std::memcpy(place.begin(), text.data(), text.size());
  }
}

RowEncoder::RowEncoder() : key_(RecordSchema::fromStruct(capnp::Schema::from<Order>()).key()) {}

void RowEncoder::encode(const Sample& sample, StoredRow& row) const {
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<Order>(), sample);
  const auto words = message.getSegmentsForOutput()[0];
  const Bytes payload = std::as_bytes(std::span(words.begin(), words.size()));
  encodeKey(key_, message.getRoot<capnp::AnyStruct>().asReader(), row.key);
  row.value.resize(rowHeaderLength(row.key.bytes().size(), RowPlacement::leaf) + payload.size());
  encodeRow(row.value, row.key.bytes(), 1, payload, RowPlacement::leaf);
}

Key keyOf(std::uint64_t id) {
  std::array<std::byte, sizeof id> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(id >> (56 - 8 * i));
  return Key(Bytes(bytes));
}

}  // namespace instar::bench
