#pragma once
// The rows of change.h as Cap'n Proto records, old and new: what Instar stores, and what LMDB and RocksDB
// store behind a version tag. Pure; any thread.

#include <capnp/blob.h>

#include <cstring>

#include "instar/bench/order.capnp.h"
#include "instar/bench/upgrade/change.h"
#include "instar/bench/upgrade/releases.capnp.h"

namespace instar::bench {

inline std::string_view textOf(capnp::Text::Reader text) noexcept { return {text.begin(), text.size()}; }

// What Order has, of it and of the records that keep its fields. Texts of the result lie in the record.
template <class Reader>
OldRow readOld(const Reader& order) {
  return {.id = order.getId(),
          .customer = order.getCustomer(),
          .quantity = order.getQuantity(),
          .priceCents = order.getPriceCents(),
          .placedAt = order.getPlacedAt(),
          .state = order.getState(),
          .recipient = textOf(order.getRecipient()),
          .street = textOf(order.getStreet()),
          .note = textOf(order.getNote())};
}
// An old record is written with fill() of sample.h.

namespace internal {

template <class Init>
void setText(Init&& init, std::string_view text) {
  std::memcpy(init(static_cast<unsigned>(text.size())).begin(), text.data(), text.size());
}

template <class Builder>
void writeKept(Builder& order, const NewRow& row) {
  fill(order, OldRow{.id = row.id,
                     .customer = row.customer,
                     .quantity = row.quantity,
                     .priceCents = row.priceCents,
                     .placedAt = row.placedAt,
                     .state = row.state,
                     .recipient = row.recipient,
                     .street = row.street,
                     .note = row.note});
}

}  // namespace internal

// Texts of the result lie in the record.
inline NewRow readNew(AdditiveOrder::Reader order) {
  NewRow row = kept(readOld(order));
  row.weightGrams = order.getWeightGrams();
  return row;
}

inline NewRow readNew(DerivedOrder::Reader order) {
  NewRow row = kept(readOld(order));
  row.givenName = textOf(order.getGivenName());
  return row;
}

inline NewRow readNew(Parcel::Reader parcel) {
  return {.id = parcel.getId(),
          .priceMills = parcel.getPriceMills(),
          .client = parcel.getClient(),
          .pieces = parcel.getPieces(),
          .placedMillis = parcel.getPlacedMillis(),
          .status = textOf(parcel.getStatus()),
          .address = textOf(parcel.getAddress()),
          .remark = textOf(parcel.getRemark())};
}

inline NewRow readNew(HistoryOrder::Reader order) {
  NewRow row = kept(readOld(order));
  row.weightGrams = order.getWeightGrams();
  row.givenName = textOf(order.getGivenName());
  row.channel = order.getChannel();
  row.familyName = textOf(order.getFamilyName());
  row.discountCents = order.getDiscountCents();
  row.priceMills = order.getPriceMills();
  row.taxPermille = order.getTaxPermille();
  row.label = textOf(order.getLabel());
  row.loyaltyPoints = order.getLoyaltyPoints();
  return row;
}

// Into an empty record.
inline void writeNew(AdditiveOrder::Builder order, const NewRow& row) {
  internal::writeKept(order, row);
  order.setWeightGrams(row.weightGrams);
}

inline void writeNew(DerivedOrder::Builder order, const NewRow& row) {
  internal::writeKept(order, row);
  internal::setText([&](unsigned size) { return order.initGivenName(size); }, row.givenName);
}

inline void writeNew(Parcel::Builder parcel, const NewRow& row) {
  parcel.setId(row.id);
  parcel.setClient(row.client);
  parcel.setPieces(row.pieces);
  parcel.setPriceMills(row.priceMills);
  parcel.setPlacedMillis(row.placedMillis);
  internal::setText([&](unsigned size) { return parcel.initStatus(size); }, row.status);
  internal::setText([&](unsigned size) { return parcel.initAddress(size); }, row.address);
  internal::setText([&](unsigned size) { return parcel.initRemark(size); }, row.remark);
}

inline void writeNew(HistoryOrder::Builder order, const NewRow& row) {
  internal::writeKept(order, row);
  order.setWeightGrams(row.weightGrams);
  internal::setText([&](unsigned size) { return order.initGivenName(size); }, row.givenName);
  order.setChannel(row.channel);
  internal::setText([&](unsigned size) { return order.initFamilyName(size); }, row.familyName);
  order.setDiscountCents(row.discountCents);
  order.setPriceMills(row.priceMills);
  order.setTaxPermille(row.taxPermille);
  internal::setText([&](unsigned size) { return order.initLabel(size); }, row.label);
  order.setLoyaltyPoints(row.loyaltyPoints);
}

// Sets the price in a record, and what goes with it, as setPrice() does in a row.
inline void storePrice(AdditiveOrder::Builder order, std::int64_t cents) { order.setPriceCents(cents); }
inline void storePrice(DerivedOrder::Builder order, std::int64_t cents) { order.setPriceCents(cents); }
inline void storePrice(Parcel::Builder parcel, std::int64_t cents) {
  NewRow row;
  setPrice(Change::replaced, row, cents);
  parcel.setPriceMills(row.priceMills);
}
inline void storePrice(HistoryOrder::Builder order, std::int64_t cents) {
  NewRow row;
  setPrice(Change::history, row, cents);
  order.setPriceCents(row.priceCents);
  order.setPriceMills(row.priceMills);
}

// Calls `use` with a null pointer to the change's record type: withRelease(change, [](auto* type) {
// using Record = std::remove_pointer_t<decltype(type)>; … }).
template <class Use>
decltype(auto) withRelease(Change change, Use&& use) {
  switch (change) {
    case Change::additive:
      return use(static_cast<AdditiveOrder*>(nullptr));
    case Change::replaced:
      return use(static_cast<Parcel*>(nullptr));
    case Change::history:
      return use(static_cast<HistoryOrder*>(nullptr));
    case Change::derived:
    case Change::own:  // has types of its own (own.h)
      break;
  }
  return use(static_cast<DerivedOrder*>(nullptr));
}

}  // namespace instar::bench
