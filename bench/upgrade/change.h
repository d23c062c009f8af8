#pragma once
// What each Change does to a row, as pure functions over plain values: the same for every system, so that
// after the same operations all of them hold the same rows and have the same digest. These are also what
// people write by hand to upgrade a row. Any thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "instar/bench/sample.h"
#include "instar/bench/upgrade/scenario.h"

namespace instar::bench {

// A row of the old release: Order in order.capnp, whose field names are the columns of SQLite too.
using OldRow = Sample;

// A row of the new release: the record of releases.capnp for the change. What that record does not have is
// left as it is here. Texts borrow.
struct NewRow {
  std::uint64_t id = 0;
  // additive, derived, history: what the old release has.
  std::uint32_t customer = 0;
  std::uint32_t quantity = 0;
  std::int64_t priceCents = 0;
  std::int64_t placedAt = 0;
  std::uint16_t state = 0;
  std::string_view recipient{};
  std::string_view street{};
  std::string_view note{};
  // additive, history.
  std::uint32_t weightGrams = 100;
  // derived, history: the recipient up to its first space.
  std::string_view givenName{};
  // history: what is behind that space; ten times priceCents; "familyName, givenName".
  std::string_view familyName{};
  std::int64_t priceMills = 0;  // replaced too
  std::string_view label{};
  std::uint16_t channel = 1;
  std::int64_t discountCents = 0;
  std::uint16_t taxPermille = 190;
  std::uint32_t loyaltyPoints = 0;
  // replaced: customer, quantity, placedAt in milliseconds, state in a word, "recipient, street", note.
  std::uint64_t client = 0;
  std::uint64_t pieces = 0;
  std::int64_t placedMillis = 0;
  std::string_view status{};
  std::string_view address{};
  std::string_view remark{};
};

// The fields that all new releases but `replaced` keep, the others as they are where nothing is derived.
NewRow kept(const OldRow& old) noexcept;

// The upgrade of a row. Texts that are put together lie in `scratch`, the others where those of `old` lie.
NewRow upgraded(Change change, const OldRow& old, std::string& scratch);

// Sets the price, and what goes with it in the new release.
void setPrice(Change change, NewRow& row, std::int64_t priceCents) noexcept;
std::int64_t priceOf(Change change, const NewRow& row) noexcept;

// The price that Session::readModifyWrite() makes of one.
std::int64_t raised(std::int64_t priceCents) noexcept;

// A row that the new release makes from its id alone: what the old one would have made, upgraded.
NewRow insertedRow(Change change, std::uint64_t id, std::string& scratch);

// Of all fields of the new release's record, as an application that shows the row reads them.
std::uint64_t digestOf(Change change, const NewRow& row) noexcept;

// The words of Parcel's status: "new", "paid", "sent", and "done" for every other state.
std::string_view statusOf(std::uint16_t state) noexcept;

}  // namespace instar::bench
