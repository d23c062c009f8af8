#pragma once

// The rows that are measured: made from their number alone, so that every subject stores the same ones and
// none of them has to be kept. Pure; any thread.

#include <capnp/dynamic.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "instar/format/key.h"

namespace instar::bench {

struct Sample {
  std::uint64_t id = 0;
  std::uint32_t customer = 0;
  std::uint32_t quantity = 0;
  std::int64_t priceCents = 0;
  std::int64_t placedAt = 0;
  std::uint16_t state = 0;
  // Slices of a text that is a constant; each is followed by more of it, not by a zero.
  std::string_view recipient;
  std::string_view street;
  std::string_view note;
};

Sample sampleOf(std::uint64_t id) noexcept;

// The numbers 0 to count - 1 in an order that looks random and is the same every time.
std::vector<std::uint64_t> shuffled(std::uint64_t count);

// Rows that a store already holds have even ids, rows that are put into it odd ones, so that they fall in
// between.
constexpr std::uint64_t storedId(std::uint64_t number) noexcept { return number * 2; }
constexpr std::uint64_t newId(std::uint64_t number) noexcept { return number * 2 + 1; }

// For the builders of Order and of GrownOrder.
template <class Builder>
void fill(Builder order, const Sample& sample) {
  const auto set = [](auto&& init, std::string_view text) {
    std::memcpy(init(static_cast<unsigned>(text.size())).begin(), text.data(), text.size());
  };
  order.setId(sample.id);
  order.setCustomer(sample.customer);
  order.setQuantity(sample.quantity);
  order.setPriceCents(sample.priceCents);
  order.setPlacedAt(sample.placedAt);
  order.setState(sample.state);
  set([&](unsigned size) { return order.initRecipient(size); }, sample.recipient);
  set([&](unsigned size) { return order.initStreet(size); }, sample.street);
  set([&](unsigned size) { return order.initNote(size); }, sample.note);
}

// The same for a record whose schema is known at run time.
class DynamicFiller {
 public:
  explicit DynamicFiller(capnp::StructSchema schema);
  void fill(capnp::DynamicStruct::Builder order, const Sample& sample) const;

 private:
  std::vector<capnp::StructSchema::Field> fields_;
};

// What an application reads of a row: three fields, one of them a text.
template <class Reader>
std::uint64_t readThreeFields(const Reader& order) {
  const auto recipient = order.getRecipient();
  return order.getCustomer() + static_cast<std::uint64_t>(order.getPriceCents()) + recipient.size() +
         static_cast<unsigned char>(recipient[0]);
}

// A row as Instar stores it: for those who store the same bytes without Instar.
struct StoredRow {
  Key key;
  std::vector<std::byte> value;
};
class RowEncoder {
 public:
  RowEncoder();
  void encode(const Sample& sample, StoredRow& row) const;

 private:
  KeySpec key_;
};
Key keyOf(std::uint64_t id);

}  // namespace instar::bench
