#include "instar/evolve/canary_statistics.h"

#include <algorithm>

namespace instar {
namespace {

// Cuts between characters, should it be UTF-8.
void cut(std::string& text, std::size_t length) {
  if (text.size() <= length) return;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80U) --length;
  text.resize(length);
}

void merge(CanaryField& field, const CanaryField& other) {
  field.active.merge(other.active);
  field.staged.merge(other.staged);
  field.diverged += other.diverged;
  field.unexpectedlyUnset += other.unexpectedlyUnset;
}

}  // namespace

void FailureTally::add(CanaryFailure failure, std::uint64_t times) {
  cut(failure.reason, kMaxReasonLength);
  kinds_[std::move(failure)] += times;
  if (kinds_.size() <= kMaxKinds) return;
  const auto last = std::prev(kinds_.end());
  others_ += last->second;
  kinds_.erase(last);
}

void FailureTally::merge(const FailureTally& other) {
  for (const auto& [failure, times] : other.kinds_) add(failure, times);
  others_ += other.others_;
}

std::optional<CanaryFailure> FailureTally::mostFrequent() const {
  const auto most = std::max_element(kinds_.begin(), kinds_.end(), [](const auto& one, const auto& other) {
    return one.second < other.second;
  });
  if (most == kinds_.end()) return std::nullopt;
  return most->first;
}

void FieldDistribution::add(const std::optional<FieldNumber>& number) noexcept {
  ++rows;
  if (!number) return;
  ++numbers;
  least = std::min(least, number->value);
  greatest = std::max(greatest, number->value);
  sumOfSteps += number->steps;
}

void FieldDistribution::merge(const FieldDistribution& other) noexcept {
  rows += other.rows;
  unset += other.unset;
  numbers += other.numbers;
  least = std::min(least, other.least);
  greatest = std::max(greatest, other.greatest);
  sumOfSteps += other.sumOfSteps;
}

double FieldDistribution::unsetShare() const noexcept {
  return rows == 0 ? 0 : static_cast<double>(unset) / static_cast<double>(rows);
}

std::optional<double> FieldDistribution::mean() const noexcept {
  if (numbers == 0) return std::nullopt;
  return static_cast<double>(sumOfSteps) / 0x1p24 / static_cast<double>(numbers);
}

void CanaryStatistics::merge(const CanaryStatistics& other) {
  samples += other.samples;
  passedOver += other.passedOver;
  failed += other.failed;
  brokeRules += other.brokeRules;
  diverged += other.diverged;
  unexpectedlyUnset += other.unexpectedlyUnset;
  failures.merge(other.failures);
  brokenRules.merge(other.brokenRules);
  for (const CanaryField& field : other.fields) {
    const auto place = std::lower_bound(
        fields.begin(), fields.end(), field,
        [](const CanaryField& one, const CanaryField& another) { return one.name < another.name; });
    if (place != fields.end() && place->name == field.name)
      instar::merge(*place, field);
    else
      fields.insert(place, field);
  }
  activeLatency.merge(other.activeLatency);
  stagedLatency.merge(other.stagedLatency);
}

}  // namespace instar
