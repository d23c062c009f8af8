#include "instar/bench/upgrade/change.h"

#include <span>

#include "instar/format/checksum.h"

namespace instar::bench {
namespace {

constexpr std::int64_t kMillsPerCent = 10;
constexpr std::int64_t kNanosecondsPerMillisecond = 1'000'000;

void upgradeNames(NewRow& row) noexcept {
  const std::size_t space = row.recipient.find(' ');
  row.givenName = row.recipient.substr(0, space);
  if (space != std::string_view::npos) row.familyName = row.recipient.substr(space + 1);
}

std::string_view joined(std::string_view first, std::string_view second, std::string& scratch) {
  scratch.clear();
  scratch.append(first).append(", ").append(second);
  return scratch;
}

// A sum over what it is given, in which order and value count.
class Digest {
 public:
  template <class... Numbers>
  void addNumbers(Numbers... numbers) noexcept {
    (addNumber(static_cast<std::uint64_t>(numbers)), ...);
  }
  template <class... Texts>
  void addTexts(const Texts&... texts) noexcept {
    (addNumber(hash64(std::as_bytes(std::span(texts)))), ...);
  }
  std::uint64_t value() const noexcept { return value_; }

 private:
  void addNumber(std::uint64_t number) noexcept {
    value_ = (value_ ^ number) * 0x9e3779b97f4a7c15;
    value_ ^= value_ >> 29;
  }

  std::uint64_t value_ = 0x243f6a8885a308d3;
};

}  // namespace

std::string_view statusOf(std::uint16_t state) noexcept {
  switch (state) {
    case 0:
      return "new";
    case 1:
      return "paid";
    case 2:
      return "sent";
    default:
      return "done";
  }
}

NewRow kept(const OldRow& old) noexcept {
  return {.id = old.id,
          .customer = old.customer,
          .quantity = old.quantity,
          .priceCents = old.priceCents,
          .placedAt = old.placedAt,
          .state = old.state,
          .recipient = old.recipient,
          .street = old.street,
          .note = old.note};
}

NewRow upgraded(Change change, const OldRow& old, std::string& scratch) {
  if (change == Change::replaced) {
    return {.id = old.id,
            .priceMills = old.priceCents * kMillsPerCent,
            .client = old.customer,
            .pieces = old.quantity,
            .placedMillis = old.placedAt / kNanosecondsPerMillisecond,
            .status = statusOf(old.state),
            .address = joined(old.recipient, old.street, scratch),
            .remark = old.note};
  }
  NewRow row = kept(old);
  if (change == Change::additive) return row;
  upgradeNames(row);
  if (change == Change::history) {
    row.priceMills = row.priceCents * kMillsPerCent;
    row.label = joined(row.familyName, row.givenName, scratch);
  }
  return row;
}

void setPrice(Change change, NewRow& row, std::int64_t priceCents) noexcept {
  if (change != Change::replaced) row.priceCents = priceCents;
  if (change == Change::replaced || change == Change::history) row.priceMills = priceCents * kMillsPerCent;
}

std::int64_t priceOf(Change change, const NewRow& row) noexcept {
  return change == Change::replaced ? row.priceMills / kMillsPerCent : row.priceCents;
}

std::int64_t raised(std::int64_t priceCents) noexcept { return priceCents + 1; }

NewRow insertedRow(Change change, std::uint64_t id, std::string& scratch) {
  return upgraded(change, sampleOf(id), scratch);
}

std::uint64_t digestOf(Change change, const NewRow& row) noexcept {
  Digest digest;
  if (change == Change::replaced) {
    digest.addNumbers(row.id, row.client, row.pieces, row.priceMills, row.placedMillis);
    digest.addTexts(row.status, row.address, row.remark);
    return digest.value();
  }
  digest.addNumbers(row.id, row.customer, row.quantity, row.priceCents, row.placedAt, row.state);
  digest.addTexts(row.recipient, row.street, row.note);
  if (change == Change::additive || change == Change::history) digest.addNumbers(row.weightGrams);
  if (change == Change::derived || change == Change::history) digest.addTexts(row.givenName);
  if (change == Change::history) {
    digest.addNumbers(row.priceMills, row.channel, row.discountCents, row.taxPermille, row.loyaltyPoints);
    digest.addTexts(row.familyName, row.label);
  }
  return digest.value();
}

}  // namespace instar::bench
